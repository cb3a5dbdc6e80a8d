"""R3: the process ends at every fault point of the source, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from pathlib import Path

import aiohttp

from syncline.faults import EXIT_STATUS
from tests.reliability.reading import Unanswered
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.rig import Load, Rig, rig, summary
from tests.reliability.ruling import Ruling

_SOURCE = Path(__file__).parents[3] / "src" / "syncline"
_POINT = re.compile(r'faults\.hit\("([a-z0-9_.]+)"\)')
# An endpoint that is never without something to send is claimed once in ten seconds, and the point behind the
# claim is passed seven times.
_REACHED = 120.0
# The others lie on ways of their own (erasures, reconciliations, sinks, commands); the report names them, and
# `test_jobs.py` and the tests of sinks and commands die there.
_ALWAYS = ("apply.", "seal.", "dispatch.", "reevaluation.")


def points() -> list[str]:
    """Return every fault point that the source names."""
    found = {name for file in _SOURCE.rglob("*.py") for name in _POINT.findall(file.read_text("utf-8"))}
    return sorted(found)


@scenario(
    "R3",
    "exit at every fault point, each path",
    gate="recovery without an operator, invariants green",
)
async def exits(context: Context) -> Result:
    """Let processes die at each point at its first passes, start them again, and judge it all at the end."""
    passes = (1,) if context.is_short else (1, 2, 7)
    reached: list[str] = []
    missed: list[str] = []
    async with rig(context) as stage:
        await stage.start_usual()
        await stage.make_directories(2)
        await stage.subscribe()
        load, ruling = Load(stage), Ruling(stage)
        await load.prepare()
        await ruling.begin()
        load.start()
        await load.progress(10)
        others = [asyncio.create_task(_rename(stage)), asyncio.create_task(ruling.run())]
        for point in (one for one in points() if one.startswith(_ALWAYS)):
            for at in passes:
                died = await _die_at(stage, f"{point}=exit@{at}")
                (reached if died else missed).append(f"{point}@{at}")
                await load.progress(5)
        for other in others:
            other.cancel()
        tally = await load.stop()
        unsettled = await ruling.settled()
        problems, evidence = await stage.judge(load.tails)
        problems += unsettled
        problems += [f"{point} was never reached" for point in missed]
        elsewhere = [point for point in points() if not point.startswith(_ALWAYS)]
        return Result.judged(
            f"died at {len(reached)} points: {len(problems)} wrong"
            + (f"; not on this stage's way: {', '.join(elsewhere)}" if elsewhere else ""),
            problems + tally.wrong,
            reached=", ".join(reached),
            **summary(tally, evidence),
        )


async def _rename(stage: Rig) -> None:
    """Change organizations over REST: such events go through the inbox, those of a provider need not."""
    n = 0
    while True:
        n += 1
        with contextlib.suppress(Unanswered, aiohttp.ClientError, TimeoutError):
            await stage.api("POST", "/organizations", {"name": f"Another customer {n}"})
        await asyncio.sleep(0.05)


async def _die_at(stage: Rig, plan: str) -> bool:
    """Start every process with a plan, wait until one dies of it, start all without; tell if one died."""
    for process in list(stage.processes):
        process.kill()
        stage.restart(process, faults=plan)
    ends = time.monotonic() + _REACHED
    died = False
    while not died and time.monotonic() < ends:
        await asyncio.sleep(0.02)
        died = any(process.poll() == EXIT_STATUS for process in stage.processes)
    for process in list(stage.processes):
        if process.poll() is None:
            process.kill()
        stage.restart(process)
    await stage.all_ready()
    return died
