"""Roles of environments and of organizations: made, described, ordered and deleted (`api.md` §2.9)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from msgspec import UNSET

from syncline.core import wire
from syncline.core.errors import BadRequest, Conflict, NotFound
from syncline.core.events import draft
from syncline.core.ids import Prefix
from syncline.core.model import Cause
from syncline.services.evaluations import reissue
from syncline.services.kernel import Kernel
from syncline.services.role_checks import KIND, check_organization, refuse_if_used, required_role
from syncline.services.role_order import placed, reordered
from syncline.services.role_shapes import (
    MAX_SLUG,
    OWN_PREFIX,
    RoleInput,
    check,
    checked_permissions,
    event_of,
    shown,
    with_changes,
)
from syncline.store import evaluations as evaluation_store
from syncline.store import held_changes, log
from syncline.store import roles as store
from syncline.store.database import Connection
from syncline.store.roles import Role

MAX_ROLES = 500

_NO_SLUG = re.compile(r"[^a-z0-9]+")
_SUFFIX_BYTES = 4
_Changed = Callable[[Role], Role]


class Roles:
    """Roles; with `organization_id` those that apply to an organization, of which its own can be changed."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def list(self, environment_id: str, organization_id: str | None = None) -> wire.RoleList:
        """Return all roles, the most important first. Raises `NotFound` for the organization."""

        def work(connection: Connection) -> wire.RoleList:
            check_organization(connection, environment_id, organization_id)
            found = store.of(connection, environment_id, organization_id)
            return wire.RoleList(data=[shown(role) for role in found])

        return await self._kernel.database.read(work)

    async def get(self, environment_id: str, slug: str, organization_id: str | None = None) -> wire.Role:
        """Return a role; one of the environment applies to every organization. Raises `NotFound`."""

        def work(connection: Connection) -> wire.Role:
            check_organization(connection, environment_id, organization_id)
            applying = store.of(connection, environment_id, organization_id)
            for role in applying:
                if role.slug == slug:
                    return shown(role)
            raise NotFound(KIND, slug)

        return await self._kernel.database.read(work)

    async def create(
        self, environment_id: str, given: RoleInput, cause: Cause, organization_id: str | None = None
    ) -> wire.Role:
        """Make a role: the least important one, though before `member` where that is last.

        Without a slug an organization's role gets one from its name. Raises `ValidationFailed`, `NotFound`
        for the organization, `Conflict` for a slug that is taken, and `BadRequest` above `MAX_ROLES`.
        """
        check(given, own=organization_id is not None, new=True)
        now = self._kernel.clock()
        made = with_changes(
            Role(
                environment_id=environment_id,
                organization_id=organization_id,
                id=self._kernel.ids.new(Prefix.ROLE),
                slug=self._slug(given),
                name="",
                description=None,
                resource_type_slug="organization",
                permissions=(),
                priority=0,
                created_at=now,
                updated_at=now,
            ),
            given,
        )

        def work(connection: Connection) -> wire.Role:
            check_organization(connection, environment_id, organization_id, hold=True)
            evaluation_store.lock(connection, environment_id)
            known = store.of(connection, environment_id, organization_id)
            if any(role.slug == made.slug for role in known):
                raise _taken(made)
            if len(known) >= MAX_ROLES:
                raise BadRequest(f"There can be no more than {MAX_ROLES} roles.")
            role = placed(connection, made, known)
            store.add(connection, role)
            self._announce(connection, "created", role, cause)
            self._reissue(connection, role, cause)
            return shown(role)

        return await self._kernel.commit(environment_id, work)

    async def update(
        self,
        environment_id: str,
        slug: str,
        given: RoleInput,
        cause: Cause,
        organization_id: str | None = None,
    ) -> wire.Role:
        """Change name and description; nothing is emitted if nothing changed.

        Raises `ValidationFailed` and `NotFound`.
        """
        changes = RoleInput(name=given.name, description=given.description)
        check(changes)
        return await self._change(
            environment_id, slug, cause, organization_id, lambda role: with_changes(role, changes)
        )

    async def set_permissions(
        self,
        environment_id: str,
        slug: str,
        permissions: Sequence[str],
        cause: Cause,
        organization_id: str | None = None,
    ) -> wire.Role:
        """Replace the permissions of a role. Raises `ValidationFailed` and `NotFound`."""
        wanted = checked_permissions("permissions", permissions)
        return await self._change(
            environment_id, slug, cause, organization_id, lambda role: replace(role, permissions=wanted)
        )

    async def add_permission(
        self,
        environment_id: str,
        slug: str,
        permission: str,
        cause: Cause,
        organization_id: str | None = None,
    ) -> wire.Role:
        """Give a role a permission, if it has not got it. Raises `ValidationFailed` and `NotFound`."""
        [wanted] = checked_permissions("slug", [permission])

        def added(role: Role) -> Role:
            if wanted in role.permissions:
                return role
            return replace(role, permissions=checked_permissions("slug", [*role.permissions, wanted]))

        return await self._change(environment_id, slug, cause, organization_id, added)

    async def remove_permission(
        self,
        environment_id: str,
        slug: str,
        permission: str,
        cause: Cause,
        organization_id: str | None = None,
    ) -> None:
        """Take a permission from a role. Raises `NotFound`, also where the role has not got it."""

        def removed(role: Role) -> Role:
            if permission not in role.permissions:
                raise NotFound("Permission", permission)
            return replace(role, permissions=tuple(one for one in role.permissions if one != permission))

        await self._change(environment_id, slug, cause, organization_id, removed)

    async def delete(
        self, environment_id: str, slug: str, cause: Cause, organization_id: str | None = None
    ) -> None:
        """Delete a role.

        Who holds a role of the environment falls back to what the other rules give, at least to the default
        role. An organization's own role can be deleted only when nobody holds it and no rule names it. Raises
        `NotFound`, and `Conflict` (`role_is_default`, `role_has_group_role_mappings`,
        `role_has_assignments`).
        """

        def work(connection: Connection) -> None:
            check_organization(connection, environment_id, organization_id)
            evaluation_store.lock(connection, environment_id)
            gone = required_role(connection, environment_id, slug, organization_id)
            refuse_if_used(connection, gone)
            now = self._kernel.clock()
            store.remove(connection, gone)
            if organization_id is None:
                # Another organization may have a role of the same slug; one that is held is not deleted.
                held_changes.release_role(connection, environment_id, slug, now)
            self._announce(connection, "deleted", replace(gone, updated_at=now), cause)
            self._reissue(connection, gone, cause)

        await self._kernel.commit(environment_id, work)

    async def order(
        self,
        environment_id: str,
        slugs: Sequence[str],
        cause: Cause,
        organization_id: str | None = None,
    ) -> wire.RoleList:
        """Order all roles, the most important first.

        For an organization only its own roles move: those of the environment keep their order. Raises
        `ValidationFailed` for anything but all slugs, each once, and `NotFound` for the organization.
        """

        def work(connection: Connection) -> wire.RoleList:
            check_organization(connection, environment_id, organization_id)
            evaluation_store.lock(connection, environment_id)
            known = store.of(connection, environment_id, organization_id)
            moved = reordered(known, slugs, own=organization_id is not None)
            by_slug = {role.slug: role for role in known}
            wanted = [by_slug[slug] for slug in slugs]
            if any(role.priority != moved.get(role.id, role.priority) for role in wanted):
                store.move(connection, environment_id, moved)
                self._reissue(connection, wanted[0], cause, organization_id)
            return wire.RoleList(data=[shown(role) for role in wanted])

        return await self._kernel.commit(environment_id, work)

    async def _change(
        self,
        environment_id: str,
        slug: str,
        cause: Cause,
        organization_id: str | None,
        changed: _Changed,
    ) -> wire.Role:
        def work(connection: Connection) -> wire.Role:
            check_organization(connection, environment_id, organization_id)
            evaluation_store.lock(connection, environment_id)
            before = required_role(connection, environment_id, slug, organization_id)
            after = changed(before)
            if after == before:
                return shown(before)
            after = replace(after, updated_at=self._kernel.clock())
            store.change(connection, after)
            self._announce(connection, "updated", after, cause)
            return shown(after)

        return await self._kernel.commit(environment_id, work)

    def _slug(self, given: RoleInput) -> str:
        if given.slug is not UNSET:
            return given.slug
        suffix = f"-{self._kernel.random(_SUFFIX_BYTES).hex()}"
        words = _NO_SLUG.sub("-", str(given.name).lower()).strip("-")
        room = MAX_SLUG - len(OWN_PREFIX) - len(suffix)
        return f"{OWN_PREFIX}{words[:room].strip('-') or 'role'}{suffix}"

    def _announce(self, connection: Connection, what: str, role: Role, cause: Cause) -> None:
        drafted = draft(
            event_of(what, role),
            environment_id=role.environment_id,
            organization_id=role.organization_id,
            recorded_at=role.updated_at,
        )
        log.append(connection, [drafted], cause)

    def _reissue(
        self, connection: Connection, role: Role, cause: Cause, organization_id: str | None = None
    ) -> None:
        environment_id, organization_id = role.environment_id, role.organization_id or organization_id
        concerned = None
        if organization_id is not None:
            concerned = store.directories_of(connection, environment_id, organization_id)
        reissue(self._kernel, connection, environment_id, cause, concerned)


def _taken(role: Role) -> Conflict:
    return Conflict(
        f"There is a role with the slug '{role.slug}' already.",
        code="role_slug_conflict" if role.organization_id is None else "organization_role_slug_conflict",
    )
