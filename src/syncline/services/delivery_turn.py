"""One turn of one endpoint: what this process does with an endpoint between claiming it and letting go.

The cursor moves over an event only when it is settled: delivered, filtered out, or parked. What was settled
is saved after a few events, so a crash repeats no more than those. An endpoint whose circuit is open gets
one request, the probe; if that arrives the turn goes on with everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from syncline import faults
from syncline.core.circuit import ramped
from syncline.core.retry import Outcome
from syncline.obs.logging import get_logger
from syncline.services.delivery_changes import Changes
from syncline.services.delivery_disabling import disable
from syncline.services.delivery_keys import Keys
from syncline.services.delivery_ledger import Ledger
from syncline.services.delivery_reader import TurnReader
from syncline.services.delivery_recent import RecentEvents
from syncline.services.delivery_request import Sent, SigningSecret, send
from syncline.services.delivery_saver import Saver
from syncline.services.delivery_settings import DispatchSettings
from syncline.services.delivery_slots import Slots, host_of
from syncline.services.delivery_sources import Sources, Step
from syncline.services.kernel import Kernel
from syncline.services.turns import persistently
from syncline.store import deliveries, endpoints
from syncline.store.database import Connection, T
from syncline.store.deliveries import Claim, Ending, Saved
from syncline.store.delivery_saves import Save

_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the turns of a process share.

    `changes` watches the endpoint of each turn. `slots` are what requests are made in: a turn has one before
    it begins. The rest is what turns read and write together: secrets, new events, saves.
    """

    kernel: Kernel
    settings: DispatchSettings
    changes: Changes
    slots: Slots
    keys: Keys
    recent: RecentEvents
    saver: Saver


class Turn:
    """Delivers to one claimed endpoint until nothing is left, time is up, or `stop` is set."""

    def __init__(self, shared: Shared, claim: Claim, *, begun: float, stop: asyncio.Event) -> None:
        """`begun` is the event loop's time before the claim was asked for."""
        self._shared = shared
        self._kernel = shared.kernel
        self._settings = shared.settings
        self._claim = claim
        self._host = host_of(claim.endpoint_url)
        self._stop = stop
        self._begun = begun
        self._time = asyncio.get_running_loop().time
        self._lease_ends = begun + self._settings.lease.total_seconds()
        self._saved_at = begun
        self._secrets: list[SigningSecret] = []
        self._ledger = Ledger(self._kernel, self._settings, claim)
        self._sources = Sources(
            claim,
            TurnReader(self._kernel.database, shared.recent, claim, self._persistently),
            parked_limit=self._settings.parked_limit,
            park=self._ledger.park,
            bury=self._ledger.bury,
        )
        self._flights: dict[asyncio.Task[Sent], Step] = {}
        # Whether this turn's one request of an open circuit was made, and whether it is under way.
        self._has_probed = self._is_probing = False
        # How the claim is given up, once that is decided.
        self._ending: Ending | None = None
        self._ended = False

    async def run(self) -> bool:
        """Return whether the endpoint has more to do right away. Raises `LeaseLost`."""
        await self._load()
        try:
            return await self._deliver_all()
        except asyncio.CancelledError:
            # The requests under way may or may not have arrived; what was settled before them is kept.
            await self._abort()
            if not self._ended:
                self._sources.close()
                await self._save(Ending.RELEASE)
            raise
        finally:
            await self._abort()

    async def _deliver_all(self) -> bool:
        while not self._is_over():
            step = await self._next()
            if step is not None:
                await self._begin(step)
            elif self._flights:
                await self._land()
            elif self._must_rest():
                break
            elif not await self._sleep():
                return False
            if self._ending is None and self._must_save():
                await self._save(Ending.KEEP)
        while self._flights:
            await self._land()
        self._sources.close()
        ending = self._ending or Ending.RELEASE
        await self._save(ending)
        return ending is Ending.RELEASE and self._ledger.probe_at is None

    def _is_over(self) -> bool:
        # Other slots go on while one waits for an answer, so that a slow one does not hold them up.
        seconds = self._settings.turn_seconds + (self._settings.send_seconds if self._flights else 0.0)
        over_time = self._time() - self._begun > seconds
        return self._ending is not None or self._stop.is_set() or over_time

    def _must_rest(self) -> bool:
        """Tell whether the circuit is open and its next probe is not due in this turn."""
        known = self._has_probed or self._ledger.probe_at is not None
        return known and not self._ledger.circuit.is_closed

    async def _load(self) -> None:
        claim = self._claim
        self._secrets = await self._persistently(lambda: self._shared.keys.of(claim))
        await self._sources.load(has_parked=claim.has_parked, has_replays=claim.has_replays)

    async def _next(self) -> Step | None:
        """Return what to send now; None if nothing is due or enough is under way."""
        if not self._ledger.circuit.is_closed:
            if self._must_rest():
                return None
            step = await self._sources.probe(self._ledger.circuit.step)
            self._has_probed = self._is_probing = step is not None
            return step
        if self._flights and not self._may_widen():
            return None
        return await self._sources.next(self._now())

    def _may_widen(self) -> bool:
        width = self._sources.slots
        if self._ledger.recovered_for is not None:
            width = ramped(self._ledger.recovered_for, width)
        slots = self._shared.slots
        return len(self._flights) < width and slots.free > 0 and slots.free_at(self._host) > 0

    async def _sleep(self) -> bool:
        """Give the claim up, as nothing is left to do; return whether there is something after all."""
        if self._sources.has_more:
            await self._save(Ending.KEEP)
            if self._ending is None:
                await self._sources.load()
            return True
        saved = await self._save(Ending.IDLE)
        if self._ended:
            return False
        # Something was sealed, or asked for, since `wake` was read: look again.
        self._claim = replace(self._claim, wake=saved.wake)
        self._has_probed = False
        self._sources.look_again()
        has_parked = saved.has_parked or len(self._sources.lanes) > 0
        await self._sources.load(has_parked=has_parked, has_replays=saved.has_replays)
        return True

    async def _begin(self, step: Step) -> None:
        """Send an event, alone or beside others."""
        if self._time() + self._settings.send_seconds > self._lease_ends:
            await self._save(Ending.KEEP)
        if self._ending is None and not await self._is_unchanged():
            # Paused, deleted, or with another address or secret: the next turn reads what holds now.
            self._ending = Ending.RELEASE
        if self._ending is not None or not (self._ledger.circuit.is_closed or self._is_probing):
            self._sources.landed(step)
            return
        if not self._flights and self._sources.slots == 1:
            self._record(step, await self._send(step))
            return
        if self._flights and not self._shared.slots.try_take(self._host):
            # Others were faster: this one takes place alone, in the slot that the turn has in any case.
            while self._flights:
                await self._land()
            await self._begin(step)
            return
        self._flights[asyncio.create_task(self._send(step), name="delivery")] = step

    async def _is_unchanged(self) -> bool:
        """Look before each request, so that a change holds from the moment its owner is told of it."""
        changes, claim = self._shared.changes, self._claim
        known = changes.recent(claim.id)
        if known is not None:
            return known.changed_at == claim.updated_at
        return await self._persistently(lambda: changes.ask(claim.id)) == claim.updated_at

    async def _send(self, step: Step) -> Sent:
        claim, event = self._claim, step.event
        written = self._shared.recent.payload(claim.environment_id, event, claim.options)
        return await send(
            self._kernel, claim.endpoint_url, self._secrets, event, step.number, claim.options, written
        )

    async def _land(self) -> None:
        """Wait for a request to end and take its result."""
        done, _ = await asyncio.wait(self._flights, return_when=asyncio.FIRST_COMPLETED)
        for task in sorted(done, key=lambda task: int(self._flights[task].event.position)):
            step = self._flights.pop(task)
            if self._flights:
                # The last one gives back the slot of the turn, which the dispatcher does.
                self._shared.slots.give(self._host)
            self._record(step, task.result())

    async def _abort(self) -> None:
        flights, self._flights = list(self._flights), {}
        for at, task in enumerate(flights):
            task.cancel()
            if at:
                self._shared.slots.give(self._host)
        await asyncio.gather(*flights, return_exceptions=True)

    def _record(self, step: Step, sent: Sent) -> None:
        faults.hit("dispatch.after_send")
        self._sources.landed(step)
        now = self._now()
        if sent.outcome is Outcome.SUCCESS:
            if self._ledger.arrived(step, sent, now):
                self._sources.lanes.make_due()
            self._sources.arrived(step)
        elif sent.outcome is Outcome.GONE:
            self._ledger.note(step, sent, None)
            self._ending = Ending.GONE
        else:
            row = self._ledger.failed(step, sent, now, probe=self._is_probing)
            self._sources.failed(step, row)
            if self._ending is None and self._ledger.is_given_up(now):
                self._ending = Ending.DISABLED
        self._is_probing = False

    def _must_save(self) -> bool:
        return (
            self._ledger.is_urgent
            or self._ledger.unsaved_attempts >= self._settings.save_events
            or self._time() - self._saved_at > self._settings.save_seconds
        )

    async def _save(self, ending: Ending) -> Saved:
        """Write what is settled and renew, or give up, the claim. Raises `LeaseLost`."""
        now = self._now()
        asked_at = self._time()
        progress = self._ledger.progress(self._sources.log.cursor, self._sources.replay_progress())
        lease_until, due_at = now + self._settings.lease, self._due_at(ending, now)

        def work(connection: Connection) -> Saved:
            saved = deliveries.save(
                connection, self._claim, progress, ending, lease_until=lease_until, next_due_at=due_at
            )
            if ending is Ending.DISABLED and disable(connection, self._kernel, self._claim, progress, now):
                return replace(saved, state=endpoints.EndpointState.DISABLED)
            return saved

        faults.hit("dispatch.before_finish")
        save = Save(self._claim, progress, ending, lease_until, due_at)
        saved = await self._persistently(lambda: self._shared.saver.save(save, work))
        # Not before: a save that was cut off is repeated whole.
        self._ledger.saved()
        self._sources.finish_replay()
        self._saved_at = self._time()
        self._lease_ends = asked_at + self._settings.lease.total_seconds()
        self._ended = ending not in (Ending.KEEP, Ending.IDLE) or (ending is Ending.IDLE and saved.wake == 0)
        self._announce(saved)
        if not self._ended and self._was_changed(saved):
            # Paused, or with another address or other events: the next turn reads what holds now.
            self._ending = Ending.RELEASE
        return saved

    def _announce(self, saved: Saved) -> None:
        if not self._ended or saved.state not in (
            endpoints.EndpointState.GONE,
            endpoints.EndpointState.DISABLED,
        ):
            return
        if saved.state == endpoints.EndpointState.DISABLED:
            self._kernel.appended.notify(self._claim.environment_id)
        _logger.error("endpoint.stopped", endpoint_id=self._claim.id, state=str(saved.state))

    def _due_at(self, ending: Ending, now: datetime) -> datetime | None:
        if not self._ledger.circuit.is_closed:
            return self._ledger.probe_at or (None if ending is Ending.IDLE else now)
        return now if ending is Ending.RELEASE else self._sources.lanes.next_due_at(now)

    def _was_changed(self, saved: Saved) -> bool:
        return saved.state != endpoints.EndpointState.ACTIVE or saved.updated_at != self._claim.updated_at

    async def _persistently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a transaction while the database is away, as long as the lease lasts."""
        return await persistently(
            call,
            lambda: (
                not self._stop.is_set() and self._time() + self._settings.send_seconds <= self._lease_ends
            ),
        )

    def _now(self) -> datetime:
        """Return the database's time, as far as it is known without asking."""
        return self._claim.claimed_at + timedelta(seconds=self._time() - self._begun)
