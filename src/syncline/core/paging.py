"""Pages of lists that are ordered by id: what a request's cursors mean, and which cursors an answer names.

Ids carry the time of creation, so a cursor is a position even when its item is gone (`api.md` §1.3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.ids import Prefix, is_id

T = TypeVar("T")
U = TypeVar("U")

DEFAULT_LIMIT = 10
MAX_LIMIT = 100


class Order(StrEnum):
    """How a list is sorted. `normal` is newest first too, with the meaning of the cursors swapped."""

    ASC = "asc"
    DESC = "desc"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of ids to read: between two ids that are excluded, from one of its ends."""

    limit: int
    above: str | None = None
    below: str | None = None
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Items in list order; `before` and `after` are the first and last id if more lies beyond them."""

    items: Sequence[T]
    before: str | None = None
    after: str | None = None

    def map(self, shown: Callable[[T], U]) -> Page[U]:
        """Return the page with every item turned into something else."""
        return Page([shown(item) for item in self.items], self.before, self.after)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of a list is wanted. Cursors are excluded; both together bound a window."""

    limit: int = DEFAULT_LIMIT
    order: Order = Order.DESC
    after: str | None = None
    before: str | None = None

    def of(self, prefix: Prefix) -> PageRequest:
        """Return the request once its cursors are ids of that kind. Raises `ValidationFailed`."""
        wrong = [
            FieldError(name, f"{name}_invalid")
            for name, cursor in (("after", self.after), ("before", self.before))
            if cursor is not None and not is_id(prefix, cursor)
        ]
        if wrong:
            raise ValidationFailed(wrong)
        return self

    def read(self, fetch: Callable[[Span], Sequence[T]], key: Callable[[T], str]) -> Page[T]:
        """Return the page; `fetch` reads up to `span.limit` items of a span, `key` is an item's id."""
        if self.order is Order.NORMAL:
            turned = replace(self, order=Order.DESC, after=self.before, before=self.after)
            page = turned.read(fetch, key)
            return Page(page.items, before=page.after, after=page.before)
        if self.before is not None and self.after is None:
            return self._backwards(fetch, key)
        found = list(fetch(self._span(self.after, self.before, self.limit + 1)))
        items = found[: self.limit]
        after = key(items[-1]) if len(found) > self.limit else None
        before = None
        # Without `after` the page starts where the list does.
        if items and self.after is not None and fetch(self._span(self.before, key(items[0]), 1)):
            before = key(items[0])
        return Page(items, before, after)

    def _backwards(self, fetch: Callable[[Span], Sequence[T]], key: Callable[[T], str]) -> Page[T]:
        """Return the items nearest to `before`, which are read from it and turned round."""
        span = self._span(None, self.before, self.limit + 1)
        found = list(fetch(replace(span, descending=not span.descending)))
        items = found[: self.limit][::-1]
        if not items:
            return Page(items)
        later = fetch(self._span(key(items[-1]), None, 1))
        return Page(
            items,
            before=key(items[0]) if len(found) > self.limit else None,
            after=key(items[-1]) if later else None,
        )

    def _span(self, start: str | None, end: str | None, limit: int) -> Span:
        """Return the stretch of the list after `start` and before `end`."""
        if self.order is Order.ASC:
            return Span(limit, above=start, below=end, descending=False)
        return Span(limit, above=end, below=start, descending=True)
