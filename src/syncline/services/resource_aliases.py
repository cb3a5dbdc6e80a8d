"""The ids under which providers know resources that moved in, and our own of the same resources."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from syncline.core.model import ALIASES_SETTING, Scope
from syncline.services.kernel import Kernel
from syncline.store import directories
from syncline.store import scim_aliases as store
from syncline.store.database import Connection


class ResourceAliases:
    """Ids of another service by our own, and the other way round; every question names its scope."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def resources(self, scope: Scope, aliases: Collection[str]) -> Mapping[str, str]:
        """Return our ids of those that are known by these; the others are missing."""
        # PostgreSQL takes no NUL, and no id of anything holds one.
        asked = [alias for alias in aliases if "\0" not in alias]
        if not asked:
            return {}
        return await self._kernel.database.look_up(
            lambda connection: store.resources_of(connection, scope, asked)
        )

    async def aliases(self, scope: Scope, resources: Collection[str]) -> Mapping[str, str]:
        """Return what providers call these resources; those that have our id only are missing."""
        if not resources:
            return {}
        return await self._kernel.database.look_up(
            lambda connection: store.aliases_of(connection, scope, resources)
        )


def add_aliases(connection: Connection, scope: Scope, aliases: Mapping[str, str]) -> None:
    """Let resources be known by further ids, from the next request on."""
    directory = directories.lock(connection, scope.environment_id, scope.directory_id)
    if directory is None or not aliases:
        return
    store.add_resources(connection, scope, aliases)
    if not directory.has_aliases:
        settings = directory.settings | {ALIASES_SETTING: True}
        directories.change(connection, replace(directory, settings=settings))
