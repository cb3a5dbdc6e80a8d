"""Attributes that an environment defines, and what it has settled (`api.md` §6).

Every change composes the evaluations of all directories again, in the same transaction, and keeps what is
defined then as a version.
"""

from __future__ import annotations

from dataclasses import replace

from syncline.core.attribute_definitions import AttributeInput, define, redefine
from syncline.core.attribute_map import AttributeKind
from syncline.core.attribute_sources import Problems
from syncline.core.errors import Conflict, FieldError, NotFound, ValidationFailed
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Cause, Document
from syncline.core.paging import Page, PageRequest
from syncline.core.roles import RoleMode
from syncline.core.text import fold
from syncline.obs.logging import get_logger
from syncline.services.definition_versions import keep_version
from syncline.services.evaluations import reissue
from syncline.services.kernel import Kernel
from syncline.store import attributes as store
from syncline.store import evaluations as evaluation_store
from syncline.store import roles as role_store
from syncline.store.attributes import Definition as Definition
from syncline.store.attributes import Settings as Settings
from syncline.store.database import Connection, UniqueViolation
from syncline.store.types import from_ms, to_ms

MAX_DEFINITIONS = 200
_logger = get_logger(__name__)


class Attributes:
    """The definitions of environments."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def list(self, environment_id: str, page: PageRequest) -> Page[Definition]:
        """Return definitions. Raises `ValidationFailed` for a malformed cursor."""
        page = page.of(Prefix.ATTRIBUTE)
        return await self._kernel.database.read(
            lambda connection: page.read(
                lambda span: store.page(connection, environment_id, span), key=lambda found: found.id
            )
        )

    async def get(self, environment_id: str, attribute_id: str) -> Definition:
        """Return a definition. Raises `NotFound`."""
        return await self._kernel.database.read(
            lambda connection: _required(connection, environment_id, attribute_id)
        )

    async def create(self, environment_id: str, key: str, given: AttributeInput, cause: Cause) -> Definition:
        """Define an attribute; a job shows it with everybody, each change with `dsync.user.updated`.

        The key alone tells the kind, but for `job_title` and `username`, which are predefined unless the kind
        says `standard`. Raises `ValidationFailed`, and `Conflict` (`attribute_key_taken`) for a key that the
        environment has in any letter case.
        """
        problems = Problems()
        attribute = define(key, given, problems)
        problems.refuse()
        now = from_ms(to_ms(self._kernel.clock()))
        made = Definition(self._kernel.ids.new(Prefix.ATTRIBUTE), attribute, now, now)

        def work(connection: Connection) -> None:
            evaluation_store.lock(connection, environment_id)
            known = store.all_of(connection, environment_id)
            if any(fold(one.attribute.key) == fold(key) for one in known):
                raise _taken(key)
            if len(known) >= MAX_DEFINITIONS:
                sentence = f"An environment has at most {MAX_DEFINITIONS} attributes."
                raise ValidationFailed([FieldError("key", "key_invalid")], sentence)
            store.add(connection, environment_id, made)
            keep_version(self._kernel, connection, environment_id, known, cause)
            reissue(self._kernel, connection, environment_id, cause)

        try:
            await self._kernel.commit(environment_id, work)
        except UniqueViolation:
            raise _taken(key) from None
        _logger.info("attribute.created", attribute_id=made.id, cause=cause.id)
        return made

    async def update(
        self, environment_id: str, attribute_id: str, given: AttributeInput, cause: Cause
    ) -> Definition:
        """Change a definition; its key and kind stay. Raises `NotFound` and `ValidationFailed`."""

        def work(connection: Connection) -> Definition:
            evaluation_store.lock(connection, environment_id)
            before = _required(connection, environment_id, attribute_id)
            problems = Problems()
            attribute = redefine(before.attribute, given, problems)
            if attribute.kind is AttributeKind.STANDARD and not attribute.sources:
                problems.required("sources", "A standard attribute is defined by its sources.")
            problems.refuse()
            if attribute == before.attribute:
                return before
            now = from_ms(to_ms(self._kernel.clock()))
            after = replace(before, attribute=attribute, updated_at=now)
            known = store.all_of(connection, environment_id)
            store.change(connection, environment_id, after)
            keep_version(self._kernel, connection, environment_id, known, cause)
            reissue(self._kernel, connection, environment_id, cause)
            return after

        changed = await self._kernel.commit(environment_id, work)
        _logger.info("attribute.updated", attribute_id=attribute_id, cause=cause.id)
        return changed

    async def delete(self, environment_id: str, attribute_id: str, cause: Cause) -> None:
        """Delete a definition; a job takes the attribute from everybody. Raises `NotFound`."""

        def work(connection: Connection) -> None:
            evaluation_store.lock(connection, environment_id)
            _required(connection, environment_id, attribute_id)
            known = store.all_of(connection, environment_id)
            store.remove(connection, environment_id, attribute_id)
            keep_version(self._kernel, connection, environment_id, known, cause)
            reissue(self._kernel, connection, environment_id, cause)

        await self._kernel.commit(environment_id, work)
        _logger.info("attribute.deleted", attribute_id=attribute_id, cause=cause.id)

    async def settings(self, environment_id: str) -> Settings:
        """Return what the environment has settled."""
        return await self._kernel.database.read(lambda connection: store.settings(connection, environment_id))

    async def change_settings(
        self,
        environment_id: str,
        cause: Cause,
        *,
        raw_attributes: bool | None = None,
        role_mode: str | None = None,
        default_role: str | None = None,
    ) -> Settings:
        """Change what the environment has settled; None leaves a thing. Raises `ValidationFailed`."""
        if role_mode is not None and role_mode not in list(RoleMode):
            raise ValidationFailed([FieldError("role_mode", "role_mode_invalid")])
        wanted: Document = {
            "raw_attributes": raw_attributes,
            "role_mode": role_mode,
            "default_role": default_role,
        }

        def work(connection: Connection) -> Settings:
            evaluation_store.lock(connection, environment_id)
            if default_role is not None and not _is_role(connection, environment_id, default_role):
                raise ValidationFailed(
                    [FieldError("default_role", "default_role_unknown")],
                    "The default role must be a role of the environment.",
                )
            before = store.settings(connection, environment_id)
            after = before.settings | {key: value for key, value in wanted.items() if value is not None}
            if after != before.settings:
                store.change_settings(connection, environment_id, after, self._kernel.clock())
                reissue(self._kernel, connection, environment_id, cause)
            return store.settings(connection, environment_id)

        changed = await self._kernel.commit(environment_id, work)
        _logger.info("environment.updated", environment_id=environment_id, cause=cause.id)
        return changed


def _required(connection: Connection, environment_id: str, attribute_id: str) -> Definition:
    found = None
    if is_id(Prefix.ATTRIBUTE, attribute_id):
        found = store.get(connection, environment_id, attribute_id)
    if found is None:
        raise NotFound("Attribute", attribute_id)
    return found


def _taken(key: str) -> Conflict:
    return Conflict(f"The environment has an attribute '{key}'.", code="attribute_key_taken")


def _is_role(connection: Connection, environment_id: str, slug: str) -> bool:
    if slug == role_store.DEFAULT_SLUG:
        return True
    return "\x00" not in slug and role_store.get(connection, environment_id, slug) is not None
