"""How event sinks pace themselves: slots, leases, batches and pauses after failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncline.store.database import Connection
from syncline.store.engine import database_now

BACK_OFF = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 30, 60, 120, 300))
"""What passes after each failure in a row; the last repeats until it works again."""
_JITTER_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """How sinks pace themselves; durations in seconds unless they are `timedelta`.

    `now` is the database's clock, which leases and pauses obey. `lease` must be more than twice
    `publish_seconds`: it is renewed before a batch whenever less than that is left of it.
    """

    slots: int = 50
    poll: float = 0.5
    gather: float = 0.02
    lease: timedelta = timedelta(seconds=60)
    publish_seconds: float = 20.0
    batch_events: int = 500
    batch_bytes: int = 4 * 1024 * 1024
    # How long a sink that has sent everything keeps its connection.
    linger: float = 30.0
    drain_seconds: float = 8.0
    back_off: tuple[timedelta, ...] = BACK_OFF
    now: Callable[[Connection], datetime] = database_now

    def pause(self, failures: int, jitter: float) -> timedelta:
        """Return how long to wait after so many failures in a row; `jitter` is between -1 and 1."""
        step = self.back_off[min(failures, len(self.back_off)) - 1]
        return step * (1 + _JITTER_SHARE * jitter)
