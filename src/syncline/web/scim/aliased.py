"""Resources of a directory whose provider knows some of them by ids of another service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from syncline.core.json import Json
from syncline.core.scim import renaming
from syncline.core.scim.errors import ScimError
from syncline.core.scim.renaming import Rename
from syncline.core.scim.schema import ResourceKind
from syncline.services.container import Services
from syncline.web.scim.answers import Answer
from syncline.web.scim.parameters import Projection, Search
from syncline.web.scim.resources import Context, ResourceHandlers


class AliasedHandlers(ResourceHandlers):
    """The same operations, with ids exchanged before and after; only for directories that have such ids."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._ids = services.resource_aliases

    async def create(self, context: Context, kind: ResourceKind, body: Json, shown: Projection) -> Answer:
        """POST."""
        own = await self._own_body(context, body)
        return await self._shown_again(
            context, super().create, context, kind, renaming.in_body(body, own), shown
        )

    async def read(
        self, context: Context, kind: ResourceKind, id_: str, shown: Projection, if_none_match: frozenset[str]
    ) -> Answer:
        """GET by id."""
        own = await self._own(context, {id_})
        return await self._shown_again(context, super().read, context, kind, own(id_), shown, if_none_match)

    async def replace(
        self,
        context: Context,
        kind: ResourceKind,
        id_: str,
        body: Json,
        shown: Projection,
        if_match: frozenset[str] | None,
    ) -> Answer:
        """PUT."""
        own = await self._own_body(context, body, id_)
        return await self._shown_again(
            context,
            super().replace,
            context,
            kind,
            own(id_),
            renaming.in_body(body, own),
            shown,
            if_match,
        )

    async def patch(
        self,
        context: Context,
        kind: ResourceKind,
        id_: str,
        body: Json,
        shown: Projection,
        if_match: frozenset[str] | None,
    ) -> Answer:
        """PATCH."""
        own = await self._own_body(context, body, id_)
        return await self._shown_again(
            context, super().patch, context, kind, own(id_), renaming.in_body(body, own), shown, if_match
        )

    async def delete(
        self, context: Context, kind: ResourceKind, id_: str, if_match: frozenset[str] | None
    ) -> Answer:
        """DELETE."""
        own = await self._own(context, {id_})
        return await self._shown_again(context, super().delete, context, kind, own(id_), if_match)

    async def search(self, context: Context, kinds: Sequence[ResourceKind], wanted: Search) -> Answer:
        """A list."""
        named: set[str] = set()
        for term in wanted.filters.values():
            if term is not None:
                renaming.in_filter(term, _noting(named))
        own = await self._own(context, named)
        filters = {
            kind: None if term is None else renaming.in_filter(term, own)
            for kind, term in wanted.filters.items()
        }
        return await self._shown_again(
            context, super().search, context, kinds, replace(wanted, filters=filters)
        )

    async def _own_body(self, context: Context, body: Json, id_: str | None = None) -> Rename:
        named = set() if id_ is None else {id_}
        renaming.in_body(body, _noting(named))
        return await self._own(context, named)

    async def _own(self, context: Context, named: set[str]) -> Rename:
        return _by(await self._ids.resources(context.directory.scope, named))

    async def _shown_again(
        self, context: Context, work: Callable[..., Awaitable[Answer]], *given: Any
    ) -> Answer:
        scope = context.directory.scope
        try:
            answer = await work(*given)
        except ScimError as error:
            named: set[str] = set()
            renaming.in_sentence(error.detail, _noting(named))
            error.detail = renaming.in_sentence(error.detail, _by(await self._ids.aliases(scope, named)))
            raise
        named = set()
        _answer(answer, _noting(named))
        return _answer(answer, _by(await self._ids.aliases(scope, named)))


def _answer(answer: Answer, rename: Rename) -> Answer:
    body = None if answer.body is None else renaming.in_answer(answer.body, rename)
    headers = {
        name: renaming.in_address(value, rename) if name == "Location" else value
        for name, value in answer.headers.items()
    }
    return Answer(answer.status, body, headers)


def _noting(named: set[str]) -> Rename:
    def note(id_: str) -> str:
        named.add(id_)
        return id_

    return note


def _by(names: Mapping[str, str]) -> Rename:
    return lambda id_: names.get(id_, id_)
