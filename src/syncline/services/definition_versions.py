"""Versions of what an environment defines: kept with every change, tried out, and restored.

A version is the whole set of definitions. Restoring one makes it the newest, in the transaction that composes
the evaluations of all directories again; the people who are there are evaluated by the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from syncline.core.attribute_definitions import DefinedAttribute
from syncline.core.errors import NotFound
from syncline.core.evaluation import Evaluation
from syncline.core.json import Json
from syncline.core.model import Cause, Directory
from syncline.obs.logging import get_logger
from syncline.services.attribute_previews import Preview
from syncline.services.evaluations import Proposal, composed, reissue, tried_out
from syncline.services.kernel import Kernel
from syncline.services.tokens import present
from syncline.store import attributes
from syncline.store import definition_versions as store
from syncline.store import evaluations as evaluation_store
from syncline.store.attributes import Definition
from syncline.store.database import Connection
from syncline.store.definition_versions import DefinitionChange
from syncline.store.definition_versions import DefinitionVersion as DefinitionVersion
from syncline.store.types import from_ms, to_ms

_VERSIONS = 100
_logger = get_logger(__name__)


class DefinitionVersions:
    """The versions of environments' definitions."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def list(self, environment_id: str) -> Sequence[DefinitionVersion]:
        """Return the newest hundred versions, the newest first."""
        return await self._kernel.database.read(
            lambda connection: store.versions(connection, environment_id, limit=_VERSIONS)
        )

    async def get(self, environment_id: str, version: str) -> tuple[DefinitionVersion, Sequence[Definition]]:
        """Return a version and its definitions by key. Raises `NotFound`."""
        return await self._kernel.database.read(
            lambda connection: _required(connection, environment_id, version)
        )

    async def preview(
        self, environment_id: str, version: str, directory_id: str | None = None
    ) -> tuple[Preview, int]:
        """Return what restoring a version would do to people, and of how many directories they are.

        Of one directory, or of all that the environment has. Raises `NotFound`.
        """

        def plan(connection: Connection) -> tuple[list[Directory], Proposal]:
            _, wanted = _required(connection, environment_id, version)
            proposed: dict[str, dict[str, Json] | None] = {
                one.attribute.key: None for one in attributes.all_of(connection, environment_id)
            }
            proposed |= {one.attribute.key: one.attribute.body() for one in wanted}
            if directory_id is not None:
                return [present(connection, environment_id, directory_id)], Proposal(proposed)
            return store.directories(connection, environment_id), Proposal(proposed)

        directories, proposal = await self._kernel.database.read(plan)
        found = Preview()
        for directory in directories:

            def compose(connection: Connection, directory: Directory = directory) -> Evaluation | None:
                return composed(connection, directory, proposal)

            evaluation = await self._kernel.database.read(compose)
            async for people in tried_out(self._kernel, directory, evaluation):
                for before, after, _ in people:
                    found.add(before, after)
        return found, len(directories)

    async def restore(
        self, environment_id: str, version: str, cause: Cause
    ) -> tuple[DefinitionVersion, Sequence[Definition]]:
        """Make the definitions of a version those of the environment, as a new version.

        Attributes that are there keep their ids; those that were deleted come back with the ids they had.
        Where nothing would change the newest version is returned. Raises `NotFound`.
        """

        def work(connection: Connection) -> tuple[DefinitionVersion, Sequence[Definition]]:
            evaluation_store.lock(connection, environment_id)
            repeated, wanted = _required(connection, environment_id, version)
            before = attributes.all_of(connection, environment_id)
            self._put(connection, environment_id, before, wanted)
            kept = keep_version(self._kernel, connection, environment_id, before, cause, repeated.version)
            if kept:
                reissue(self._kernel, connection, environment_id, cause)
            newest = store.newest(connection, environment_id)
            return _required(connection, environment_id, str(newest))

        restored = await self._kernel.commit(environment_id, work)
        _logger.info("attributes.restored", version=restored[0].version, cause=cause.id)
        return restored

    def _put(
        self,
        connection: Connection,
        environment_id: str,
        before: Sequence[Definition],
        wanted: Sequence[Definition],
    ) -> None:
        now = from_ms(to_ms(self._kernel.clock()))
        there = {one.attribute.key: one for one in before}
        left = {one.attribute.key: one.attribute.kind for one in wanted}
        for key, one in there.items():
            if left.get(key) is not one.attribute.kind:
                attributes.remove(connection, environment_id, one.id)
        for one in wanted:
            current = there.get(one.attribute.key)
            if current is None or current.attribute.kind is not one.attribute.kind:
                attributes.add(connection, environment_id, replace(one, updated_at=now))
            elif current.attribute != one.attribute:
                changed = replace(current, attribute=one.attribute, updated_at=now)
                attributes.change(connection, environment_id, changed)


def keep_version(
    kernel: Kernel,
    connection: Connection,
    environment_id: str,
    before: Sequence[Definition],
    cause: Cause,
    restored: int | None = None,
) -> bool:
    """Keep what the environment defines now as a version, and tell whether it differs from before.

    The caller holds the environment's lock and has written its change on the same connection.
    """
    after = attributes.all_of(connection, environment_id)
    change = _change(_by_key(before), _by_key(after))
    if change == DefinitionChange():
        return False
    number = store.newest(connection, environment_id) + 1
    now = from_ms(to_ms(kernel.clock()))
    store.add(connection, environment_id, DefinitionVersion(number, change, restored, cause, now), after)
    return True


def _by_key(definitions: Sequence[Definition]) -> dict[str, DefinedAttribute]:
    return {one.attribute.key: one.attribute for one in definitions}


def _change(before: dict[str, DefinedAttribute], after: dict[str, DefinedAttribute]) -> DefinitionChange:
    return DefinitionChange(
        added=tuple(key for key in after if key not in before),
        changed=tuple(key for key, one in after.items() if key in before and before[key] != one),
        removed=tuple(key for key in before if key not in after),
    )


def _required(
    connection: Connection, environment_id: str, version: str
) -> tuple[DefinitionVersion, Sequence[Definition]]:
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
    found = store.get(connection, environment_id, number)
    if found is None:
        raise NotFound("Attribute version", version)
    return found
