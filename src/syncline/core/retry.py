"""When a webhook that failed is tried again (`events-webhooks.md` §3), as figures and one function."""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from itertools import accumulate

STEPS = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
)
"""What passes before each repetition; the last step repeats until `LIFETIME` has passed."""

_BEGINNINGS = (timedelta(0), *accumulate(STEPS))

LIFETIME = timedelta(hours=72)
JITTER_SHARE = 0.2
BUSY_MINIMUM = timedelta(seconds=60)
RETRY_AFTER_FACTOR = 10
RETRY_AFTER_MAXIMUM = timedelta(hours=8)

_BUSY_STATUSES = frozenset({429, 502, 504})
_SECONDS = re.compile(r"([0-9]{1,9})(?:\.[0-9]{1,9})?")


class Outcome(StrEnum):
    """How one attempt ended, as far as the schedule cares."""

    SUCCESS = "success"
    FAILED = "failed"
    TIMEOUT = "timeout"
    BUSY = "busy"
    GONE = "gone"


def outcome_of_status(status: int) -> Outcome:
    """Return what an HTTP status means: 2xx is success, 410 is gone for good, all else is failure."""
    if 200 <= status <= 299:
        return Outcome.SUCCESS
    if status == 410:
        return Outcome.GONE
    return Outcome.BUSY if status in _BUSY_STATUSES else Outcome.FAILED


def next_delay(
    attempt: int,
    *,
    outcome: Outcome,
    retry_after: timedelta | None,
    jitter: float,
    elapsed: timedelta | None = None,
) -> timedelta | None:
    """Return how long to wait after attempt number `attempt` (from 1), or `None` if it was the last one.

    `jitter` between -1 and 1 moves the step by up to a fifth. `elapsed` is the time since the first attempt;
    without it the sum of the steps stands for it. Attempts that came faster than the schedule, such as the
    probes of an open circuit, do not make the step longer. The last attempt comes when 72 hours have passed,
    never later. Raises `ValueError` for an attempt below 1 or a jitter outside its range.
    """
    if attempt < 1 or not -1 <= jitter <= 1:
        raise ValueError(f"no schedule for attempt {attempt} with jitter {jitter}")
    spent = _nominal_time_before(attempt) if elapsed is None else elapsed
    if outcome in {Outcome.SUCCESS, Outcome.GONE} or spent >= LIFETIME:
        return None
    if elapsed is not None:
        # With jitter a step may end a fifth early, so the one after the elapsed steps is allowed as well.
        attempt = min(attempt, _attempts_within(elapsed) + 1)
    minimum = BUSY_MINIMUM if outcome in {Outcome.TIMEOUT, Outcome.BUSY} else timedelta(0)
    step = max(step_after(attempt), minimum)
    delay = max(step * (1 + JITTER_SHARE * jitter), minimum)
    if retry_after is not None:
        delay = max(delay, min(retry_after, step * RETRY_AFTER_FACTOR, RETRY_AFTER_MAXIMUM))
    return min(delay, LIFETIME - spent)


def step_after(attempt: int) -> timedelta:
    """Return the undisturbed step after attempt number `attempt` (from 1)."""
    return STEPS[min(attempt, len(STEPS)) - 1]


def parse_retry_after(text: str, now: datetime) -> timedelta | None:
    """Return what a `Retry-After` header asks for: seconds, or an HTTP date seen from `now`.

    A moment in the past is no wait at all; what cannot be read is `None`.
    """
    text = text.strip()
    seconds = _SECONDS.fullmatch(text)
    if seconds is not None:
        return timedelta(seconds=float(seconds[0]))
    if text.isdecimal() and text.isascii():
        return timedelta.max
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return max(moment - now, timedelta(0))
    except OverflowError:
        return timedelta.max


def _nominal_time_before(attempt: int) -> timedelta:
    """Return how long after the first attempt this one takes place, if nothing disturbs the steps."""
    repeated = max(attempt - len(_BEGINNINGS), 0)
    return _BEGINNINGS[min(attempt, len(_BEGINNINGS)) - 1] + repeated * STEPS[-1]


def _attempts_within(elapsed: timedelta) -> int:
    """Return how many attempts the undisturbed schedule makes in a time, the first one included."""
    return 1 + bisect_right(_BEGINNINGS[1:], elapsed)
