"""R8: some endpoints hang and one answers a byte a second; the healthy ones must not notice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from tests.reliability.registry import Context, Result, scenario
from tests.reliability.simulation.parts import opened
from tests.support.deliveries import QUICK, Stage, dispatching
from tests.support.kernels import seed
from tests.support.receiver import Gate, Received, Receiver, Reply, receiver
from tests.support.waiting import wait_until

DIRECTORY = "directory_A"
_HEALTHY_P99 = 0.5


class Lateness:
    """When events were sealed and when the healthy endpoints got them, by the loop's clock."""

    def __init__(self, gate: Gate) -> None:
        self.late: list[float] = []
        self.sealed_at: dict[str, float] = {}
        self._arrived: dict[tuple[str, str], float] = {}
        self._gate = gate

    async def answer(self, request: Received) -> Reply:
        """Answer healthy addresses at once and let the others wait."""
        if request.path.startswith("/hangs"):
            return await self._gate.reply(request)
        now = asyncio.get_running_loop().time()
        self._arrived.setdefault((request.path, request.id), now)
        return Reply()

    @property
    def count(self) -> int:
        """How many events healthy endpoints got."""
        return len(self._arrived)

    def p99(self) -> float:
        """Return the lateness that one of a hundred healthy deliveries exceeds."""
        waits = sorted(max(0.0, at - self.sealed_at[id_]) for (_, id_), at in self._arrived.items())
        return waits[int(len(waits) * 0.99)] if waits else 0.0


@scenario("R8", "10 % of endpoints hang, one answers 1 B/s", gate="healthy p99 < 500 ms")
async def slow_receivers(context: Context) -> Result:
    """Seal at a steady pace into environments of which each has a healthy endpoint, and some a sick one.

    The short form proves that all healthy ones get everything while the sick ones hang; only the full form,
    on a machine that does nothing else, is judged by the clock.
    """
    environments, rounds = context.pick(short=20, full=200), context.pick(short=3, full=60)
    gate = Gate()
    lateness = Lateness(gate)
    async with opened(context) as within, receiver() as hooks, _dribbling() as dribbler:
        hooks.answer = lateness.answer
        stages = [Stage(within, (await seed(within)).environment_id) for _ in range(environments)]
        for number, stage in enumerate(stages):
            await stage.endpoint(hooks.url(f"/well/{number}"))
        for number, stage in enumerate(stages[: max(1, environments // 10)]):
            await stage.endpoint(_sick(hooks, number, dribbler))
        async with dispatching(within, replace(QUICK, poll=0.5, drain_seconds=0.1)):
            await _emit(stages, rounds, lateness, random.Random(context.seed))
            due = environments * rounds
            await wait_until(lambda: lateness.count >= due, 60, reason="healthy endpoints get everything")
        gate.open()
        p99 = lateness.p99()
    problems = []
    if not context.is_short and p99 >= _HEALTHY_P99:
        problems.append(f"the healthy p99 is {p99 * 1_000:.0f} ms")
    return Result.judged(
        f"{lateness.count} of {due} healthy deliveries beside hanging endpoints, p99 {p99 * 1_000:.0f} ms",
        problems,
        deliveries=lateness.count,
        p99_ms=round(p99 * 1_000),
    )


async def _emit(stages: list[Stage], rounds: int, lateness: Lateness, chance: random.Random) -> None:
    time = asyncio.get_running_loop().time
    for _ in range(rounds):
        for stage in chance.sample(stages, len(stages)):
            begun = time()
            for id_ in await stage.emit(DIRECTORY):
                lateness.sealed_at[id_] = begun


def _sick(hooks: Receiver, number: int, dribbler: int) -> str:
    return f"http://127.0.0.1:{dribbler}/drips" if number == 0 else hooks.url(f"/hangs/{number}")


@asynccontextmanager
async def _dribbling() -> AsyncIterator[int]:
    """Run a server that begins to answer and then sends one byte a second; gives its port."""
    closing = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
            while not closing.is_set():
                writer.write(b".")
                await writer.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(closing.wait(), 1)
        except OSError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        closing.set()
        server.close()
