"""Roles of the environment and of organizations (`api.md` §2.9)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.services.role_shapes import (
    MAX_DESCRIPTION,
    MAX_NAME,
    MAX_PERMISSION,
    MAX_SLUG,
    RoleInput,
)
from syncline.web.api.described import note
from syncline.web.api.routing import Answer, Call, Route

_NAME = note("A name for people.", "Scheduler", maxLength=MAX_NAME)
_DESCRIPTION = note("What the role is for; null for nothing.", "Plans routes", maxLength=MAX_DESCRIPTION)
_RESOURCE_TYPE = note("Kept and returned for clients that send it.", "organization", maxLength=MAX_SLUG)
_PATTERN = "^[a-z0-9_-]+$"


class NewRoleInput(msgspec.Struct, frozen=True, kw_only=True):
    """A role of the environment to make."""

    slug: Annotated[
        str,
        note(
            "Its short name, which never changes; it cannot begin with `org-`.",
            "scheduler",
            maxLength=MAX_SLUG,
            pattern=_PATTERN,
        ),
    ]
    name: Annotated[str, _NAME]
    description: Annotated[str | UnsetType | None, _DESCRIPTION] = UNSET
    resource_type_slug: Annotated[str | UnsetType, _RESOURCE_TYPE] = UNSET


class NewOrganizationRoleInput(msgspec.Struct, frozen=True, kw_only=True):
    """A role of one organization to make."""

    name: Annotated[str, _NAME]
    slug: Annotated[
        str | UnsetType,
        note(
            "Its short name, which begins with `org-` and never changes; made from the name if left out.",
            "org-scheduler",
            maxLength=MAX_SLUG,
            pattern=_PATTERN,
        ),
    ] = UNSET
    description: Annotated[str | UnsetType | None, _DESCRIPTION] = UNSET
    resource_type_slug: Annotated[str | UnsetType, _RESOURCE_TYPE] = UNSET


class RoleChangesInput(msgspec.Struct, frozen=True, kw_only=True):
    """What may be changed about a role; what is left out stays as it is."""

    name: Annotated[str | UnsetType, _NAME] = UNSET
    description: Annotated[str | UnsetType | None, _DESCRIPTION] = UNSET


class PermissionsInput(msgspec.Struct, frozen=True):
    """The permissions of a role: the new full list."""

    permissions: Annotated[
        list[str], note("Permission slugs, which mean what you make of them.", ["routes:edit"])
    ]


class PermissionInput(msgspec.Struct, frozen=True):
    """A permission to give to a role."""

    slug: Annotated[str, note("A permission slug.", "routes:view", maxLength=MAX_PERMISSION)]


class RoleOrderInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All roles in their new order."""

    slugs: Annotated[
        list[str],
        note("Every slug once, the most important first.", ["planner", "dispatcher", "member"]),
    ]


class OrganizationRoleOrderInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All roles that apply to an organization, in their new order."""

    slugs: Annotated[
        list[str],
        note(
            "Every slug once, the most important first.", ["org-auditor", "planner", "dispatcher", "member"]
        ),
    ]


async def _list(call: Call) -> Answer:
    return Answer(200, await call.services.roles.list(call.environment_id, _organization(call)))


async def _create(call: Call) -> Answer:
    given = call.read(NewRoleInput)
    wanted = RoleInput(given.name, given.description, given.slug, given.resource_type_slug)
    return Answer(201, await call.services.roles.create(call.environment_id, wanted, call.cause))


async def _create_own(call: Call) -> Answer:
    given = call.read(NewOrganizationRoleInput)
    wanted = RoleInput(given.name, given.description, given.slug, given.resource_type_slug)
    made = await call.services.roles.create(call.environment_id, wanted, call.cause, _organization(call))
    return Answer(201, made)


async def _get(call: Call) -> Answer:
    found = await call.services.roles.get(call.environment_id, _slug(call), _organization(call))
    return Answer(200, found)


async def _update(call: Call) -> Answer:
    given = call.read(RoleChangesInput)
    changed = await call.services.roles.update(
        call.environment_id,
        _slug(call),
        RoleInput(given.name, given.description),
        call.cause,
        _organization(call),
    )
    return Answer(200, changed)


async def _delete(call: Call) -> Answer:
    roles = call.services.roles
    await roles.delete(call.environment_id, _slug(call), call.cause, _organization(call))
    return Answer(204)


async def _set_permissions(call: Call) -> Answer:
    given = call.read(PermissionsInput)
    changed = await call.services.roles.set_permissions(
        call.environment_id, _slug(call), given.permissions, call.cause, _organization(call)
    )
    return Answer(200, changed)


async def _add_permission(call: Call) -> Answer:
    given = call.read(PermissionInput)
    changed = await call.services.roles.add_permission(
        call.environment_id, _slug(call), given.slug, call.cause, _organization(call)
    )
    return Answer(200, changed)


async def _remove_permission(call: Call) -> Answer:
    await call.services.roles.remove_permission(
        call.environment_id, _slug(call), call.path["permission"], call.cause, _organization(call)
    )
    return Answer(204)


async def _order(call: Call) -> Answer:
    given = call.read(RoleOrderInput)
    ordered = await call.services.roles.order(
        call.environment_id, given.slugs, call.cause, _organization(call)
    )
    return Answer(200, ordered)


def _slug(call: Call) -> str:
    return call.path.get("slug") or call.path["own_slug"]


def _organization(call: Call) -> str | None:
    return call.path.get("organization_id") or call.path.get("id")


_OWN = "/authorization/organizations/{organization_id}"
_EMITS = "Emits `role.updated`; nothing if nothing changed."
_EMITS_OWN = "Emits `organization_role.updated`; nothing if nothing changed."
_FALLS_BACK = (
    "Emits `role.deleted`. Who holds it falls back to what the other rules of the directory give, at least "
    "to its default role, announced with `dsync.user.updated`; rules that name it give nothing from then on."
)

ROUTES = (
    Route("GET", "/authorization/roles", _list, "List the roles of the environment", wire.RoleList),
    Route(
        "POST",
        "/authorization/roles",
        _create,
        "Create a role of the environment",
        wire.Role,
        201,
        takes=NewRoleInput,
        about=(
            "It becomes the least important role, though before `member` where that is last. Emits "
            "`role.created`."
        ),
        refusals=((400, "bad_request"), (409, "role_slug_conflict")),
    ),
    Route("GET", "/authorization/roles/{slug}", _get, "Get a role of the environment", wire.Role),
    Route(
        "PATCH",
        "/authorization/roles/{slug}",
        _update,
        "Update a role of the environment",
        wire.Role,
        takes=RoleChangesInput,
        about=_EMITS,
    ),
    Route(
        "DELETE",
        "/authorization/roles/{slug}",
        _delete,
        "Delete a role of the environment",
        status=204,
        about=_FALLS_BACK,
        refusals=((409, "role_is_default"),),
    ),
    Route(
        "PUT",
        "/authorization/roles/{slug}/permissions",
        _set_permissions,
        "Set the permissions of a role of the environment",
        wire.Role,
        takes=PermissionsInput,
        about=_EMITS,
    ),
    Route(
        "POST",
        "/authorization/roles/{slug}/permissions",
        _add_permission,
        "Add a permission to a role of the environment",
        wire.Role,
        takes=PermissionInput,
        about=_EMITS,
    ),
    Route(
        "DELETE",
        "/authorization/roles/{slug}/permissions/{permission}",
        _remove_permission,
        "Remove a permission from a role of the environment",
        status=204,
        about="Emits `role.updated`.",
    ),
    Route(
        "PUT",
        "/authorization/role_priority",
        _order,
        "Order the roles of the environment",
        wire.RoleList,
        takes=RoleOrderInput,
        about=(
            "Where somebody may hold one role only, the most important of those that match wins. Roles of "
            "organizations keep their places between those of the environment."
        ),
    ),
    Route("GET", f"{_OWN}/roles", _list, "List the roles that apply to an organization", wire.RoleList),
    Route(
        "POST",
        f"{_OWN}/roles",
        _create_own,
        "Create a role of one organization",
        wire.Role,
        201,
        takes=NewOrganizationRoleInput,
        about=(
            "It becomes the least important role there, though before `member` where that is last. Emits "
            "`organization_role.created`."
        ),
        refusals=((400, "bad_request"), (409, "organization_role_slug_conflict")),
    ),
    Route(
        "GET",
        f"{_OWN}/roles/{{own_slug}}",
        _get,
        "Get a role that applies to an organization",
        wire.Role,
        about="Finds roles of the environment and the organization's own.",
    ),
    Route(
        "PATCH",
        f"{_OWN}/roles/{{own_slug}}",
        _update,
        "Update a role of one organization",
        wire.Role,
        takes=RoleChangesInput,
        about=_EMITS_OWN,
    ),
    Route(
        "DELETE",
        f"{_OWN}/roles/{{own_slug}}",
        _delete,
        "Delete a role of one organization",
        status=204,
        about="Refused while a rule names it or somebody holds it. Emits `organization_role.deleted`.",
        refusals=((409, "role_has_group_role_mappings"), (409, "role_has_assignments")),
    ),
    Route(
        "PUT",
        f"{_OWN}/roles/{{own_slug}}/permissions",
        _set_permissions,
        "Set the permissions of a role of one organization",
        wire.Role,
        takes=PermissionsInput,
        about=_EMITS_OWN,
    ),
    Route(
        "POST",
        f"{_OWN}/roles/{{own_slug}}/permissions",
        _add_permission,
        "Add a permission to a role of one organization",
        wire.Role,
        takes=PermissionInput,
        about=_EMITS_OWN,
    ),
    Route(
        "DELETE",
        f"{_OWN}/roles/{{own_slug}}/permissions/{{permission}}",
        _remove_permission,
        "Remove a permission from a role of one organization",
        status=204,
        about="Emits `organization_role.updated`.",
    ),
    Route(
        "PUT",
        f"{_OWN}/role_priority",
        _order,
        "Order the roles of one organization",
        wire.RoleList,
        takes=OrganizationRoleOrderInput,
        about=(
            "Names every role that applies to it. Only its own roles move: those of the environment have one "
            "order for all organizations."
        ),
    ),
    Route(
        "GET",
        "/organizations/{id}/roles",
        _list,
        "List the roles that apply to an organization (older address)",
        wire.RoleList,
    ),
)
