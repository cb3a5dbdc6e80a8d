"""Versions of the attributes that an environment defines: list, show, try out, restore."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from syncline.core import wire
from syncline.services.attribute_previews import Preview
from syncline.services.attributes import Definition
from syncline.services.definition_versions import DefinitionVersion
from syncline.web.api.attribute_previews import (
    EVENTS,
    AttributeCounts,
    AttributeDifference,
    AttributeLosses,
    counts,
    differences,
)
from syncline.web.api.attributes import APPLIED, AttributeBody, attribute_body
from syncline.web.api.described import Parameter, note
from syncline.web.api.routing import Answer, Call, Route

_KEYS = ["cost_pool"]
_REQUEST = "request_01KA0Z3W8M6Q4T2R9X7V5B3N1A"
_KEY = "key_01KA0Z3W8M6Q4T2R9X7V5B3N1A"


class AttributeVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of what an environment defines, without the definitions."""

    object: Literal["attribute_version"] = "attribute_version"
    version: Annotated[int, note("Its number, from 1.", 3)]
    added: Annotated[list[str], note("Attributes that the version before did not have.", _KEYS)]
    changed: Annotated[list[str], note("Attributes that were different in the version before.", [])]
    removed: Annotated[list[str], note("Attributes that only the version before had.", [])]
    restored: Annotated[int | None, note("The version that it repeats; null if it was made otherwise.")]
    request_id: Annotated[
        str | None, note("The request that made it; null for what was there when versions began.", _REQUEST)
    ]
    actor_id: Annotated[str | None, note("The API key that made it.", _KEY)]
    created_at: str


class AttributeVersionWhole(AttributeVersion, frozen=True, kw_only=True):
    """A version of what an environment defines."""

    attributes: Annotated[list[AttributeBody], note("Every attribute as it was defined, by key.")]


class AttributeVersions(msgspec.Struct, frozen=True, kw_only=True):
    """The newest hundred versions of what an environment defines, the newest first."""

    object: Literal["list"] = "list"
    data: Annotated[list[AttributeVersion], note("The versions.")]
    list_metadata: Annotated[dict[str, None], note("Without cursors.", {"before": None, "after": None})]


class AttributeVersionPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What restoring a version would do to people; nothing is changed."""

    object: Literal["attribute_version_preview"] = "attribute_version_preview"
    version: Annotated[int, note("The version that would be restored.", 3)]
    directories: Annotated[int, note("The directories that were looked at.", 12)]
    total: Annotated[int, note("People in them.", 1284)]
    changed: Annotated[int, note("People who would be updated.", 1190)]
    attributes: Annotated[list[AttributeCounts], note("What would happen to each attribute that changes.")]
    examples: Annotated[list[AttributeDifference], note("Up to 20 values that would change.")]
    losing: Annotated[AttributeLosses, note("People who would lose a value.")]
    roles_changed: Annotated[int, note("People who would have other roles because of it.", 0)]
    events: Annotated[dict[str, int], EVENTS]


def _version(found: DefinitionVersion) -> AttributeVersion:
    cause, change = found.cause, found.change
    return AttributeVersion(
        version=found.version,
        added=list(change.added),
        changed=list(change.changed),
        removed=list(change.removed),
        restored=found.restored,
        request_id=None if cause is None else cause.id,
        actor_id=None if cause is None else cause.actor_id,
        created_at=wire.iso(found.created_at),
    )


def _whole(found: DefinitionVersion, definitions: Sequence[Definition]) -> AttributeVersionWhole:
    return AttributeVersionWhole(
        **msgspec.structs.asdict(_version(found)), attributes=[attribute_body(one) for one in definitions]
    )


def _preview(version: str, found: Preview, directories: int) -> AttributeVersionPreview:
    return AttributeVersionPreview(
        version=int(version),
        directories=directories,
        total=found.total,
        changed=found.changed,
        attributes=counts(found),
        examples=differences(found.examples),
        losing=AttributeLosses(people=found.losing, examples=differences(found.lost)),
        roles_changed=found.roles,
        events={"dsync.user.updated": found.changed},
    )


async def _list(call: Call) -> Answer:
    found = await call.services.definition_versions.list(call.environment_id)
    data = [_version(one) for one in found]
    return Answer(200, AttributeVersions(data=data, list_metadata={"before": None, "after": None}))


async def _get(call: Call) -> Answer:
    found = await call.services.definition_versions.get(call.environment_id, call.path["version"])
    return Answer(200, _whole(*found))


async def _try(call: Call) -> Answer:
    version = call.path["version"]
    found = await call.services.definition_versions.preview(
        call.environment_id, version, call.text("directory")
    )
    return Answer(200, _preview(version, *found))


async def _restore(call: Call) -> Answer:
    restored = await call.services.definition_versions.restore(
        call.environment_id, call.path["version"], call.cause
    )
    return Answer(200, _whole(*restored))


ROUTES = (
    Route(
        "GET",
        "/attributes/versions",
        _list,
        "List the versions of what the environment defines",
        AttributeVersions,
        about="Every change of a definition makes one. The definitions of a version are shown with it alone.",
    ),
    Route(
        "GET",
        "/attributes/versions/{version}",
        _get,
        "Get a version of what the environment defines",
        AttributeVersionWhole,
    ),
    Route(
        "POST",
        "/attributes/versions/{version}/preview",
        _try,
        "Try a version of what the environment defines out",
        AttributeVersionPreview,
        scope="admin",
        query=(Parameter("directory", "Only the people of this directory; without it of all there are."),),
        about="Evaluates everybody as restoring the version would, and changes nothing.",
    ),
    Route(
        "POST",
        "/attributes/versions/{version}/restore",
        _restore,
        "Restore a version of what the environment defines",
        AttributeVersionWhole,
        scope="admin",
        about=(
            "Exactly the attributes of the version are defined afterwards, as a new version. Those that were "
            "deleted come back with their ids, those that the version does not have are deleted. Where that "
            "changes nothing, the newest version is answered. " + APPLIED
        ),
    ),
)
