"""The event log as apps read it: oldest first, with cursors that never skip anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from syncline.core.envelope import envelope
from syncline.core.errors import BadRequest, CursorExpired, FieldError, ValidationFailed
from syncline.core.events import CATALOG, is_known_type
from syncline.core.ids import Prefix, is_id
from syncline.core.paging import DEFAULT_LIMIT, Order
from syncline.services.kernel import Kernel
from syncline.store import log
from syncline.store.database import Connection
from syncline.store.log import LogFilter


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events are wanted. `after` and `before` are event ids, the range is of `created_at`."""

    types: Sequence[str] = ()
    organization_id: str | None = None
    # Inclusive and exclusive.
    range_start: datetime | None = None
    range_end: datetime | None = None
    limit: int = DEFAULT_LIMIT
    order: Order = Order.ASC
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Envelopes in list order. `cursor` is the id of the last event that was looked at, matching or not."""

    items: Sequence[bytes]
    before: str | None
    after: str | None
    cursor: str | None


class Events:
    """The sealed events of environments."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def list(self, environment_id: str, query: EventQuery) -> EventPage:
        """Return a page of events; never an empty one while a matching event lies ahead.

        Raises `BadRequest` for a cursor this environment never had, `CursorExpired` for one behind
        retention, and `ValidationFailed` for types that exist nowhere.
        """
        _check_types(query.types)
        # `normal` is newest first with the cursors swapped; the answer's cursors are swapped back.
        if query.order is Order.NORMAL:
            turned = replace(query, order=Order.DESC, after=query.before, before=query.after)
            page = await self.list(environment_id, turned)
            return replace(page, before=page.after, after=page.before)
        return await self._kernel.database.read(
            lambda connection: _Reading(connection, environment_id, query).page()
        )


class _Reading:
    """One page being read: the bounds as positions, and the head at the beginning.

    Everything up to the head is final, so what lies beyond it belongs to a later page.
    """

    def __init__(self, connection: Connection, environment_id: str, query: EventQuery) -> None:
        self._connection = connection
        self._environment = environment_id
        self._query = query
        self._ascending = query.order is Order.ASC
        self._after = self._position(query.after)
        self._before = self._position(query.before)
        self._head = log.head(connection, environment_id).position
        self._wanted = LogFilter(
            types=tuple(dict.fromkeys(query.types)),
            # Types of ours are for those who ask for them: the vendor's SDKs do not know them.
            without_own=not query.types,
            organization_id=query.organization_id,
            recorded_from=query.range_start,
            recorded_before=query.range_end,
        )

    def page(self) -> EventPage:
        """Read the page. Raises `CursorExpired` if retention overtook the cursor while it was read."""
        if not self._can_match():
            return EventPage([], None, None, self._last_examined([], more=False))
        if self._before is not None and self._after is None:
            rows, before, after = self._backwards()
        else:
            rows, before, after = self._forwards()
        self._check_not_overtaken()
        return EventPage(
            [_envelope(row) for row in rows],
            before=rows[0].event_id if before else None,
            after=rows[-1].event_id if after else None,
            cursor=self._last_examined(rows, more=after),
        )

    def _forwards(self) -> tuple[list[Any], bool, bool]:
        """Return the rows after `after` in list order, and whether there are any before and after them."""
        limit = self._query.limit
        found = self._read(self._after, self._before, limit + 1)
        rows = found[:limit]
        earlier = bool(rows) and self._after is not None
        earlier = earlier and bool(self._read(self._before, rows[0].position, 1))
        return rows, earlier, len(found) > limit

    def _backwards(self) -> tuple[list[Any], bool, bool]:
        """Return the rows nearest to `before`, in list order."""
        limit = self._query.limit
        found = self._read(None, self._before, limit + 1, reverse=True)
        rows = found[:limit][::-1]
        later = bool(rows) and bool(self._read(rows[-1].position, None, 1))
        return rows, len(found) > limit, later

    def _read(self, start: int | None, end: int | None, limit: int, *, reverse: bool = False) -> list[Any]:
        """Return rows between two positions of the list, both excluded, in list order or its reverse."""
        low, high = (start, end) if self._ascending else (end, start)
        wanted = replace(
            self._wanted,
            after=low or 0,
            before=self._head + 1 if high is None else min(high, self._head + 1),
        )
        newest_first = self._ascending is reverse
        return log.read(self._connection, self._environment, wanted, limit, newest_first=newest_first)

    def _position(self, event_id: str | None) -> int | None:
        """Return the position of a cursor. Raises `BadRequest` and `CursorExpired`."""
        if event_id is None:
            return None
        position = None
        if is_id(Prefix.EVENT, event_id):
            position = log.position_of(self._connection, self._environment, event_id)
        if position is None:
            self._refuse(event_id)
        return position

    def _refuse(self, event_id: str) -> None:
        """Tell a cursor behind retention from one that never was: ids sort like positions."""
        if is_id(Prefix.EVENT, event_id):
            head = log.head(self._connection, self._environment)
            oldest = self._oldest()
            was_removed = head.trimmed_position > 0 and log.event_ms(event_id) <= head.trimmed_event_ms
            if was_removed and (oldest is None or event_id < oldest):
                raise CursorExpired(oldest)
        raise BadRequest("The cursor is not the id of an event.", code="cursor_unknown")

    def _check_not_overtaken(self) -> None:
        lowest = self._after if self._ascending else self._before
        head = log.head(self._connection, self._environment)
        if lowest is not None and head.trimmed_position > lowest:
            raise CursorExpired(self._oldest())

    def _last_examined(self, rows: Sequence[Any], *, more: bool) -> str | None:
        """Return the id to go on from: with `more` to come that of the last row, else the end reached."""
        if rows and (more or not self._ascending):
            return str(rows[-1].event_id)
        if not self._ascending:
            return self._query.after
        end = self._head if self._before is None else min(self._head, self._before - 1)
        if end <= (self._after or 0):
            return self._query.after
        reached = log.read(self._connection, self._environment, LogFilter(after=end - 1), 1)
        return str(reached[0].event_id) if reached and reached[0].position == end else self._query.after

    def _oldest(self) -> str | None:
        rows = log.read(self._connection, self._environment, LogFilter(), 1)
        return str(rows[0].event_id) if rows else None

    def _can_match(self) -> bool:
        types = self._query.types
        # PostgreSQL cannot even compare with NUL, and no id holds it.
        return "\x00" not in (self._query.organization_id or "") and (
            not types or any(type_ in CATALOG for type_ in types)
        )


def _envelope(row: Any) -> bytes:
    return envelope(
        row.event_id, row.type, row.body, row.recorded_at, row.actor, row.position, row.directory_sequence
    )


def _check_types(types: Sequence[str]) -> None:
    unknown = [type_ for type_ in types if not is_known_type(type_)]
    if unknown:
        raise ValidationFailed([FieldError("events", "events_unknown")])
