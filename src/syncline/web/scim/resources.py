"""Users and Groups: create, read, replace, patch, delete and search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syncline.core.commands import (
    Command,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DeleteUser,
    PatchGroup,
    PatchUser,
    ReplaceGroup,
    ReplaceUser,
)
from syncline.core.json import Json
from syncline.core.model import Cause, Directory
from syncline.core.scim import errors
from syncline.core.scim.normalize import normalize_group, normalize_user
from syncline.core.scim.patch import PatchRequest, parse_operations
from syncline.core.scim.project import excludes, project
from syncline.core.scim.resource import GroupView, UserView, etag, render_group, render_user
from syncline.core.scim.schema import ResourceKind
from syncline.core.scim.v1 import patch_from_v1
from syncline.providers.registry import profile_of
from syncline.services.container import Services
from syncline.services.resources import ResourceQuery
from syncline.web.scim.answers import Answer, list_answer, resource_answer
from syncline.web.scim.parameters import Projection, Search

MAX_PATCH_OPERATIONS = 5000
View = UserView | GroupView


@dataclass(frozen=True, slots=True)
class Context:
    """What every operation of one request shares; `base_url` is the directory's address in its version.

    `token`: the digest of the bearer token, if the writer has to see whether it is live.
    """

    directory: Directory
    base_url: str
    is_v1: bool
    cause: Cause
    token: str | None = None


class ResourceHandlers:
    """Operations on resources of one directory, for single requests and inside Bulk."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def create(self, context: Context, kind: ResourceKind, body: Json, shown: Projection) -> Answer:
        """POST: 201 with the whole resource."""
        command: Command = (
            CreateUser(normalize_user(body))
            if kind is ResourceKind.USER
            else CreateGroup(normalize_group(body))
        )
        return await self._written(context, kind, command, shown, status=201)

    async def read(
        self, context: Context, kind: ResourceKind, id_: str, shown: Projection, if_none_match: frozenset[str]
    ) -> Answer:
        """GET by id: 200, or 304 for a version the client has."""
        view = await self._view(context, kind, id_, shown)
        if view is None:
            raise errors.not_found(kind.value, id_)
        if if_none_match and ("*" in if_none_match or etag(view.version) in if_none_match):
            return Answer(304, None, {"ETag": etag(view.version)})
        return self._shown(context, kind, view, shown, 200)

    async def replace(
        self,
        context: Context,
        kind: ResourceKind,
        id_: str,
        body: Json,
        shown: Projection,
        if_match: frozenset[str] | None,
    ) -> Answer:
        """PUT: 200 with the whole resource."""
        command: Command = (
            ReplaceUser(id_, normalize_user(body), if_match)
            if kind is ResourceKind.USER
            else ReplaceGroup(id_, normalize_group(body), if_match)
        )
        return await self._written(context, kind, command, shown, status=200)

    async def patch(
        self,
        context: Context,
        kind: ResourceKind,
        id_: str,
        body: Json,
        shown: Projection,
        if_match: frozenset[str] | None,
    ) -> Answer:
        """PATCH: 200 with the whole resource, 204 for a group of very many members."""
        request = self._operations(context, kind, body)
        command: Command = (
            PatchUser(id_, request, if_match)
            if kind is ResourceKind.USER
            else PatchGroup(id_, request, if_match)
        )
        return await self._written(context, kind, command, shown, status=200)

    async def delete(
        self, context: Context, kind: ResourceKind, id_: str, if_match: frozenset[str] | None
    ) -> Answer:
        """DELETE: 204."""
        command: Command = (
            DeleteUser(id_, if_match) if kind is ResourceKind.USER else DeleteGroup(id_, if_match)
        )
        await self._services.writer.submit(
            context.directory.scope,
            command,
            context.cause,
            token=context.token,
            aliased=context.directory.has_aliases,
        )
        return Answer(204)

    async def search(self, context: Context, kinds: Sequence[ResourceKind], wanted: Search) -> Answer:
        """A list of one kind, or of both one after the other."""
        total = 0
        skip = wanted.start_index - 1
        room = wanted.count
        shown: list[Json] = []
        next_cursor = previous_cursor = None
        for kind in kinds:
            query = self._query(wanted, kind, skip, room)
            scope = context.directory.scope
            reads = self._services.resources
            page = await (
                reads.users(scope, query) if kind is ResourceKind.USER else reads.groups(scope, query)
            )
            next_cursor, previous_cursor = page.next_cursor, page.previous_cursor
            total += page.total
            skip = max(0, skip - page.total)
            room -= len(page.items)
            projected = wanted.projections[kind]
            shown.extend(self._rendered(context, kind, view, projected)[1] for view in page.items)
        return list_answer(
            shown,
            total=total,
            start_index=wanted.start_index,
            next_cursor=next_cursor if len(kinds) == 1 else None,
            previous_cursor=previous_cursor if len(kinds) == 1 else None,
            is_v1=context.is_v1,
        )

    @staticmethod
    def _query(wanted: Search, kind: ResourceKind, skip: int, room: int) -> ResourceQuery:
        shown = wanted.projections[kind]
        return ResourceQuery(
            filter=wanted.filters[kind],
            sort_by=wanted.sort.paths.get(kind) if wanted.sort is not None else None,
            descending=wanted.sort is not None and wanted.sort.descending,
            start_index=skip + 1,
            count=room,
            cursor=wanted.cursor,
            members=not excludes(shown.attributes, shown.excluded, "members", kind),
            labels=_shows_labels(shown),
        )

    @staticmethod
    def _operations(context: Context, kind: ResourceKind, body: Json) -> PatchRequest:
        listed = (
            next((v for k, v in body.items() if k.lower() == "operations"), None)
            if isinstance(body, dict)
            else None
        )
        if isinstance(listed, list) and len(listed) > MAX_PATCH_OPERATIONS:
            raise errors.too_large(f"A PATCH may hold {MAX_PATCH_OPERATIONS} operations, not {len(listed)}.")
        return patch_from_v1(body, kind) if context.is_v1 else parse_operations(body, kind)

    async def _view(self, context: Context, kind: ResourceKind, id_: str, shown: Projection) -> View | None:
        scope = context.directory.scope
        if kind is ResourceKind.USER:
            return await self._services.resources.user(scope, id_)
        members = not excludes(shown.attributes, shown.excluded, "members", kind)
        return await self._services.resources.group(scope, id_, members=members, labels=_shows_labels(shown))

    async def _written(
        self, context: Context, kind: ResourceKind, command: Command, shown: Projection, *, status: int
    ) -> Answer:
        hidden = excludes(shown.attributes, shown.excluded, "members", kind)
        applied = await self._services.writer.submit(
            context.directory.scope,
            command,
            context.cause,
            members=not hidden,
            labels=_shows_labels(shown),
            token=context.token,
            aliased=context.directory.has_aliases,
        )
        self._count_quirks(applied.decision.quirks)
        view = applied.view
        assert view is not None
        if isinstance(view, GroupView) and not hidden:
            shown_up_to = profile_of(context.directory.type).group_members_answered
            is_large = view.members is None or len(view.members) > shown_up_to
            if is_large and isinstance(command, PatchGroup):
                return Answer(204, None, {"ETag": etag(view.version)})
            if view.members is None:
                whole = await self._services.resources.group(
                    context.directory.scope, view.id, labels=_shows_labels(shown)
                )
                view = whole or view
        return self._shown(context, kind, view, shown, status)

    def _shown(
        self, context: Context, kind: ResourceKind, view: View, shown: Projection, status: int
    ) -> Answer:
        whole, part = self._rendered(context, kind, view, shown)
        return resource_answer(status, part, whole, is_v1=context.is_v1)

    @staticmethod
    def _rendered(
        context: Context, kind: ResourceKind, view: View, shown: Projection
    ) -> tuple[Mapping[str, Json], dict[str, Json]]:
        is_whole = not shown.attributes and not shown.excluded
        if isinstance(view, UserView):
            whole = render_user(view, context.base_url)
        else:
            whole = render_group(
                view,
                context.base_url,
                display=_shows_labels(shown),
                as_text=is_whole and not context.is_v1,
            )
        if is_whole:
            return whole, whole
        return whole, project(whole, shown.attributes, shown.excluded, kind)

    def _count_quirks(self, quirks: frozenset[str]) -> None:
        for id_ in quirks:
            self._services.kernel.metrics.quirks.labels(id_).inc()


def _shows_labels(shown: Projection) -> bool:
    """Tell whether members are shown with their names, which are returned on request only."""
    return any((path.name, path.sub) == ("members", "display") for path in shown.attributes)
