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
    Text,
    and_,
    cast,
    collate,
    func,
    literal,
    or_,
    select,
    type_coerce,
)

from syncline.core.model import GroupRecord, Scope, UserRecord
from syncline.core.scim.filter import Filter
from syncline.core.scim.names import AttributePath
from syncline.core.scim.resource import GroupRef, GroupView, UserView
from syncline.store import tables as t
from syncline.store.members import members_of
from syncline.store.rows import group_of, user_of
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


def user_by_id(connection: Connection, scope: Scope, user_id: str) -> UserView | None:
    """Return a live user with its groups."""
    return users_by_id(connection, scope, [user_id]).get(user_id)


def users_by_id(connection: Connection, scope: Scope, ids: Sequence[str]) -> dict[str, UserView]:
    """Return live users with their groups, by id."""
    columns = t.directory_users.c
    statement = select(t.directory_users).where(*_live(t.directory_users, scope), among(columns.id, "ids"))
    return {
        view.id: view
        for view in with_groups(connection, scope, connection.execute(statement, {"ids": list(ids)}))
    }


def users_by_key(connection: Connection, scope: Scope, keys: Sequence[str]) -> dict[str, UserView]:
    """Return live users with their groups by their folded userName key."""
    columns = t.directory_users.c
    statement = select(t.directory_users).where(
        *_live(t.directory_users, scope), among(columns.user_name_key, "keys")
    )
    rows = list(connection.execute(statement, {"keys": list(keys)}))
    views = with_groups(connection, scope, rows)
    return {row.user_name_key: view for row, view in zip(rows, views, strict=True)}


def group_by_id(connection: Connection, scope: Scope, group_id: str, *, members: bool) -> GroupView | None:
    """Return a live group, with its members if wanted."""
    columns = t.directory_groups.c
    statement = select(t.directory_groups).where(*_live(t.directory_groups, scope), columns.id == group_id)
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    return with_members(connection, scope, [row], members=members)[0]


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
    statement: Select[Any] = select(place.table).where(*_live(place.table, scope))
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
    """Return users of full rows, each with the groups they are in."""
    records = [user_of(row) for row in rows]
    if not records:
        return []
    members, groups = t.memberships.c, t.directory_groups.c
    statement = (
        select(members.user_id, groups.id, groups.label)
        .join_from(
            t.memberships,
            t.directory_groups,
            (groups.directory_id == members.directory_id) & (groups.id == members.group_id),
        )
        .where(members.directory_id == scope.directory_id, among(members.user_id, "users"))
        .order_by(members.user_id, groups.id)
    )
    held: dict[str, list[GroupRef]] = {record.id: [] for record in records}
    for user_id, group_id, label in connection.execute(statement, {"users": [r.id for r in records]}):
        held[user_id].append(GroupRef(group_id, label))
    return [user_view(record, held[record.id]) for record in records]


def with_members(
    connection: Connection, scope: Scope, rows: Sequence[Any], *, members: bool
) -> list[GroupView]:
    """Return groups of full rows, with their members if wanted."""
    records = [group_of(row) for row in rows]
    found = members_of(connection, scope, [record.id for record in records]) if members and records else {}
    return [group_view(record, found.get(record.id) if members else None) for record in records]


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


def group_view(record: GroupRecord, members: Any) -> GroupView:
    """Return what SCIM answers show of a group; `members` is None when they were not read."""
    return GroupView(
        id=record.id,
        document=record.document,
        version=record.version,
        created_at=record.created_at,
        updated_at=record.updated_at,
        members=members,
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
