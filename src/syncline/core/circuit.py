"""The circuit of a webhook endpoint: when requests stop and start again (`events-webhooks.md` §3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from syncline.core.retry import Outcome

FAILURES_TO_OPEN = 5
TIMEOUT_SECONDS_TO_OPEN = 10.0
LONGEST_PROBE_PAUSE = timedelta(minutes=5)
WIDEST_RAMP = 4

DISABLE_AFTER = timedelta(days=5)
DISABLE_ATTEMPTS = 20


class CircuitState(StrEnum):
    """`closed`: everything flows. `open`: nothing does until the next probe. `probing`: it is under way."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


@dataclass(frozen=True, slots=True)
class Circuit:
    """What an endpoint's last requests say about it.

    `failures` and `timeout_seconds` count since the last success, the latter only timeouts in a row. `step`
    is the number of the pause before the next probe, 0 while closed.
    """

    state: CircuitState = CircuitState.CLOSED
    step: int = 0
    failures: int = 0
    timeout_seconds: float = 0.0

    @property
    def is_closed(self) -> bool:
        """Whether events flow."""
        return self.state is CircuitState.CLOSED

    def succeeded(self) -> Circuit:
        """Return the circuit after a success: closed, whatever it was."""
        return Circuit()

    def failed(self, outcome: Outcome, duration: float, *, probe: bool) -> Circuit:
        """Return the circuit after a failure that took `duration` seconds.

        While it is not closed only a failed probe moves it a step on: other requests were under way when
        it opened.
        """
        timeouts = self.timeout_seconds + duration if outcome is Outcome.TIMEOUT else 0.0
        counted = replace(self, failures=self.failures + 1, timeout_seconds=timeouts)
        if not self.is_closed:
            return replace(counted, state=CircuitState.OPEN, step=self.step + probe)
        if counted.failures >= FAILURES_TO_OPEN or timeouts >= TIMEOUT_SECONDS_TO_OPEN:
            return replace(counted, state=CircuitState.OPEN, step=1)
        return counted


def probe_pause(scheduled: timedelta | None) -> timedelta:
    """Return the pause before a probe, made of what the schedule says for its step; at most five minutes."""
    return LONGEST_PROBE_PAUSE if scheduled is None else min(scheduled, LONGEST_PROBE_PAUSE)


def ramped(successes: int, concurrency: int) -> int:
    """Return how many requests may be under way so many successes after a circuit closed: 1, 2, 4, all."""
    if successes < 1:
        return 1
    if successes < 1 + 2:
        return min(2, concurrency)
    if successes < 1 + 2 + WIDEST_RAMP:
        return min(WIDEST_RAMP, concurrency)
    return concurrency


def is_given_up(failing_for: timedelta, failed_attempts: int) -> bool:
    """Tell whether an endpoint that took nothing for so long, in so many attempts, is to be disabled."""
    return failing_for >= DISABLE_AFTER and failed_attempts >= DISABLE_ATTEMPTS
