"""Attributes that an environment defines, and what it has settled (`api.md` §6)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.core.attribute_definitions import MAX_DESCRIPTION, AttributeInput
from syncline.core.attribute_map import AttributeKind, AttributeType
from syncline.core.attribute_sources import MAX_KEY, MAX_SOURCES
from syncline.core.json import Json
from syncline.core.roles import RoleMode
from syncline.services.attributes import Definition, Settings
from syncline.web.api.described import PAGING, note
from syncline.web.api.routing import Answer, Call, Route, listed

KINDS = [kind.value for kind in AttributeKind]
TYPES = [type_.value for type_ in AttributeType]
SOURCE = {"path": "urn:acme:params:scim:2.0:User.costPool", "transforms": [{"name": "trim"}]}
SOURCES = note(
    "Where values come from: the first source that has one. A source is a path, or an object with `path` "
    "or `value` (a fixed one) and `transforms`; a transform is a name, or an object with `name` and "
    "`arguments`.",
    [SOURCE],
    maxItems=MAX_SOURCES,
)
_SHOWN_SOURCES = note("Where values come from: the first source that has one.", [SOURCE])
_MODES = [mode.value for mode in RoleMode]


class AttributeCreation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An attribute to define."""

    key: Annotated[
        str,
        note(
            "The key under which people show it: that of a predefined or a standard attribute, or one's own: "
            "letters, digits, `_` and `-`, beginning with a letter.",
            "cost_pool",
            maxLength=MAX_KEY,
        ),
    ]
    kind: Annotated[
        str | UnsetType,
        note("Follows from the key; `standard` gives standard ones other sources.", enum=KINDS),
    ] = UNSET
    type: Annotated[
        str | UnsetType,
        note("What values are turned into; `string` unless it is fixed by the key.", "string", enum=TYPES),
    ] = UNSET
    required: Annotated[bool | UnsetType, note("Whether it is told who has no value.")] = UNSET
    description: Annotated[
        str | UnsetType | None, note("What it is for.", "The pool that pays.", maxLength=MAX_DESCRIPTION)
    ] = UNSET
    sources: Annotated[list[Json] | UnsetType, SOURCES] = UNSET


class AttributeChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be changed about an attribute; what is left out stays as it is."""

    type: Annotated[
        str | UnsetType, note("What values are turned into; of custom attributes only.", "string", enum=TYPES)
    ] = UNSET
    required: Annotated[bool | UnsetType, note("Whether it is told who has no value.")] = UNSET
    description: Annotated[
        str | UnsetType | None, note("What it is for; null removes it.", maxLength=MAX_DESCRIPTION)
    ] = UNSET
    sources: Annotated[list[Json] | UnsetType, SOURCES] = UNSET


class AttributeBody(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute that the environment defines."""

    object: Literal["attribute"] = "attribute"
    id: str
    key: Annotated[str, note("The key under which people show it.", "cost_pool")]
    kind: Annotated[
        str,
        note(
            "`standard` stands at the top level of a directory user, `predefined` and `custom` in "
            "`custom_attributes`.",
            "custom",
            enum=KINDS,
        ),
    ]
    type: Annotated[str, note("What values are turned into.", "string", enum=TYPES)]
    required: Annotated[bool, note("Whether it is told who has no value.")]
    description: Annotated[str | None, note("What it is for.", "The pool that pays.")]
    sources: Annotated[
        list[Json],
        note(
            "Where values come from: the first source that has one. Empty for those of the provider, or "
            "those that a predefined attribute has by itself.",
            [SOURCE],
        ),
    ]
    created_at: str
    updated_at: str


class EnvironmentChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be settled for an environment; what is left out stays as it is."""

    raw_attributes: Annotated[
        bool | UnsetType, note("Whether people are shown as the provider sent them, in `raw_attributes`.")
    ] = UNSET
    role_mode: Annotated[
        str | UnsetType, note("Whether a person holds one role or all that match.", enum=_MODES)
    ] = UNSET
    default_role: Annotated[
        str | UnsetType, note("The slug of the role of those for whom no rule has one.", "member")
    ] = UNSET


class EnvironmentBody(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of the key, and what is settled for it."""

    object: Literal["environment"] = "environment"
    id: str
    name: Annotated[str, note("Its name.", "default")]
    inactive_users: Annotated[
        str, note("The policy for inactive people of new directories.", "delete", enum=["delete", "keep"])
    ]
    raw_attributes: Annotated[bool, note("Whether people are shown as the provider sent them.", False)]
    role_mode: Annotated[
        str, note("Whether a person holds one role or all that match.", "single", enum=_MODES)
    ]
    default_role: Annotated[str, note("The role of those for whom no rule has one.", "member")]
    created_at: str
    updated_at: str


def given(body: AttributeCreation | AttributeChanges) -> AttributeInput:
    """Return what a body says about an attribute."""
    return AttributeInput(
        kind=body.kind if isinstance(body, AttributeCreation) else UNSET,
        type=body.type,
        required=body.required,
        description=body.description,
        sources=body.sources,
    )


def attribute_body(found: Definition) -> AttributeBody:
    """Return a definition as the API shows it."""
    attribute = found.attribute
    return AttributeBody(
        id=found.id,
        key=attribute.key,
        kind=attribute.kind.value,
        type=attribute.type.value,
        required=attribute.required,
        description=attribute.description,
        sources=list(attribute.sources),
        created_at=wire.iso(found.created_at),
        updated_at=wire.iso(found.updated_at),
    )


def _settled(environment_id: str, found: Settings) -> EnvironmentBody:
    return EnvironmentBody(
        id=environment_id,
        name=found.name,
        inactive_users=found.inactive_users,
        raw_attributes=found.settings.get("raw_attributes") is True,
        role_mode=str(found.settings.get("role_mode") or RoleMode.SINGLE.value),
        default_role=str(found.settings.get("default_role") or "member"),
        created_at=wire.iso(found.created_at),
        updated_at=wire.iso(found.updated_at),
    )


async def _list(call: Call) -> Answer:
    page = await call.services.attributes.list(call.environment_id, call.page())
    return Answer(200, listed(page.map(attribute_body)))


async def _create(call: Call) -> Answer:
    body = call.read(AttributeCreation)
    made = await call.services.attributes.create(call.environment_id, body.key, given(body), call.cause)
    return Answer(201, attribute_body(made))


async def _get(call: Call) -> Answer:
    return Answer(
        200, attribute_body(await call.services.attributes.get(call.environment_id, call.path["id"]))
    )


async def _update(call: Call) -> Answer:
    body = call.read(AttributeChanges)
    changed = await call.services.attributes.update(
        call.environment_id, call.path["id"], given(body), call.cause
    )
    return Answer(200, attribute_body(changed))


async def _delete(call: Call) -> Answer:
    await call.services.attributes.delete(call.environment_id, call.path["id"], call.cause)
    return Answer(204)


async def _get_environment(call: Call) -> Answer:
    found = await call.services.attributes.settings(call.environment_id)
    return Answer(200, _settled(call.environment_id, found))


async def _update_environment(call: Call) -> Answer:
    body = call.read(EnvironmentChanges)
    changed = await call.services.attributes.change_settings(
        call.environment_id,
        call.cause,
        raw_attributes=None if body.raw_attributes is UNSET else body.raw_attributes,
        role_mode=None if body.role_mode is UNSET else body.role_mode,
        default_role=None if body.default_role is UNSET else body.default_role,
    )
    return Answer(200, _settled(call.environment_id, changed))


APPLIED = (
    "A job evaluates everybody in the background; each person who comes out differently gets a "
    "`dsync.user.updated`, and `GET /directories/{id}/reevaluation` tells how far it is."
)

ROUTES = (
    Route("GET", "/attributes", _list, "List attributes", [AttributeBody], query=PAGING),
    Route(
        "POST",
        "/attributes",
        _create,
        "Define an attribute",
        AttributeBody,
        201,
        takes=AttributeCreation,
        scope="admin",
        about=APPLIED,
        refusals=((409, "attribute_key_taken"),),
    ),
    Route("GET", "/attributes/{id}", _get, "Get an attribute", AttributeBody),
    Route(
        "PATCH",
        "/attributes/{id}",
        _update,
        "Update an attribute",
        AttributeBody,
        takes=AttributeChanges,
        scope="admin",
        about="Key and kind stay for ever. " + APPLIED,
    ),
    Route(
        "DELETE",
        "/attributes/{id}",
        _delete,
        "Delete an attribute",
        status=204,
        scope="admin",
        about="It is taken from everybody. " + APPLIED,
    ),
    Route("GET", "/environment", _get_environment, "Get the environment", EnvironmentBody),
    Route(
        "PATCH",
        "/environment",
        _update_environment,
        "Update the environment",
        EnvironmentBody,
        takes=EnvironmentChanges,
        scope="admin",
        about=APPLIED,
    ),
)
