"""The owner of the webhook endpoints of a simulation: makes, pauses, moves and deletes them."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from syncline.core.endpoint_options import Ordering
from syncline.core.errors import CursorExpired, NotFound
from syncline.core.events import GroupCreated, GroupDeleted
from syncline.core.signing import MAX_SIGNATURES
from syncline.services.endpoint_changes import OptionChanges
from syncline.services.endpoints import EndpointChanges
from syncline.services.replays import ReplayRange, Replays
from tests.reliability.simulation.plan import Act, Deed, EndpointPlan
from tests.reliability.simulation.receivers import SimulatedReceiver
from tests.reliability.simulation.watch import Quiet, Secret, Story
from tests.support.deliveries import CAUSE

if TYPE_CHECKING:
    from tests.reliability.simulation.world import World

TYPES = (GroupCreated.name, GroupDeleted.name, "dsync.user.created")
_OVERLAP = timedelta(minutes=10)


class Owner:
    """Uses the product's own services, in a process that nothing happens to."""

    def __init__(self, world: World) -> None:
        self._world = world
        # One rotation of an endpoint at a time: of two at once, nobody could say whose secret is newer.
        self._rotations: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def manage(self, act: Act) -> None:
        """Do to an endpoint what an act says; nothing if none is left."""
        alive = [story for story in self._world.watch.stories.values() if not story.deleted]
        if not alive:
            return
        story = alive[act.whom % len(alive)]
        environment = self._world.places[0].environment_id
        match act.deed:
            case Deed.PAUSE:
                await self._pause(environment, story, act.seconds)
            case Deed.ROTATE:
                async with self._rotations[story.id]:
                    await self._rotate(environment, story)
            case Deed.REPLAY | Deed.REPLAY_DEAD:
                with suppress(NotFound, CursorExpired):
                    await self._replay(environment, story, dead=act.deed is Deed.REPLAY_DEAD)
            case Deed.RESUME:
                with suppress(NotFound):
                    await self._resume(environment, story)
            case Deed.DELETE:
                story.deleted = True
                await self._world.endpoints.delete(environment, story.id, CAUSE)
                story.quiet.append(Quiet(self._world.loop.time(), why="deleted"))

    async def _pause(self, environment: str, story: Story, seconds: float) -> None:
        shown = await self._world.endpoints.get(environment, story.id)
        if shown.state != "active":
            return
        asked = self._world.loop.time()
        await self._world.endpoints.update(environment, story.id, EndpointChanges(state="paused"), CAUSE)
        if not story.starting and story.started < asked:
            # Else nobody can say whether it was paused or let go on last.
            story.quiet.append(Quiet(self._world.loop.time()))
        await asyncio.sleep(seconds)
        with suppress(NotFound), self._starting(story):
            await self._world.endpoints.update(environment, story.id, EndpointChanges(state="active"), CAUSE)

    @contextmanager
    def _starting(self, story: Story) -> Iterator[None]:
        """Let an endpoint go on: from here on it may be sent to, whatever its owner was told before."""
        story.starting += 1
        story.started = self._world.loop.time()
        for quiet in story.quiet:
            if quiet.why != "deleted":
                quiet.ends = min(quiet.ends, story.started)
        try:
            yield
        finally:
            story.starting -= 1
            story.started = self._world.loop.time()
            story.resumed.append(story.started)

    async def _rotate(self, environment: str, story: Story) -> None:
        asked = self._world.loop.time()
        live = [secret for secret in story.secrets if secret.ends > asked]
        # The new one is one of those that may sign at once; what is too much ends before its owner is told.
        surplus = live[: 1 - MAX_SIGNATURES]
        for secret in surplus:
            secret.leaves = asked
        made = await self._world.endpoints.rotate_secret(environment, story.id, CAUSE, overlap=_OVERLAP)
        told = self._world.loop.time()
        for secret in live:
            secret.ends = min(secret.ends, asked + _OVERLAP.total_seconds())
            secret.leaves = min(secret.leaves, secret.ends)
        for secret in surplus:
            secret.ends = min(secret.ends, told)
        story.secrets.append(Secret(made.secret, asked, told))

    async def _replay(self, environment: str, story: Story, *, dead: bool) -> None:
        replays = Replays(self._world.admin)
        if dead:
            story.replayed |= story.given_up
            await replays.replay_dead(environment, story.id)
            return
        head = self._head()
        if head == 0:
            return
        first = self._world.chance.randrange(1, head + 1)
        story.replayed |= set(range(first, head + 1))
        await replays.replay_range(environment, story.id, ReplayRange(first_id=self._event_id(first)))

    async def _resume(self, environment: str, story: Story) -> None:
        """Let an endpoint go on from now, from where it stopped, or from an event."""
        head = self._head()
        cursor = self._world.store.raw.execute(
            "SELECT cursor FROM webhook_endpoints WHERE id = ?", (story.id,)
        ).fetchone()
        if cursor is None or head == 0:
            return
        first = self._world.chance.randrange(1, head + 1)
        point = self._world.chance.choice(["now", "stopped", self._event_id(first)])
        self._world.watch.moved.add(story.id)
        story.resumed_at = head
        if point == "now":
            # What is sealed until it is committed is passed over too.
            story.skipped |= set(range(cursor[0] + 1, head + self._world.plan.events + 1))
        elif point != "stopped":
            story.after = min(story.after, first - 1)
            story.skipped |= set(range(cursor[0] + 1, first))
            story.replayed |= set(range(first, head + self._world.plan.events + 1))
        with self._starting(story):
            await self._world.endpoints.update(
                environment, story.id, EndpointChanges(state="active", resume_from=point), CAUSE
            )
        self._world.watch.moved.discard(story.id)

    def _head(self) -> int:
        found = self._world.store.raw.execute("SELECT max(position) FROM event_log").fetchone()[0]
        return int(found or 0)

    def _event_id(self, position: int) -> str:
        found = self._world.store.raw.execute(
            "SELECT event_id FROM event_log WHERE position = ?", (position,)
        )
        return str(found.fetchone()[0])

    async def make(self, number: int, plan: EndpointPlan) -> None:
        """Make an endpoint and its receiver, and have them watched."""
        url = f"https://receiver-{number}.example/hook"
        receiver = SimulatedReceiver(url, random.Random(f"{self._world.plan.seed} {url}"))
        receiver.spells, receiver.poison, receiver.latency = plan.spells, plan.poison, plan.latency
        self._world.network.receivers[url] = receiver
        types = TYPES[:1] if plan.picky else TYPES
        begun = self._world.loop.time()
        environment = self._world.places[0].environment_id
        # Watched before the answer: its first delivery may come before its owner knows of it.
        story = Story(number, "", url, types, 0, [])
        story.ordering = plan.ordering
        story.concurrency = 1 if plan.ordering is Ordering.STRICT else plan.concurrency
        story.directory = self._world.places[0].directory.id if plan.local else None
        self._world.watch.add(story)
        options = OptionChanges(
            ordering=plan.ordering,
            concurrency=plan.concurrency,
            directory_ids=None if story.directory is None else [story.directory],
        )
        made = await self._world.endpoints.create(environment, url, types, CAUSE, options)
        story.id = made.id
        story.secrets.append(Secret(made.secret, begun, self._world.loop.time()))
        story.after = self._world.watch.first_cursor[made.id]
