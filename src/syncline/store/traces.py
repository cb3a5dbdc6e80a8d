"""Everything that tells who a person was: found by their rows and events, and removed step by step.

A step may be repeated: it changes, and counts, only what is still there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, Select, bindparam, delete, or_, select, tuple_, update

from syncline.core.attributes import email, idp_id
from syncline.core.ids import Prefix, bare, make_id
from syncline.core.tombstone import MARK, person_in, tombstone
from syncline.store import tables as t
from syncline.store.history import of_environment
from syncline.store.jsontext import dump, load
from syncline.store.rows import exact_key
from syncline.store.types import among

SCAN = 1_000
ENDPOINTS = 100
TABLES = (
    "directory_users",
    "memberships",
    "pending_memberships",
    "past_memberships",
    "past_people",
    "event_inbox",
    "event_log",
    "delivery_attempts",
    "parked_deliveries",
    "idempotency_keys",
    "reconciliation_rows",
    "reconciliation_findings",
)
"""The tables that a person leaves traces in."""

_users, _log, _inbox = t.directory_users.c, t.event_log.c, t.event_inbox.c
_attempts, _parked, _pending = t.delivery_attempts.c, t.parked_deliveries.c, t.pending_memberships.c
_endpoints = t.webhook_endpoints.c


@dataclass(frozen=True, slots=True)
class Person:
    """A person of one directory: every row and id they have had, and what they can be recognized by.

    `rows` are SCIM ids, `live` those of them that are not deleted, alone or with the whole directory; `names`
    are user names and addresses.
    """

    environment_id: str
    directory_id: str
    rows: frozenset[str]
    live: frozenset[str]
    user_ids: frozenset[str]
    idp_ids: frozenset[str]
    names: frozenset[str]


def find(connection: Connection, environment_id: str, directory_user_id: str) -> Person | None:
    """Return the person who has or had an id in the product view, by the rows or the events that are left."""
    for condition in (_users.directory_user_id == directory_user_id, _users.id == bare(directory_user_id)):
        row = connection.execute(
            select(_users.directory_id, _users.idp_id_key)
            .where(_users.environment_id == environment_id, condition)
            .limit(1)
        ).one_or_none()
        if row is not None:
            return person(connection, environment_id, row.directory_id, {directory_user_id}, {row.idp_id_key})
    for table in (t.event_log, t.event_inbox):
        c = table.c
        told = (
            select(c.environment_id, c.directory_id, c.body)
            .where(c.user_id == directory_user_id, c.body.not_like(f'%"{MARK}":true%'))
            .limit(1)
        )
        last = connection.execute(of_environment(told, environment_id)).one_or_none()
        seen = None if last is None else person_in(last.body)
        if last is not None and seen is not None and not seen.erased:
            found = person(
                connection, environment_id, last.directory_id, {directory_user_id}, {exact_key(seen.idp_id)}
            )
            return replace(found, idp_ids=found.idp_ids | {seen.idp_id})
    return None


def known(
    connection: Connection, environment_id: str, directory_id: str, user_ids: Collection[str]
) -> Person:
    """Return a person by ids of theirs that were written down, as far as rows are left."""
    keys = connection.execute(
        select(_users.idp_id_key).where(
            _users.directory_id == directory_id,
            or_(among(_users.id, "rows"), among(_users.directory_user_id, "ids")),
        ),
        {"rows": [bare(id_) for id_ in user_ids], "ids": sorted(user_ids)},
    ).scalars()
    return person(connection, environment_id, directory_id, user_ids, set(keys))


def person(
    connection: Connection,
    environment_id: str,
    directory_id: str,
    user_ids: Collection[str],
    idp_keys: Collection[str],
) -> Person:
    """Return a person with every row of theirs: those of the same id at the provider, and where the provider
    sends none, those of the same user name.
    """
    rows = _rows(connection, directory_id, among(_users.idp_id_key, "keys"), idp_keys)
    unnamed = {row.user_name_key for row in rows if row.external_id_key is None}
    if unnamed:
        same = among(_users.user_name_key, "keys") & _users.external_id_key.is_(None)
        rows = [*rows, *_rows(connection, directory_id, same, unnamed)]
    documents = [(row, load(row.document)) for row in rows]
    here = t.directories.c
    is_there = select(here.id).where(here.id == directory_id, here.deleted_at.is_(None))
    live = rows if connection.execute(is_there).one_or_none() is not None else []
    ids = {make_id(Prefix.DIRECTORY_USER, row.id) for row in rows}
    ids |= {row.directory_user_id for row in rows if row.directory_user_id is not None}
    names = {name for _, document in documents for name in (document.get("userName"), email(document))}
    return Person(
        environment_id=environment_id,
        directory_id=directory_id,
        rows=frozenset(row.id for row in rows),
        live=frozenset(row.id for row in live if row.deleted_at is None),
        user_ids=frozenset(ids | set(user_ids)),
        idp_ids=frozenset(idp_id(document, row.id) for row, document in documents),
        names=frozenset(name for name in names if isinstance(name, str) and name),
    )


def _rows(connection: Connection, directory_id: str, which: Any, keys: Collection[str]) -> list[Row[Any]]:
    statement = select(t.directory_users).where(_users.directory_id == directory_id, which)
    return list(connection.execute(statement, {"keys": sorted(keys)}).all())


def discover(connection: Connection, who: Person, after: int) -> tuple[frozenset[str], int | None]:
    """Return ids of the person that nobody knew of, from the next `SCAN` events of the directory.

    With them comes the sequence to go on behind, None at the end; what is not sealed yet is looked at there.
    """
    rows = connection.execute(
        select(_log.directory_sequence, _log.user_id, _log.body)
        .where(_log.directory_id == who.directory_id, _log.directory_sequence > after)
        .order_by(_log.directory_sequence)
        .limit(SCAN)
    ).all()
    if len(rows) == SCAN:
        return _other_ids(rows, who), rows[-1].directory_sequence
    waiting = connection.execute(_unsealed(who, _inbox.user_id, _inbox.body)).all()
    return _other_ids([*rows, *waiting], who), None


def _other_ids(rows: Sequence[Any], who: Person) -> frozenset[str]:
    needles = [f'"idp_id":{dump(known)}' for known in who.idp_ids]
    found = set()
    for row in rows:
        if row.user_id is None or row.user_id in who.user_ids:
            continue
        if any(needle in row.body for needle in needles):
            seen = person_in(row.body)
            # A group may have the same id at the provider.
            if seen is not None and seen.idp_id in who.idp_ids:
                found.add(seen.id)
    return frozenset(found)


def _unsealed(who: Person, *columns: Any) -> Select[Any]:
    return select(*columns).where(
        _inbox.environment_id == who.environment_id, _inbox.directory_id == who.directory_id
    )


def bury_inbox(connection: Connection, who: Person) -> int:
    """Turn the person's unsealed events into tombstones; return how many."""
    # Whoever holds the head's row seals, so no event is on its way from the inbox to the log meanwhile.
    connection.execute(
        select(t.log_heads.c.position)
        .where(t.log_heads.c.environment_id == who.environment_id)
        .with_for_update()
    )
    rows = connection.execute(
        _unsealed(who, _inbox.seq.label("key"), _inbox.body).where(among(_inbox.user_id, "ids")),
        {"ids": sorted(who.user_ids)},
    ).all()
    found = _tombstones(rows)
    if found:
        statement = update(t.event_inbox).where(_inbox.seq == bindparam("key"))
        connection.execute(statement.values(body=bindparam("to")), found)
    return len(found)


def bury_log(connection: Connection, who: Person, after: int) -> tuple[int, int | None]:
    """Turn the person's next `SCAN` events into tombstones, each in its place.

    Returns how many were none before, and the sequence to go on behind or None.
    """
    theirs = (
        select(_log.environment_id, _log.position.label("key"), _log.directory_sequence, _log.body)
        .where(among(_log.user_id, "ids"), _log.directory_sequence > after)
        .order_by(_log.directory_sequence)
        .limit(SCAN)
    )
    # All ids of a person are of one directory.
    sealed = of_environment(theirs, who.environment_id)
    in_order = sealed.order_by(sealed.selected_columns.directory_sequence)
    rows = connection.execute(in_order, {"ids": sorted(who.user_ids)}).all()
    found = _tombstones(rows)
    if found:
        statement = update(t.event_log).where(
            _log.environment_id == who.environment_id, _log.position == bindparam("key")
        )
        connection.execute(statement.values(body=bindparam("to")), found)
    return len(found), rows[-1].directory_sequence if len(rows) == SCAN else None


def _tombstones(rows: Sequence[Any]) -> list[dict[str, Any]]:
    people = ((row, person_in(row.body)) for row in rows)
    return [
        {"key": row.key, "to": tombstone(row.body)}
        for row, seen in people
        if seen is not None and not seen.erased
    ]


Place = tuple[str, str]
"""A place among all attempts of an environment: an endpoint's id, and an id between those of its attempts."""

_LOWEST, _HIGHEST = make_id(Prefix.ATTEMPT, "0" * 26), make_id(Prefix.ATTEMPT, "7" + "Z" * 25)
FIRST_PLACE: Place = (make_id(Prefix.WEBHOOK_ENDPOINT, "0" * 26), _LOWEST)


def clear_attempts(connection: Connection, who: Person, after: Place) -> tuple[int, Place | None]:
    """Remove what receivers answered, and what went wrong, from some more attempts with such texts.

    Attempts of events that are gone are cleared as well: nobody can tell any more whom they were about.
    Returns how many were cleared, and the place to go on behind or None.
    """
    endpoints = (
        connection.execute(
            select(_endpoints.id)
            .where(_endpoints.environment_id == who.environment_id, _endpoints.id >= after[0])
            .order_by(_endpoints.id)
            .limit(ENDPOINTS)
        )
        .scalars()
        .all()
    )
    place = tuple_(_attempts.endpoint_id, _attempts.id)
    rows = connection.execute(
        select(_attempts.endpoint_id, _attempts.id, _attempts.position)
        .where(
            _attempts.endpoint_id.in_(endpoints),
            place > after,
            or_(_attempts.error.is_not(None), _attempts.response.is_not(None)),
        )
        .order_by(_attempts.endpoint_id, _attempts.id)
        .limit(SCAN)
    ).all()
    known = _people_at(connection, who.environment_id, [row.position for row in rows])
    found = [row for row in rows if known.get(row.position, "gone") in (*who.user_ids, "gone")]
    if found:
        statement = update(t.delivery_attempts).where(
            _attempts.endpoint_id == bindparam("endpoint"), _attempts.id == bindparam("attempt_id")
        )
        keys = [{"endpoint": row.endpoint_id, "attempt_id": row.id} for row in found]
        connection.execute(statement.values(error=None, response=None), keys)
    if len(rows) == SCAN:
        return len(found), (rows[-1].endpoint_id, rows[-1].id)
    return len(found), (endpoints[-1], _HIGHEST) if len(endpoints) == ENDPOINTS else None


def clear_parked(connection: Connection, who: Person) -> int:
    """Remove what went wrong from the person's deliveries that wait or were given up; return how many."""
    rows = connection.execute(
        select(_parked.endpoint_id, _parked.position).where(
            _parked.environment_id == who.environment_id, _parked.last_error.is_not(None)
        )
    ).all()
    known = _people_at(connection, who.environment_id, [row.position for row in rows])
    found = [row for row in rows if known.get(row.position) in who.user_ids]
    if found:
        statement = update(t.parked_deliveries).where(
            _parked.endpoint_id == bindparam("endpoint"), _parked.position == bindparam("at")
        )
        keys = [{"endpoint": row.endpoint_id, "at": row.position} for row in found]
        connection.execute(statement.values(last_error=None), keys)
    return len(found)


def _people_at(
    connection: Connection, environment_id: str, positions: Sequence[int]
) -> dict[int, str | None]:
    """Return which person is in the event at each position; what retention removed is missing."""
    rows = connection.execute(
        select(_log.position, _log.user_id).where(
            _log.environment_id == environment_id, among(_log.position, "positions", BigInteger())
        ),
        {"positions": list(positions)},
    )
    return {row.position: row.user_id for row in rows}


def remove_rows(connection: Connection, who: Person) -> tuple[int, int]:
    """Delete the person's rows that are not live, and memberships that wait for them; return both numbers.

    What was deleted never comes back to life, so nobody else can need these rows.
    """
    scope = {"directory": who.directory_id}
    here = t.memberships.c
    gone = scope | {"ids": sorted(who.rows - who.live)}
    connection.execute(
        delete(t.memberships).where(here.directory_id == bindparam("directory"), among(here.user_id, "ids")),
        gone,
    )
    waiting = connection.execute(
        delete(t.pending_memberships).where(
            _pending.directory_id == bindparam("directory"), among(_pending.member_key, "keys")
        ),
        scope | {"keys": [exact_key(text) for text in who.rows | who.idp_ids | who.names]},
    ).rowcount
    for table in (t.past_memberships, t.past_people):
        past = table.c
        connection.execute(
            delete(table).where(past.directory_id == bindparam("directory"), among(past.user_id, "ids")),
            scope | {"ids": sorted(who.user_ids)},
        )
    known_as = t.resource_aliases.c
    connection.execute(
        delete(t.resource_aliases).where(
            known_as.directory_id == bindparam("directory"), among(known_as.resource_id, "ids")
        ),
        gone,
    )
    people = connection.execute(
        delete(t.directory_users).where(
            _users.directory_id == bindparam("directory"), among(_users.id, "ids")
        ),
        gone,
    ).rowcount
    return people, waiting
