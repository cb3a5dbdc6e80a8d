"""R8: some endpoints hang and one answers a byte a second; the healthy ones must not notice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

from tests.reliability.registry import Context, Result, scenario
from tests.reliability.simulation.parts import opened
from tests.support.deliveries import QUICK, Stage, dispatching
from tests.support.kernels import seed
from tests.support.receiver import Gate, Received, Reply, receiver
from tests.support.waiting import wait_until

DIRECTORY = "directory_A"
_HEALTHY_P99 = 0.5
_PER_SECOND = 50


class Lateness:
    """When events were sealed and when the healthy endpoints got them, by the loop's clock."""

    def __init__(self) -> None:
        self.sealed_at: dict[str, float] = {}
        self._arrived: dict[tuple[str, str], float] = {}

    def answer(self, request: Received) -> Reply:
        """Note when a healthy address got something, and answer at once."""
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

    Every sick endpoint is at a host of its own: what hangs at one host may hold up others at the same host,
    which gets no more than its share of requests.

    The short form proves that all healthy ones get everything while the sick ones hang; only the full form,
    on a machine that does nothing else, is judged by the clock.
    """
    environments, rounds = context.pick(short=20, full=200), context.pick(short=3, full=60)
    gate, lateness = Gate(), Lateness()
    async with (
        opened(context) as within,
        receiver() as hooks,
        _dribbling() as dribbler,
        _hanging(gate, max(1, environments // 10) - 1) as hanging,
    ):
        hooks.answer = lateness.answer
        stages = [Stage(within, (await seed(within)).environment_id) for _ in range(environments)]
        for number, stage in enumerate(stages):
            await stage.endpoint(hooks.url(f"/well/{number}"))
        for stage, sick in zip(stages, [dribbler, *hanging], strict=False):
            await stage.endpoint(sick)
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
    due = time()
    for _ in range(rounds):
        for stage in chance.sample(stages, len(stages)):
            await asyncio.sleep(max(0.0, due - time()))
            due += 1 / _PER_SECOND
            begun = time()
            for id_ in await stage.emit(DIRECTORY):
                lateness.sealed_at[id_] = begun


@asynccontextmanager
async def _hanging(gate: Gate, count: int) -> AsyncIterator[list[str]]:
    """Run servers that answer when the gate is opened; gives their addresses."""
    async with AsyncExitStack() as running:
        servers = [await running.enter_async_context(receiver()) for _ in range(count)]
        for server in servers:
            server.answer = gate.reply
        yield [server.url() for server in servers]


@asynccontextmanager
async def _dribbling() -> AsyncIterator[str]:
    """Run a server that begins to answer and then sends one byte a second; gives its address."""
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
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/drips"
    finally:
        closing.set()
        server.close()
