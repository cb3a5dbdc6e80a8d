"""The product view of directories: the people and groups that an app reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from syncline.core import wire
from syncline.core.errors import FieldError, NotFound, ValidationFailed
from syncline.core.events import group_body, user_body
from syncline.core.ids import Prefix, bare, is_id
from syncline.core.paging import Page, PageRequest, Span
from syncline.services.kernel import Kernel
from syncline.services.tokens import present
from syncline.store import product_reads as store
from syncline.store.database import Connection
from syncline.store.product_reads import ShownGroup, ShownUser, UserFilter


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

    async def user(self, environment_id: str, directory_user_id: str) -> wire.DirectoryUser:
        """Return a person with the groups they are a direct member of. Raises `NotFound`."""

        def work(connection: Connection) -> wire.DirectoryUser:
            found = _user(connection, environment_id, directory_user_id)
            return _with_groups(connection, environment_id, [found])[0]

        return await self._kernel.database.read(work)

    async def users(
        self, environment_id: str, query: UserQuery, page: PageRequest
    ) -> Page[wire.DirectoryUser]:
        """Return people with their groups; a directory and a group together give their intersection.

        Raises `NotFound` for an unknown directory or group, and `ValidationFailed` for a malformed cursor
        and for `idp_id` or `email` without a directory.
        """
        page = page.of(Prefix.DIRECTORY_USER)
        if query.directory is None and (query.idp_id is not None or query.email is not None):
            raise ValidationFailed(
                [FieldError("directory", "directory_required")],
                "The filters idp_id and email need a directory.",
            )

        def work(connection: Connection) -> Page[wire.DirectoryUser]:
            wanted = _resolved(connection, environment_id, query)
            if wanted is None:
                return Page([])
            found = page.read(
                lambda span: store.users(connection, environment_id, wanted, span),
                key=lambda shown: str(shown[0].directory_user_id),
            )
            return Page(_with_groups(connection, environment_id, found.items), found.before, found.after)

        return await self._kernel.database.read(work)

    async def group(self, environment_id: str, directory_group_id: str) -> wire.DirectoryGroup:
        """Return a group. Raises `NotFound`."""

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
    ) -> Page[wire.DirectoryGroup]:
        """Return groups, of one directory and of one person where that is asked; both intersect.

        Raises `NotFound` for an unknown directory or person, `ValidationFailed` for a malformed cursor.
        """
        page = page.of(Prefix.DIRECTORY_GROUP)

        def work(connection: Connection) -> Page[wire.DirectoryGroup]:
            where = None if directory is None else present(connection, environment_id, directory).scope
            member = None
            if user is not None:
                record, home = _user(connection, environment_id, user)
                if where is not None and where != home.scope:
                    return Page([])
                member = (home.scope, record.id)
            found = page.read(
                lambda span: store.groups(
                    connection, environment_id, _of_scim(span), directory=where, member=member
                ),
                key=lambda shown: shown[0].directory_group_id,
            )
            return found.map(lambda shown: group_body(shown[1], shown[0]))

        return await self._kernel.database.read(work)


def _resolved(connection: Connection, environment_id: str, query: UserQuery) -> UserFilter | None:
    """Return the filter with its ids looked up, or None if nobody can match. Raises `NotFound`."""
    directory = group = None
    if query.directory is not None:
        directory = present(connection, environment_id, query.directory).scope
    if query.group is not None:
        record, home = _group(connection, environment_id, query.group)
        if directory is not None and directory != home.scope:
            return None
        group = (home.scope, record.id)
    if "\x00" in (query.idp_id or "") + (query.email or ""):
        # PostgreSQL cannot even compare with it, and nothing stored holds it.
        return None
    return UserFilter(directory=directory, group=group, idp_id=query.idp_id, email=query.email)


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


def _with_groups(
    connection: Connection, environment_id: str, people: Sequence[ShownUser]
) -> list[wire.DirectoryUser]:
    """Return people as lists and reads show them: `groups` is always there, the Node SDK maps over it."""
    held = store.groups_of(connection, environment_id, people)
    return [
        msgspec.structs.replace(
            user_body(directory, record),
            groups=[group_body(directory, group) for group in held[record.id]],
        )
        for record, directory in people
    ]


def _of_scim(span: Span) -> Span:
    """Return a span of directory group ids as one of SCIM ids, which sort alike."""
    return replace(
        span,
        above=None if span.above is None else bare(span.above),
        below=None if span.below is None else bare(span.below),
    )
