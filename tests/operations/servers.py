"""The parts around Syncline that operators run: a PgBouncer, a primary with a standby, a killed server."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil

from tests.support import parts, postgres
from tests.support.waiting import wait_until_sync

_PGBOUNCER = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
logfile = {folder}/log
pidfile = {folder}/pid
"""


def at_port(url: str, port: int) -> str:
    """Return the address of the same database behind another port of the loopback address."""
    parts_ = urlsplit(url)
    return urlunsplit(parts_._replace(netloc=f"{parts_.username}:{parts_.password}@127.0.0.1:{port}"))


@contextmanager
def pgbouncer(url: str) -> Iterator[str]:
    """Run a PgBouncer in transaction mode in front of a server; give the address through it.

    Four connections of the server serve everybody, so that hardly two transactions in a row get the same.
    """
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        parts.missing("PgBouncer", "apt-get install pgbouncer")
    server = urlsplit(url)
    folder = Path(tempfile.mkdtemp(prefix="syncline-pgbouncer-"))
    listen = postgres.unused_port()
    (folder / "users.txt").write_text(f'"{server.username}" "{server.password}"\n')
    (folder / "pgbouncer.ini").write_text(
        _PGBOUNCER.format(host=server.hostname, port=server.port, listen=listen, folder=folder)
    )
    postgres._give_away(folder, *folder.iterdir())
    owner = postgres._owner().pw_uid if os.geteuid() == 0 else None
    process = subprocess.Popen(
        [program, "--quiet", folder / "pgbouncer.ini"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=owner,
    )
    try:
        pooled = at_port(url, listen)
        wait_until_sync(lambda: process.poll() is not None or answers(pooled), reason="PgBouncer")
        assert process.poll() is None, (folder / "log").read_text()
        yield pooled
    finally:
        process.kill()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def answers(url: str) -> bool:
    """Tell whether somebody can sign in there."""
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        return bool(query(url, "SELECT true"))
    return False


def query(url: str, statement: str) -> object:
    """Return the one value of a statement."""

    async def run() -> object:
        connection = await asyncpg.connect(url, statement_cache_size=0, timeout=5)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    # The caller may be inside the loop of the test framework.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(run())).result()


@dataclass(frozen=True, slots=True)
class Pair:
    """A primary that waits for its standby with every commit, and the standby."""

    primary: postgres.Server
    standby: postgres.Server

    @property
    def url(self) -> str:
        """The address that names both."""
        first, second = urlsplit(self.primary.url), urlsplit(self.standby.url)
        return urlunsplit(first._replace(netloc=f"{first.netloc},127.0.0.1:{second.port}"))

    def kill_primary(self) -> None:
        """End every process of the primary at once, as a power cut would."""
        pid = int((self.primary.folder / "data" / "postmaster.pid").read_text().split()[0])
        postmaster = psutil.Process(pid)
        for process in (postmaster, *postmaster.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        # Nobody is left to be stopped.
        (self.primary.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def promote(self) -> None:
        """Make the standby the primary."""
        postgres._control(self.standby.folder, "promote")


@contextmanager
def replicated() -> Iterator[Pair]:
    """Run a primary and a synchronous streaming standby."""
    folders = [Path(tempfile.mkdtemp(prefix="syncline-postgres-")) for _ in range(2)]
    try:
        try:
            primary = postgres.start(folders[0])
        except postgres.PostgresMissing:
            parts.missing("a PostgreSQL server", "apt-get install postgresql")
        standby = _standby(folders[1], primary)
        query(primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        query(primary.url, "SELECT pg_reload_conf()")
        in_step = "SELECT sync_state = 'sync' FROM pg_stat_replication"
        wait_until_sync(lambda: query(primary.url, in_step), reason="a synchronous standby")
        yield Pair(primary, standby)
    finally:
        for folder in folders:
            postgres.stop(folder)


def _standby(folder: Path, primary: postgres.Server) -> postgres.Server:
    postgres._give_away(folder)
    program = postgres.find_programs() / "pg_basebackup"
    copied = f"--pgdata={folder / 'data'}"
    postgres._run(folder, program, copied, f"--dbname={primary.url}", "--checkpoint=fast", "-R", "--no-sync")
    port = postgres.unused_port()
    postgres._control(folder, "start", f"--options=-p {port}", f"--log={folder / 'log'}")
    return postgres.Server(folder, at_port(primary.url, port))
