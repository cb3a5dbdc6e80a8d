"""What deleting or ordering roles would do to the people of all directories, before anybody does it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from syncline.services.role_impact import MAX_EXAMPLES
from syncline.services.role_set_impact import MAX_DIRECTORIES, DirectoryImpact, SetImpact, SetPreview
from syncline.services.role_set_previews import PEOPLE_AT_MOST
from syncline.web.api.described import note
from syncline.web.api.role_previews import (
    PERSON,
    PersonInput,
    RoleEffect,
    RolePerson,
    RoleWarning,
    fields_of,
    role_effect,
    role_person,
    role_warning,
)
from syncline.web.api.roles import OrganizationRoleOrderInput, RoleOrderInput
from syncline.web.api.routing import Answer, Call, Route


class RoleOrderPreviewInput(RoleOrderInput, frozen=True, forbid_unknown_fields=True):
    """An order of all roles to try out."""

    slugs: Annotated[
        list[str],
        note("Every slug once, the most important first.", ["member", "dispatcher", "planner"]),
    ]
    person: Annotated[str | None, PERSON] = None


class OrganizationRoleOrderPreviewInput(OrganizationRoleOrderInput, frozen=True, forbid_unknown_fields=True):
    """An order of all roles that apply to an organization to try out."""

    person: Annotated[str | None, PERSON] = None


class RoleSetEffect(RoleEffect, frozen=True, kw_only=True):
    """What happens to one role in all directories that were counted."""

    emptied: Annotated[int, note("In how many directories nobody would hold it any more.", 2)]


class OtherRoleEffects(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to roles of single organizations, taken together."""

    gain: Annotated[int, note("How often somebody would get one.", 0)]
    lose: Annotated[int, note("How often somebody would lose one, floors aside.", 3)]


class RoleSetExample(msgspec.Struct, frozen=True, kw_only=True):
    """A person whose roles would change."""

    directory_id: Annotated[str, note("Their directory.")]
    directory_user_id: Annotated[str, note("The person.")]
    email: Annotated[str | None, note("Their address.")]
    before: Annotated[list[str], note("Their roles now.", ["admin"])]
    after: Annotated[list[str], note("Their roles then, floors aside.", ["member"])]


class RoleSetDirectory(msgspec.Struct, frozen=True, kw_only=True):
    """What happens in one directory."""

    directory_id: Annotated[str, note("The directory.")]
    organization_id: Annotated[str, note("Its organization.")]
    name: Annotated[str, note("Its name.", "Northwind")]
    summary: Annotated[str, note("In words.", "12 gain Member, 12 lose Admin, 0 Admins left")]
    total: Annotated[int, note("People in the directory.", 1284)]
    changed: Annotated[int, note("People whose roles would change, floors aside.", 12)]
    roles: Annotated[list[RoleEffect], note("The roles that somebody would gain or lose.")]
    warnings: Annotated[list[RoleWarning], note("What to look at.")]


class RoleSetDirectories(msgspec.Struct, frozen=True, kw_only=True):
    """The directories that a change of roles concerns: those whose rules name roles that it is about."""

    concerned: Annotated[int, note("How many there are.", 5)]
    counted: Annotated[int, note("Of how many of them the people were evaluated.", 5)]
    changed: Annotated[int, note("In how many of these somebody's roles would change.", 2)]
    has_more: Annotated[bool, note(f"Whether these are more than the {MAX_DIRECTORIES} that are listed.")]
    data: Annotated[list[RoleSetDirectory], note("Those of the most people whose roles would change.")]


class OrganizationRolesPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of an organization's roles would do now to the people whom it concerns."""

    object: Literal["roles_preview"] = "roles_preview"
    summary: Annotated[
        str, note("In words.", "12 gain Member, 12 lose Admin, 0 Admins left in 2 directories")
    ]
    complete: Annotated[
        bool,
        note(
            f"False once {PEOPLE_AT_MOST:,} people were evaluated and there are further directories: all "
            "figures are of the directories that were counted then."
        ),
    ]
    total: Annotated[int, note("People in the directories that were counted.", 2568)]
    changed: Annotated[int, note("People whose roles would change, floors aside.", 12)]
    roles: Annotated[
        list[RoleSetEffect],
        note("Every role of the environment, or that applies to the organization, the most important first."),
    ]
    warnings: Annotated[list[RoleWarning], note("What to look at.")]
    examples: Annotated[list[RoleSetExample], note(f"Up to {MAX_EXAMPLES} people whose roles would change.")]
    directories: Annotated[RoleSetDirectories, note("Where it happens.")]
    person: Annotated[RolePerson | None, note("The person that was named in the call; null if nobody was.")]


class RolesPreview(OrganizationRolesPreview, frozen=True, kw_only=True):
    """What a change of the environment's roles would do now to the people whom it concerns."""

    organization_roles: Annotated[
        OtherRoleEffects, note("Roles of single organizations, which are not listed in `roles`.")
    ]


def _preview(found: SetPreview) -> OrganizationRolesPreview:
    return OrganizationRolesPreview(
        summary=found.summary,
        complete=found.is_complete,
        total=found.total,
        changed=found.changed,
        roles=[_effect(one) for one in found.roles],
        warnings=[role_warning(one) for one in found.warnings],
        examples=[
            RoleSetExample(
                directory_id=one.directory_id,
                directory_user_id=one.person.directory_user_id,
                email=one.person.email,
                before=list(one.person.before),
                after=list(one.person.after),
            )
            for one in found.examples
        ],
        directories=RoleSetDirectories(
            concerned=found.concerned,
            counted=found.counted,
            changed=found.touched,
            has_more=found.touched > len(found.directories),
            data=[_directory(one) for one in found.directories],
        ),
        person=role_person(found.person),
    )


def _answer(found: SetPreview, organization_id: str | None) -> Answer:
    preview = _preview(found)
    if organization_id is not None:
        return Answer(200, preview)
    others = OtherRoleEffects(gain=found.own_gain, lose=found.own_lose)
    return Answer(200, RolesPreview(**fields_of(preview), organization_roles=others))


def _effect(found: SetImpact) -> RoleSetEffect:
    return RoleSetEffect(**fields_of(role_effect(found)), emptied=found.emptied)


def _directory(found: DirectoryImpact) -> RoleSetDirectory:
    directory, impact = found.directory, found.impact
    return RoleSetDirectory(
        directory_id=directory.id,
        organization_id=directory.organization_id,
        name=directory.name,
        summary=impact.summary,
        total=impact.total,
        changed=impact.changed,
        roles=[role_effect(one) for one in impact.roles if one.is_touched],
        warnings=[role_warning(one) for one in impact.warnings],
    )


async def _try_deletion(call: Call) -> Answer:
    slug, organization_id = call.path.get("slug") or call.path["own_slug"], call.path.get("organization_id")
    found = await call.services.role_set_previews.of_deletion(
        call.environment_id, slug, call.read(PersonInput).person, organization_id
    )
    return _answer(found, organization_id)


async def _try_order(call: Call) -> Answer:
    given, organization_id = call.read(RoleOrderPreviewInput), call.path.get("organization_id")
    found = await call.services.role_set_previews.of_order(
        call.environment_id, given.slugs, given.person, organization_id
    )
    return _answer(found, organization_id)


_OWN = "/authorization/organizations/{organization_id}"
_ABOUT = "Tells who would gain and lose which role, of all together and by directory. Nothing changes."

ROUTES = (
    Route(
        "POST",
        "/authorization/roles/{slug}/deletion/preview",
        _try_deletion,
        "Try the deletion of a role of the environment out",
        RolesPreview,
        takes=PersonInput,
        about=_ABOUT,
        refusals=((409, "role_is_default"),),
    ),
    Route(
        "POST",
        "/authorization/role_priority/preview",
        _try_order,
        "Try an order of the roles of the environment out",
        RolesPreview,
        takes=RoleOrderPreviewInput,
        about=_ABOUT,
    ),
    Route(
        "POST",
        f"{_OWN}/roles/{{own_slug}}/deletion/preview",
        _try_deletion,
        "Try the deletion of a role of one organization out",
        OrganizationRolesPreview,
        takes=PersonInput,
        about=(
            f"{_ABOUT} The deletion of a role that a rule names or that somebody holds is refused, and so is "
            "this."
        ),
        refusals=((409, "role_has_group_role_mappings"), (409, "role_has_assignments")),
    ),
    Route(
        "POST",
        f"{_OWN}/role_priority/preview",
        _try_order,
        "Try an order of the roles of one organization out",
        OrganizationRolesPreview,
        takes=OrganizationRoleOrderPreviewInput,
        about=_ABOUT,
    ),
)
