"""Moving in: imports, and the addresses that identity providers already have (`api.md` §11)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from syncline.core import wire
from syncline.core.imports import MAX_RECORDS, Outcome
from syncline.core.json import Json
from syncline.services.import_results import RecordResult
from syncline.services.imports import EVENTS, RECORDS, SCIM_IDS, WORKOS, Import, ImportRequest
from syncline.services.scim_aliases import MAX_PATH, PathAlias
from syncline.store.imports import ImportState
from syncline.web.api.described import PAGING, note
from syncline.web.api.routing import Answer, Call, Route, listed


class ImportInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An import to begin."""

    source: Annotated[
        str,
        note(
            "`records` waits for the records of a file, `workos` reads a service that speaks the WorkOS API.",
            "records",
            enum=[RECORDS, WORKOS],
        ),
    ]
    events: Annotated[
        str,
        note(
            "`none` announces nothing, for an app that has these people already; `created` announces "
            "everything that is made.",
            "none",
            enum=[*EVENTS],
        ),
    ] = "none"
    live: Annotated[
        bool, note("Add to directories that their providers push into already as well.", False)
    ] = False
    scim_ids: Annotated[
        str,
        note(
            "For `workos`: whether providers know people by the ULID of their id, or by the whole id.",
            "bare",
            enum=[*SCIM_IDS],
        ),
    ] = "bare"
    base_url: Annotated[str | None, note("For `workos`: the address of the service.")] = None
    api_key: Annotated[
        str | None, note("For `workos`: its API key; kept sealed, and only until the end of the import.")
    ] = None
    directory_ids: Annotated[
        list[str] | None, note("For `workos`: only these directories, with their organizations.")
    ] = None


class RecordsInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Records to take in."""

    first: Annotated[int, note("The number of the first record in its file, from 1.", 1, minimum=1)]
    records: Annotated[
        list[Any],
        note(
            "Records of the import format, in order.",
            [{"type": "organization", "id": "org_01KA0YPX7B9D1F3H5K7M9Q1S3A", "name": "Southwind"}],
            minItems=1,
            maxItems=MAX_RECORDS,
        ),
    ]


class RetryInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a failed import goes on."""

    api_key: Annotated[str | None, note("Another API key of the source; null keeps the one it has.")] = None


class ScimAliasInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A path that is to lead to a directory."""

    path: Annotated[
        str,
        note(
            "What comes before `/Users`; of a whole address the path is taken.",
            "/api/scim/v2.0/7b1c9d3e",
            maxLength=MAX_PATH,
        ),
    ]


class ImportProblem(msgspec.Struct, frozen=True):
    """Something that was not taken in, or not whole."""

    type: Annotated[str, note("The kind of the record.")]
    id: Annotated[str, note("Its id in the source.")]
    code: Annotated[str, note("The stable name of the problem.")]
    message: Annotated[str, note("A sentence about it.")]


class ImportBody(msgspec.Struct, frozen=True, kw_only=True):
    """An import and how far it is."""

    object: str = "import"
    id: str
    source: Annotated[str, note("`records` or `workos`.")]
    state: Annotated[
        str,
        note(
            "`open` waits for records, `running` reads its source; `complete`, `canceled`, or `failed`, "
            "which can go on.",
            enum=[state.value for state in ImportState],
        ),
    ]
    events: Annotated[str, note("Whether events announce what is made.")]
    live: Annotated[bool, note("Whether directories in use are added to.")]
    next_record: Annotated[int | None, note("The number of the record to go on with; null for a source.")]
    stage: Annotated[str | None, note("What is being read of the source; null for records.")]
    counts: Annotated[
        dict[str, dict[str, int]],
        note("How many of each kind were `created`, `unchanged`, `skipped` or `refused`."),
    ]
    problems: Annotated[list[ImportProblem], note("The first thousand problems.")]
    error: Annotated[str | None, note("Why it waits or has failed, in a sentence.")]
    created_at: str
    finished_at: Annotated[str | None, note("When it ended; null before.")]


class RecordResultBody(msgspec.Struct, frozen=True):
    """What became of a record."""

    type: Annotated[str, note("The kind of the record.")]
    source_id: Annotated[str, note("Its id in the source; of a membership, that of the group.")]
    id: Annotated[str | None, note("Its id here; null if it was not taken in, or is somebody not shown.")]
    outcome: Annotated[
        str,
        note("`created`, `unchanged`, `skipped` or `refused`.", enum=[outcome.value for outcome in Outcome]),
    ]
    code: Annotated[str | None, note("The stable name of a problem; null if there is none.")]
    message: Annotated[str | None, note("A sentence about the problem.")]


class RecordsTaken(msgspec.Struct, frozen=True):
    """What became of the records of a call, in their order, and of the import."""

    results: Annotated[list[RecordResultBody], note("One for each record.")]
    import_: Annotated[ImportBody, note("The import after the call.")] = msgspec.field(name="import")


class ScimAlias(msgspec.Struct, frozen=True, kw_only=True):
    """A path that leads to a directory beside its own."""

    object: str = "scim_alias"
    id: str
    directory_id: str
    path: Annotated[str, note("What comes before `/Users`.")]
    endpoint: Annotated[str, note("The whole address.")]
    created_at: str


def _body(found: Import) -> ImportBody:
    next_record = found.progress.get("next_record")
    return ImportBody(
        id=found.id,
        source=found.kind,
        state=found.state.value,
        events=str(found.options["events"]),
        live=bool(found.options["live"]),
        next_record=next_record,
        stage=found.progress.get("stage"),
        counts=found.counts,
        problems=[ImportProblem(**problem) for problem in found.problems],
        error=found.error,
        created_at=wire.iso(found.created_at),
        finished_at=None if found.finished_at is None else wire.iso(found.finished_at),
    )


def _result(found: RecordResult) -> RecordResultBody:
    return RecordResultBody(
        type=found.type,
        source_id=found.source_id,
        id=found.id,
        outcome=found.outcome.value,
        code=found.code,
        message=found.message,
    )


def _alias(call: Call, found: PathAlias) -> ScimAlias:
    return ScimAlias(
        id=found.id,
        directory_id=call.path["id"],
        path=found.path,
        endpoint=f"{call.services.kernel.base_url}{found.path}",
        created_at=wire.iso(found.created_at),
    )


async def _create(call: Call) -> Answer:
    given = call.read(ImportInput)
    asked = ImportRequest(
        source=given.source,
        events=given.events,
        live=given.live,
        scim_ids=given.scim_ids,
        base_url=given.base_url,
        api_key=given.api_key,
        directory_ids=given.directory_ids or (),
    )
    return Answer(201, _body(await call.services.imports.create(call.environment_id, asked, call.cause)))


async def _list(call: Call) -> Answer:
    page = await call.services.imports.list(call.environment_id, call.page())
    return Answer(200, listed(page.map(_body)))


async def _get(call: Call) -> Answer:
    return Answer(200, _body(await call.services.imports.get(call.environment_id, call.path["id"])))


async def _records(call: Call) -> Answer:
    # Who may not see the import is not told what is wrong with the records.
    await call.services.imports.get(call.environment_id, call.path["id"])
    given = call.read(RecordsInput)
    values: list[Json] = given.records
    results, after = await call.services.imports.take_in(
        call.environment_id, call.path["id"], given.first, values, call.cause
    )
    return Answer(200, RecordsTaken([_result(one) for one in results], _body(after)))


async def _finish(call: Call) -> Answer:
    return Answer(200, _body(await call.services.imports.finish(call.environment_id, call.path["id"])))


async def _cancel(call: Call) -> Answer:
    return Answer(200, _body(await call.services.imports.cancel(call.environment_id, call.path["id"])))


async def _retry(call: Call) -> Answer:
    given = call.read(RetryInput)
    resumed = await call.services.imports.retry(
        call.environment_id, call.path["id"], given.api_key, call.cause
    )
    return Answer(200, _body(resumed))


async def _list_aliases(call: Call) -> Answer:
    page = await call.services.scim_aliases.list(call.environment_id, call.path["id"], call.page())
    return Answer(200, listed(page.map(lambda found: _alias(call, found))))


async def _create_alias(call: Call) -> Answer:
    await call.services.directories.get(call.environment_id, call.path["id"])
    given = call.read(ScimAliasInput)
    made = await call.services.scim_aliases.create(
        call.environment_id, call.path["id"], given.path, call.cause
    )
    return Answer(201, _alias(call, made))


async def _remove_alias(call: Call) -> Answer:
    await call.services.scim_aliases.remove(
        call.environment_id, call.path["id"], call.path["alias_id"], call.cause
    )
    return Answer(204)


ROUTES = (
    Route("GET", "/imports", _list, "List imports", [ImportBody], query=PAGING, scope="admin"),
    Route(
        "POST",
        "/imports",
        _create,
        "Begin an import",
        ImportBody,
        201,
        takes=ImportInput,
        scope="admin",
        about=(
            "Copies organizations, directories, people, groups and memberships with their ids. An import "
            "only adds: what is there already stays as it is, and a repetition changes nothing. A source of "
            "the kind `workos` is read in the background; ask for the import to see how far it is."
        ),
    ),
    Route("GET", "/imports/{id}", _get, "Get an import", ImportBody, scope="admin"),
    Route(
        "POST",
        "/imports/{id}/records",
        _records,
        "Give an import its records",
        RecordsTaken,
        takes=RecordsInput,
        scope="admin",
        about=(
            "Each record is taken in or refused by itself, in order. Records that were given before may be "
            "given again; a gap is refused."
        ),
        refusals=((400, "records_missing"), (409, "import_state")),
    ),
    Route(
        "POST",
        "/imports/{id}/finish",
        _finish,
        "Close an import that took records",
        ImportBody,
        scope="admin",
        refusals=((409, "import_state"),),
    ),
    Route(
        "POST",
        "/imports/{id}/cancel",
        _cancel,
        "Stop an import",
        ImportBody,
        scope="admin",
        about="What is in stays. The API key of the source is forgotten.",
        refusals=((409, "import_state"),),
    ),
    Route(
        "POST",
        "/imports/{id}/retry",
        _retry,
        "Let a failed import go on",
        ImportBody,
        takes=RetryInput,
        scope="admin",
        about="It goes on where it stopped.",
        refusals=((409, "import_state"),),
    ),
    Route(
        "GET",
        "/directories/{id}/scim_aliases",
        _list_aliases,
        "List the further SCIM paths of a directory",
        [ScimAlias],
        query=PAGING,
    ),
    Route(
        "POST",
        "/directories/{id}/scim_aliases",
        _create_alias,
        "Lead a path to a directory",
        ScimAlias,
        201,
        takes=ScimAliasInput,
        about=(
            "For identity providers that keep the address of another service: SCIM 2.0 requests below the "
            "path are answered as those below the directory's own address, with the same tokens."
        ),
        refusals=((409, "scim_alias_exists"),),
    ),
    Route(
        "DELETE",
        "/directories/{id}/scim_aliases/{alias_id}",
        _remove_alias,
        "Remove a further SCIM path",
        status=204,
    ),
)
