"""R27: signing secrets and the operator's key are rotated while events flow."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

from syncline.services.endpoints import Endpoints
from syncline.services.keyring import Keyring
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.simulation.plan import Deed, Plan, make_focused_plan, make_hurried_plan
from tests.reliability.simulation.processes import Process
from tests.reliability.simulation.simulate import judged_seeds
from tests.reliability.simulation.world import SECRET_KEY, World

# A request between the question and the answer of a fourth rotation, and two rotations at once.
_ONCE = (54, 356)
_NEW_KEY = "the next key of the operator, long enough as well"


class Rotating(World):
    """The operator's key is rotated in two rounds of restarts: first every process knows both keys."""

    async def _live(self) -> None:
        turning = asyncio.ensure_future(self._turn_keys())
        await super()._live()
        await turning

    async def _turn_keys(self) -> None:
        for share, (current, previous) in ((1 / 3, (SECRET_KEY, _NEW_KEY)), (2 / 3, (_NEW_KEY, SECRET_KEY))):
            await asyncio.sleep(max(0.0, self.plan.horizon * share - self.loop.time()))
            self.watch.tell("processes start again with both keys, one after the other")
            self.keyring = Keyring.from_secret(current, (previous,), random_bytes=self.chance.randbytes)
            for worker in list(self.workers):
                await self._replace(worker, self._stop_gracefully(worker))
            self.admin = self.kernel(Process("admin"), calm=True)
            self.endpoints = Endpoints(self.admin)


def rotating_plan(seed: int) -> Plan:
    """Return a plan with many rotations of signing secrets; every fifth has them among many requests."""
    if seed % 5 == 0:
        return replace(make_hurried_plan(seed, Deed.ROTATE), skews=(0.0,))
    chance = random.Random(f"rotations {seed}")
    plan = make_focused_plan(seed, Deed.ROTATE)
    more = [replace(act, at=chance.random() * plan.horizon * 0.9) for act in plan.acts]
    acts = sorted([*plan.acts, *more], key=lambda act: act.at)
    return replace(plan, acts=tuple(acts), skews=(0.0,))


@scenario(
    "R27",
    "secret and key rotation under load",
    gate="0 failed verifications in the overlap",
    engines=("sqlite",),
)
def rotations(context: Context) -> Result:
    """Run seeds with rotations; receivers that know one live secret only must be content too."""
    return judged_seeds(context, rotating_plan, Rotating, "with rotations, {} requests verified", once=_ONCE)
