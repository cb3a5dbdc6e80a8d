"""A clock that a test moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass
class SlowClock:
    """Stands still until it is told to move, a second each time."""

    now: datetime = datetime(2026, 3, 2, 8, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time now."""
        return self.now

    def tick(self, seconds: float = 1) -> datetime:
        """Let time pass; return the moment just before it did."""
        before = self.now
        self.now += timedelta(seconds=seconds)
        return before
