"""An environment whose directory a test fills with commands, over real parts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from syncline.core.commands import Command, CreateGroup, CreateUser, DeleteUser, PatchUser
from syncline.core.json import Json
from syncline.core.model import Cause, InactiveUsers
from syncline.core.scim.normalize import normalize_group, normalize_user
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from syncline.services.apply import Applied
from syncline.services.container import Services
from syncline.store import log
from tests.support.kernels import Seeded, kernel, seed, system_clock

CAUSE = Cause("request_01KA0Z3W8M6Q4T2R9X7V5B3N1A", "key_7", "api", "tests")


@dataclass(slots=True)
class DirectoryWorld:
    """Services over one database, and a place to start from."""

    services: Services
    place: Seeded

    @property
    def environment(self) -> str:
        """The environment's id."""
        return self.place.environment_id

    async def do(self, command: Command, at: Seeded | None = None) -> Applied:
        """Carry out a provider's command."""
        scope = (at or self.place).directory.scope
        return await self.services.writer.submit(scope, command, Cause("request_scim"))

    async def user(self, user_name: str, /, at: Seeded | None = None, **more: Json) -> str:
        """Create a person and return the SCIM id."""
        applied = await self.do(CreateUser(normalize_user({"userName": user_name, **more})), at)
        assert applied.view is not None
        return applied.view.id

    async def group(self, name: str, members: Sequence[str] = (), at: Seeded | None = None) -> str:
        """Create a group and return the SCIM id."""
        body: dict[str, Json] = {"displayName": name, "members": [{"value": id_} for id_ in members]}
        applied = await self.do(CreateGroup(normalize_group(body)), at)
        assert applied.view is not None
        return applied.view.id

    async def set_active(self, user_id: str, active: bool) -> None:
        """Let the provider say whether a person is active."""
        operation: dict[str, Json] = {"op": "replace", "path": "active", "value": active}
        await self.do(PatchUser(user_id, parse_operations({"Operations": [operation]}, ResourceKind.USER)))

    async def delete_user(self, user_id: str) -> None:
        """Let the provider delete a person."""
        await self.do(DeleteUser(user_id))

    async def rows(self) -> list[Any]:
        """Return every row of the environment's log."""
        await self.services.sealer.seal_now(self.environment)
        return await self.services.kernel.database.read(
            lambda connection: log.read(connection, self.environment, log.LogFilter(), 100_000)
        )

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the environment's events as (type, data)."""
        return [(row.type, json.loads(row.body)) for row in await self.rows()]

    async def types(self) -> list[str]:
        """Return the types of the environment's events."""
        return [name for name, _ in await self.told()]


@asynccontextmanager
async def directory_world(
    database_url: str,
    policy: InactiveUsers = InactiveUsers.DELETE,
    clock: Callable[[], datetime] = system_clock,
) -> AsyncIterator[DirectoryWorld]:
    """A started writer over one seeded, linked directory."""
    async with kernel(database_url, clock=clock) as parts:
        services = Services(parts)
        await services.writer.start()
        yield DirectoryWorld(services, await seed(parts, inactive_users=policy))
        await services.close()
