"""Webhook dispatch: find endpoints with something to do, claim them, give each a turn.

Any number of processes may run a dispatcher. A claim is a lease by the database's clock with a fence; no
transaction is open while a request is under way. What this process seals wakes it at once, what others
seal it finds by polling. Rules and their reasons: `events-webhooks.md` §3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from syncline import faults
from syncline.obs.logging import get_logger
from syncline.services.delivery_changes import Changes
from syncline.services.delivery_figures import measure
from syncline.services.delivery_keys import Keys
from syncline.services.delivery_queue import Queue
from syncline.services.delivery_recent import RecentEvents
from syncline.services.delivery_saver import Saver
from syncline.services.delivery_settings import DispatchSettings
from syncline.services.delivery_slots import Host, Slots, host_of
from syncline.services.delivery_turn import Shared, Turn
from syncline.services.kernel import Kernel
from syncline.services.keyring import SealBroken
from syncline.services.turns import drain
from syncline.store import deliveries, sleepers
from syncline.store.database import Connection, DatabaseUnavailable
from syncline.store.deliveries import Claim, LeaseLost
from syncline.store.delivery_at_once import claim_at_once

_logger = get_logger(__name__)
_LOOK_ROWS = 500
_TROUBLE_SECONDS = 1.0
_LISTEN_SECONDS = 60.0


class Dispatcher:
    """Delivers sealed events to the webhook endpoints of every environment."""

    def __init__(self, kernel: Kernel, settings: DispatchSettings | None = None) -> None:
        self._kernel = kernel
        self._settings = settings or DispatchSettings()
        self._slots = Slots(self._settings.slots, self._settings.slots_per_host)
        in_place = kernel.database.looks_up_in_place
        self._changes = Changes(self._changed_at, self._time, in_place=in_place)
        self._saver = Saver(kernel)
        self._shared = Shared(
            kernel,
            self._settings,
            self._changes,
            self._slots,
            Keys(kernel, self._time),
            RecentEvents(kernel.database, kernel.base_url, self._time),
            self._saver,
        )
        self._turns: dict[str, asyncio.Task[None]] = {}
        self._woken: set[str] = set()
        self._wake = asyncio.Event()
        self._queue = Queue(self._slots)
        # Whether the last look ended early for want of slots, so that an empty queue says nothing.
        self._held_back = False

    @property
    def turns_under_way(self) -> int:
        """How many endpoints this process holds right now."""
        return len(self._turns)

    async def run(self, stop: asyncio.Event) -> None:
        """Dispatch until `stop` is set, then let the turns end; what is cut off then is sent again later.

        Raises what is unexpected; an unreachable database is not.
        """
        watchers = [asyncio.create_task(self._listen()), asyncio.create_task(self._await(stop))]
        try:
            await self._loop(stop)
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            await drain(self._turns.values(), self._settings.drain_seconds)

    async def sweep(self) -> int:
        """Wake endpoints that sleep behind the head of the log and return how many; there must be none."""
        database, now = self._kernel.database, self._settings.now
        asleep = await database.read(lambda connection: sleepers.asleep_behind(connection, now(connection)))
        found = 0
        if asleep:
            found = await database.write(
                lambda connection: sleepers.wake(connection, asleep, now(connection))
            )
        if found:
            self._kernel.metrics.sweep_found.inc(found)
            _logger.error("sweep.found_sleeping_endpoints", count=found)
        await measure(self._kernel, now)
        return found

    async def _loop(self, stop: asyncio.Event) -> None:
        time = asyncio.get_running_loop().time
        next_poll = next_sweep = time()
        while not stop.is_set():
            await self._wait(next_poll - time())
            # What is sealed in this moment is found by the same look.
            await asyncio.sleep(self._settings.gather)
            polled = time() >= next_poll or (self._held_back and not self._queue)
            woken, self._woken = self._woken, set()
            try:
                if polled:
                    next_poll = time() + self._settings.poll
                    await self._fill(None, stop)
                elif woken or self._queue:
                    await self._fill(woken, stop)
                if time() >= next_sweep:
                    next_sweep = time() + self._settings.sweep
                    await self.sweep()
            except DatabaseUnavailable as error:
                _logger.warning("dispatch waits for the database", error=str(error))
                next_poll = time() + _TROUBLE_SECONDS
                self._held_back = False

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _listen(self) -> None:
        while True:
            environments = await self._kernel.sealed.wait(_LISTEN_SECONDS)
            if environments:
                self._woken |= environments
                self._wake.set()

    async def _await(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _fill(self, environments: set[str] | None, stop: asyncio.Event) -> None:
        """Claim as many waiting endpoints as there are free slots and start their turns.

        None looks at all environments. Otherwise those of earlier looks come first, then those of the named
        ones.
        """
        if environments is None:
            self._queue.clear()
            self._held_back = False
        if environments is None or environments:
            await self._look(environments)
        chosen = self._queue.take(self._turns)
        if not chosen:
            return
        begun = asyncio.get_running_loop().time()
        claims = await self._claims([due.id for due in chosen])
        faults.hit("dispatch.after_claim")
        for claim in claims:
            self._start(claim, begun, stop)
        if len(claims) < len(chosen) and self._queue:
            # Others were faster: the slots are for the next ones.
            self._wake.set()

    async def _look(self, environments: set[str] | None) -> None:
        """Queue endpoints that wait, until there are enough of them or no more."""
        skip = 0
        while not self._queue.is_enough:
            found = await self._kernel.database.look_up(
                lambda connection, skip=skip: deliveries.due(  # type: ignore[misc]
                    connection, self._settings.now(connection), environments, limit=_LOOK_ROWS, skip=skip
                )
            )
            for due in found:
                if due.id not in self._turns:
                    self._queue.add(due)
            if len(found) < _LOOK_ROWS:
                return
            skip += _LOOK_ROWS
        self._held_back = True

    async def _claims(self, ids: list[str]) -> list[Claim]:
        now, lease, database = self._settings.now, self._settings.lease, self._kernel.database
        claims = await database.at_once(
            lambda connection: claim_at_once(connection, ids, now(connection), lease)
        )
        if claims is not None:
            return claims
        return await self._saver.write(
            lambda connection: deliveries.claim(connection, ids, now(connection), lease)
        )

    def _start(self, claim: Claim, begun: float, stop: asyncio.Event) -> None:
        host = host_of(claim.endpoint_url)
        self._slots.take(host)
        self._changes.watch(claim.id, claim.updated_at, begun)
        task = asyncio.create_task(self._take_turn(claim, begun, stop), name="dispatch turn")
        self._turns[claim.id] = task
        task.add_done_callback(lambda _: self._end(claim, host))

    def _end(self, claim: Claim, host: Host) -> None:
        del self._turns[claim.id]
        self._changes.forget(claim.id)
        self._slots.give(host)
        if self._held_back or self._queue:
            self._wake.set()

    async def _take_turn(self, claim: Claim, begun: float, stop: asyncio.Event) -> None:
        try:
            if await Turn(self._shared, claim, begun=begun, stop=stop).run():
                self._woken.add(claim.environment_id)
                self._wake.set()
        except LeaseLost:
            self._kernel.metrics.leases_lost.inc()
            _logger.warning("lease.lost", endpoint_id=claim.id)
        except DatabaseUnavailable as error:
            # The lease runs out by itself.
            _logger.warning("turn.lost_database", endpoint_id=claim.id, error=str(error))
        except SealBroken as broken:
            self._kernel.metrics.loop_errors.labels("dispatch turn").inc()
            _logger.error("endpoint.secret_unreadable", endpoint_id=claim.id, error=str(broken))
            await self._hold(claim)
        except Exception:
            self._kernel.metrics.loop_errors.labels("dispatch turn").inc()
            _logger.exception("turn.failed", endpoint_id=claim.id)
            await self._hold(claim)

    @staticmethod
    def _time() -> float:
        return asyncio.get_running_loop().time()

    async def _changed_at(self, endpoint_ids: Sequence[str]) -> dict[str, datetime]:
        return await self._kernel.database.look_up(
            lambda connection: deliveries.changed_at(connection, endpoint_ids)
        )

    async def _hold(self, claim: Claim) -> None:
        """Let an endpoint rest whose turn failed for a reason of ours."""

        def work(connection: Connection) -> None:
            deliveries.hold(connection, claim, self._settings.now(connection) + self._settings.hold)

        try:
            await self._kernel.database.write(work)
        except DatabaseUnavailable as error:
            _logger.warning("turn.lost_database", endpoint_id=claim.id, error=str(error))
