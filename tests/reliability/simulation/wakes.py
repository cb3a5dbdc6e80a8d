"""R6 and R23: nobody is left asleep, and what a great many endpoints cost."""

from __future__ import annotations

import asyncio
import os
import random
import time
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, text

from syncline.core.wire import WebhookEndpoint
from syncline.services.kernel import Kernel
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.simulation.parts import InstantOutbound, asleep, opened, with_outbound
from tests.support.deliveries import QUICK, Stage, dispatching
from tests.support.kernels import seed
from tests.support.waiting import wait_until

DIRECTORY = "directory_A"


@scenario("R6", "lost wake-up hunt", gate="0 stranded, the sweep finds 0")
async def wake_ups(context: Context) -> Result:
    """Seal into many environments at seeded moments while a dispatcher runs that never polls."""
    environments = context.pick(short=8, full=1_000)
    events = context.pick(short=160, full=20_000)
    outbound = InstantOutbound()
    async with opened(context) as bare:
        within = with_outbound(bare, outbound)
        stages = [Stage(within, (await seed(within)).environment_id) for _ in range(environments)]
        urls = [[f"https://receiver-{n}-{m}.example/" for m in range(2)] for n in range(environments)]
        made = [
            [await stage.endpoint(url) for url in addresses]
            for stage, addresses in zip(stages, urls, strict=True)
        ]
        # Without polls and sweeps an endpoint that is left asleep stays so.
        async with dispatching(within, replace(QUICK, poll=36_000.0, sweep=36_000.0)) as dispatcher:
            await _fill(stages, events, random.Random(context.seed))
            stranded = await _stranded(within, stages, made)
            found = await dispatcher.sweep()
        problems = [f"{one} is stranded" for one in stranded]
        if found:
            problems.append(f"the sweep found {found} endpoints asleep")
        for stage, addresses in zip(stages, urls, strict=True):
            ids = await stage.ids()
            problems += [f"{url} got other events" for url in addresses if outbound.ids.get(url, []) != ids]
    deliveries = sum(len(ids) for ids in outbound.ids.values())
    return Result.judged(
        f"{environments} environments, {events} events, {deliveries} deliveries,"
        f" {len(stranded)} stranded, the sweep found {found}",
        problems,
        environments=environments,
        events=events,
        deliveries=deliveries,
        stranded=len(stranded),
    )


async def _fill(stages: list[Stage], events: int, chance: random.Random) -> None:
    """Let eight writers seal one event after another, each into an environment of its choice."""
    locks = [asyncio.Lock() for _ in stages]

    async def write(count: int) -> None:
        for _ in range(count):
            number = chance.randrange(len(stages))
            async with locks[number]:
                await stages[number].emit(DIRECTORY)

    writers = 8
    await asyncio.gather(*(write(events // writers) for _ in range(writers)))


async def _stranded(within: Kernel, stages: list[Stage], made: list[list[WebhookEndpoint]]) -> list[str]:
    """Return the endpoints that are still not done a while after the last event."""
    pairs = [(stage, one) for stage, endpoints in zip(stages, made, strict=True) for one in endpoints]

    async def left() -> list[str]:
        return [one.id for stage, one in pairs if not await stage.is_idle(one)]

    async def all_done() -> bool:
        return not await left()

    try:
        await wait_until(all_done, 30.0 + len(pairs) / 20)
    except AssertionError:
        return await left()
    return [] if await asleep(within) == 0 else ["one that sleeps"]


@scenario("R23", "5,000 endpoints, 1 M events", gate=">= 500 deliveries/s/process, WAL < 400 B a delivery")
async def many_endpoints(context: Context) -> Result:
    """Fill the logs first, then drain them with one dispatcher; requests are answered inside the process.

    `SYNCLINE_R23_ENDPOINTS` and `SYNCLINE_R23_EVENTS` are other sizes. The gates are judged at full size.
    """
    endpoints = int(os.environ.get("SYNCLINE_R23_ENDPOINTS", context.pick(short=50, full=5_000)))
    events = int(os.environ.get("SYNCLINE_R23_EVENTS", context.pick(short=500, full=1_000_000)))
    outbound = InstantOutbound()
    async with opened(context) as bare:
        within = with_outbound(bare, outbound)
        stages = []
        for number in range(endpoints):
            stage = Stage(within, (await seed(within)).environment_id)
            await stage.endpoint(f"https://receiver-{number}.example/")
            stages.append(stage)
        each = max(1, events // endpoints)
        for stage in stages:
            for begun in range(0, each, 500):
                await stage.emit(*[DIRECTORY] * min(500, each - begun))
        written = await _wal(within, context)
        begun_at = time.perf_counter()
        async with dispatching(within, replace(QUICK, poll=0.5)):
            await wait_until(lambda: _count(outbound) >= each * endpoints, 60 + events / 50)
            seconds = time.perf_counter() - begun_at
        wal = await _wal(within, context) - written
        sleeping = await asleep(within)
    return _judged(context, outbound, each * endpoints, seconds, wal, sleeping)


def _judged(
    context: Context, outbound: InstantOutbound, due: int, seconds: float, wal: int, sleeping: int
) -> Result:
    got = _count(outbound)
    twice = got - sum(len(set(ids)) for ids in outbound.ids.values())
    rate, cost = got / seconds, wal / got
    problems = [f"{sleeping} endpoints sleep"] if sleeping else []
    if got - twice != due:
        problems.append(f"{got - twice} of {due} events arrived")
    if not context.is_short and rate < 500:
        problems.append(f"{rate:.0f} deliveries/s")
    if not context.is_short and context.engine == "postgresql" and cost >= 400:
        problems.append(f"{cost:.0f} B of WAL a delivery")
    told = f", {cost:.0f} B of WAL a delivery" if context.engine == "postgresql" else ""
    return Result.judged(
        f"{got} deliveries in {seconds:.1f} s, {rate:.0f} a second{told}, answered inside the process",
        problems,
        deliveries=got,
        per_second=round(rate),
        wal_bytes=round(cost),
    )


def _count(outbound: InstantOutbound) -> int:
    return sum(len(ids) for ids in outbound.ids.values())


def _file_sizes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*-wal"))


async def _wal(within: Kernel, context: Context) -> int:
    """Return how much write-ahead log was written so far; SQLite only shows the size of a file."""
    if context.engine == "sqlite":
        return await asyncio.to_thread(_file_sizes, context.folder)

    def work(connection: Connection) -> int:
        return int(connection.execute(text("SELECT pg_current_wal_lsn() - '0/0'")).scalar_one())

    return await within.database.read(work)
