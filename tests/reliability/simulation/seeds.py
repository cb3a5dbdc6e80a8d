"""SIM: many seeds of the simulation; a broken one is named with the command that runs it again."""

from __future__ import annotations

from tests.reliability.registry import Context, Result, scenario
from tests.reliability.simulation.simulate import run_seeds


@scenario("SIM", "seeds of log and dispatcher on a virtual clock", gate="0 broken seeds", engines=("sqlite",))
def run(context: Context) -> Result:
    """Run seeds from the one that was given."""
    count = context.pick(short=500, full=5_000)
    verdicts = list(run_seeds(range(context.seed, context.seed + count)))
    broken = [str(verdict) for verdict in verdicts if verdict.problems]
    days = sum(verdict.seconds for verdict in verdicts) / 86_400
    requests = sum(verdict.requests for verdict in verdicts)
    return Result.judged(
        f"{count} seeds, {len(broken)} broken, {requests} requests in {days:.0f} virtual days",
        broken,
        seeds=count,
        broken=len(broken),
        requests=requests,
        virtual_days=round(days, 1),
    )
