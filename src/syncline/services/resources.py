"""What SCIM clients read: users and groups of one directory, by id, by filter and page by page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2s
from typing import Any, Generic, TypeVar

import msgspec

from syncline.core.ids import bare
from syncline.core.model import Scope
from syncline.core.scim import errors
from syncline.core.scim.filter import Comparison, Filter, Operator, to_text
from syncline.core.scim.names import AttributePath
from syncline.core.scim.resource import GroupView, UserView
from syncline.core.scim.schema import ResourceKind
from syncline.core.text import fold, index_key
from syncline.services.coalesce import Coalescer
from syncline.services.kernel import Kernel
from syncline.store import scim_reads as store
from syncline.store.database import Connection
from syncline.store.scim_reads import PageQuery, Position
from syncline.store.scim_values import Place

V = TypeVar("V")

CURSOR_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ResourceQuery:
    """A search: `cursor` (empty for the first page) asks for cursor paging, None for index paging.

    `members`, `labels`: whether groups come with their members, and those with their names.
    """

    filter: Filter | None = None
    sort_by: AttributePath | None = None
    descending: bool = False
    start_index: int = 1
    count: int = 100
    cursor: str | None = None
    members: bool = True
    labels: bool = False


@dataclass(frozen=True, slots=True)
class ResourcePage(Generic[V]):
    """One page of a search, and how many resources match in all."""

    total: int
    start_index: int
    items: Sequence[V]
    next_cursor: str | None = None
    previous_cursor: str | None = None


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    """What a cursor text holds: for which search, made when, and where to go on in which direction."""

    search: str
    made_at: int
    backwards: bool
    key: str | None
    id: str


class Resources:
    """Reads of the SCIM side; every question names its scope."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        collects = not kernel.database.looks_up_in_place
        self._users = Coalescer(self._load_users, collects=collects)
        self._names = Coalescer(self._load_names, collects=collects)

    async def user(self, scope: Scope, user_id: str) -> UserView | None:
        """Return a live user of the directory, None if there is none with that id."""
        return await self._users.get((scope, user_id))

    async def group(
        self, scope: Scope, group_id: str, *, members: bool = True, labels: bool = False
    ) -> GroupView | None:
        """Return a live group of the directory, None if there is none with that id."""
        return await self._kernel.database.look_up(
            lambda connection: store.group_by_id(connection, scope, group_id, members=members, labels=labels)
        )

    async def users(self, scope: Scope, query: ResourceQuery) -> ResourcePage[UserView]:
        """Return a page of users. Raises `ScimError` 400 for a cursor that is none or has expired."""
        name = _user_name(query)
        if name is not None:
            return await self._by_name(scope, name, query)
        return await self._page(
            scope,
            ResourceKind.USER,
            query,
            lambda connection, rows: store.with_groups(connection, scope, rows),
        )

    async def groups(self, scope: Scope, query: ResourceQuery) -> ResourcePage[GroupView]:
        """Return a page of groups. Raises as `users` does."""
        return await self._page(
            scope,
            ResourceKind.GROUP,
            query,
            lambda connection, rows: store.with_members(
                connection, scope, rows, members=query.members, labels=query.labels
            ),
        )

    async def _by_name(self, scope: Scope, name: str, query: ResourceQuery) -> ResourcePage[UserView]:
        found = await self._names.get((scope, index_key(name)))
        if found is not None and fold(str(found.document["userName"])) != fold(name):
            found = None
        items = [found] if found is not None and query.start_index <= 1 and query.count > 0 else []
        return ResourcePage(1 if found is not None else 0, max(query.start_index, 1), items)

    async def _page(
        self,
        scope: Scope,
        kind: ResourceKind,
        query: ResourceQuery,
        views: Callable[[Connection, list[Any]], list[V]],
    ) -> ResourcePage[V]:
        search = _search_digest(scope, kind, query)
        cursor = self._opened(query.cursor, search) if query.cursor else None
        base_url = f"{self._kernel.base_url}/scim/v2/{bare(scope.directory_id)}"
        start = max(query.start_index, 1)

        def work(connection: Connection) -> tuple[int, store.Page, list[V]]:
            place = Place(kind, connection.dialect.name, base_url, scope.directory_id)
            total = store.count(connection, scope, place, query.filter)
            if query.count <= 0:
                return total, store.Page([], [], False), []
            at = Position(cursor.key, cursor.id) if cursor is not None else None
            wanted = PageQuery(
                limit=query.count,
                filter=query.filter,
                sort_by=query.sort_by,
                descending=query.descending,
                offset=start - 1 if query.cursor is None else 0,
                after=at if cursor is not None and not cursor.backwards else None,
                before=at if cursor is not None and cursor.backwards else None,
            )
            page = store.page(connection, scope, place, wanted)
            return total, page, views(connection, page.rows)

        total, page, items = await self._kernel.database.read(work)
        if query.cursor is None:
            return ResourcePage(total, start, items)
        backwards = cursor is not None and cursor.backwards
        has_next = page.more or backwards
        has_previous = page.more if backwards else cursor is not None
        ends = page.positions
        return ResourcePage(
            total,
            1,
            items,
            self._sealed(search, ends[-1], backwards=False) if ends and has_next else None,
            self._sealed(search, ends[0], backwards=True) if ends and has_previous else None,
        )

    def _sealed(self, search: str, at: Position, *, backwards: bool) -> str:
        made_at = int(self._kernel.clock().timestamp())
        packed = msgspec.msgpack.encode(_Cursor(search, made_at, backwards, at.key, at.id))
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def _opened(self, text: str, search: str) -> _Cursor:
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            cursor = msgspec.msgpack.decode(packed, type=_Cursor)
        except (ValueError, binascii.Error, msgspec.DecodeError):
            raise errors.invalid_cursor() from None
        # Nobody signs cursors: PostgreSQL takes no NUL, which a forged one may hold.
        if cursor.search != search or "\0" in f"{cursor.key}{cursor.id}":
            raise errors.invalid_cursor()
        if self._kernel.clock().timestamp() - cursor.made_at > CURSOR_LIFETIME.total_seconds():
            raise errors.expired_cursor()
        return cursor

    async def _load_users(self, keys: Sequence[tuple[Scope, str]]) -> dict[tuple[Scope, str], UserView]:
        return await self._load(keys, store.users_by_id)

    async def _load_names(self, keys: Sequence[tuple[Scope, str]]) -> dict[tuple[Scope, str], UserView]:
        return await self._load(keys, store.users_by_key)

    async def _load(
        self,
        keys: Sequence[tuple[Scope, str]],
        read: Callable[[Connection, Scope, Sequence[str]], dict[str, UserView]],
    ) -> dict[tuple[Scope, str], UserView]:
        scopes: dict[Scope, list[str]] = {}
        for scope, key in keys:
            scopes.setdefault(scope, []).append(key)

        def work(connection: Connection) -> dict[tuple[Scope, str], UserView]:
            return {
                (scope, key): view
                for scope, wanted in scopes.items()
                for key, view in read(connection, scope, wanted).items()
            }

        return await self._kernel.database.look_up(work)


def _user_name(query: ResourceQuery) -> str | None:
    """Return the userName of the search that providers make all day, None for any other."""
    term = query.filter
    if query.cursor is not None or not isinstance(term, Comparison) or term.operator is not Operator.EQ:
        return None
    is_name = term.path.urn is None and term.path.name == "userName" and term.path.sub is None
    return term.value if is_name and isinstance(term.value, str) else None


def _search_digest(scope: Scope, kind: ResourceKind, query: ResourceQuery) -> str:
    """Return what ties a cursor to its search; a cursor of another one is refused."""
    parts = (
        scope.directory_id,
        kind.value,
        to_text(query.filter) if query.filter is not None else "",
        str(query.sort_by or ""),
        str(query.descending),
    )
    return blake2s("\0".join(parts).encode(), digest_size=12).hexdigest()
