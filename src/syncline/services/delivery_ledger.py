"""What a turn has settled and not saved yet, and what its attempts say about the endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from syncline.core.circuit import is_given_up, probe_pause
from syncline.obs.logging import get_logger
from syncline.services.delivery_request import Sent, attempt_at
from syncline.services.delivery_settings import DispatchSettings
from syncline.services.delivery_sources import Step
from syncline.services.kernel import Kernel
from syncline.store.deliveries import Claim, Progress
from syncline.store.parked import Attempt, Parked, ParkedState
from syncline.store.replays import Replay

_logger = get_logger(__name__)


@dataclass(slots=True)
class _Unsaved:
    delivered: list[int] = field(default_factory=list)
    parked: dict[int, Parked] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    recovered: bool = False
    is_urgent: bool = False


class Ledger:
    """The results of one turn of one endpoint."""

    def __init__(self, kernel: Kernel, settings: DispatchSettings, claim: Claim) -> None:
        self._kernel = kernel
        self._settings = settings
        self._claim = claim
        self.circuit = claim.circuit
        self.failing_since = claim.failing_since
        self.failed_attempts = claim.failed_attempts
        self.probe_at: datetime | None = None
        # Successes since the circuit closed in this turn, None if it did not.
        self.recovered_for: int | None = None
        self._last_success_at = claim.last_success_at
        self._unsaved = _Unsaved()

    @property
    def unsaved_attempts(self) -> int:
        """How many requests would be repeated if the process died now."""
        return len(self._unsaved.attempts)

    @property
    def is_urgent(self) -> bool:
        """Whether something is to be saved before the next request."""
        return self._unsaved.is_urgent

    def is_given_up(self, now: datetime) -> bool:
        """Tell whether the endpoint has been failing for so long that it is to be disabled."""
        since = self.failing_since
        return since is not None and is_given_up(now - since, self.failed_attempts)

    def park(self, row: Parked) -> None:
        """Note a delivery that waits behind another one."""
        self._unsaved.parked[row.position] = row

    def bury(self, row: Parked) -> None:
        """Note a delivery that is given up."""
        self._unsaved.parked[row.position] = replace(row, state=ParkedState.DEAD, next_due_at=None)
        self._unsaved.is_urgent = True
        self._kernel.metrics.deliveries_dead.inc()
        _logger.warning("delivery.dead", endpoint_id=self._claim.id, position=row.position)

    def arrived(self, step: Step, sent: Sent, now: datetime) -> bool:
        """Note a success, and tell whether it closed the circuit."""
        closed_now = not self.circuit.is_closed
        if closed_now:
            self.recovered_for, self.probe_at = 0, None
            self._unsaved.recovered = self._unsaved.is_urgent = True
            _logger.info("endpoint.circuit_closed", endpoint_id=self._claim.id)
        if self.recovered_for is not None:
            self.recovered_for += 1
        self.circuit = self.circuit.succeeded()
        self.failing_since, self.failed_attempts = None, 0
        self._last_success_at = now
        self.note(step, sent, None)
        is_again = step.window is not None and step.window.end is not None
        if step.head is not None or is_again:
            self._unsaved.parked.pop(step.event.position, None)
            self._unsaved.delivered.append(step.event.position)
        if not is_again:
            lag = (self._kernel.clock() - step.event.recorded_at).total_seconds()
            self._kernel.metrics.delivery_lag_seconds.observe(max(0.0, lag))
        return closed_now

    def failed(self, step: Step, sent: Sent, now: datetime, *, probe: bool) -> Parked:
        """Note a failure and return the delivery as it waits now; without a due time it is given up."""
        self.failing_since = self.failing_since or now - timedelta(seconds=sent.duration)
        self.failed_attempts += 1
        self._count(sent, now, probe=probe)
        first = step.head.first_attempt_at if step.head else None
        first = first or now - timedelta(seconds=sent.duration)
        delay = self._delay(step.number, sent, max(now - first, timedelta(0)))
        row = Parked(
            position=step.event.position,
            lane=step.lane,
            attempts=step.number,
            first_attempt_at=first,
            next_due_at=None if delay is None else now + delay,
            last_error=sent.error,
        )
        self.note(step, sent, row.next_due_at)
        self._unsaved.is_urgent = True
        if delay is None:
            self.bury(row)
        else:
            self.park(row)
        return row

    def note(self, step: Step, sent: Sent, next_due_at: datetime | None) -> None:
        """Put an attempt into the log of attempts."""
        self._unsaved.attempts.append(
            attempt_at(self._kernel, step.event, step.event.position, step.number, sent, next_due_at)
        )

    def progress(self, cursor: int, replays: Sequence[Replay]) -> Progress:
        """Return everything that is to be saved."""
        unsaved = self._unsaved
        return Progress(
            cursor=cursor,
            circuit=self.circuit,
            failing_since=self.failing_since,
            failed_attempts=self.failed_attempts,
            last_success_at=self._last_success_at,
            delivered=unsaved.delivered,
            parked=list(unsaved.parked.values()),
            attempts=unsaved.attempts,
            replays=replays,
            recovered=unsaved.recovered,
        )

    def saved(self) -> None:
        """Begin anew: everything is saved."""
        self._unsaved = _Unsaved()

    def _count(self, sent: Sent, now: datetime, *, probe: bool) -> None:
        was_closed = self.circuit.is_closed
        self.circuit = self.circuit.failed(sent.outcome, sent.duration, probe=probe)
        if self.circuit.is_closed:
            return
        if was_closed:
            self.recovered_for = None
            _logger.warning("endpoint.circuit_opened", endpoint_id=self._claim.id, error=sent.error)
        if was_closed or probe:
            self.probe_at = now + probe_pause(self._delay(self.circuit.step, sent, None))

    def _delay(self, number: int, sent: Sent, elapsed: timedelta | None) -> timedelta | None:
        return self._settings.delay(
            number,
            outcome=sent.outcome,
            retry_after=sent.retry_after,
            jitter=self._kernel.jitter(),
            elapsed=elapsed,
        )
