"""What callers say about roles, checked, and roles as they are shown and announced (`api.md` §2.9, §3.6)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.events import (
    Event,
    OrganizationRoleCreated,
    OrganizationRoleDeleted,
    OrganizationRoleUpdated,
    RoleCreated,
    RoleDeleted,
    RoleUpdated,
)
from syncline.store.roles import Role

MAX_SLUG = MAX_NAME = 48
MAX_DESCRIPTION = 150
MAX_PERMISSION = 100
MAX_PERMISSIONS = 500
OWN_PREFIX = "org-"
"""What the slug of an organization's own role begins with, and no other."""

_SLUG = re.compile(r"[a-z0-9_-]+")
_PERMISSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:*-]*")


@dataclass(frozen=True, slots=True)
class RoleInput:
    """What a caller says about a role; `UNSET` leaves a thing as it is, or to its default."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    slug: str | UnsetType = UNSET
    resource_type_slug: str | UnsetType = UNSET


def shown(role: Role) -> wire.Role:
    """Return a role as the REST API shows it."""
    return wire.Role(
        id=role.id,
        slug=role.slug,
        name=role.name,
        description=role.description,
        type="EnvironmentRole" if role.organization_id is None else "OrganizationRole",
        resource_type_slug=role.resource_type_slug,
        permissions=role.permissions,
        created_at=wire.iso(role.created_at),
        updated_at=wire.iso(role.updated_at),
    )


def event_of(what: str, role: Role) -> Event:
    """Return the event of a role that was `created`, `updated` or `deleted`."""
    body = shown(role)
    if role.organization_id is None:
        return {"created": RoleCreated, "updated": RoleUpdated, "deleted": RoleDeleted}[what](body)
    kinds = {
        "created": OrganizationRoleCreated,
        "updated": OrganizationRoleUpdated,
        "deleted": OrganizationRoleDeleted,
    }
    return kinds[what](role.organization_id, body)


def with_changes(role: Role, given: RoleInput) -> Role:
    """Return a role with what a caller says, the slug aside."""
    if given.name is not UNSET:
        role = replace(role, name=given.name)
    if given.description is not UNSET:
        role = replace(role, description=given.description)
    if given.resource_type_slug is not UNSET:
        role = replace(role, resource_type_slug=given.resource_type_slug)
    return role


def check(given: RoleInput, *, own: bool = False, new: bool = False) -> None:
    """Check what a caller says; `own`: of an organization's role. Raises `ValidationFailed`."""
    wrong = []
    if given.name is UNSET:
        if new:
            wrong.append(FieldError("name", "name_required"))
    elif not given.name.strip():
        wrong.append(FieldError("name", "name_required"))
    elif len(given.name) > MAX_NAME:
        wrong.append(FieldError("name", "name_too_long"))
    if given.description and len(given.description) > MAX_DESCRIPTION:
        wrong.append(FieldError("description", "description_too_long"))
    if given.slug is UNSET:
        if new and not own:
            wrong.append(FieldError("slug", "slug_required"))
    elif len(given.slug) > MAX_SLUG:
        wrong.append(FieldError("slug", "slug_too_long"))
    elif not _SLUG.fullmatch(given.slug) or given.slug.startswith(OWN_PREFIX) is not own:
        wrong.append(FieldError("slug", "slug_invalid"))
    kind = given.resource_type_slug
    if kind is not UNSET and (len(kind) > MAX_SLUG or not _SLUG.fullmatch(kind)):
        wrong.append(FieldError("resource_type_slug", "resource_type_slug_invalid"))
    if wrong:
        raise ValidationFailed(wrong)


def checked_permissions(field: str, given: Sequence[str]) -> tuple[str, ...]:
    """Return permissions in order, each once. Raises `ValidationFailed`."""
    found = tuple(dict.fromkeys(given))
    fit = all(len(one) <= MAX_PERMISSION and _PERMISSION.fullmatch(one) for one in found)
    if not fit or len(found) > MAX_PERMISSIONS:
        raise ValidationFailed([FieldError(field, f"{field}_invalid")])
    return found
