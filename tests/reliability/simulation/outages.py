"""R7: an endpoint is away for a day, for three, for six, on the virtual clock."""

from __future__ import annotations

import asyncio

from syncline.core.circuit import DISABLE_AFTER
from syncline.core.events import WebhookEndpointDisabled
from syncline.services.endpoints import EndpointChanges
from syncline.services.replays import Replays
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.simulation.plan import DAY, HOUR, Burst, EndpointPlan, Plan
from tests.reliability.simulation.receivers import Mood, Spell
from tests.reliability.simulation.simulate import Simulator
from tests.reliability.simulation.world import World
from tests.support.deliveries import CAUSE

_BEGINS = 600.0
_RECOVERY = 600.0
_POLL = 20.0


def outage_plan(seed: int, seconds: float) -> Plan:
    """Return a plan in which an endpoint refuses everything for so long, while three directories change."""
    bursts = [Burst(60.0, (0, 1, 2))]
    bursts += [Burst(_BEGINS + seconds * n / 40, (n % 3, (n + 1) % 3)) for n in range(40)]
    return Plan(
        seed=seed,
        horizon=_BEGINS + seconds,
        poll=_POLL,
        directories=3,
        workers=2,
        endpoints=(EndpointPlan((Spell(Mood.REFUSES, _BEGINS, _BEGINS + seconds),)), EndpointPlan()),
        bursts=tuple(bursts),
        acts=(),
        latency=0.004,
    )


class Outage(World):
    """After the outage everything must be delivered within ten minutes, by the same processes."""

    took = 0.0

    async def _heal(self) -> None:
        """Change nothing: the receiver is back, and nobody is told."""
        self.watch.tell("the receiver is back")

    async def _settle(self) -> None:
        story = next(iter(self.watch.stories.values()))
        if self.plan.horizon - _BEGINS > DISABLE_AFTER.total_seconds():
            self._check_disabled(story.id)
            environment = self.places[0].environment_id
            self.watch.moved.add(story.id)
            await self.endpoints.update(environment, story.id, EndpointChanges(state="active"), CAUSE)
            await self._recover()
            await Replays(self.admin).replay_dead(environment, story.id)
        elif self.watch.stopped:
            self.watch.complain(f"an endpoint was stopped: {self.watch.stopped}")
        await self._recover()
        for name in ("waiting", "dead"):
            left = self.store.raw.execute(
                "SELECT count(*) FROM parked_deliveries WHERE state = ?", (name,)
            ).fetchone()[0]
            if left:
                self.watch.complain(f"{left} deliveries are {name} in the end")

    async def _recover(self) -> None:
        begun = self.loop.time()
        while not self._is_settled():
            if self.loop.time() - begun > _RECOVERY:
                self.watch.complain(f"not delivered ten minutes after recovery: {self._unsettled()}")
                return
            await asyncio.sleep(1.0)
        self.took = max(self.took, self.loop.time() - begun)
        Outage.took = self.took

    def _check_disabled(self, endpoint_id: str) -> None:
        told = [(at, id_) for at, id_, state in self.watch.stopped if state == "disabled"]
        due = _BEGINS + DISABLE_AFTER.total_seconds()
        if [id_ for _, id_ in told] != [endpoint_id]:
            self.watch.complain(f"disabled {len(told)} times: {told}")
        elif not due <= told[0][0] <= due + HOUR:
            self.watch.complain(f"disabled at {told[0][0]:.0f} s, {due:.0f} s are due")
        events = self.store.raw.execute(
            "SELECT count(*) FROM event_log WHERE type = ?", (WebhookEndpointDisabled.name,)
        ).fetchone()[0]
        if events != 1:
            self.watch.complain(f"{events} events say that it was disabled")


@scenario(
    "R7",
    "endpoint down 24 h, 71 h, 6 days",
    gate="all in order <= 10 min after recovery; 6 d: disabled once, replay works",
    engines=("sqlite",),
)
def outages(context: Context) -> Result:
    """Run the three outages on the virtual clock."""
    simulator = Simulator()
    problems: list[str] = []
    requests, took = 0, []
    for seconds in (DAY, 71 * HOUR, 6 * DAY):
        verdict = simulator.plan(outage_plan(context.seed, seconds), kind=Outage)
        problems += [f"{seconds / HOUR:.0f} h: {problem}" for problem in verdict.problems]
        requests += verdict.requests
        took.append(Outage.took)
    told = ", ".join(f"{seconds:.0f}" for seconds in took)
    return Result.judged(
        f"24 h, 71 h and 6 d: all delivered {told} virtual seconds after recovery, {requests} requests",
        problems,
        requests=requests,
        slowest_seconds=round(max(took)),
    )
