"""The schedule of webhook repetitions: steps, bounds and the end after 72 hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncline.core.retry import LIFETIME, Outcome, next_delay, outcome_of_status, parse_retry_after

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
FAILURES = [Outcome.FAILED, Outcome.TIMEOUT, Outcome.BUSY]


def delay(
    attempt: int,
    outcome: Outcome = Outcome.FAILED,
    retry_after: timedelta | None = None,
    jitter: float = 0.0,
    elapsed: timedelta | None = None,
) -> timedelta | None:
    return next_delay(attempt, outcome=outcome, retry_after=retry_after, jitter=jitter, elapsed=elapsed)


class TestSteps:
    def test_the_steps_are_those_of_the_contract(self) -> None:
        expected = [
            5 * SECOND,
            30 * SECOND,
            2 * MINUTE,
            10 * MINUTE,
            30 * MINUTE,
            HOUR,
            2 * HOUR,
            4 * HOUR,
            8 * HOUR,
            8 * HOUR,
        ]
        assert [delay(attempt) for attempt in range(1, 11)] == expected

    @pytest.mark.parametrize("jitter", [-1.0, 0.0, 1.0])
    def test_the_last_attempt_comes_when_72_hours_have_passed(self, jitter: float) -> None:
        elapsed, attempt, previous = timedelta(0), 1, timedelta(0)
        while (wait := delay(attempt, jitter=jitter, elapsed=elapsed)) is not None:
            previous, elapsed, attempt = elapsed, elapsed + wait, attempt + 1
        assert elapsed == LIFETIME
        assert LIFETIME - previous <= 10 * HOUR
        assert 15 <= attempt <= 20

    def test_without_a_start_the_steps_add_up_to_the_same_end(self) -> None:
        total, attempt = timedelta(0), 1
        while (wait := delay(attempt)) is not None:
            total, attempt = total + wait, attempt + 1
        assert total == LIFETIME

    def test_attempts_that_came_faster_than_the_schedule_do_not_make_the_step_longer(self) -> None:
        # Forty minutes of probes: five steps would have passed, so it is the sixth and not the ninth.
        assert delay(12, elapsed=40 * MINUTE) == HOUR
        assert delay(3, elapsed=40 * MINUTE) == 2 * MINUTE

    @given(st.integers(1, 30), st.floats(-1, 1))
    def test_jitter_moves_a_step_by_at_most_a_fifth(self, attempt: int, jitter: float) -> None:
        plain, moved = (
            delay(attempt, elapsed=timedelta(0)),
            delay(attempt, jitter=jitter, elapsed=timedelta(0)),
        )
        assert plain is not None
        assert moved is not None
        assert 0.8 * plain <= moved <= 1.2 * plain

    @pytest.mark.parametrize(
        ("attempt", "jitter"), [(0, 0.0), (-1, 0.0), (1, 1.01), (1, -1.5), (1, float("nan"))]
    )
    def test_what_is_outside_the_schedule_is_an_error(self, attempt: int, jitter: float) -> None:
        with pytest.raises(ValueError, match="schedule"):
            delay(attempt, jitter=jitter)


class TestOutcomes:
    @pytest.mark.parametrize(
        ("status", "outcome"),
        [
            (200, Outcome.SUCCESS),
            (204, Outcome.SUCCESS),
            (299, Outcome.SUCCESS),
            (199, Outcome.FAILED),
            (301, Outcome.FAILED),
            (304, Outcome.FAILED),
            (400, Outcome.FAILED),
            (404, Outcome.FAILED),
            (410, Outcome.GONE),
            (429, Outcome.BUSY),
            (500, Outcome.FAILED),
            (502, Outcome.BUSY),
            (503, Outcome.FAILED),
            (504, Outcome.BUSY),
        ],
    )
    def test_a_status_means_this(self, status: int, outcome: Outcome) -> None:
        assert outcome_of_status(status) is outcome

    @pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.GONE])
    def test_success_and_gone_are_never_repeated(self, outcome: Outcome) -> None:
        assert delay(1, outcome, retry_after=HOUR) is None

    @pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.BUSY])
    @pytest.mark.parametrize("jitter", [-1.0, 0.0, 1.0])
    def test_timeouts_and_busy_answers_wait_a_minute_at_least(self, outcome: Outcome, jitter: float) -> None:
        for attempt in (1, 2, 3):
            wait = delay(attempt, outcome, jitter=jitter)
            assert wait is not None
            assert wait >= MINUTE

    @given(
        st.sampled_from(FAILURES),
        st.integers(1, 40),
        st.floats(-1, 1),
        st.timedeltas(timedelta(0), LIFETIME - SECOND),
        st.none() | st.timedeltas(timedelta(0)),
    )
    def test_no_wait_reaches_beyond_72_hours(
        self, outcome: Outcome, attempt: int, jitter: float, elapsed: timedelta, retry_after: timedelta | None
    ) -> None:
        wait = delay(attempt, outcome, retry_after, jitter, elapsed)
        assert wait is not None
        assert timedelta(0) < wait <= LIFETIME - elapsed
        assert delay(attempt, outcome, retry_after, jitter, LIFETIME) is None


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("attempt", "asked", "granted"),
        [
            (1, 1 * SECOND, 5 * SECOND),
            (1, 20 * SECOND, 20 * SECOND),
            (1, 10 * MINUTE, 50 * SECOND),
            (4, 30 * MINUTE, 30 * MINUTE),
            (6, 9 * HOUR, 8 * HOUR),
            (9, 1 * HOUR, 8 * HOUR),
            (9, 20 * HOUR, 8 * HOUR),
        ],
    )
    def test_it_counts_between_one_and_ten_steps_and_up_to_8_hours(
        self, attempt: int, asked: timedelta, granted: timedelta
    ) -> None:
        assert delay(attempt, retry_after=asked) == granted

    def test_for_a_busy_answer_the_minute_is_the_step(self) -> None:
        assert delay(1, Outcome.BUSY, retry_after=HOUR) == 10 * MINUTE

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("120", 120 * SECOND),
            (" 0 ", timedelta(0)),
            ("1.5", 1.5 * SECOND),
            ("9" * 5000, timedelta.max),
            ("Thu, 15 Jan 2026 12:01:00 GMT", MINUTE),
            ("Thursday, 15-Jan-26 12:01:00 GMT", MINUTE),
            ("Thu Jan 15 12:01:00 2026", MINUTE),
            ("Thu, 15 Jan 2026 13:01:00 +0100", MINUTE),
            ("Wed, 14 Jan 2026 12:00:00 GMT", timedelta(0)),
            ("", None),
            ("soon", None),
            ("-5", None),
            ("1e3", None),
            ("Thu, 99 Jan 2026 12:00:00 GMT", None),
            ("٣", None),
        ],
    )
    def test_seconds_and_dates_are_read(self, text: str, expected: timedelta | None) -> None:
        assert parse_retry_after(text, NOW) == expected

    @given(st.text(max_size=60))
    def test_any_text_is_read_or_passed_over(self, text: str) -> None:
        wait = parse_retry_after(text, NOW)
        assert wait is None or wait >= timedelta(0)
