"""Syncline as real processes: forks of one that has imported everything, or whole ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import httpx

from tests.support.forks import Forked, nursery


class Process:
    """One `syncline` process, its output in a file; killed when the `with` block ends if it still runs."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.log = folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        self._out = self.log.open("wb")
        self.process = self._started(folder, arguments, _environment(settings), self._out.fileno())

    def _started(
        self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str], output: int
    ) -> Forked | subprocess.Popen[bytes]:
        files = (_nothing(), output, output)
        return nursery().start(arguments, folder=folder, environment=environment, files=files)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._out.close()

    def await_ready(self, url: str, deadline: float = 30.0) -> None:
        """Wait until the process answers that it is ready."""
        ends = time.monotonic() + deadline
        while True:
            try:
                if httpx.get(f"{url}/health/ready", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < ends, self.output()
            time.sleep(0.02)

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self, deadline: float = 10.0) -> float:
        """Ask the process to stop; return its seconds. Fails if it takes longer or exits with an error."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(deadline) == 0, self.output()
        return time.monotonic() - begun

    def output(self) -> str:
        """What the process has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")


class WholeProcess(Process):
    """A process that starts from nothing, as an operator starts it."""

    def _started(
        self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str], output: int
    ) -> Forked | subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "syncline", *arguments],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
        )


def run_whole(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a `syncline` command that starts from nothing to its end."""
    return subprocess.run(
        [sys.executable, "-m", "syncline", *arguments],
        cwd=folder,
        env=_environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a `syncline` command to its end."""
    environment = _environment(settings)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        files = (_nothing(), out.fileno(), err.fileno())
        running = nursery().start(arguments, folder=folder, environment=environment, files=files)
        try:
            status = running.wait(60)
        except subprocess.TimeoutExpired:
            running.kill()
            raise
        for written in (out, err):
            written.seek(0)
        return subprocess.CompletedProcess(arguments, status, out.read().decode(), err.read().decode())


@cache
def _nothing() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNCLINE_")}
    return kept | {f"SYNCLINE_{name.upper()}": value for name, value in settings.items()}
