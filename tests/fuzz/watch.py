"""Runs inputs through a target and keeps what was found: failures, and the slowest input."""

from __future__ import annotations

import base64
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.targets import Target

# R14: no input may take longer. Seconds of the thread's own time, so that other work does not count.
LONGEST = 0.1
_FINDINGS_KEPT = 20


@dataclass(frozen=True)
class Finding:
    """An input that failed, and how."""

    data: bytes
    what: str

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {"data": base64.b64encode(self.data).decode(), "what": self.what}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Finding:
        """Return what `as_json` made of a finding."""
        return cls(base64.b64decode(found["data"]), str(found["what"]))


@dataclass
class Watch:
    """Runs one target; an input that fails where another has failed already is not kept again."""

    target: Target
    executions: int = 0
    slowest: tuple[float, bytes] = (0.0, b"")
    findings: dict[str, Finding] = field(default_factory=dict)

    def run(self, data: bytes) -> None:
        """Run one input. Never raises."""
        begun = time.thread_time()
        try:
            self.target.run(data)
        except Exception as error:
            self._keep(data, error)
        seconds = time.thread_time() - begun
        self.executions += 1
        if seconds > self.slowest[0]:
            self.slowest = (seconds, data)

    def _keep(self, data: bytes, error: Exception) -> None:
        places = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
            for frame in traceback.extract_tb(error.__traceback__)[-3:]
        ]
        where = f"{type(error).__name__} at {' < '.join(reversed(places))}"
        held = self.findings.get(where)
        if held is not None and len(held.data) <= len(data):
            return
        if held is not None or len(self.findings) < _FINDINGS_KEPT:
            # The shortest input of those that fail at one place says the most.
            self.findings[where] = Finding(data, f"{where}: {error}"[:2000])


def seconds_of(target: Target, data: bytes, times: int = 3) -> float:
    """Return the shortest of a few measurements of one input; what it raises does not matter here."""
    shortest = float("inf")
    for _ in range(times):
        watch = Watch(target)
        watch.run(data)
        shortest = min(shortest, watch.slowest[0])
    return shortest
