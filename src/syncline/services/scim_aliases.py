"""Addresses that identity providers already have, led to a directory's SCIM resources."""

from __future__ import annotations

import re
from dataclasses import replace

from syncline.core.errors import Conflict, FieldError, NotFound, ValidationFailed
from syncline.core.ids import Prefix, bare, is_id, ulid_time_ms
from syncline.core.model import Cause, Directory
from syncline.core.paging import Page, PageRequest
from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.services.scim_access import PATHS_SETTING
from syncline.services.tokens import locked, present
from syncline.store import directories
from syncline.store import scim_aliases as store
from syncline.store.database import Connection, UniqueViolation
from syncline.store.scim_aliases import PathAlias as PathAlias
from syncline.store.types import from_ms, to_ms

_logger = get_logger(__name__)

MAX_PATH = 255
MAX_PATHS = 20
_KIND = "SCIM alias"
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+", re.ASCII)
# What the API, pages and probes answer themselves, now or as the wire contract foresees it.
RESERVED = frozenset(
    {
        "agent",
        "api_keys",
        "authorization",
        "connect",
        "dashboard",
        "directories",
        "directory_groups",
        "directory_users",
        "event_sinks",
        "events",
        "health",
        "imports",
        "metrics",
        "openapi.json",
        "organization_domains",
        "organizations",
        "portal",
        "static",
        "webhook_endpoints",
    }
)
_OWN_ROOTS = ("/scim", "/scim/v1", "/scim/v2", "/scim/v1.1", "/scim/v2.0")
# Below these, the next part of a path is the id or key of a directory, or of none.
_OWN_FORMS = re.compile(r"/scim/v[12](?:\.[01])?/(?:directory_)?[0-7][0-9a-hjkmnp-tv-z]{25}(?:/|\Z)")


class ScimAliases:
    """Further paths of directories. Whoever uses one needs a token of the directory all the same."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def create(self, environment_id: str, directory_id: str, path: str, cause: Cause) -> PathAlias:
        """Lead a path to a directory, from the next request on.

        Raises `NotFound`, `ValidationFailed`, and `Conflict` (`scim_alias_exists`) for a path that leads
        somewhere already.
        """
        wanted = checked_path(path)

        def work(connection: Connection) -> PathAlias:
            return add_path(
                self._kernel, connection, locked(connection, environment_id, directory_id), wanted
            )

        try:
            made = await self._kernel.database.write(work)
        except UniqueViolation:
            raise _taken() from None
        _logger.info("scim_alias.created", directory_id=directory_id, alias_id=made.id, cause=cause.id)
        return made

    async def list(self, environment_id: str, directory_id: str, page: PageRequest) -> Page[PathAlias]:
        """Return the paths of a directory. Raises `NotFound`, `ValidationFailed` for a malformed cursor."""
        page = page.of(Prefix.SCIM_ALIAS)

        def work(connection: Connection) -> Page[PathAlias]:
            scope = present(connection, environment_id, directory_id).scope
            return page.read(lambda span: store.path_page(connection, scope, span), key=lambda one: one.id)

        return await self._kernel.database.read(work)

    async def remove(self, environment_id: str, directory_id: str, alias_id: str, cause: Cause) -> None:
        """Let a path lead nowhere. Raises `NotFound`."""

        def work(connection: Connection) -> None:
            directory = locked(connection, environment_id, directory_id)
            known = is_id(Prefix.SCIM_ALIAS, alias_id)
            if not known or store.path(connection, directory.scope, alias_id) is None:
                raise NotFound(_KIND, alias_id)
            store.remove_path(connection, directory.scope, alias_id)
            _note(self._kernel, connection, directory)

        await self._kernel.database.write(work)
        _logger.info("scim_alias.removed", directory_id=directory_id, alias_id=alias_id, cause=cause.id)


def checked_path(path: str) -> str:
    """Return a path without the slash at its end. Raises `ValidationFailed` for one that cannot be led."""
    text = path.strip()
    if "://" in text:
        # Whoever copies an address gives all of it; its host is for DNS.
        text = "/" + text.partition("://")[2].partition("/")[2]
    text = text.partition("?")[0].rstrip("/")
    if len(text) > MAX_PATH:
        raise ValidationFailed([FieldError("path", "path_too_long")])
    if _PATH.fullmatch(text) is None or any(part in (".", "..") for part in text.split("/")):
        raise ValidationFailed([FieldError("path", "path_invalid")])
    folded = text.lower()
    if folded[1:].partition("/")[0] in RESERVED or folded in _OWN_ROOTS or _OWN_FORMS.match(folded):
        raise ValidationFailed([FieldError("path", "path_reserved")])
    return text


def add_path(kernel: Kernel, connection: Connection, directory: Directory, path: str) -> PathAlias:
    """Lead a checked path to a directory that this transaction has locked.

    Raises `Conflict`, and `ValidationFailed` for one more than a directory may have.
    """
    key = path.lower()
    if store.path_holder(connection, key) is not None:
        raise _taken()
    if len(store.path_keys(connection, directory.scope)) >= MAX_PATHS:
        raise ValidationFailed([FieldError("path", "path_too_many")])
    alias_id = kernel.ids.new(Prefix.SCIM_ALIAS)
    made = PathAlias(alias_id, path, from_ms(ulid_time_ms(bare(alias_id))))
    store.add_path(connection, directory.scope, made, key)
    _note(kernel, connection, directory)
    return made


def _note(kernel: Kernel, connection: Connection, directory: Directory) -> None:
    """Write the paths where every request reads them anyway: on the directory."""
    keys = store.path_keys(connection, directory.scope)
    settings = {name: value for name, value in directory.settings.items() if name != PATHS_SETTING}
    if keys:
        settings[PATHS_SETTING] = list(keys)
    now = from_ms(to_ms(kernel.clock()))
    directories.change(connection, replace(directory, settings=settings, updated_at=now))


def _taken() -> Conflict:
    return Conflict("This path leads to a directory already.", code="scim_alias_exists")
