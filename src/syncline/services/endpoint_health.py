"""How deliveries to one webhook endpoint are going, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import ceil
from typing import Literal, cast

from syncline.core.retry import Outcome
from syncline.core.wire import EndpointHealth, MissedEvents, iso
from syncline.store import endpoint_reports as store
from syncline.store.database import Connection

RECENT_ATTEMPTS = 500


def health_of(connection: Connection, environment_id: str, endpoint_id: str, now: datetime) -> EndpointHealth:
    """Return the health of an endpoint that is there; ratio and p95 are of its last attempts."""
    found = store.figures(connection, environment_id, endpoint_id)
    attempts = store.recent(connection, environment_id, endpoint_id, RECENT_ATTEMPTS)
    return EndpointHealth(
        lag_events=found.lag,
        lag_seconds=_age(found.lagging_since, now) or 0.0,
        waiting=found.waiting,
        dead=found.dead,
        oldest_waiting_seconds=_age(found.waiting_since, now),
        circuit=cast(Literal["closed", "open", "probing"], found.circuit),
        failing_since=_time(found.failing_since),
        consecutive_failures=found.consecutive_failures,
        last_success_at=_time(found.last_success_at),
        disabled_reason=found.disabled_reason,
        missed=None
        if found.missed is None
        else MissedEvents(
            first=found.missed["first"],
            last=found.missed["last"],
            flagged_at=iso(datetime.fromisoformat(found.missed["flagged_at"])),
        ),
        recent_attempts=len(attempts),
        success_ratio=_ratio([outcome for outcome, _ in attempts]),
        p95_ms=p95([duration for _, duration in attempts]),
    )


def p95(durations: Sequence[int]) -> int | None:
    """Return the value that 95 of 100 do not exceed (nearest rank); None of nothing."""
    return sorted(durations)[ceil(len(durations) * 0.95) - 1] if durations else None


def _ratio(outcomes: Sequence[str]) -> float | None:
    return round(outcomes.count(Outcome.SUCCESS) / len(outcomes), 4) if outcomes else None


def _age(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else max(round((now - since).total_seconds(), 3), 0.0)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
