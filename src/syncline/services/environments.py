"""Environments: made by an operator, by the first start, or by the demonstration."""

from __future__ import annotations

from syncline.core.errors import Conflict
from syncline.core.ids import Prefix
from syncline.core.model import InactiveUsers
from syncline.services.kernel import Kernel
from syncline.store import environments as store
from syncline.store import roles as role_store
from syncline.store.database import Connection, UniqueViolation
from syncline.store.environments import Environment as Environment

DEFAULT_NAME = "default"


class Environments:
    """The isolation units of one installation."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def create(self, name: str, inactive_users: InactiveUsers = InactiveUsers.DELETE) -> Environment:
        """Make an environment. Raises `Conflict` for a name that is taken."""
        made = Environment(
            self._kernel.ids.new(Prefix.ENVIRONMENT), name, inactive_users, self._kernel.clock()
        )
        try:
            await self._kernel.database.write(lambda connection: _add(connection, made))
        except UniqueViolation:
            raise Conflict(f"There is an environment named '{name}' already.") from None
        return made

    async def named(self, name: str) -> Environment | None:
        """Return the environment of a name."""
        return await self._kernel.database.read(lambda connection: store.by_name(connection, name))

    async def all(self) -> list[Environment]:
        """Return every environment, oldest first."""
        return await self._kernel.database.read(store.all_of)

    async def ensure(self, name: str) -> Environment:
        """Return the environment of a name, made if need be; several processes may ask at once."""
        found = await self.named(name)
        if found is not None:
            return found
        try:
            return await self.create(name)
        except Conflict:
            found = await self.named(name)
            if found is None:
                raise
            return found


def _add(connection: Connection, made: Environment) -> None:
    """Insert an environment with the role that everybody has at least."""
    store.add(connection, made)
    role_store.add_default(connection, made.id, made.created_at)
