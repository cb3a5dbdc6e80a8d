"""Attribute maps of directories: reading, writing, and how far a change is applied (`ui.md` §12.1)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from syncline.core import wire
from syncline.core.attribute_sources import Level
from syncline.core.json import Json
from syncline.services.attribute_coverage import Coverage
from syncline.services.attribute_gaps import MOST_PEOPLE, AttributeGap
from syncline.services.attribute_maps import DirectoryMap, MappedAttribute, MapVersion
from syncline.web.api.attributes import KINDS, SOURCE, TYPES
from syncline.web.api.described import PAGING, Parameter, note
from syncline.web.api.routing import Answer, Call, Route, listed
from syncline.web.api.samples import MASKED, SAMPLES, UNMASKED, is_masked

_LEVELS = [level.value for level in Level]
_WORK = {"path": 'emails[type eq "work"].value', "transforms": []}
OWN_SOURCES = note(
    "Lists of sources by attribute key; what is left out has none of its own.", {"email": [_WORK, "$email"]}
)

LEFT_OUT = note(
    "Attributes for which there are sources though the environment does not define them: they mean nothing "
    "until it does.",
    ["shoe_size"],
)


class AttributeMapInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A directory's own sources, whole."""

    sources: Annotated[dict[str, Json], OWN_SOURCES]


class AttributeCoverage(msgspec.Struct, frozen=True, kw_only=True):
    """How many people have a value."""

    people: Annotated[int, note("People in the directory.", 1284)]
    examined: Annotated[
        int,
        note(
            "People that were looked at: all of them, but for standard attributes that come from where they "
            "always do in a directory of more than 10,000 people.",
            1284,
        ),
    ]
    filled: Annotated[int, note("People of these who have a value.", 1270)]
    ratio: Annotated[float | None, note("Their share, from 0 to 1; null without people.", 0.9891)]


class MappedAttributeBody(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute of a directory and where it comes from."""

    key: Annotated[str, note("The key under which people show it.", "cost_pool")]
    kind: Annotated[str, note("What kind of attribute it is.", "custom", enum=KINDS)]
    type: Annotated[str, note("What values are turned into.", "string", enum=TYPES)]
    required: Annotated[bool, note("Whether it is told who has no value.")]
    description: Annotated[str | None, note("What it is for.", "The pool that pays.")]
    level: Annotated[
        str,
        note(
            "Who says where it comes from: this directory, the environment, the provider, or nobody.",
            "environment",
            enum=_LEVELS,
        ),
    ]
    sources: Annotated[list[Json], note("The sources in force; the first that has a value wins.", [SOURCE])]
    coverage: Annotated[AttributeCoverage, note("How many people have a value.")]
    samples: Annotated[list[str], SAMPLES]
    missing: Annotated[int | None, note("How many people have no value, of required attributes.", 14)]
    missing_examples: Annotated[list[str], note("Some of these people, by id.")]


class AttributeMapBody(msgspec.Struct, frozen=True, kw_only=True):
    """The attribute map of a directory, as it is in force."""

    object: Literal["attribute_map"] = "attribute_map"
    directory_id: str
    version: Annotated[int, note("The version of the directory's own sources; 0 if it never had any.", 3)]
    masked: Annotated[bool, MASKED]
    attributes: Annotated[list[MappedAttributeBody], note("Every attribute, the standard ones first.")]
    left_out: Annotated[list[str], LEFT_OUT]


class AttributeGapBody(msgspec.Struct, frozen=True, kw_only=True):
    """A person who has no value of an attribute."""

    object: Literal["attribute_gap"] = "attribute_gap"
    directory_user_id: Annotated[str, note("The person.", "directory_user_01KA0Z3W8M6Q4T2R9X7V5B3N1A")]
    email: Annotated[str | None, note("Their address.", "mira.voss@northwind.example")]
    name: Annotated[str | None, note("Their name.", "Mira Voss")]
    state: Annotated[str, note("Whether they are active.", "active", enum=["active", "inactive"])]
    missing: Annotated[list[str], note("The attributes that are asked about and missing.", ["cost_pool"])]


class AttributeMapVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a directory's own sources."""

    object: Literal["attribute_map_version"] = "attribute_map_version"
    directory_id: str
    version: Annotated[int, note("Its number, from 1.", 3)]
    sources: Annotated[dict[str, list[Json]], note("Lists of sources by key.", {"email": [_WORK]})]
    request_id: Annotated[str, note("The request that wrote it.", "request_01KA0Z3W8M6Q4T2R9X7V5B3N1A")]
    actor_id: Annotated[str | None, note("The API key that wrote it.", "key_01KA0Z3W8M6Q4T2R9X7V5B3N1A")]
    created_at: str


class AttributeMapVersions(msgspec.Struct, frozen=True, kw_only=True):
    """The newest hundred versions of a directory's own sources, the newest first."""

    object: Literal["list"] = "list"
    data: Annotated[list[AttributeMapVersion], note("The versions.")]
    list_metadata: Annotated[dict[str, None], note("Without cursors.", {"before": None, "after": None})]


class ReevaluationBody(msgspec.Struct, frozen=True, kw_only=True):
    """The job that evaluates a directory's people after a change of attributes, roles or rules."""

    object: Literal["reevaluation"] = "reevaluation"
    directory_id: str
    state: Annotated[
        str,
        note(
            "`running` while somebody is left, then `complete`; `none` where there never was a change.",
            "running",
            enum=["none", "running", "complete"],
        ),
    ]
    total: Annotated[int, note("People to evaluate.", 1284)]
    done: Annotated[int, note("People who have been evaluated.", 600)]
    changed: Annotated[int, note("People of these who came out differently.", 570)]
    request_id: Annotated[
        str | None, note("The request that made the change.", "request_01KA0Z3W8M6Q4T2R9X7V5B3N1A")
    ]
    created_at: Annotated[str | None, note("When the change was made.")]
    finished_at: Annotated[str | None, note("When everybody had been evaluated; null before.")]


def share(part: int, whole: int) -> float:
    """Return a share with four digits."""
    return round(part / whole, 4)


def _coverage(found: Coverage) -> AttributeCoverage:
    ratio = share(found.filled, found.examined) if found.examined else None
    return AttributeCoverage(people=found.people, examined=found.examined, filled=found.filled, ratio=ratio)


def _mapped(found: MappedAttribute, *, masked: bool) -> MappedAttributeBody:
    attribute, coverage = found.attribute, found.coverage
    return MappedAttributeBody(
        key=attribute.key,
        kind=attribute.kind.value,
        type=attribute.type.value,
        required=attribute.required,
        description=attribute.description,
        level=found.level.value,
        sources=list(found.sources),
        coverage=_coverage(coverage),
        samples=coverage.samples(masked=masked),
        missing=coverage.people - coverage.filled if attribute.required else None,
        missing_examples=list(coverage.without) if attribute.required else [],
    )


def _map(found: DirectoryMap, *, masked: bool = True) -> AttributeMapBody:
    return AttributeMapBody(
        directory_id=found.directory_id,
        version=found.version,
        masked=masked,
        attributes=[_mapped(one, masked=masked) for one in found.attributes],
        left_out=list(found.left_out),
    )


def _gap(found: AttributeGap) -> AttributeGapBody:
    return AttributeGapBody(
        directory_user_id=found.directory_user_id,
        email=found.email,
        name=found.name,
        state=found.state,
        missing=list(found.missing),
    )


def _version(directory_id: str, found: MapVersion) -> AttributeMapVersion:
    return AttributeMapVersion(
        directory_id=directory_id,
        version=found.version,
        sources={key: list(sources) for key, sources in found.sources.items()},
        request_id=found.cause.id,
        actor_id=found.cause.actor_id,
        created_at=wire.iso(found.created_at),
    )


async def _get(call: Call) -> Answer:
    masked = is_masked(call)
    found = await call.services.attribute_maps.get(call.environment_id, call.path["id"])
    return Answer(200, _map(found, masked=masked))


async def _missing(call: Call) -> Answer:
    page = await call.services.attribute_gaps.list(
        call.environment_id, call.path["id"], call.text("attribute"), call.page()
    )
    return Answer(200, listed(page.map(_gap)))


async def _put(call: Call) -> Answer:
    body = call.read(AttributeMapInput)
    changed = await call.services.attribute_maps.replace(
        call.environment_id, call.path["id"], body.sources, call.cause
    )
    return Answer(200, _map(changed))


async def _versions(call: Call) -> Answer:
    directory_id = call.path["id"]
    found = await call.services.attribute_maps.versions(call.environment_id, directory_id)
    data = [_version(directory_id, one) for one in found]
    return Answer(200, AttributeMapVersions(data=data, list_metadata={"before": None, "after": None}))


async def _restore(call: Call) -> Answer:
    restored = await call.services.attribute_maps.restore(
        call.environment_id, call.path["id"], call.path["version"], call.cause
    )
    return Answer(200, _map(restored))


async def _progress(call: Call) -> Answer:
    directory_id = call.path["id"]
    job = await call.services.attribute_maps.progress(call.environment_id, directory_id)
    if job is None:
        return Answer(
            200,
            ReevaluationBody(
                directory_id=directory_id,
                state="none",
                total=0,
                done=0,
                changed=0,
                request_id=None,
                created_at=None,
                finished_at=None,
            ),
        )
    body = ReevaluationBody(
        directory_id=directory_id,
        state=job.state,
        total=job.total,
        done=job.done,
        changed=job.changed,
        request_id=job.cause.id,
        created_at=wire.iso(job.created_at),
        finished_at=None if job.finished_at is None else wire.iso(job.finished_at),
    )
    return Answer(200, body)


ROUTES = (
    Route(
        "GET",
        "/directories/{id}/attribute_map",
        _get,
        "Get the attribute map of a directory",
        AttributeMapBody,
        query=(UNMASKED,),
        about="Coverage is counted over what people show now: it lags behind a change that is being applied.",
    ),
    Route(
        "GET",
        "/directories/{id}/attribute_map/missing",
        _missing,
        "List people who miss a required attribute",
        [AttributeGapBody],
        query=(
            *PAGING,
            Parameter(
                "attribute",
                "Only people without a value of this attribute of the environment, required or not; without "
                "it: of any that is required.",
            ),
        ),
        about=(
            f"At most {MOST_PEOPLE:,} people are looked at for one page. It may hold fewer than `limit`, "
            "even none, and still name `after`: the list ends where `after` is null."
        ),
    ),
    Route(
        "PUT",
        "/directories/{id}/attribute_map",
        _put,
        "Replace a directory's own sources",
        AttributeMapBody,
        takes=AttributeMapInput,
        scope="admin",
        about=(
            "Keeps the former ones as a version. A job evaluates everybody in the background; each person "
            "who comes out differently gets a `dsync.user.updated`."
        ),
    ),
    Route(
        "GET",
        "/directories/{id}/attribute_map/versions",
        _versions,
        "List the versions of a directory's own sources",
        AttributeMapVersions,
    ),
    Route(
        "POST",
        "/directories/{id}/attribute_map/versions/{version}/restore",
        _restore,
        "Restore a version of a directory's own sources",
        AttributeMapBody,
        scope="admin",
        about=(
            "The old sources become a new version. Those of attributes that are gone come along; `left_out` "
            "names these."
        ),
    ),
    Route(
        "GET",
        "/directories/{id}/reevaluation",
        _progress,
        "Get how far the latest change is applied",
        ReevaluationBody,
    ),
)
