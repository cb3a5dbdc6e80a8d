"""Who has no value of an attribute that everybody should have, page by page.

What is missing is stored with people, among all else that maps made of them. A page looks at a bounded number
of people: where few miss something it may hold fewer than asked for, and still name where to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from syncline.core.attribute_map import AttributeKind
from syncline.core.attribute_paths import is_blank
from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.events import user_body
from syncline.core.ids import Prefix
from syncline.core.model import Scope
from syncline.core.paging import Order, Page, PageRequest, Span
from syncline.services.attribute_maps import definitions_of
from syncline.services.kernel import Kernel
from syncline.services.tokens import present
from syncline.store import attributes as store
from syncline.store import product_reads
from syncline.store.database import Connection

MOST_PEOPLE = 5_000
"""So many people are looked at for one page."""

_BATCH = 500


@dataclass(frozen=True, slots=True)
class AttributeGap:
    """A person of the product view, and the attributes of which they have no value."""

    directory_user_id: str
    email: str | None
    name: str | None
    state: str
    missing: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Found:
    """Somebody who misses something; with nothing missing the place where looking ended."""

    id: str
    missing: Sequence[str] = ()


class AttributeGaps:
    """People of directories whose attributes are incomplete."""

    def __init__(self, kernel: Kernel, most_people: int = MOST_PEOPLE) -> None:
        self._kernel = kernel
        self._most = most_people

    async def list(
        self, environment_id: str, directory_id: str, attribute: str | None, page: PageRequest
    ) -> Page[AttributeGap]:
        """Return people who have no value of an attribute that the environment defines.

        Without one: of any that is required. Raises `NotFound` for the directory, and `ValidationFailed` for
        an attribute that is not defined or a malformed cursor.
        """
        page = page.of(Prefix.DIRECTORY_USER)

        def work(connection: Connection) -> Page[AttributeGap]:
            directory = present(connection, environment_id, directory_id)
            keys = _keys(connection, environment_id, attribute)
            if not keys:
                return Page([])
            found = _without_marks(
                page, page.read(lambda span: self._scan(connection, directory.scope, keys, span), _id)
            )
            ids = [one.id for one in found.items]
            people = {
                str(record.directory_user_id): user_body(home, record)
                for record, home in product_reads.users_by_id(connection, environment_id, ids)
            }
            gaps = [
                AttributeGap(one.id, shown.email, shown.name, shown.state, one.missing)
                for one in found.items
                for shown in (people[one.id],)
            ]
            return Page(gaps, found.before, found.after)

        return await self._kernel.database.snapshot(work)

    def _scan(
        self, connection: Connection, scope: Scope, keys: Sequence[str], span: Span
    ) -> Sequence[_Found]:
        """Return up to `span.limit` people; the last may be the mark of where looking ended early."""
        found: list[_Found] = []
        left = self._most
        while True:
            asked = min(_BATCH, left)
            people = store.outcomes_within(connection, scope, replace(span, limit=asked))
            for id_, mapped in people:
                held = {} if mapped is None else mapped.custom
                missing = [key for key in keys if is_blank(held.get(key))]
                if missing:
                    found.append(_Found(id_, missing))
                if len(found) == span.limit:
                    return found
            left -= len(people)
            if len(people) < asked:
                return found
            last = people[-1][0]
            if left <= 0:
                return [*found, _Found(last)]
            span = replace(span, below=last) if span.descending else replace(span, above=last)


def _keys(connection: Connection, environment_id: str, attribute: str | None) -> Sequence[str]:
    defined = {
        key: one
        for key, one in definitions_of(connection, environment_id).items()
        if one.kind is not AttributeKind.STANDARD
    }
    if attribute is None:
        return [key for key, one in defined.items() if one.required]
    if attribute not in defined:
        raise ValidationFailed(
            [FieldError("attribute", "attribute_unknown")], "The environment defines no such attribute."
        )
    return [attribute]


def _without_marks(asked: PageRequest, page: Page[_Found]) -> Page[_Found]:
    """Return a page without the mark of where looking ended, which becomes the cursor on that side."""
    marks = [one for one in page.items if not one.missing]
    if not marks:
        return page
    people = [one for one in page.items if one.missing]
    turned = asked.order is Order.NORMAL
    before, after = (asked.after, asked.before) if turned else (asked.before, asked.after)
    at_start = before is not None and after is None
    if at_start is not turned:
        return Page(people, marks[0].id, page.after)
    return Page(people, page.before, marks[0].id)


def _id(found: _Found) -> str:
    return found.id
