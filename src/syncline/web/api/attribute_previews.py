"""Changes of attributes tried out, and what attributes could be made of (`ui.md` §12.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core.attribute_definitions import AttributeInput
from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.json import Json
from syncline.services.attribute_previews import Difference, Preview
from syncline.services.observed_attributes import Observed
from syncline.web.api.attribute_maps import LEFT_OUT, OWN_SOURCES, share
from syncline.web.api.attributes import SOURCE, AttributeCreation, given
from syncline.web.api.described import note
from syncline.web.api.role_previews import PERSON, PersonInput, RolePerson, role_person
from syncline.web.api.routing import Answer, Call, Route
from syncline.web.api.samples import MASKED, SAMPLES, UNMASKED, is_masked

EVENTS = note("How many events would follow, by type.", {"dsync.user.updated": 1190})


class AttributePreviewInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change to try out: of the directory's own sources, of the environment's attributes, or of both."""

    sources: Annotated[dict[str, Json] | UnsetType, OWN_SOURCES] = UNSET
    definitions: Annotated[
        dict[str, Json] | UnsetType,
        note(
            "Attributes of the environment by key, with what would be sent to define or update them; null "
            "for one that would be deleted.",
            {"cost_pool": {"type": "string", "sources": [SOURCE, {"value": "unknown"}]}},
        ),
    ] = UNSET
    person: Annotated[str | None, PERSON] = None


class AttributeCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen to one attribute."""

    key: Annotated[str, note("The attribute.", "cost_pool")]
    changed: Annotated[int, note("People who would have another value.", 1190)]
    filled: Annotated[int, note("People who have none now and would have one.", 1100)]
    emptied: Annotated[int, note("People who have one now and would have none.", 14)]


class AttributeDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen to one value of one person."""

    directory_user_id: Annotated[str, note("The person.", "directory_user_01KA0Z3W8M6Q4T2R9X7V5B3N1A")]
    key: Annotated[str, note("The attribute.", "cost_pool")]
    before: Annotated[Json, note("The value now.", None)]
    after: Annotated[Json, note("The value afterwards.", "north")]


class AttributeLosses(msgspec.Struct, frozen=True, kw_only=True):
    """People who would lose a value."""

    people: Annotated[int, note("How many.", 14)]
    examples: Annotated[list[AttributeDifference], note("Up to 20 of their values.")]


class AttributeMapPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a change would do to the people of a directory; nothing is changed."""

    object: Literal["attribute_map_preview"] = "attribute_map_preview"
    directory_id: str
    total: Annotated[int, note("People in the directory.", 1284)]
    changed: Annotated[int, note("People who would be updated.", 1190)]
    attributes: Annotated[list[AttributeCounts], note("What would happen to each attribute that changes.")]
    examples: Annotated[list[AttributeDifference], note("Up to 20 values that would change.")]
    losing: Annotated[AttributeLosses, note("People who would lose a value.")]
    roles_changed: Annotated[int, note("People who would have other roles because of it.", 0)]
    person: Annotated[RolePerson | None, note("The person that was named in the call; null if nobody was.")]
    left_out: Annotated[list[str], LEFT_OUT]
    events: Annotated[dict[str, int], EVENTS]


class ObservedAttribute(msgspec.Struct, frozen=True, kw_only=True):
    """A path that people of the directory have."""

    path: Annotated[
        str, note("The path, as a source of an attribute takes it.", 'emails[type eq "work"].value')
    ]
    name: Annotated[str, note("A short name of it.", "emails (work)")]
    types: Annotated[list[str], note("The JSON types of its values.", ["string"])]
    people: Annotated[int, note("How many people have it, of those looked at.", 1259)]
    ratio: Annotated[float, note("Their share, from 0 to 1.", 0.9805)]
    samples: Annotated[list[str], SAMPLES]


class ObservedAttributesBody(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider of a directory really sends."""

    object: Literal["observed_attributes"] = "observed_attributes"
    directory_id: str
    people: Annotated[int, note("People in the directory.", 1284)]
    examined: Annotated[int, note("People that were looked at.", 1284)]
    sampled: Annotated[bool, note("Whether not everybody was looked at: of more than 10,000 people.")]
    cut: Annotated[bool, note("Whether there are more paths than the 500 that are shown.")]
    masked: Annotated[bool, MASKED]
    attributes: Annotated[list[ObservedAttribute], note("The paths, those that most people have first.")]


def counts(found: Preview) -> list[AttributeCounts]:
    """Return what a preview says of each attribute, by key."""
    return [
        AttributeCounts(key=key, changed=one.changed, filled=one.filled, emptied=one.emptied)
        for key, one in sorted(found.attributes.items())
    ]


def differences(found: Iterable[Difference]) -> list[AttributeDifference]:
    """Return examples of a preview."""
    return [
        AttributeDifference(
            directory_user_id=one.directory_user_id, key=one.key, before=one.before, after=one.after
        )
        for one in found
    ]


def _preview(directory_id: str, found: Preview) -> AttributeMapPreview:
    return AttributeMapPreview(
        directory_id=directory_id,
        total=found.total,
        changed=found.changed,
        attributes=counts(found),
        examples=differences(found.examples),
        losing=AttributeLosses(people=found.losing, examples=differences(found.lost)),
        roles_changed=found.roles,
        person=role_person(found.person),
        left_out=list(found.left_out),
        events={"dsync.user.updated": found.changed},
    )


def _observed(found: Observed, *, masked: bool) -> ObservedAttributesBody:
    return ObservedAttributesBody(
        directory_id=found.directory_id,
        people=found.people,
        examined=found.examined,
        sampled=found.examined < found.people,
        cut=found.is_cut,
        masked=masked,
        attributes=[
            ObservedAttribute(
                path=one.path,
                name=one.name,
                types=sorted(one.types),
                people=one.people,
                ratio=share(one.people, found.examined),
                samples=one.samples(found.examined, masked=masked),
            )
            for one in found.paths
        ],
    )


async def _try(call: Call) -> Answer:
    body = call.read(AttributePreviewInput)
    wanted = {} if body.definitions is UNSET else body.definitions
    found = await call.services.attribute_previews.preview(
        call.environment_id,
        call.path["id"],
        sources=None if body.sources is UNSET else body.sources,
        definitions={key: _definition(key, value) for key, value in wanted.items()},
        person=body.person,
    )
    return Answer(200, _preview(call.path["id"], found))


async def _try_version(call: Call) -> Answer:
    body = call.read(PersonInput)
    found = await call.services.attribute_previews.preview_version(
        call.environment_id, call.path["id"], call.path["version"], body.person
    )
    return Answer(200, _preview(call.path["id"], found))


def _definition(key: str, value: Json) -> AttributeInput | None:
    if value is None:
        return None
    name = f"definitions.{key[:80]}"
    if not isinstance(value, dict):
        raise ValidationFailed([FieldError(name, f"{name}_invalid")])
    try:
        return given(msgspec.convert({**value, "key": key}, AttributeCreation))
    except msgspec.ValidationError as error:
        raise ValidationFailed([FieldError(name, f"{name}_invalid")], f"{name}: {error}.") from None


async def _observe(call: Call) -> Answer:
    masked = is_masked(call)
    found = await call.services.observed_attributes.get(call.environment_id, call.path["id"])
    return Answer(200, _observed(found, masked=masked))


ROUTES = (
    Route(
        "POST",
        "/directories/{id}/attribute_map/preview",
        _try,
        "Try a change of attributes out",
        AttributeMapPreview,
        takes=AttributePreviewInput,
        scope="admin",
        about="Evaluates everybody as the change would, and changes nothing.",
    ),
    Route(
        "POST",
        "/directories/{id}/attribute_map/versions/{version}/preview",
        _try_version,
        "Try a version of a directory's own sources out",
        AttributeMapPreview,
        takes=PersonInput,
        scope="admin",
        about=(
            "Evaluates everybody as restoring the version would, and changes nothing. Sources of attributes "
            "that are gone count for nothing; `left_out` names these."
        ),
    ),
    Route(
        "GET",
        "/directories/{id}/observed_attributes",
        _observe,
        "List what a directory's provider really sends",
        ObservedAttributesBody,
        query=(UNMASKED,),
        about="Of more than 10,000 people, about so many are looked at, from all over the directory.",
    ),
)
