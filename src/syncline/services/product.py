"""The product view of directories: the people and groups that an app reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

import msgspec

from syncline.core import wire
from syncline.core.errors import FieldError, NotFound, ValidationFailed
from syncline.core.events import group_body, user_body
from syncline.core.ids import Prefix, bare, is_id
from syncline.core.model import Directory, Membership, UserRecord
from syncline.core.paging import Page, PageRequest, Span
from syncline.services.kernel import Kernel
from syncline.services.point_in_time import PointInTime, Shown, Wanted, check_moment, part
from syncline.services.tokens import present
from syncline.store import product_reads as store
from syncline.store.database import Connection
from syncline.store.product_reads import ShownGroup, ShownUser, UserFilter

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UserQuery:
    """What a list of directory users is narrowed to, by the ids of the product view."""

    directory: str | None = None
    group: str | None = None
    idp_id: str | None = None
    email: str | None = None


class Product:
    """Directory users and groups by environment. What is deleted or hidden is as if it never existed."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def user(
        self, environment_id: str, directory_user_id: str, at: datetime | None = None
    ) -> wire.DirectoryUser:
        """Return a person with the groups they are a member of, now or as they were at a moment.

        Raises `NotFound`, and `ValidationFailed` for a moment of which the log does not tell.
        """
        if at is not None:
            return await self._then(environment_id, at, lambda then: then.user(directory_user_id))

        def work(connection: Connection) -> wire.DirectoryUser:
            found = _user(connection, environment_id, directory_user_id)
            return self._with_groups(connection, environment_id, [found])[0]

        return await self._kernel.database.read(work)

    async def users(
        self, environment_id: str, query: UserQuery, page: PageRequest, at: datetime | None = None
    ) -> Page[wire.DirectoryUser]:
        """Return people with their groups; a directory and a group together give their intersection.

        With a moment, as they were then. Raises `NotFound` for an unknown directory or group, and
        `ValidationFailed` for a malformed cursor, for `idp_id` or `email` without a directory, and for a
        moment of which the log does not tell.
        """
        page = page.of(Prefix.DIRECTORY_USER)
        if query.directory is None and (query.idp_id is not None or query.email is not None):
            raise ValidationFailed(
                [FieldError("directory", "directory_required")],
                "The filters idp_id and email need a directory.",
            )
        if at is not None:
            return await self._then(environment_id, at, lambda then: then.list_users(query, page))

        def work(connection: Connection) -> Page[wire.DirectoryUser]:
            wanted = _resolved(connection, environment_id, query)
            if wanted is None:
                return Page([])
            found = page.read(
                lambda span: store.users(connection, environment_id, wanted, span),
                key=lambda shown: str(shown[0].directory_user_id),
            )
            people = self._with_groups(connection, environment_id, found.items)
            return Page(people, found.before, found.after)

        return await self._kernel.database.read(work)

    async def group(
        self, environment_id: str, directory_group_id: str, at: datetime | None = None
    ) -> wire.DirectoryGroup:
        """Return a group, now or as it was at a moment.

        Raises `NotFound`, and `ValidationFailed` for a moment of which the log does not tell.
        """
        if at is not None:
            return await self._then(environment_id, at, lambda then: then.group(directory_group_id))

        def work(connection: Connection) -> wire.DirectoryGroup:
            record, directory = _group(connection, environment_id, directory_group_id)
            return group_body(directory, record)

        return await self._kernel.database.read(work)

    async def groups(
        self,
        environment_id: str,
        page: PageRequest,
        *,
        directory: str | None = None,
        user: str | None = None,
        at: datetime | None = None,
    ) -> Page[wire.DirectoryGroup]:
        """Return groups, of one directory and of one person where that is asked; both intersect.

        With a moment, as they were then. Raises `NotFound` for an unknown directory or person,
        `ValidationFailed` for a malformed cursor and for a moment of which the log does not tell.
        """
        page = page.of(Prefix.DIRECTORY_GROUP)
        if at is not None:
            return await self._then(environment_id, at, lambda then: then.list_groups(page, directory, user))

        def work(connection: Connection) -> Page[wire.DirectoryGroup]:
            where = None if directory is None else present(connection, environment_id, directory).scope
            member, effective = None, False
            if user is not None:
                record, home = _user(connection, environment_id, user)
                if where is not None and where != home.scope:
                    return Page([])
                member, effective = (home.scope, record.id), home.membership is Membership.EFFECTIVE
            found = page.read(
                lambda span: store.groups(
                    connection,
                    environment_id,
                    of_scim(span),
                    directory=where,
                    member=member,
                    effective=effective,
                ),
                key=lambda shown: shown[0].directory_group_id,
            )
            return found.map(lambda shown: group_body(shown[1], shown[0]))

        return await self._kernel.database.read(work)

    def _with_groups(
        self, connection: Connection, environment_id: str, people: Sequence[ShownUser]
    ) -> list[wire.DirectoryUser]:
        """Return people as lists and reads show them: `groups` is always there, the Node SDK maps over it."""
        held = store.groups_of(connection, environment_id, people)
        return [
            msgspec.structs.replace(
                self._body(connection, directory, record),
                groups=[group_body(directory, group) for group in held[record.id]],
            )
            for record, directory in people
        ]

    def _body(self, connection: Connection, directory: Directory, record: UserRecord) -> wire.DirectoryUser:
        raw = self._kernel.evaluations.shows_raw(connection, directory)
        return user_body(directory, record, raw=raw)

    async def _then(self, environment_id: str, at: datetime, ask: Callable[[_Then], T]) -> T:
        """Ask something about a moment, in one snapshot. Raises `ValidationFailed` for the moment."""
        now = self._kernel.clock()

        def work(connection: Connection) -> T:
            check_moment(connection, environment_id, at, now, self._kernel.retention)
            return ask(_Then(connection, environment_id, at, partial(self._body, connection)))

        return await self._kernel.database.snapshot(work)


class _Then:
    """The same questions about a moment."""

    def __init__(self, connection: Connection, environment_id: str, at: datetime, shown: Shown) -> None:
        self._connection = connection
        self._environment = environment_id
        self._at = at
        self._shown = shown
        self._everywhere = self._within(None)
        self.user = self._everywhere.user
        self.group = self._everywhere.group

    def list_users(self, query: UserQuery, page: PageRequest) -> Page[wire.DirectoryUser]:
        """Return a page of people. Raises `NotFound` for what did not exist then."""
        directory = group = None
        if query.directory is not None:
            directory = present(self._connection, self._environment, query.directory)
        if query.group is not None:
            group = self._everywhere.group(query.group)
            if directory is not None and directory.id != group.directory_id:
                return Page([])
            directory = present(self._connection, self._environment, group.directory_id)
        if "\x00" in (query.idp_id or "") + (query.email or ""):
            return Page([])
        wanted = Wanted(group, query.idp_id, query.email)
        then = self._within(directory)
        return page.read(lambda span: then.users(wanted, span), key=lambda user: user.id)

    def list_groups(
        self, page: PageRequest, directory_id: str | None, user: str | None
    ) -> Page[wire.DirectoryGroup]:
        """Return a page of groups. Raises `NotFound` for what did not exist then."""
        directory = None
        if directory_id is not None:
            directory = present(self._connection, self._environment, directory_id)
        if user is not None:
            person = self._everywhere.user(user)
            elsewhere = directory is not None and directory.id != person.directory_id
            held = [] if elsewhere else list(person.groups or ())
            return page.read(lambda span: part(held, span, lambda group: group.id), lambda group: group.id)
        then = self._within(directory)
        return page.read(then.groups, key=lambda group: group.id)

    def _within(self, directory: Directory | None) -> PointInTime:
        scope = None if directory is None else directory.scope
        return PointInTime(self._connection, self._environment, self._at, self._shown, scope)


def _resolved(connection: Connection, environment_id: str, query: UserQuery) -> UserFilter | None:
    """Return the filter with its ids looked up, or None if nobody can match. Raises `NotFound`."""
    directory = group = None
    effective = False
    if query.directory is not None:
        directory = present(connection, environment_id, query.directory).scope
    if query.group is not None:
        record, home = _group(connection, environment_id, query.group)
        if directory is not None and directory != home.scope:
            return None
        group, effective = (home.scope, record.id), home.membership is Membership.EFFECTIVE
    if "\x00" in (query.idp_id or "") + (query.email or ""):
        # PostgreSQL cannot even compare with it, and nothing stored holds it.
        return None
    return UserFilter(
        directory=directory, group=group, effective=effective, idp_id=query.idp_id, email=query.email
    )


def _user(connection: Connection, environment_id: str, directory_user_id: str) -> ShownUser:
    found = None
    if is_id(Prefix.DIRECTORY_USER, directory_user_id):
        found = store.user(connection, environment_id, directory_user_id)
    if found is None:
        raise NotFound("Directory user", directory_user_id)
    return found


def _group(connection: Connection, environment_id: str, directory_group_id: str) -> ShownGroup:
    found = None
    if is_id(Prefix.DIRECTORY_GROUP, directory_group_id):
        found = store.group(connection, environment_id, bare(directory_group_id))
    if found is None:
        raise NotFound("Directory group", directory_group_id)
    return found


def of_scim(span: Span) -> Span:
    """Return a span of directory group ids as one of SCIM ids, which sort alike."""
    return replace(
        span,
        above=None if span.above is None else bare(span.above),
        below=None if span.below is None else bare(span.below),
    )
