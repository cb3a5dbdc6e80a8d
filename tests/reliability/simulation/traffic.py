"""What a simulation writes into the log: commands of the writer, and events that the sealer finds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from syncline.core.commands import CreateUser
from syncline.core.events import GroupCreated, GroupDeleted, draft
from syncline.core.model import Cause
from syncline.core.scim.errors import ScimError
from syncline.core.scim.normalize import normalize_user
from syncline.store import log
from syncline.store.database import DatabaseUnavailable
from tests.reliability.simulation.plan import Burst
from tests.reliability.simulation.processes import Process
from tests.support.deliveries import CAUSE, group_of
from tests.support.kernels import Seeded

if TYPE_CHECKING:
    from tests.reliability.simulation.world import World


class Traffic:
    """Writes as the web process, and remembers in the world what is known to be committed."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def commit(self, burst: Burst) -> None:
        """Make one event for each directory of a burst."""
        places = [self._world.places[number % len(self._world.places)] for number in burst.directories]
        if burst.by_writer:
            await asyncio.gather(*(self._command(place) for place in places))
        else:
            await self._emit(places)

    async def _command(self, place: Seeded) -> None:
        assert self._world.writer is not None
        name = f"person-{self._world.chance.randrange(1 << 40)}@northwind.example"
        command = CreateUser(normalize_user({"userName": name}))
        writer = self._world.writer

        async def submit() -> None:
            await writer.submit(place.directory.scope, command, Cause("request_scim"))

        if await self._as(self._world.web, submit):
            self._world.committed.add(name)

    async def _emit(self, places: list[Seeded]) -> None:
        process, kernel = self._world.web, self._world.web_kernel
        kind = self._world.chance.choice([GroupCreated, GroupCreated, GroupDeleted])
        groups = [group_of(kernel, place.directory.id) for place in places]
        drafts = [
            draft(
                kind(group),
                environment_id=place.environment_id,
                organization_id=place.organization_id,
                directory_id=place.directory.id,
                recorded_at=kernel.clock(),
            )
            for place, group in zip(places, groups, strict=True)
        ]

        async def commit() -> None:
            await kernel.commit(
                places[0].environment_id, lambda connection: log.append(connection, drafts, CAUSE)
            )

        if await self._as(process, commit):
            self._world.committed |= {group.id for group in groups}

    async def _as(self, process: Process, work: Callable[[], Awaitable[None]]) -> bool:
        """Do something as a process; tell whether it is known to have been done."""

        async def guarded() -> bool:
            try:
                await work()
            except (DatabaseUnavailable, ScimError):
                return False
            return True

        with process.inside():
            task = asyncio.ensure_future(guarded())
        await asyncio.wait([task])
        return not task.cancelled() and task.exception() is None and task.result()
