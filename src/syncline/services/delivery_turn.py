"""One turn of one endpoint: what this process does with an endpoint between claiming it and letting go.

The cursor moves over an event only when it is settled: delivered, filtered out, or parked. What was settled
is saved after a few events, so a crash repeats no more than those. Two rules keep the order of a directory:
one with a parked delivery is never sent to from the cursor, and only the head of a lane is tried again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from syncline import faults
from syncline.core.ids import Prefix
from syncline.core.retry import Outcome
from syncline.obs.logging import get_logger
from syncline.services.delivery_lanes import Lanes, lane_of
from syncline.services.delivery_request import Sent, SigningSecret, open_secrets, send
from syncline.services.delivery_settings import DispatchSettings
from syncline.services.kernel import Kernel
from syncline.store import deliveries, endpoints, log, parked
from syncline.store.database import Connection, DatabaseUnavailable, T
from syncline.store.deliveries import Claim, Ending, Progress, Saved
from syncline.store.parked import Attempt, Parked, ParkedState

_logger = get_logger(__name__)
_READ_ROWS = 50
# How far one read of the log may look for subscribed types.
_READ_POSITIONS = 10_000
_DATABASE_PAUSE = 0.25


@dataclass(frozen=True, slots=True)
class Shared:
    """What the turns of a process share.

    `changed_at` says when the owner of an endpoint last changed it, None if it is gone; many turns ask it
    at once.
    """

    kernel: Kernel
    settings: DispatchSettings
    changed_at: Callable[[str], Awaitable[datetime | None]]


@dataclass(frozen=True, slots=True)
class _Step:
    """An event that is sent now; `head` if it was tried before."""

    event: Any
    lane: str
    head: Parked | None


@dataclass(slots=True)
class _Unsaved:
    delivered: list[int] = field(default_factory=list)
    parked: dict[int, Parked] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    urgent: bool = False


class Turn:
    """Delivers to one claimed endpoint until nothing is left, time is up, or `stop` is set."""

    def __init__(self, shared: Shared, claim: Claim, *, begun: float, stop: asyncio.Event) -> None:
        """`begun` is the event loop's time before the claim was asked for."""
        self._shared = shared
        self._kernel = shared.kernel
        self._settings = shared.settings
        self._claim = claim
        self._stop = stop
        self._begun = begun
        self._time = asyncio.get_running_loop().time
        self._lease_ends = begun + self._settings.lease.total_seconds()
        self._saved_at = begun
        self._cursor = claim.cursor
        self._failures = claim.consecutive_failures
        self._failing_since = claim.failing_since
        self._secrets: list[SigningSecret] = []
        self._lanes = Lanes(())
        self._events: dict[int, Any] = {}
        self._ahead: deque[Any] = deque()
        self._examined = claim.cursor
        self._at_head = False
        self._from_log_first = False
        self._ended = False
        self._unsaved = _Unsaved()

    async def run(self) -> bool:
        """Return whether the endpoint has more to do right away. Raises `LeaseLost`."""
        await self._load()
        try:
            return await self._deliver_all()
        except asyncio.CancelledError:
            # The request under way may or may not have arrived; what was settled before it is kept.
            await self._save(Ending.RELEASE)
            raise

    async def _deliver_all(self) -> bool:
        while not self._is_over():
            step = await self._next()
            if step is None:
                saved = await self._save(Ending.IDLE)
                if saved.wake == 0:
                    return False
                # Something was sealed since `wake` was read: look again.
                self._claim = replace(self._claim, wake=saved.wake)
                self._at_head = False
                continue
            if not await self._is_unchanged():
                # Paused, deleted, or with another address or secret: the next turn reads what holds now.
                await self._save(Ending.RELEASE)
                break
            if self._time() + self._settings.send_seconds > self._lease_ends:
                await self._save(Ending.KEEP)
            await self._attempt(step)
            if not self._ended and self._must_save():
                await self._save(Ending.KEEP)
        if not self._ended:
            await self._save(Ending.RELEASE)
        return not self._ended

    def _is_over(self) -> bool:
        return self._ended or self._stop.is_set() or self._time() - self._begun > self._settings.turn_seconds

    async def _load(self) -> None:
        claim = self._claim

        def work(connection: Connection) -> tuple[list[endpoints.EndpointSecret], list[Parked]]:
            secrets = endpoints.secrets_of(connection, claim.environment_id, [claim.id], self._kernel.clock())
            return secrets[claim.id], parked.waiting(connection, claim.id)

        secrets, rows = await self._persistently(lambda: self._kernel.database.read(work))
        self._secrets = open_secrets(self._kernel, claim.environment_id, claim.id, secrets)
        self._lanes = Lanes(rows)

    async def _is_unchanged(self) -> bool:
        """Ask before each request, so that a change holds from the moment its owner is told of it."""
        changed_at = await self._persistently(lambda: self._shared.changed_at(self._claim.id))
        return changed_at == self._claim.updated_at

    async def _next(self) -> _Step | None:
        """Return what to send, from the log and from the lanes in turn; None if nothing is due."""
        self._from_log_first = not self._from_log_first
        if self._from_log_first:
            return await self._from_log() or await self._from_lanes()
        return await self._from_lanes() or await self._from_log()

    async def _from_lanes(self) -> _Step | None:
        while (head := self._lanes.due_head(self._now())) is not None:
            event = await self._event_of(head)
            if event is not None:
                return _Step(event, head.lane, head)
            self._bury(replace(head, last_error="The event was older than the retention of events."))
        return None

    async def _event_of(self, head: Parked) -> Any | None:
        if head.position not in self._events:
            positions = self._lanes.upcoming(head, self._now(), _READ_ROWS)
            work = partial(parked.events_at, environment_id=self._claim.environment_id, positions=positions)
            self._events = await self._persistently(lambda: self._kernel.database.read(work))
        return self._events.pop(head.position, None)

    async def _from_log(self) -> _Step | None:
        while True:
            while self._ahead:
                if len(self._lanes) >= self._settings.parked_limit:
                    return None
                event = self._ahead.popleft()
                lane = lane_of(event.directory_id, event.organization_id)
                if not self._lanes.blocks(lane):
                    return _Step(event, lane, None)
                self._park(Parked(event.position, lane))
            self._cursor = self._examined
            if self._at_head or len(self._lanes) >= self._settings.parked_limit:
                return None
            await self._read_log()

    async def _read_log(self) -> None:
        claim, after = self._claim, self._cursor

        def work(connection: Connection) -> tuple[int, list[Any]]:
            head = log.head(connection, claim.environment_id).position
            until = min(head, after + _READ_POSITIONS)
            if until <= after:
                return head, []
            wanted = log.LogFilter(types=claim.events, after=after, before=until + 1)
            return head, log.read(connection, claim.environment_id, wanted, _READ_ROWS)

        head, rows = await self._persistently(lambda: self._kernel.database.read(work))
        self._ahead.extend(rows)
        until = max(after, min(head, after + _READ_POSITIONS))
        self._examined = rows[-1].position if len(rows) == _READ_ROWS else until
        self._at_head = self._examined >= head

    async def _attempt(self, step: _Step) -> None:
        number = step.head.attempts + 1 if step.head else 1
        sent = await send(self._kernel, self._claim.endpoint_url, self._secrets, step.event, number)
        faults.hit("dispatch.after_send")
        if sent.outcome is Outcome.SUCCESS:
            self._settle(step, sent, number)
        elif sent.outcome is Outcome.GONE:
            self._note(step, sent, number, None)
            await self._save(Ending.GONE)
            _logger.info("endpoint.gone", endpoint_id=self._claim.id)
        else:
            self._fail(step, sent, number)

    def _settle(self, step: _Step, sent: Sent, number: int) -> None:
        self._failures, self._failing_since = 0, None
        self._note(step, sent, number, None)
        if step.head is None:
            self._cursor = step.event.position
        else:
            self._lanes.remove_head(step.lane)
            self._unsaved.parked.pop(step.event.position, None)
            self._unsaved.delivered.append(step.event.position)
        lag = (self._kernel.clock() - step.event.recorded_at).total_seconds()
        self._kernel.metrics.delivery_lag_seconds.observe(max(0.0, lag))

    def _fail(self, step: _Step, sent: Sent, number: int) -> None:
        now = self._now()
        self._failures += 1
        self._failing_since = self._failing_since or now
        first = step.head.first_attempt_at if step.head else None
        first = first or now - timedelta(seconds=sent.duration)
        delay = self._settings.delay(
            number,
            outcome=sent.outcome,
            retry_after=sent.retry_after,
            jitter=self._jitter(),
            elapsed=max(now - first, timedelta(0)),
        )
        row = Parked(
            position=step.event.position,
            lane=step.lane,
            attempts=number,
            first_attempt_at=first,
            next_due_at=None if delay is None else now + delay,
            last_error=sent.error,
        )
        self._note(step, sent, number, row.next_due_at)
        self._unsaved.urgent = True
        if step.head is None:
            self._park(row)
        else:
            self._lanes.replace_head(row)
            self._unsaved.parked[row.position] = row
        if delay is None:
            self._bury(row)

    def _park(self, row: Parked) -> None:
        self._lanes.park(row)
        self._unsaved.parked[row.position] = row
        self._cursor = row.position

    def _bury(self, row: Parked) -> None:
        """Give the head of a lane up; the next one of its lane moves on."""
        self._lanes.remove_head(row.lane)
        self._unsaved.parked[row.position] = replace(row, state=ParkedState.DEAD, next_due_at=None)
        self._kernel.metrics.deliveries_dead.inc()
        _logger.warning("delivery.dead", endpoint_id=self._claim.id, position=row.position)

    def _note(self, step: _Step, sent: Sent, number: int, next_due_at: datetime | None) -> None:
        self._unsaved.attempts.append(
            Attempt(
                id=self._kernel.ids.new(Prefix.ATTEMPT),
                position=step.event.position,
                event_id=step.event.event_id,
                event_type=step.event.type,
                attempt=number,
                started_at=sent.started_at,
                duration_ms=round(sent.duration * 1000),
                outcome=sent.outcome.value,
                status=sent.status,
                error=sent.error,
                response=sent.response,
                next_due_at=next_due_at,
            )
        )

    def _must_save(self) -> bool:
        unsaved = self._unsaved
        return (
            unsaved.urgent
            or len(unsaved.attempts) >= self._settings.save_events
            or self._time() - self._saved_at > self._settings.save_seconds
        )

    async def _save(self, ending: Ending) -> Saved:
        """Write what is settled and renew, or give up, the claim. Raises `LeaseLost`."""
        unsaved = self._unsaved
        now = self._now()
        asked_at = self._time()
        progress = Progress(
            cursor=self._cursor,
            consecutive_failures=self._failures,
            failing_since=self._failing_since,
            delivered=unsaved.delivered,
            parked=list(unsaved.parked.values()),
            attempts=unsaved.attempts,
        )
        work = partial(
            deliveries.save,
            claim=self._claim,
            progress=progress,
            ending=ending,
            lease_until=now + self._settings.lease,
            next_due_at=now if ending is Ending.RELEASE else self._lanes.next_due_at(now),
        )
        faults.hit("dispatch.before_finish")
        saved = await self._persistently(lambda: self._kernel.database.write(work))
        # Not before: a save that was cut off is repeated whole.
        self._unsaved = _Unsaved()
        self._saved_at = self._time()
        self._lease_ends = asked_at + self._settings.lease.total_seconds()
        given_up = ending in (Ending.RELEASE, Ending.GONE) or (ending is Ending.IDLE and saved.wake == 0)
        self._ended = self._ended or given_up
        if not given_up and self._was_changed(saved):
            # Paused, or with another address or other events: the next turn reads what holds now.
            return await self._save(Ending.RELEASE)
        return saved

    def _was_changed(self, saved: Saved) -> bool:
        return saved.state != endpoints.EndpointState.ACTIVE or saved.updated_at != self._claim.updated_at

    async def _persistently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a transaction while the database is away, as long as the lease lasts."""
        while True:
            try:
                return await call()
            except DatabaseUnavailable:
                if self._stop.is_set() or self._time() + self._settings.send_seconds > self._lease_ends:
                    raise
                await asyncio.sleep(_DATABASE_PAUSE)

    def _now(self) -> datetime:
        """Return the database's time, as far as it is known without asking."""
        return self._claim.claimed_at + timedelta(seconds=self._time() - self._begun)

    def _jitter(self) -> float:
        return int.from_bytes(self._kernel.random(2), "big") / 32767.5 - 1
