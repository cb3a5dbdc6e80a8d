"""One seed from its plan to its verdict, and many of them in several processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.reliability.registry import Context, Result
from tests.reliability.simulation.clock import Stuck, VirtualLoop, run
from tests.reliability.simulation.database import MemoryStore
from tests.reliability.simulation.judge import judge
from tests.reliability.simulation.plan import Plan, make_plan
from tests.reliability.simulation.watch import listening
from tests.reliability.simulation.world import World


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a seed. `digest` is of every request in order: the same seed gives the same one."""

    seed: int
    problems: Sequence[str]
    requests: int = 0
    seconds: float = 0.0
    digest: str = ""
    trace: Sequence[str] = field(default=(), repr=False)

    def __str__(self) -> str:
        lines = [f"seed {self.seed} is broken:", *(f"  {problem}" for problem in self.problems[:12])]
        lines.append(f"  again: .venv/bin/python -m tests.reliability.simulation --seed {self.seed} --trace")
        return "\n".join(lines)


class Simulator:
    """Runs seeds one after another in this process."""

    def __init__(self) -> None:
        self._store = MemoryStore()

    def seed(self, seed: int, *, trace: bool = False) -> Verdict:
        """Run one seed."""
        return self.plan(make_plan(seed), trace=trace)

    def plan(self, plan: Plan, *, trace: bool = False, kind: type[World] = World) -> Verdict:
        """Run one plan, in a world of its own kind. Never raises for what the simulated code does."""
        made: list[World] = []

        async def main(loop: VirtualLoop) -> list[str]:
            self._store.begin(loop.time)
            world = kind(self._store, plan, loop, trace=trace)
            made.append(world)
            with listening(world.watch):
                await world.run()
            return judge(world)

        try:
            problems = run(main)
        except Stuck as stuck:
            problems = [*(made[0].watch.problems if made else ()), f"the simulation is stuck: {stuck}"]
        world = made[0]
        receipts = "".join(f"{one.endpoint}{one.event_id}{one.attempt}" for one in world.watch.receipts.all)
        return Verdict(
            plan.seed,
            problems,
            world.watch.requests,
            world.loop.time(),
            hashlib.sha256(receipts.encode()).hexdigest()[:16],
            world.watch.trace,
        )


def judged_seeds(
    context: Context, make: Callable[[int], Plan], kind: type[World], about: str, *, once: Sequence[int]
) -> Result:
    """Run a scenario's seeds in its kind of world; `about` says of what, with a place for the requests.

    `once` are seeds that were judged wrong once, for different reasons: the short form has them too.
    """
    seeds = [*range(context.seed, context.seed + context.pick(short=5, full=500))]
    if context.is_short:
        seeds += [seed for seed in once if seed not in seeds]
    simulator = Simulator()
    problems: list[str] = []
    requests = 0
    for seed in seeds:
        verdict = simulator.plan(make(seed), kind=kind)
        requests += verdict.requests
        problems += [f"seed {seed}: {problem}" for problem in verdict.problems]
    return Result.judged(
        f"{len(seeds)} seeds {about.format(requests)}, {len(problems)} problems",
        problems,
        seeds=len(seeds),
        requests=requests,
    )


def run_seeds(seeds: Sequence[int], processes: int | None = None) -> Iterator[Verdict]:
    """Run seeds on all cores and yield the verdicts as they come."""
    workers = processes or os.cpu_count() or 1
    if workers == 1:
        simulator = Simulator()
        yield from (simulator.seed(seed) for seed in seeds)
        return
    with ProcessPoolExecutor(workers, initializer=_prepare) as pool:
        yield from pool.map(_run_one, seeds, chunksize=8)


_here: list[Simulator] = []


def _prepare() -> None:
    _here.append(Simulator())


def _run_one(seed: int) -> Verdict:
    return _here[0].seed(seed)
