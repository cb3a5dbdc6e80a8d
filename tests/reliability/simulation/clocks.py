"""R15: clocks of processes differ by ten minutes and step back an hour; leases obey the database's clock."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.reliability.registry import Context, Result, scenario
from tests.reliability.simulation.plan import Deed, Plan, make_focused_plan
from tests.reliability.simulation.simulate import judged_seeds
from tests.reliability.simulation.world import World

_SKEWS = (0.0, 600.0, -600.0)
_BACK = 3_600.0
# A lease taken in the millisecond in which it ran out, and a request under way while a clock stepped.
_ONCE = (93, 69)


class WrongClocks(World):
    """In the middle of the run the clocks of the web process and of one worker step back an hour."""

    async def _live(self) -> None:
        stepping = asyncio.ensure_future(self._step_back())
        await super()._live()
        await stepping

    async def _step_back(self) -> None:
        await asyncio.sleep(max(0.0, self.plan.horizon / 2 - self.loop.time()))
        self.watch.tell("two clocks step back an hour")
        for process in (self.web, self.workers[0]):
            process.skew -= _BACK


def skewed_plan(seed: int) -> Plan:
    """Return a plan with wrong clocks, processes that stand still, and receivers with moods."""
    plan = make_focused_plan(seed, Deed.STOP, Deed.KILL, Deed.RESTART)
    return replace(plan, skews=(*_SKEWS, _BACK))


@scenario(
    "R15",
    "clock skew of 10 minutes, a step back of 1 h",
    gate="no lease taken before it ran out, ids ascend, nothing lost",
    engines=("sqlite",),
)
def wrong_clocks(context: Context) -> Result:
    """Run seeds with wrong clocks on the virtual clock."""
    return judged_seeds(context, skewed_plan, WrongClocks, "with wrong clocks, {} requests", once=_ONCE)
