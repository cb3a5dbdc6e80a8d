"""Syncline processes that start in no time: one process imports everything, each launch is a fork of it.

What runs in the child is the `syncline` command, in its own working folder and with its own settings. Only
the import is shared: it is most of a start, and would be most of a test that kills two hundred times.

`LEASE` and `STEP` are no settings of the product. `LEASE` shortens leases and the pauses between looks at
what is due, so that a test need not wait a minute for what a killed worker held; `STEP` makes jobs take few
people at once, so that a dozen are several steps.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

import httpx

LEASE = "SYNCLINE_TEST_LEASE_SECONDS"
STEP = "SYNCLINE_TEST_STEP"
_ROOT = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1


class Launched:
    """One running `syncline` process; `status` is what it ended with, negative for a signal."""

    def __init__(self, arguments: tuple[str, ...], pid: int, log: Path, url: str | None) -> None:
        self.arguments = arguments
        self.pid = pid
        self.log = log
        self.url = url
        self._status = log.with_suffix(".status")
        try:
            self._handle: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._handle = None

    def poll(self) -> int | None:
        """Return the exit status, None while the process runs."""
        try:
            return int(self._status.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def wait(self, deadline: float = 15.0) -> int:
        """Wait for the end and return the status. Raises `TimeoutError` with what the process printed."""
        ends = time.monotonic() + deadline
        while (status := self.poll()) is None:
            if time.monotonic() > ends:
                raise TimeoutError(f"{self.arguments} still runs:\n{self.output()[-1500:]}")
            if self._handle is not None:
                select.select([self._handle], [], [], 0.05)
            time.sleep(0.002)
        return status

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self._handle is not None and self.poll() is None:
            try:
                signal.pidfd_send_signal(self._handle, number)
            except ProcessLookupError:
                return

    def kill(self) -> None:
        """End the process as a power cut of its machine would."""
        self.send(signal.SIGKILL)
        self.wait()

    def terminate(self, deadline: float = 15.0) -> float:
        """Ask the process to stop and return its seconds; `RuntimeError` if it ends with an error."""
        begun = time.monotonic()
        self.send(signal.SIGTERM)
        status = self.wait(deadline)
        if status != 0:
            raise RuntimeError(f"{self.arguments} ended with {status}:\n{self.output()[-1500:]}")
        return time.monotonic() - begun

    def is_ready(self) -> bool:
        """Ask the process whether it is ready; raises `RuntimeError` if it has ended."""
        status = self.poll()
        if status is not None:
            raise RuntimeError(f"{self.arguments} ended with {status}:\n{self.output()[-1500:]}")
        if self.url is None:
            return True
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def await_ready(self, deadline: float = 60.0) -> None:
        """Wait until the process says that it is ready."""
        ends = time.monotonic() + deadline
        while not self.is_ready():
            if time.monotonic() > ends:
                raise TimeoutError(f"{self.arguments} is not ready:\n{self.output()[-1500:]}")
            time.sleep(0.01)

    def output(self) -> str:
        """Return what the process has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")


class Launcher:
    """The process that forks; everything it has launched ends with it."""

    def __init__(self) -> None:
        self._count = 0
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNCLINE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.launch"],
            cwd=_ROOT,
            env=kept,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def launch(
        self, folder: Path, *arguments: str, settings: Mapping[str, str], url: str | None = None
    ) -> Launched:
        """Start `syncline ARGUMENTS` in a folder, with settings named as in the settings file."""
        self._count += 1
        log = folder / f"{self._count:04}-{arguments[0]}.log"
        order = {
            "arguments": arguments,
            "settings": {f"SYNCLINE_{name.upper()}": value for name, value in settings.items()},
            "folder": str(folder),
            "log": str(log),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        log.touch()
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the launcher has ended")
        return Launched(arguments, int(answer), log, url)

    def run(self, folder: Path, *arguments: str, settings: Mapping[str, str]) -> str:
        """Run a command to its end and return its output; `RuntimeError` if it fails."""
        launched = self.launch(folder, *arguments, settings=settings)
        if launched.wait(120) != 0:
            raise RuntimeError(launched.output())
        return launched.output()

    def close(self) -> None:
        """End the launcher and with it every process it has launched."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@cache
def shared() -> Launcher:
    """Return the launcher of this process, which ends with it."""
    launcher = Launcher()
    atexit.register(launcher.close)
    return launcher


def _serve() -> None:
    """Fork for each line of standard input; write down how each child ended."""
    # Imported here, once, for all the children.
    import syncline.cli.compose
    import syncline.cli.serve
    import syncline.store.migrate  # noqa: F401

    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    logs: dict[int, str] = {}
    pending = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _reap(logs)
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                return
            *lines, pending = (pending + read).split(b"\n")
            for line in lines:
                order = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    _run(order)
                logs[pid] = order["log"]
                os.write(1, f"{pid}\n".encode())


def _reap(logs: dict[int, str]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        written = Path(logs.pop(pid)).with_suffix(".new")
        written.write_text(str(os.waitstatus_to_exitcode(status)))
        written.rename(written.with_suffix(".status"))


def _run(order: dict[str, Any]) -> NoReturn:
    """Become the `syncline` command."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        output = os.open(order["log"], os.O_WRONLY | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, opened in ((0, nothing), (1, output), (2, output)):
            os.dup2(opened, number)
        os.closerange(3, 256)
        os.chdir(order["folder"])
        os.environ.update(order["settings"])
        sys.argv = ["syncline", *order["arguments"]]
        _shorten_leases()
        _shorten_steps()
        from syncline.cli import main

        main()
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _shorten_leases() -> None:
    seconds = os.environ.get(LEASE)
    if seconds is None:
        return
    from dataclasses import replace
    from datetime import timedelta

    from syncline.services import container, erasure
    from syncline.services.delivery import Dispatcher
    from syncline.services.delivery_settings import DispatchSettings
    from syncline.services.kernel import Kernel
    from syncline.workers import runner

    lease = timedelta(seconds=float(seconds))

    def dispatcher(kernel: Kernel, settings: DispatchSettings | None = None, **more: Any) -> Dispatcher:
        paced = replace(settings or DispatchSettings(), lease=lease, send_seconds=float(seconds) / 2)
        return Dispatcher(kernel, paced, **more)

    _put(container, "Dispatcher", dispatcher)
    for name in ("Imports", "Erasures", "Reevaluations", "Reconciliations"):
        _put(container, name, partial(getattr(container, name), hold=lease))
    for name in ("_IMPORTS_EVERY", "_ERASURES_EVERY", "_RECONCILIATIONS_EVERY"):
        _put(runner, name, float(seconds))
    _put(erasure, "_AGAIN", lease)


def _shorten_steps() -> None:
    people = os.environ.get(STEP)
    if people is None:
        return
    from syncline.services import container, reevaluation

    _put(reevaluation, "BATCH", int(people))
    _put(container, "Reconciliations", partial(getattr(container, "Reconciliations"), batch=int(people)))  # noqa: B009


def _put(place: object, name: str, value: object) -> None:
    """Replace something that exists; a test must not go on with what the product calls otherwise by now."""
    if not hasattr(place, name):
        raise RuntimeError(f"{place} has no {name} any more")
    setattr(place, name, value)


if __name__ == "__main__":
    _serve()
