"""R2 and R19: PostgreSQL restarts at once under load; Syncline's processes restart one after the other."""

from __future__ import annotations

import asyncio
import time

from tests.reliability.launch import Launched
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.rig import Load, Rig, rig, summary
from tests.support import postgres

_ANSWERS_AGAIN = 5.0
_DRAINS = 10.0


@scenario(
    "R2",
    "PostgreSQL restarts at once under load",
    gate="12 restarts: 0 acknowledged lost; answers again < 5 s after; no process restarts",
    engines=("postgresql",),
)
async def restart_postgres(context: Context) -> Result:
    """Break every connection again and again; the processes must find their way back by themselves."""
    if context.postgres_folder is None:
        return Result.not_run("the PostgreSQL server is not this run's own, so it may not be restarted")
    restarts = context.pick(short=2, full=12)
    again: list[float] = []
    async with rig(context) as stage:
        await stage.start_usual()
        await stage.make_directories(2)
        await stage.subscribe()
        load = Load(stage)
        await load.prepare()
        load.start()
        for _ in range(restarts):
            await load.progress(stage.random.randint(20, 60))
            await asyncio.to_thread(postgres.restart, context.postgres_folder)
            begun = time.monotonic()
            await stage.all_ready()
            await load.progress(1)
            again.append(time.monotonic() - begun)
        tally = await load.stop()
        problems, evidence = await stage.judge(load.tails)
        problems += [f"{one.arguments} ended" for one in stage.processes if one.poll() is not None]
        slowest = max(again)
        if not context.is_short and slowest > _ANSWERS_AGAIN:
            problems.append(f"answered again only {slowest:.1f} s after a restart")
        return Result.judged(
            f"{restarts} restarts, {tally.acknowledged} acknowledged, answered again after at most "
            f"{slowest:.1f} s: {len(problems) + len(tally.wrong)} wrong",
            problems + tally.wrong,
            restarts=restarts,
            answered_again_seconds=round(slowest, 2),
            **summary(tally, evidence),
        )


@scenario(
    "R19",
    "rolling restart under load",
    gate="0 failed requests beyond refused connections; drain < 10 s",
)
async def roll(context: Context) -> Result:
    """Stop each process as an operator does, start it again, and count what clients noticed."""
    rounds = context.pick(short=1, full=5)
    drains: list[float] = []
    async with rig(context, fresh_connections=True) as stage:
        await stage.start_usual()
        await stage.make_directories(2)
        await stage.subscribe()
        load = Load(stage)
        await load.prepare()
        load.start()
        for _ in range(rounds):
            for process in list(stage.processes):
                await load.progress(20)
                drains.append(await _roll_one(stage, process))
        await load.progress(20)
        tally = await load.stop()
        problems, evidence = await stage.judge(load.tails)
        failed = {kind: count for kind, count in tally.failures.items() if kind != "refused"}
        problems += [f"{count} requests failed: {kind}" for kind, count in failed.items()]
        if not context.is_short and max(drains) > _DRAINS:
            problems.append(f"a process took {max(drains):.1f} s to stop")
        return Result.judged(
            f"{len(drains)} processes restarted, {tally.attempts} requests, "
            f"{sum(failed.values())} failed beyond refused connections, slowest stop {max(drains):.1f} s",
            problems + tally.wrong,
            restarts=len(drains),
            slowest_stop_seconds=round(max(drains), 2),
            **summary(tally, evidence),
        )


async def _roll_one(stage: Rig, process: Launched) -> float:
    """Stop a process and start it again, then wait for it; return the seconds of the stop."""
    seconds = await asyncio.to_thread(process.terminate)
    again = stage.restart(process)
    await asyncio.to_thread(again.await_ready)
    return seconds
