"""R1: any process is killed at random under load."""

from __future__ import annotations

import asyncio

from tests.reliability.registry import Context, Result, scenario
from tests.reliability.rig import Load, Rig, rig, summary


@scenario(
    "R1",
    "SIGKILL any process at random under load",
    gate="200+ kills: 0 acknowledged lost, 0 duplicate log rows, dense",
)
async def run(context: Context) -> Result:
    """Kill again and again, start what was killed, and let the provider repeat what was not answered."""
    kills = context.pick(short=8, full=200)
    async with rig(context) as stage:
        await stage.start_usual()
        await stage.make_directories(2)
        await stage.subscribe()
        load = Load(stage)
        await load.prepare()
        load.start()
        for _ in range(kills):
            await load.progress(stage.random.randint(1, 40))
            # Somewhere in the middle of whatever it is doing.
            await asyncio.sleep(stage.random.random() * 0.05)
            await kill_one(stage)
        await stage.all_ready()
        await load.progress(10)
        tally = await load.stop()
        problems, evidence = await stage.judge(load.tails)
        return Result.judged(
            f"{kills} kills, {tally.acknowledged} acknowledged, {len(evidence.log)} events: "
            f"{len(problems)} wrong",
            problems + tally.wrong,
            kills=kills,
            **summary(tally, evidence),
        )


async def kill_one(stage: Rig) -> None:
    """Kill a process chosen at random and start another in its place."""
    victim = stage.random.choice(stage.processes)
    await asyncio.to_thread(victim.kill)
    stage.restart(victim)
