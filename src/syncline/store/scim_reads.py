"""Reads of users and groups as SCIM shows them: by id, and page by page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    collate,
    func,
    literal,
    or_,
    select,
    type_coerce,
)

from syncline.core.model import Scope, UserRecord
from syncline.core.scim.filter import Filter
from syncline.core.scim.names import AttributePath
from syncline.core.scim.resource import GroupRef, GroupView, UserView
from syncline.core.scim.schema import ResourceKind
from syncline.store import tables as t
from syncline.store.jsontext import load
from syncline.store.members import members_of
from syncline.store.prepared import Prepared
from syncline.store.scim_filter import condition
from syncline.store.scim_values import Place, document_path
from syncline.store.types import Instant, among

# The largest offset both engines take; nobody has that many people.
_FAR = 2**62


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins or ends: a sort key (None for a missing value) and an id."""

    key: str | None
    id: str


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What a page holds; either `offset` or `after` / `before` says where it begins."""

    limit: int
    filter: Filter | None = None
    sort_by: AttributePath | None = None
    descending: bool = False
    offset: int = 0
    after: Position | None = None
    before: Position | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a page in order, the position of each, and whether more follow in the direction read."""

    rows: list[Any]
    positions: list[Position]
    more: bool


def _live_here(table: Table) -> tuple[ColumnElement[bool], ...]:
    return (
        table.c.directory_id == bindparam("directory"),
        table.c.environment_id == bindparam("environment"),
        table.c.deleted_at.is_(None),
    )


def _here(scope: Scope) -> dict[str, str]:
    return {"directory": scope.directory_id, "environment": scope.environment_id}


# What answers show; the document as it was sent and the one for searching stay where they are.
_SHOWN_USER = ("id", "user_name_key", "document", "active", "version", "created_at", "updated_at")
_SHOWN_GROUP = ("id", "document", "version", "created_at", "updated_at")
_shown_users = select(*(t.directory_users.c[name] for name in _SHOWN_USER))
_users_by_id = Prepared(
    _shown_users.where(*_live_here(t.directory_users), among(t.directory_users.c.id, "ids"))
)
_users_by_key = Prepared(
    _shown_users.where(*_live_here(t.directory_users), among(t.directory_users.c.user_name_key, "keys"))
)
_group_by_id = Prepared(
    select(*(t.directory_groups.c[name] for name in _SHOWN_GROUP)).where(
        *_live_here(t.directory_groups), t.directory_groups.c.id == bindparam("id")
    )
)
_groups_of = Prepared(
    select(t.memberships.c.user_id, t.directory_groups.c.id, t.directory_groups.c.label)
    .join_from(
        t.memberships,
        t.directory_groups,
        (t.directory_groups.c.directory_id == t.memberships.c.directory_id)
        & (t.directory_groups.c.id == t.memberships.c.group_id),
    )
    .where(t.memberships.c.directory_id == bindparam("directory"), among(t.memberships.c.user_id, "users"))
    .order_by(t.memberships.c.user_id, t.directory_groups.c.id)
)


def user_by_id(connection: Connection, scope: Scope, user_id: str) -> UserView | None:
    """Return a live user with its groups."""
    return users_by_id(connection, scope, [user_id]).get(user_id)


def users_by_id(connection: Connection, scope: Scope, ids: Sequence[str]) -> dict[str, UserView]:
    """Return live users with their groups, by id."""
    rows = _users_by_id.all(connection, {**_here(scope), "ids": list(ids)})
    return {view.id: view for view in with_groups(connection, scope, rows)}


def users_by_key(connection: Connection, scope: Scope, keys: Sequence[str]) -> dict[str, UserView]:
    """Return live users with their groups by their folded userName key."""
    rows = _users_by_key.all(connection, {**_here(scope), "keys": list(keys)})
    views = with_groups(connection, scope, rows)
    return {row.user_name_key: view for row, view in zip(rows, views, strict=True)}


def group_by_id(
    connection: Connection, scope: Scope, group_id: str, *, members: bool, labels: bool = False
) -> GroupView | None:
    """Return a live group, with its members if wanted."""
    row = _group_by_id.one_or_none(connection, {**_here(scope), "id": group_id})
    if row is None:
        return None
    return with_members(connection, scope, [row], members=members, labels=labels)[0]


def count(connection: Connection, scope: Scope, place: Place, wanted: Filter | None) -> int:
    """Return how many live resources satisfy a filter."""
    statement = select(func.count()).select_from(place.table).where(*_live(place.table, scope))
    if wanted is not None:
        statement = statement.where(condition(wanted, place))
    return int(connection.execute(statement).scalar_one())


def page(connection: Connection, scope: Scope, place: Place, wanted: PageQuery) -> Page:
    """Return one page; a page read backwards from `before` comes in reading order all the same."""
    key = _sort_key(wanted.sort_by, place) if wanted.sort_by is not None else None
    backwards = wanted.before is not None
    descending = wanted.descending != backwards
    shown = _SHOWN_USER if place.kind is ResourceKind.USER else _SHOWN_GROUP
    statement: Select[Any] = select(*(place.table.c[name] for name in shown)).where(
        *_live(place.table, scope)
    )
    if key is not None:
        statement = statement.add_columns(key.label("sort_key"))
    if wanted.filter is not None:
        statement = statement.where(condition(wanted.filter, place))
    start = wanted.before or wanted.after
    if start is not None:
        statement = statement.where(_beyond(key, place.columns.id, start, descending))
    statement = statement.order_by(*_order(key, place.columns.id, descending))
    rows = list(
        connection.execute(statement.limit(wanted.limit + 1).offset(min(wanted.offset, _FAR) or None))
    )
    more = len(rows) > wanted.limit
    rows = rows[: wanted.limit]
    if backwards:
        rows.reverse()
    positions = [Position(row.sort_key if key is not None else None, row.id) for row in rows]
    return Page(rows, positions, more)


def with_groups(connection: Connection, scope: Scope, rows: Iterable[Any]) -> list[UserView]:
    """Return users of rows of `_SHOWN_USER`, each with the groups they are in."""
    people = list(rows)
    if not people:
        return []
    held: dict[str, list[GroupRef]] = {row.id: [] for row in people}
    asked = {"directory": scope.directory_id, "users": list(held)}
    for user_id, group_id, label in _groups_of.all(connection, asked):
        held[user_id].append(GroupRef(group_id, label))
    return [
        UserView(
            id=row.id,
            document=load(row.document),
            active=row.active,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
            groups=tuple(held[row.id]),
        )
        for row in people
    ]


def with_members(
    connection: Connection, scope: Scope, rows: Sequence[Any], *, members: bool, labels: bool = False
) -> list[GroupView]:
    """Return groups of rows of `_SHOWN_GROUP`, with their members if wanted, and those with their names."""
    ids = [row.id for row in rows]
    found = members_of(connection, scope, ids, labels=labels) if members and ids else {}
    return [
        GroupView(
            id=row.id,
            document=load(row.document),
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
            members=found.get(row.id) if members else None,
        )
        for row in rows
    ]


def user_view(record: UserRecord, groups: Sequence[GroupRef]) -> UserView:
    """Return what SCIM answers show of a user who is in these groups."""
    return UserView(
        id=record.id,
        document=record.document,
        active=record.active,
        version=record.version,
        created_at=record.created_at,
        updated_at=record.updated_at,
        groups=tuple(groups),
    )


def _live(table: Any, scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (
        table.c.directory_id == scope.directory_id,
        table.c.environment_id == scope.environment_id,
        table.c.deleted_at.is_(None),
    )


def _order(key: Any, identifier: Any, descending: bool) -> list[Any]:
    columns = [] if key is None else [key.is_(None), key]
    return [column.desc() if descending else column.asc() for column in (*columns, identifier)]


def _beyond(key: Any, identifier: Any, start: Position, descending: bool) -> Any:
    """Return the rows after a position; missing keys come last, first when descending."""
    further = identifier < start.id if descending else identifier > start.id
    if key is None:
        return further
    if start.key is None:
        return or_(key.is_not(None), further) if descending else and_(key.is_(None), further)
    beyond = key < start.key if descending else key > start.key
    rest = or_(beyond, and_(key == start.key, further))
    return rest if descending else or_(key.is_(None), rest)


def _sort_key(path: AttributePath, place: Place) -> Any:
    key = _sort_value(path, place)
    if not isinstance(key.type, Instant):
        return collate(key, "C") if place.is_postgres else key
    # Texts of equal width sort like the numbers, and a cursor carries texts only.
    text = cast(type_coerce(key, BigInteger), Text)
    if place.is_postgres:
        return collate(func.lpad(text, 20, "0"), "C")
    return func.substr(literal("0" * 20) + text, -20)


def _sort_value(path: AttributePath, place: Place) -> Any:
    if path.urn is None and path.name == "id":
        return place.columns.id
    if path.urn is None and path.name == "meta":
        return place.meta(path.sub or "")
    if path.urn is None and path.name in ("groups", "members"):
        entries = place.groups() if path.name == "groups" else place.members()
        value = entries.sub(path.sub or "value")
        first = select(value).select_from(entries.source).where(*entries.where).order_by(value)
        return first.limit(1).scalar_subquery()
    at = document_path(path.urn, path.name)
    definition = path.attribute
    if definition is not None and definition.multi_valued:
        return _preferred(place, at, path.sub or "value")
    return place.text(*at, path.sub) if path.sub else place.text(*at)


def _preferred(place: Place, at: tuple[str, ...], sub: str) -> Any:
    """Return a sub-attribute of the primary entry, else of the first."""
    entries = place.array(*at)
    value, primary = entries.sub(sub), entries.sub("primary")
    order = func.coalesce(primary, "false") == "true"
    return select(value).select_from(entries.source).order_by(order.desc()).limit(1).scalar_subquery()
