"""How the dispatcher paces itself: slots, leases, saves, and the schedule of repetitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from syncline.core.retry import Outcome, next_delay
from syncline.store.database import Connection
from syncline.store.engine import database_now


class Delay(Protocol):
    """Says how long to wait after an attempt, None if it was the last: `core.retry.next_delay`."""

    def __call__(
        self,
        attempt: int,
        *,
        outcome: Outcome,
        retry_after: timedelta | None,
        jitter: float,
        elapsed: timedelta | None,
    ) -> timedelta | None:
        """Return the delay."""
        ...


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """How the dispatcher paces itself; durations in seconds unless they are `timedelta`.

    `now` is the database's clock, which leases and due times obey. `lease` must be at least twice the
    longest request: it is renewed while less than `send_seconds` of it are left.
    """

    slots: int = 100
    slots_per_host: int = 10
    poll: float = 0.5
    gather: float = 0.004
    sweep: float = 30.0
    lease: timedelta = timedelta(seconds=45)
    send_seconds: float = 18.0
    save_events: int = 25
    save_seconds: float = 0.5
    turn_seconds: float = 10.0
    drain_seconds: float = 8.0
    hold: timedelta = timedelta(seconds=5)
    parked_limit: int = 1_000
    delay: Delay = next_delay
    now: Callable[[Connection], datetime] = database_now
