"""R24: retention removes events while readers are at them, and while an endpoint and a reader are behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from syncline.core.errors import CursorExpired
from syncline.core.wire import WebhookEndpoint
from syncline.services.endpoints import EndpointChanges, Endpoints
from syncline.services.events import EventQuery, Events
from syncline.services.kernel import Kernel
from syncline.services.retention import Retention
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.simulation.clock import START
from tests.reliability.simulation.parts import InstantOutbound, with_outbound
from tests.support.databases import migrate
from tests.support.deliveries import CAUSE, QUICK, Stage, dispatching
from tests.support.kernels import kernel, seed
from tests.support.waiting import wait_until

_PER_ROUND, _STEP = 30, timedelta(days=10)
_LIVE, _BEHIND = "https://live.example/", "https://behind.example/"


class _Clock:
    """A clock that a scenario moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class Tail:
    """A reader of the Events API; `expired` are the places in what it saw where it was told of a gap."""

    events: Events
    environment: str
    pages: int | None
    seen: list[str] = field(default_factory=list)
    expired: set[int] = field(default_factory=set)
    cursor: str | None = None

    async def follow(self) -> None:
        """Read some pages, or to the end; after a 410 go on with the oldest event, and note that."""
        left = self.pages
        while left is None or left > 0:
            query = EventQuery(limit=10, after=self.cursor)
            try:
                page = await self.events.list(self.environment, query)
            except CursorExpired:
                self.expired.add(len(self.seen))
                self.cursor = None
                continue
            self.seen += [json.loads(item)["id"] for item in page.items]
            self.cursor = page.cursor or self.cursor
            if page.after is None:
                return
            left = None if left is None else left - 1

    def silent_gaps(self, ids: list[str]) -> Iterator[str]:
        """What was passed over without a 410."""
        places = {id_: at for at, id_ in enumerate(ids)}
        due = 0
        for at, id_ in enumerate(self.seen):
            place = places[id_]
            if place < due:
                yield f"a reader saw {id_} twice"
            elif place > due and at not in self.expired:
                yield f"a reader was not told of the {place - due} events before {id_}"
            due = place + 1


@scenario("R24", "retention while tailing and behind", gate="410, endpoint flagged, no unflagged skip")
async def retention(context: Context) -> Result:
    """Move time on by ten days a round while all read; keep one endpoint paused and one reader slow."""
    rounds = context.pick(short=14, full=120)
    clock, outbound = _Clock(), InstantOutbound()
    migrate(context.database_url)
    async with kernel(context.database_url, clock=clock) as bare:
        within = with_outbound(bare, outbound)
        stage = Stage(within, (await seed(within)).environment_id)
        live, behind = await stage.endpoint(_LIVE), await stage.endpoint(_BEHIND)
        await Endpoints(within).update(
            stage.environment_id, behind.id, EndpointChanges(state="paused"), CAUSE
        )
        fast = Tail(Events(within), stage.environment_id, None)
        slow = Tail(Events(within), stage.environment_id, 1)
        ids: list[str] = []
        async with dispatching(within, replace(QUICK, poll=0.05)):
            for _ in range(rounds):
                ids += await _round(within, stage, fast, slow)
                await wait_until(lambda: stage.is_idle(live), 30)
                clock.now += _STEP
            removed = await Retention(within).trim_log()
            problems = await _of_endpoint(within, stage, behind, outbound, ids)
        await fast.follow()
        slow.pages = None
        await slow.follow()
    problems += [*fast.silent_gaps(ids), *slow.silent_gaps(ids)]
    if fast.expired or fast.seen != ids:
        problems.append("the reader that kept up did not see everything")
    if not slow.expired:
        problems.append("the slow reader was never told that its cursor had expired")
    if outbound.ids.get(_LIVE) != ids:
        problems.append("the endpoint that kept up did not get everything")
    return Result.judged(
        f"{len(ids)} events over {rounds * 10} days, the slow reader got 410 {len(slow.expired)} times,"
        f" the paused endpoint is flagged; {removed} removed last",
        problems,
        events=len(ids),
        expired=len(slow.expired),
    )


async def _round(within: Kernel, stage: Stage, fast: Tail, slow: Tail) -> list[str]:
    """Seal, trim, and read at the same time."""
    trimmed = asyncio.create_task(_trim(within))
    ids = await stage.emit(*["directory_A"] * _PER_ROUND)
    await asyncio.gather(fast.follow(), slow.follow())
    await trimmed
    return ids


async def _trim(within: Kernel) -> None:
    await Retention(within).trim_log()


async def _of_endpoint(
    within: Kernel, stage: Stage, endpoint: WebhookEndpoint, outbound: InstantOutbound, ids: list[str]
) -> list[str]:
    """Let the paused endpoint go on: what it did not get must be what it is flagged with, and no more."""
    endpoints = Endpoints(within)
    before = await endpoints.get(stage.environment_id, endpoint.id)
    missed = before.health.missed
    if missed is None:
        return ["the paused endpoint is not flagged"]
    await endpoints.update(stage.environment_id, endpoint.id, EndpointChanges(state="active"), CAUSE)
    await wait_until(lambda: stage.is_idle(endpoint), 30)
    got = outbound.ids.get(_BEHIND, [])
    expected = [id_ for at, id_ in enumerate(ids, 1) if not missed.first <= at <= missed.last]
    if got != expected:
        return [f"flagged {missed.first}-{missed.last}, and got {len(got)} of {len(expected)} others"]
    return []
