"""When requests to a failing endpoint stop, and when they start again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncline.core.circuit import (
    LONGEST_PROBE_PAUSE,
    Circuit,
    CircuitState,
    is_given_up,
    probe_pause,
    ramped,
)
from syncline.core.retry import Outcome, next_delay


def after(*outcomes: tuple[Outcome, float], start: Circuit | None = None) -> Circuit:
    circuit = start or Circuit()
    for outcome, duration in outcomes:
        if outcome is Outcome.SUCCESS:
            circuit = circuit.succeeded()
        else:
            circuit = circuit.failed(outcome, duration, probe=not circuit.is_closed)
    return circuit


FAILED, SUCCESS = (Outcome.FAILED, 0.1), (Outcome.SUCCESS, 0.1)


def test_the_fifth_failure_in_a_row_opens_it() -> None:
    assert after(*[FAILED] * 4).is_closed
    assert after(*[FAILED] * 5) == Circuit(CircuitState.OPEN, 1, 5)
    assert after(*[FAILED] * 4, SUCCESS, *[FAILED] * 4).is_closed


@pytest.mark.parametrize(
    ("durations", "is_closed"), [([15.0], False), ([5.0], True), ([5.0, 5.0], False), ([9.9], True)]
)
def test_ten_seconds_of_timeouts_open_it(durations: list[float], is_closed: bool) -> None:
    assert after(*[(Outcome.TIMEOUT, duration) for duration in durations]).is_closed is is_closed


def test_only_timeouts_in_a_row_add_up() -> None:
    assert after((Outcome.TIMEOUT, 6.0), FAILED, (Outcome.TIMEOUT, 6.0)).is_closed


def test_a_success_closes_it_and_forgets_everything() -> None:
    assert after(*[FAILED] * 9, SUCCESS) == Circuit()


def test_each_failed_probe_is_a_step() -> None:
    assert after(*[FAILED] * 8).step == 4


def test_a_request_that_was_under_way_when_it_opened_is_no_step() -> None:
    opened = after(*[FAILED] * 5)
    assert opened.failed(Outcome.FAILED, 0.1, probe=False).step == opened.step


@given(st.integers(1, 2_000), st.floats(-1, 1), st.sampled_from([Outcome.FAILED, Outcome.TIMEOUT]))
def test_probes_are_never_more_than_five_minutes_apart(step: int, jitter: float, outcome: Outcome) -> None:
    pause = probe_pause(next_delay(step, outcome=outcome, retry_after=timedelta(hours=9), jitter=jitter))
    assert timedelta(seconds=4) <= pause <= LONGEST_PROBE_PAUSE


def test_after_a_recovery_requests_under_way_double() -> None:
    assert [ramped(successes, 10) for successes in (0, 1, 2, 3, 6, 7)] == [1, 2, 2, 4, 4, 10]
    assert [ramped(successes, 1) for successes in (0, 1, 3, 7)] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("days", "attempts", "expected"), [(5, 20, True), (4.99, 500, False), (9, 19, False)]
)
def test_an_endpoint_is_given_up_after_five_days_and_twenty_attempts(
    days: float, attempts: int, expected: bool
) -> None:
    assert is_given_up(timedelta(days=days), attempts) is expected
