"""Syncline as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx


class Process:
    """One `syncline` process, its output in a file; killed when the `with` block ends if it still runs."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNCLINE_")}
        self.log = folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        self._out = self.log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "syncline", *arguments],
            cwd=folder,
            env=kept | {f"SYNCLINE_{name.upper()}": value for name, value in settings.items()},
            stdout=self._out,
            stderr=subprocess.STDOUT,
        )

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


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a `syncline` command to its end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNCLINE_")}
    return subprocess.run(
        [sys.executable, "-m", "syncline", *arguments],
        cwd=folder,
        env=kept | {f"SYNCLINE_{name.upper()}": value for name, value in settings.items()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
