"""Rows of a roster while they are compared, and the people of a directory that they may mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, func, insert, or_, select, update

from syncline.core.ids import bare
from syncline.core.model import Scope, UserRecord
from syncline.core.reconcile import email_key, id_key, idp_key, key_of
from syncline.core.rosters import RosterRow
from syncline.core.text import index_key
from syncline.store import tables as t
from syncline.store.prepared import Prepared, insert_columns
from syncline.store.reconciliations import Reconciliation
from syncline.store.rows import user_of
from syncline.store.types import among

_rows, _users, _log = t.reconciliation_rows.c, t.directory_users.c, t.event_log.c
_found = t.reconciliation_findings.c.directory_user_id
_encode = msgspec.json.Encoder().encode
_insert = Prepared(insert(t.reconciliation_rows), insert_columns(t.reconciliation_rows))
# What people are searched by is large, and nobody reads it here.
_person = [column for column in t.directory_users.columns if column.name != "search"]
_row = msgspec.json.Decoder(RosterRow).decode
_of = bindparam("of", type_=Text())
_beyond = (
    select(_rows.key, _rows.body, _rows.past)
    .where(_rows.reconciliation_id == _of, _rows.number > bindparam("after", type_=BigInteger()))
    .order_by(_rows.number)
    .limit(bindparam("most", type_=BigInteger()))
)
_read, _read_pending = Prepared(_beyond), Prepared(_beyond.where(_rows.pending.is_(True)))
_counted = Prepared(
    select(
        _rows.key,
        func.count().label("rows"),
        func.min(_rows.number).label("first"),
        func.max(_rows.number).label("last"),
    )
    .where(_rows.reconciliation_id == _of, among(_rows.key, "keys"))
    .group_by(_rows.key)
)
_numbered = Prepared(
    select(_rows.number, _rows.body).where(
        _rows.reconciliation_id == _of, among(_rows.number, "numbers", BigInteger())
    )
)
_people = Prepared(
    select(*_person)
    .where(
        _users.directory_id == bindparam("directory", type_=Text()),
        _users.directory_user_id.is_not(None),
        _users.deleted_at.is_(None),
        _users.id > bindparam("after", type_=Text()),
    )
    .order_by(_users.id)
    .limit(bindparam("most", type_=BigInteger()))
)


@dataclass(frozen=True, slots=True)
class Past:
    """The event with which somebody left whom a row means; `candidates` if it may be several people."""

    position: int
    directory_user_id: str
    idp_id: str
    email: str | None
    candidates: tuple[str, ...] = ()


_past = msgspec.json.Decoder(Past).decode


class StagedRow(NamedTuple):
    """A row of the roster, its key, and what is known of who left."""

    key: str
    row: RosterRow
    past: Past | None


class KeyCount(NamedTuple):
    """How many rows have a key, and the first and last of their numbers."""

    rows: int
    first: int
    last: int


class Gone(NamedTuple):
    """An event with which somebody left: its place in the log and whom it is about."""

    position: int
    body: str


def stage(connection: Connection, of: Reconciliation, rows: Sequence[RosterRow]) -> None:
    """Insert rows under the numbers of their lines; those that had these numbers before are replaced."""
    if not rows:
        return
    belongs = _rows.reconciliation_id == of.id
    numbers = [row.line for row in rows]
    connection.execute(
        delete(t.reconciliation_rows).where(belongs, _rows.number >= numbers[0], _rows.number <= numbers[-1])
    )
    _insert.run(
        connection,
        [
            {
                "environment_id": of.environment_id,
                "directory_id": of.directory_id,
                "reconciliation_id": of.id,
                "number": row.line,
                "key": key_of(row),
                "idp_id_key": index_key(row.idp_id, folded=False) if row.idp_id else None,
                "email_key": index_key(row.email) if row.email else None,
                "body": _encode(row).decode(),
                "pending": False,
                "past": None,
            }
            for row in rows
        ],
    )


def extent(connection: Connection, reconciliation_id: str) -> tuple[int, int]:
    """Return how many rows are there, and the highest number."""
    found = connection.execute(
        select(func.count(), func.coalesce(func.max(_rows.number), 0)).where(
            _rows.reconciliation_id == reconciliation_id
        )
    ).one()
    return int(found[0]), int(found[1])


def clear(connection: Connection, reconciliation_id: str, limit: int) -> int:
    """Delete the first rows, about `limit` of them, and return how many."""
    belongs = _rows.reconciliation_id == reconciliation_id
    numbers = select(_rows.number).where(belongs).order_by(_rows.number).limit(limit).subquery()
    last = connection.execute(select(func.max(numbers.c.number))).scalar_one()
    if last is None:
        return 0
    return connection.execute(delete(t.reconciliation_rows).where(belongs, _rows.number <= last)).rowcount


def read(
    connection: Connection, reconciliation_id: str, after: int, limit: int, *, pending: bool = False
) -> list[StagedRow]:
    """Return rows beyond a number, in order; with `pending` only those that mean nobody in the view."""
    given = {"of": reconciliation_id, "after": after, "most": limit}
    return [
        StagedRow(row.key, _row(row.body), None if row.past is None else _past(row.past))
        for row in (_read_pending if pending else _read).all(connection, given)
    ]


def mark_pending(connection: Connection, reconciliation_id: str, numbers: Sequence[int]) -> None:
    """Note that rows mean nobody who is in the product view."""
    connection.execute(
        update(t.reconciliation_rows)
        .where(_rows.reconciliation_id == reconciliation_id, among(_rows.number, "numbers", BigInteger()))
        .values(pending=True),
        {"numbers": list(numbers)},
    )


def count_keys(connection: Connection, reconciliation_id: str, keys: Collection[str]) -> dict[str, KeyCount]:
    """Return which of these keys rows have, and how many."""
    found = _counted.all(connection, {"of": reconciliation_id, "keys": sorted(keys)})
    return {key: KeyCount(rows, first, last) for key, rows, first, last in found}


def by_number(
    connection: Connection, reconciliation_id: str, numbers: Collection[int]
) -> dict[int, RosterRow]:
    """Return rows by their numbers."""
    found = _numbered.all(connection, {"of": reconciliation_id, "numbers": sorted(numbers)})
    return {row.number: _row(row.body) for row in found}


def pending_keys(
    connection: Connection, reconciliation_id: str, keys: Collection[str]
) -> dict[str, Past | None]:
    """Return which of these keys pending rows have, and what is known of who left."""
    statement = (
        select(_rows.key, func.max(_rows.past))
        .where(
            _rows.reconciliation_id == reconciliation_id,
            _rows.pending.is_(True),
            among(_rows.key, "keys"),
        )
        .group_by(_rows.key)
    )
    found = connection.execute(statement, {"keys": sorted(keys)})
    return {key: None if past is None else _past(past) for key, past in found}


def note_past(connection: Connection, reconciliation_id: str, found: Mapping[str, Past]) -> None:
    """Note who left, by the keys of the rows that mean them."""
    if found:
        statement = update(t.reconciliation_rows).where(
            _rows.reconciliation_id == reconciliation_id, _rows.key == bindparam("of_key")
        )
        connection.execute(
            statement.values(past=bindparam("known")),
            [{"of_key": key, "known": _encode(past).decode()} for key, past in sorted(found.items())],
        )


def candidates(connection: Connection, scope: Scope, keys: Collection[str]) -> dict[str, list[str]]:
    """Return who is in the product view under each key, by their ids there."""
    shown = _users.directory_user_id.is_not(None) & _users.deleted_at.is_(None)
    return _people_under(connection, scope, keys, shown, _users.directory_user_id)


def former(connection: Connection, scope: Scope, keys: Collection[str]) -> dict[str, list[str]]:
    """Return the SCIM ids of people under each key who are there or were deleted, in the view or not."""
    return _people_under(connection, scope, keys, _users.id.is_not(None), _users.id, first_ids=True)


def _people_under(
    connection: Connection,
    scope: Scope,
    keys: Collection[str],
    which: Any,
    value: Any,
    *,
    first_ids: bool = False,
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    id_column = _users.id if first_ids else _users.directory_user_id
    for mark, column, key in (
        ("i:", id_column, id_key),
        ("x:", _users.idp_id_key, idp_key),
        ("e:", _users.email_key, email_key),
    ):
        given = sorted(key_[2:] for key_ in keys if key_.startswith(mark))
        if not given:
            continue
        by_column = {bare(text): text for text in given} if first_ids and mark == "i:" else {}
        # Sorted here: asked for in the order of ids, SQLite walks through the whole directory.
        statement = select(column, value).where(
            _users.directory_id == scope.directory_id, which, among(column, "given")
        )
        people = connection.execute(statement, {"given": list(by_column) or given}).all()
        for text, one in sorted(people, key=itemgetter(1)):
            found[key(by_column.get(text, text))].append(one)
    return found


def count_people(connection: Connection, scope: Scope) -> int:
    """Return how many people a directory shows."""
    return int(
        connection.execute(
            select(func.count()).where(
                _users.directory_id == scope.directory_id,
                _users.directory_user_id.is_not(None),
                _users.deleted_at.is_(None),
            )
        ).scalar_one()
    )


def people(
    connection: Connection, scope: Scope, after: str, limit: int
) -> list[tuple[UserRecord, str, str | None]]:
    """Return people of the view beyond a SCIM id, each with the index keys of provider's id and address."""
    found = _people.all(connection, {"directory": scope.directory_id, "after": after, "most": limit})
    return [(user_of(row), row.idp_id_key, row.email_key) for row in found]


def people_by_id(connection: Connection, scope: Scope, ids: Collection[str]) -> dict[str, UserRecord]:
    """Return people of the directory by their SCIM ids, also those who were deleted."""
    statement = select(*_person).where(_users.directory_id == scope.directory_id, among(_users.id, "ids"))
    return {row.id: user_of(row) for row in connection.execute(statement, {"ids": sorted(ids)})}


def shown_by_id(connection: Connection, scope: Scope, ids: Collection[str]) -> dict[str, UserRecord]:
    """Return people of the view by their ids there."""
    statement = select(*_person).where(
        _users.directory_id == scope.directory_id,
        _users.deleted_at.is_(None),
        among(_users.directory_user_id, "ids"),
    )
    found = (user_of(row) for row in connection.execute(statement, {"ids": sorted(ids)}))
    return {str(record.directory_user_id): record for record in found}


def departures(connection: Connection, scope: Scope, after: int, limit: int) -> tuple[list[Gone], int | None]:
    """Return events with which people left the directory, beyond a position, and where to go on, or None."""
    rows = connection.execute(
        select(_log.position, _log.directory_id, _log.body)
        .where(
            _log.environment_id == scope.environment_id,
            _log.type == "dsync.user.deleted",
            _log.position > after,
        )
        .order_by(_log.position)
        .limit(limit)
    ).all()
    found = [Gone(row.position, row.body) for row in rows if row.directory_id == scope.directory_id]
    return found, rows[-1].position if len(rows) == limit else None


def departure_bodies(connection: Connection, scope: Scope, positions: Collection[int]) -> dict[int, str]:
    """Return the bodies of events of the directory by their positions."""
    statement = select(_log.position, _log.body).where(
        _log.environment_id == scope.environment_id,
        _log.directory_id == scope.directory_id,
        among(_log.position, "positions", BigInteger()),
    )
    rows = connection.execute(statement, {"positions": sorted(positions)})
    return {row.position: row.body for row in rows}


def forget(
    connection: Connection,
    directory_id: str,
    user_ids: Collection[str],
    idp_ids: Collection[str],
    names: Collection[str],
) -> None:
    """Delete what is kept of a person: rows of rosters that name them, and findings about them."""
    given = {
        "ids": sorted(user_ids),
        "idps": [index_key(text, folded=False) for text in sorted(idp_ids)],
        "names": [index_key(text) for text in sorted(names)],
    }
    for table, ids_in in ((t.reconciliation_rows, _rows.key), (t.reconciliation_findings, _found)):
        keys = sorted(map(id_key, user_ids)) if table is t.reconciliation_rows else given["ids"]
        connection.execute(
            delete(table).where(
                table.c.directory_id == directory_id,
                or_(
                    among(ids_in, "ids"),
                    among(table.c.idp_id_key, "idps"),
                    among(table.c.email_key, "names"),
                ),
            ),
            {**given, "ids": keys},
        )
