"""Find event sinks that are behind the log, claim them, give each a turn.

Any number of processes may do so. Whether a sink is behind is asked of the database each time, so that no
wake-up can be lost; what this process seals only makes it look at once.
"""

from __future__ import annotations

import asyncio
from functools import partial

from syncline import faults
from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.services.sink_settings import SinkSettings
from syncline.services.sink_turn import SinkTurn
from syncline.services.turns import drain
from syncline.store import sinks
from syncline.store.database import Connection, DatabaseUnavailable
from syncline.store.deliveries import LeaseLost
from syncline.store.sinks import SinkRow, SinkState

_logger = get_logger(__name__)
_TROUBLE_SECONDS = 1.0
_MEASURE_EVERY = 15.0


class SinkDispatcher:
    """Publishes the logs of all environments to their sinks."""

    def __init__(self, kernel: Kernel, settings: SinkSettings | None = None) -> None:
        self._kernel = kernel
        self._settings = settings or SinkSettings()
        self._turns: dict[str, SinkTurn] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._shown: set[tuple[str, str]] = set()
        # Without sinks, as far as is known, nobody is woken for what is sealed: polling finds the first.
        self._has_sinks = False

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop` is set, then let the batches under way end; what is cut off comes again.

        Raises what is unexpected; an unreachable database is not.
        """
        listener = asyncio.create_task(self._listen())
        stopper = asyncio.create_task(self._await(stop))
        try:
            await self._loop(stop)
        finally:
            for task in (listener, stopper):
                task.cancel()
            await asyncio.gather(listener, stopper, return_exceptions=True)
            await drain(self._tasks.values(), self._settings.drain_seconds)

    async def _loop(self, stop: asyncio.Event) -> None:
        time = asyncio.get_running_loop().time
        next_measure = time()
        while not stop.is_set():
            pause = self._settings.poll
            try:
                await self._fill(stop)
                if time() >= next_measure:
                    next_measure = time() + _MEASURE_EVERY
                    await self.measure()
            except DatabaseUnavailable as error:
                _logger.warning("sinks wait for the database", error=str(error))
                pause = _TROUBLE_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()

    async def _listen(self) -> None:
        while True:
            environments = await self._kernel.logged.wait(self._settings.poll)
            if not environments or not self._has_sinks:
                continue
            for turn in self._turns.values():
                if turn.environment_id in environments:
                    turn.grown.set()
            # What is sealed in this moment is found by the same look.
            await asyncio.sleep(self._settings.gather)
            self._wake.set()

    async def _await(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _fill(self, stop: asyncio.Event) -> None:
        """Claim as many sinks that are behind as there are free slots and start their turns."""
        free = self._settings.slots - len(self._tasks)
        found = await self._kernel.database.look_up(
            lambda connection: sinks.due(connection, self._settings.now(connection), self._settings.slots + 1)
        )
        self._has_sinks = self._has_sinks or bool(found)
        # One that is held here and due has outlived its lease: its turn is about to notice.
        waiting = [id_ for id_ in found if id_ not in self._tasks]
        if len(waiting) > free:
            for turn in self._turns.values():
                turn.crowded = True
        if not waiting[:free]:
            return
        begun = asyncio.get_running_loop().time()
        claims = await self._kernel.database.write(partial(self._claim, ids=waiting[:free]))
        faults.hit("sink.after_claim")
        for claim in claims:
            self._start(claim, begun, stop)

    def _claim(self, connection: Connection, ids: list[str]) -> list[SinkRow]:
        return sinks.claim(connection, ids, self._settings.now(connection), self._settings.lease)

    def _start(self, claim: SinkRow, begun: float, stop: asyncio.Event) -> None:
        turn = SinkTurn(self._kernel, self._settings, claim, begun=begun)
        task = asyncio.create_task(self._take_turn(turn, claim, stop), name="sink turn")
        self._turns[claim.id], self._tasks[claim.id] = turn, task
        task.add_done_callback(lambda _: self._end(claim))

    def _end(self, claim: SinkRow) -> None:
        del self._turns[claim.id], self._tasks[claim.id]
        self._wake.set()

    async def _take_turn(self, turn: SinkTurn, claim: SinkRow, stop: asyncio.Event) -> None:
        try:
            await self._watched(turn, claim, stop)
        except LeaseLost:
            _logger.info("sink.claim_lost", sink_id=claim.id)
        except DatabaseUnavailable as error:
            # The lease runs out by itself.
            _logger.warning("sink.lost_database", sink_id=claim.id, error=str(error))

    async def _watched(self, turn: SinkTurn, claim: SinkRow, stop: asyncio.Event) -> None:
        try:
            await turn.run(stop)
        except (LeaseLost, DatabaseUnavailable):
            raise
        except Exception as error:
            self._kernel.metrics.loop_errors.labels("sink turn").inc()
            _logger.exception("sink.turn_failed", sink_id=claim.id)
            await turn.give_up(error)

    async def measure(self) -> None:
        """Feed the figures about sinks. Raises `DatabaseUnavailable`."""
        found = await self._kernel.database.read(sinks.figures)
        metrics = self._kernel.metrics
        self._has_sinks = bool(found.count)
        self._shown |= found.count.keys() | {
            (kind, state.value) for kind, _ in found.count for state in SinkState
        }
        for kind, state in self._shown:
            metrics.sinks.labels(kind, state).set(found.count.get((kind, state), 0))
        metrics.sink_behind.set(found.behind)
