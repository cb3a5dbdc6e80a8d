"""Syncline commands that start in no time: one process imports everything, each command is a fork of it.

The import is most of a start, and it is all that is shared: a fork gets the arguments, environment, folder
and open files of a process of its own, does what `python -m syncline` does and ends as a program ends. That a
program which starts from nothing does the same is proved by tests that start it so.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_MOST_FILES = 1024


class Forked:
    """A running command, with as much of the interface of `subprocess.Popen` as tests use."""

    def __init__(self, pid: int, told: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._told = told

    def poll(self) -> int | None:
        """Return the status, negative for a signal, or None while the process runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the status. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            ready, _, _ = select.select([self._told], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired("syncline", timeout or 0)
            self.returncode = int(_line(self._told))
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that has imported everything and forks; what it has forked ends with it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._orders = ours
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forks", str(theirs.fileno())],
                cwd=_ROOT,
                env={name: value for name, value in os.environ.items() if not name.startswith("SYNCLINE_")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def start(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        files: tuple[int, int, int],
        module: str = "syncline",
    ) -> Forked:
        """Run `python -m MODULE ARGUMENTS` with these descriptors as standard input, output and error."""
        told, tell = socket.socketpair()
        with tell:
            order = {
                "module": module,
                "arguments": arguments,
                "folder": str(folder),
                "environment": dict(environment),
            }
            text = json.dumps(order).encode()
            socket.send_fds(self._orders, [f"{len(text)}\n".encode()], [tell.fileno(), *files])
            self._orders.sendall(text)
        return Forked(int(_line(told)), told)

    def close(self) -> None:
        """End it and everything it has forked."""
        self._orders.close()
        self._process.wait(30)


@cache
def nursery() -> Nursery:
    """Return the nursery of this process, which ends with it."""
    made = Nursery()
    atexit.register(made.close)
    return made


def _line(source: socket.socket) -> str:
    read = b""
    while not read.endswith(b"\n"):
        byte = source.recv(1)
        if not byte:
            raise RuntimeError("the process that forks has ended")
        read += byte
    return read.decode().strip()


def _serve(orders: socket.socket) -> dict[str, Any] | None:
    """Fork for each order and tell how the child ended; return the order in a child, None at the end."""
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: dict[int, socket.socket] = {}
    awaited: list[socket.socket | int] = [orders, woken]
    while True:
        ready, _, _ = select.select(awaited, [], [])
        if woken in ready:
            os.read(woken, 4096)
            _reap(children)
        if orders in ready:
            head, files, _, _ = socket.recv_fds(orders, 1, 4)
            if not head:
                for pid in children:
                    os.kill(pid, signal.SIGKILL)
                return None
            length = int(head.decode() + _line(orders))
            order: dict[str, Any] = json.loads(orders.recv(length, socket.MSG_WAITALL))
            tell = socket.socket(fileno=files[0])
            _prepare(order["module"])
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _take(files[1:])
                return order
            children[pid] = tell
            tell.sendall(f"{pid}\n".encode())
            for number in files[1:]:
                os.close(number)


def _prepare(module: str) -> None:
    """Import what a program of the tests imports, once for all the children that run it."""
    if module != "syncline":
        importlib.import_module(module)
        # Each child runs the program itself anew.
        del sys.modules[module]


def _reap(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with children.pop(pid) as tell, suppress(OSError):
            tell.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _take(files: Sequence[int]) -> None:
    """Make these the standard files, and close all others."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, _MOST_FILES)


def _become(order: Mapping[str, Any]) -> None:
    """Be the process that was ordered."""
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = [order["module"], *order["arguments"]]
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


def _main() -> None:
    # Imported here, once, for all the children.
    import syncline.cli.doctor
    import syncline.cli.erase
    import syncline.cli.keys
    import syncline.cli.serve
    import syncline.cli.sinks
    import syncline.store.migrate  # noqa: F401

    gc.freeze()
    order = _serve(socket.socket(fileno=int(sys.argv[1])))
    if order is not None:
        _become(order)


if __name__ == "__main__":
    _main()
