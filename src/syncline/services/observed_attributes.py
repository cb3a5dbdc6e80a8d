"""What a directory's provider really sends, for whoever chooses the sources of attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from syncline.core.model import Document, Scope
from syncline.core.observed import ObservedPath, ObservedSchema
from syncline.services.kernel import Kernel
from syncline.services.tokens import present
from syncline.store import attributes as store
from syncline.store.database import Connection

MOST_PEOPLE = 10_000
"""So many people are looked at; of more, stretches of equal length all over the directory."""

_BATCH = 500
_Bodies: TypeAlias = list[tuple[str, Document]]


@dataclass(frozen=True, slots=True)
class Observed:
    """What was found: `examined` of `people`; `is_cut` where there were more paths than are kept."""

    directory_id: str
    people: int
    examined: int
    is_cut: bool
    paths: list[ObservedPath]


class ObservedAttributes:
    """Looks at what people's providers sent."""

    def __init__(self, kernel: Kernel, most_people: int = MOST_PEOPLE, stretch: int = _BATCH) -> None:
        """Of more than `most_people`, so many are looked at, in stretches of so many."""
        self._kernel = kernel
        self._most = most_people
        self._stretch = stretch

    async def get(self, environment_id: str, directory_id: str) -> Observed:
        """Return the paths that a directory's people have, in bounded memory. Raises `NotFound`."""

        def begin(connection: Connection) -> tuple[Scope, int]:
            directory = present(connection, environment_id, directory_id)
            return directory.scope, store.people_shown(connection, directory.scope)

        scope, people = await self._kernel.database.read(begin)
        schema = ObservedSchema()
        for offset, length in stretches(people, self._most, self._stretch):
            await self._look(scope, schema, offset, length)
        return Observed(directory_id, people, schema.people, schema.is_cut, schema.paths())

    async def _look(self, scope: Scope, schema: ObservedSchema, offset: int, length: int) -> None:
        after = ""
        if offset:
            after = await self._kernel.database.read(
                lambda connection: store.id_before(connection, scope, offset)
            )
        while length > 0:
            limit = min(_BATCH, length)

            def work(connection: Connection, after: str = after, limit: int = limit) -> _Bodies:
                return store.bodies(connection, scope, after, limit)

            found = await self._kernel.database.read(work)
            for _, body in found:
                schema.add(body)
            if len(found) < limit:
                return
            after = found[-1][0]
            length -= limit


def stretches(people: int, most: int, length: int) -> Iterator[tuple[int, int]]:
    """Yield offset and length of what is looked at: everybody, or stretches that are spread evenly."""
    if people <= most:
        yield 0, most
        return
    count = max(1, most // length)
    for number in range(count):
        yield people * number // count, most // count
