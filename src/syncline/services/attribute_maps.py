"""Attribute maps of directories: what is in force and at which level, own sources, and their history.

Coverage is counted over what is stored with people, so it lags behind a map whose job still runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from syncline.core.attribute_definitions import DefinedAttribute
from syncline.core.attribute_map import AttributeKind, AttributeType
from syncline.core.attribute_sources import Level, Problems, layered, paths_in, read_sources, source_body
from syncline.core.errors import NotFound
from syncline.core.json import Json
from syncline.core.model import Cause, Directory
from syncline.core.predefined import STANDARD
from syncline.obs.logging import get_logger
from syncline.providers.registry import profile_of
from syncline.services.attribute_coverage import Coverage, CoverageCount, coverage_of
from syncline.services.evaluations import reissue
from syncline.services.kernel import Kernel
from syncline.services.tokens import locked, present
from syncline.store import attributes as store
from syncline.store import evaluations as evaluation_store
from syncline.store import reevaluations
from syncline.store.attributes import MapVersion as MapVersion
from syncline.store.attributes import SourceBody
from syncline.store.database import Connection
from syncline.store.reevaluations import Reevaluation as Reevaluation
from syncline.store.types import from_ms, to_ms

_VERSIONS = 100
_logger = get_logger(__name__)

Sources = dict[str, list[SourceBody]]
"""Sources by the key of their attribute."""


@dataclass(frozen=True, slots=True)
class MappedAttribute:
    """An attribute of one directory, where it comes from, and how many people have it."""

    attribute: DefinedAttribute
    level: Level
    sources: Sequence[SourceBody]
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class DirectoryMap:
    """The map of a directory in force. `version` is that of its own sources, 0 if it has none.

    `left_out` are attributes that it has sources for and the environment does not define.
    """

    directory_id: str
    version: int
    attributes: Sequence[MappedAttribute]
    left_out: Sequence[str] = ()


class AttributeMaps:
    """The maps of directories."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def get(self, environment_id: str, directory_id: str) -> DirectoryMap:
        """Return the map in force with what people have of it. Raises `NotFound`."""

        def work(connection: Connection) -> tuple[Directory, DirectoryMap]:
            directory = present(connection, environment_id, directory_id)
            newest = store.newest_map(connection, directory.scope)
            defined = definitions_of(connection, environment_id)
            own = newest.sources if newest is not None else {}
            version = newest.version if newest is not None else 0
            levels = _levels(directory, defined, own)
            return directory, DirectoryMap(directory.id, version, levels, left_out(own, defined))

        directory, found = await self._kernel.database.read(work)
        attributes = found.attributes
        stored = {one.attribute.key: one.coverage for one in attributes if _is_stored(one)}
        derived = {one.attribute.key: one.coverage for one in attributes if not _is_stored(one)}
        await CoverageCount(self._kernel).fill(directory.scope, stored, derived)
        return found

    async def replace(
        self, environment_id: str, directory_id: str, sources: Json, cause: Cause
    ) -> DirectoryMap:
        """Set the directory's own sources, whole; an attribute that is left out has none of its own.

        The people who are there are evaluated again by a job. Raises `NotFound` and `ValidationFailed`.
        """

        def work(connection: Connection) -> None:
            evaluation_store.lock(connection, environment_id)
            directory = locked(connection, environment_id, directory_id)
            problems = Problems()
            own = read_own(sources, definitions_of(connection, environment_id), problems)
            problems.refuse()
            self._put(connection, directory, own, cause)

        await self._kernel.commit(environment_id, work)
        _logger.info("attribute_map.updated", directory_id=directory_id, cause=cause.id)
        return await self.get(environment_id, directory_id)

    async def versions(self, environment_id: str, directory_id: str) -> list[MapVersion]:
        """Return the newest hundred versions of a directory's own sources. Raises `NotFound`."""

        def work(connection: Connection) -> list[MapVersion]:
            directory = present(connection, environment_id, directory_id)
            return store.maps(connection, directory.scope, limit=_VERSIONS)

        return await self._kernel.database.read(work)

    async def restore(
        self, environment_id: str, directory_id: str, version: str, cause: Cause
    ) -> DirectoryMap:
        """Make the sources of an older version the newest one. Raises `NotFound`.

        Sources of attributes that are gone come along, and mean nothing until they are defined anew.
        """

        def work(connection: Connection) -> None:
            evaluation_store.lock(connection, environment_id)
            directory = locked(connection, environment_id, directory_id)
            found = map_version(connection, directory, version)
            self._put(connection, directory, dict(found.sources), cause)

        await self._kernel.commit(environment_id, work)
        _logger.info("attribute_map.restored", directory_id=directory_id, version=version, cause=cause.id)
        return await self.get(environment_id, directory_id)

    async def progress(self, environment_id: str, directory_id: str) -> Reevaluation | None:
        """Return the job that applies the latest change, None if there never was one. Raises `NotFound`."""

        def work(connection: Connection) -> Reevaluation | None:
            directory = present(connection, environment_id, directory_id)
            return reevaluations.get(connection, directory.scope)

        return await self._kernel.database.read(work)

    def _put(self, connection: Connection, directory: Directory, own: Sources, cause: Cause) -> None:
        newest = store.newest_map(connection, directory.scope)
        if own == (dict(newest.sources) if newest is not None else {}):
            return
        version = newest.version + 1 if newest is not None else 1
        now = from_ms(to_ms(self._kernel.clock()))
        store.add_map(connection, directory.scope, MapVersion(version, own, cause, now))
        reissue(self._kernel, connection, directory.environment_id, cause, [directory.id])


def definitions_of(connection: Connection, environment_id: str) -> dict[str, DefinedAttribute]:
    """Return what an environment defines, by key."""
    return {found.attribute.key: found.attribute for found in store.all_of(connection, environment_id)}


def map_version(connection: Connection, directory: Directory, version: str) -> MapVersion:
    """Return the version of a directory's own sources that an address names. Raises `NotFound`."""
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
    found = store.map_version(connection, directory.scope, number)
    if found is None:
        raise NotFound("Attribute map version", version)
    return found


def left_out(own: Iterable[str], defined: Mapping[str, DefinedAttribute]) -> list[str]:
    """Return the attributes of a directory's own sources that mean nothing: nobody defines them."""
    return [key for key in own if key not in defined and key not in STANDARD]


def read_own(value: Json, defined: Mapping[str, DefinedAttribute], problems: Problems) -> Sources:
    """Return a directory's own sources of a body; what is wrong is noted. Empty ones are none."""
    if not isinstance(value, dict):
        problems.invalid("sources", "An object is expected: lists of sources by attribute key.")
        return {}
    own: Sources = {}
    for key, given in value.items():
        name = f"sources.{key[:80]}"
        if key not in defined and key not in STANDARD:
            sentence = "The environment has no such attribute, and it is no standard one with sources."
            problems.unknown(name, sentence)
            continue
        sources = read_sources(given, name, problems)
        if sources:
            own[key] = [source_body(source) for source in sources]
    return dict(sorted(own.items()))


def _levels(
    directory: Directory, defined: Mapping[str, DefinedAttribute], own: Mapping[str, list[SourceBody]]
) -> list[MappedAttribute]:
    """Return every attribute that the directory shows, the standard ones first."""
    provided = profile_of(directory.type).attribute_sources
    shown = [*(_standard(key) for key in STANDARD if key not in defined), *defined.values()]
    shown.sort(key=lambda one: (one.kind is not AttributeKind.STANDARD, one.key))
    found = []
    for attribute in shown:
        level, sources = layered(
            attribute.rule(), own.get(attribute.key, ()), provided.get(attribute.key, ())
        )
        paths = [path for source in sources for path in paths_in(source)]
        found.append(MappedAttribute(attribute, level, sources, coverage_of(attribute.key, paths)))
    return found


def _standard(key: str) -> DefinedAttribute:
    return DefinedAttribute(
        key, AttributeKind.STANDARD, AttributeType(STANDARD[key].type), description=STANDARD[key].description
    )


def _is_stored(one: MappedAttribute) -> bool:
    return one.attribute.kind is not AttributeKind.STANDARD or one.level is not Level.BUILT_IN
