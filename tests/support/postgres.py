"""A private PostgreSQL server for the tests: random port, temporary folder, never run as root.

Also a small command, so that a script can start one server for several test processes:
`python -m tests.support.postgres find | start FOLDER | stop FOLDER`.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_USER = "syncline"
_START_SECONDS = 60
_PORT_TRIES = 5

_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = '128MB'
max_wal_size = '2GB'
jit = off
timezone = 'UTC'
lc_messages = 'C'
log_min_messages = warning
"""

# The server lives for one test run, so its data never has to survive a power cut. Killing Syncline, or this
# server's own processes, still loses nothing: the operating system keeps what was written. What cuts the
# power, or measures, asks for a durable one.
_NOT_DURABLE = """
fsync = off
full_page_writes = off
"""


class PostgresMissing(Exception):
    """No PostgreSQL server program was found on this machine."""


@dataclass(frozen=True)
class Server:
    """One running private server."""

    folder: Path
    url: str


def find_programs() -> Path:
    """Return the folder of the newest installed server's programs, or raise `PostgresMissing`."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    candidates = [*folders, *([Path(on_path).resolve().parent] if on_path else [])]
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    raise PostgresMissing("no initdb and pg_ctl under /usr/lib/postgresql or on the PATH")


def start(folder: Path, *, durable: bool = False) -> Server:
    """Make a cluster in the empty `folder` and start it; `stop(folder)` must be called in the end.

    A `durable` one keeps what it has committed through a power cut, and takes the time for it. The server
    outlives the calling process. Raises `PostgresMissing`, or `RuntimeError` with the server's own words.
    """
    programs = find_programs()
    folder = folder.resolve()
    data = folder / "data"
    password = secrets.token_hex(16)
    password_file = folder / "password"
    password_file.write_text(password)
    _give_away(folder, password_file)
    _run(
        folder,
        programs / "initdb",
        f"--pgdata={data}",
        f"--username={_USER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--no-sync",
        *_locale(programs),
    )
    (data / "postgresql.auto.conf").write_text(_SETTINGS + ("" if durable else _NOT_DURABLE))
    for attempt in range(1, _PORT_TRIES + 1):
        port = unused_port()
        try:
            _control(folder, "start", f"--options=-p {port}", f"--log={folder / 'log'}")
            break
        except RuntimeError:
            # Somebody else may have taken the port in between.
            if attempt == _PORT_TRIES:
                raise
    return Server(folder, f"postgresql://{_USER}:{password}@127.0.0.1:{port}/postgres")


def restart(folder: Path) -> None:
    """Restart the server of `folder` at once: every connection breaks, as after a crash of the server."""
    _control(folder.resolve(), "restart", "--mode=immediate", f"--log={folder.resolve() / 'log'}")


def stop(folder: Path) -> None:
    """Stop the server of `folder`, if it runs, and remove the folder."""
    folder = folder.resolve()
    if (folder / "data" / "postmaster.pid").exists():
        _control(folder, "stop", "--mode=immediate")
    shutil.rmtree(folder, ignore_errors=True)


def unused_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.parent.name))


def _locale(programs: Path) -> list[str]:
    """Choose a human collation where the server has one, as hosted databases do.

    Code that relies on byte order without saying so then fails here instead of at a customer's.
    """
    version = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    major = int(re.findall(r"\d+", version)[0])
    if major >= 15:
        return ["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]
    return ["--locale=C"]


def _owner() -> pwd.struct_passwd:
    """Return the account the server runs as: oneself, or a powerless one when that is root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL refuses to run as root, and neither 'postgres' nor 'nobody' exists here")


def _give_away(*paths: Path) -> None:
    owner = _owner()
    for path in paths:
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _control(folder: Path, action: str, *arguments: str) -> None:
    programs = find_programs()
    data = folder / "data"
    limit = f"--timeout={_START_SECONDS}"
    _run(folder, programs / "pg_ctl", action, f"--pgdata={data}", "--wait", "--silent", limit, *arguments)


def _run(folder: Path, program: Path, *arguments: str) -> None:
    """Run a server program as the owner, with its output in a file that the server may keep open."""
    owner = _owner()
    output = folder / f"{program.name}.out"
    as_root = os.geteuid() == 0
    with output.open("ab") as sink:
        status = subprocess.run(
            [program, *arguments],
            cwd=folder,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            user=owner.pw_uid if as_root else None,
            group=owner.pw_gid if as_root else None,
            extra_groups=[] if as_root else None,
            start_new_session=True,
            check=False,
        ).returncode
    if status != 0:
        log = folder / "log"
        words = output.read_text(errors="replace") + (log.read_text(errors="replace") if log.exists() else "")
        raise RuntimeError(f"{program.name} {arguments[0]} failed with status {status}:\n{words[-4000:]}")


def _main(arguments: list[str]) -> int:
    match arguments:
        case ["find"]:
            try:
                print(find_programs())
            except PostgresMissing as error:
                print(error, file=sys.stderr)
                return 1
        case ["start", folder]:
            print(start(Path(folder)).url)
        case ["stop", folder]:
            stop(Path(folder))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
