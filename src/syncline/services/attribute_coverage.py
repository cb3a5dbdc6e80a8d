"""How many of a directory's people have each attribute, and a few values of it.

What maps made of people is stored with them and counted over everybody. Standard attributes that no map
touches are not stored: they are read from the documents, of very many people from some of them. Examples come
from a few people all over the directory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field

from syncline.core.attribute_paths import is_blank
from syncline.core.attributes import product_attributes
from syncline.core.json import Json
from syncline.core.model import Scope
from syncline.core.observed import ObservedPath, is_personal
from syncline.services.kernel import Kernel
from syncline.services.observed_attributes import MOST_PEOPLE, stretches
from syncline.store import attributes as store
from syncline.store.attributes import Outcome, ShownPerson
from syncline.store.database import Connection

_BATCH = 2_000
_DOCUMENTS = 500
_WITHOUT = 10
_WITH_EXAMPLES = 1_000


@dataclass(slots=True)
class Coverage:
    """How many of the people that were examined have a value.

    `without` are some of those who have none, by directory user id. `seen` has values of `sampled` people.
    """

    seen: ObservedPath
    people: int = 0
    examined: int = 0
    filled: int = 0
    without: list[str] = field(default_factory=list)
    sampled: int = 0

    def samples(self, *, masked: bool) -> list[str]:
        """Return up to three values; masked unless many people share them and they are about nobody."""
        return self.seen.samples(self.sampled, masked=masked)


def coverage_of(key: str, paths: Collection[str]) -> Coverage:
    """Return an empty count of an attribute, whose values may come from some paths."""
    # A value is about one person if the attribute or any of its sources says so.
    telling = next((path for path in (key, *paths) if is_personal(path)), key)
    return Coverage(ObservedPath(telling, key))


class CoverageCount:
    """Counts over the people of directories."""

    def __init__(self, kernel: Kernel, most_people: int = MOST_PEOPLE, stretch: int = _DOCUMENTS) -> None:
        """Documents of at most `most_people` are read, of more in stretches of so many."""
        self._kernel = kernel
        self._most = most_people
        self._stretch = stretch

    async def fill(
        self, scope: Scope, stored: Mapping[str, Coverage], derived: Mapping[str, Coverage]
    ) -> None:
        """Count attributes by key: those that are stored with people, and those read from documents."""
        people = await self._kernel.database.read(lambda connection: store.people_shown(connection, scope))
        await self._count_stored(scope, stored)
        every = max(1, min(people, self._most) // _WITH_EXAMPLES)
        examined = 0
        async for found in self._documents(scope, people):
            for person in found:
                shown = product_attributes(person.document, person.mapped, person.id)
                for key, coverage in derived.items():
                    _count(coverage, person.directory_user_id, is_filled=not is_blank(shown.get(key)))
                if examined % every == 0:
                    for key, coverage in (*stored.items(), *derived.items()):
                        _show(coverage, shown.get(key))
                examined += 1
        for coverage in derived.values():
            coverage.people = max(people, examined)

    async def _count_stored(self, scope: Scope, stored: Mapping[str, Coverage]) -> None:
        after = ""
        while stored:

            def work(connection: Connection, after: str = after) -> list[Outcome]:
                return store.outcomes(connection, scope, after, _BATCH)

            found = await self._kernel.database.read(work)
            for _, shown_id, mapped in found:
                held = {} if mapped is None else {**mapped.standard, **mapped.custom}
                for key, coverage in stored.items():
                    coverage.people += 1
                    _count(coverage, shown_id, is_filled=not is_blank(held.get(key)))
            if len(found) < _BATCH:
                return
            after = found[-1][0]

    async def _id_before(self, scope: Scope, offset: int) -> str:
        if not offset:
            return ""
        return await self._kernel.database.read(lambda connection: store.id_before(connection, scope, offset))

    async def _documents(self, scope: Scope, people: int) -> AsyncIterator[list[ShownPerson]]:
        """Walk over everybody, or over stretches of very many people, with their documents."""
        for offset, length in stretches(people, self._most, self._stretch):
            after = await self._id_before(scope, offset)
            while length > 0:
                limit = min(_DOCUMENTS, length)

                def work(connection: Connection, after: str = after, limit: int = limit) -> list[ShownPerson]:
                    return store.shown_people(connection, scope, after, limit)

                found = await self._kernel.database.read(work)
                yield found
                if len(found) < limit:
                    break
                after = found[-1].id
                length -= limit


def _count(coverage: Coverage, shown_id: str, *, is_filled: bool) -> None:
    coverage.examined += 1
    if is_filled:
        coverage.filled += 1
    elif len(coverage.without) < _WITHOUT:
        coverage.without.append(shown_id)


def _show(coverage: Coverage, value: Json) -> None:
    coverage.sampled += 1
    if not is_blank(value):
        coverage.seen.see(value)
