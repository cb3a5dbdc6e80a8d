"""Reconciliations of an app's roster with a directory, calls of Syncline's own (`api.md` §11)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.json import Json
from syncline.core.paging import Order
from syncline.core.reconcile import CORRECTABLE, Drift
from syncline.core.rosters import RosterFormat, RosterReader, RosterRow, RowProblem, read_objects, unreadable
from syncline.services.reconciliation_intake import Address
from syncline.web.api.described import PAGING, Parameter, moment, note, paging
from syncline.web.api.routing import Answer, Call, Route, listed, read_moment

LARGEST = 16 * 1024 * 1024
LARGEST_PART = 1024 * 1024
_MOST_LINE = 10**9
_FORMATS = {
    "text/csv": RosterFormat.CSV,
    "application/x-ndjson": RosterFormat.NDJSON,
    "application/jsonl": RosterFormat.NDJSON,
}
_PIECE = 64 * 1024
_ROW = {"email": "mira.voss@northwind.example", "active": True, "role": "member"}


class ReconcileInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The app's roster, or where it is; exactly one of `users`, `url` and `upload`."""

    users: Annotated[list[Json] | UnsetType, note("The people as the app has them.", [_ROW])] = UNSET
    url: Annotated[str | None, note("An address that answers with the roster.")] = None
    bearer_token: Annotated[str | None, note("A secret that is sent to the address.")] = None
    upload: Annotated[bool, note("Whether the rows follow, in calls of their own.")] = False
    taken_at: Annotated[
        str | None,
        note("When the app wrote the roster; people who changed later are left out. Now by default."),
    ] = None


class RosterRowsInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """More rows of a roster."""

    users: Annotated[list[Json], note("People as the app has them.", [_ROW])]


class CorrectionInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"drift": "class"}):
    """Which findings to correct."""

    drift: Annotated[
        str,
        note(
            "The class of the findings.",
            Drift.GONE_BUT_ACTIVE.value,
            enum=[drift.value for drift in CORRECTABLE],
        ),
    ]


def _uploaded(call: Call, first: int) -> Iterable[RosterRow | RowProblem]:
    """Yield the rows of an uploaded file, read piece by piece. Raises `RosterUnreadable`."""
    if not call.upload.strip():
        # An export that failed must not read as an app without anybody.
        raise unreadable(first, "is missing: the file is empty")
    reader = RosterReader(_FORMATS[call.media], first)
    for start in range(0, len(call.upload), _PIECE):
        yield from reader.feed(call.upload[start : start + _PIECE])
    yield from reader.feed(b"", last=True)


async def _reconcile(call: Call) -> Answer:
    service = call.services.reconciliations
    place = (call.environment_id, call.path["id"], call.cause)
    if call.media in _FORMATS:
        taken_at = call.moment("taken_at")
        return Answer(201, await service.compare(*place, _uploaded(call, 1), taken_at=taken_at))
    given = call.read(ReconcileInput)
    taken_at = call.moment("taken_at") if given.taken_at is None else read_moment(given.taken_at, "taken_at")
    ways = [given.users is not UNSET, given.url is not None, given.upload]
    if sum(ways) != 1 or (given.bearer_token is not None and given.url is None):
        raise ValidationFailed(
            [FieldError("users", "users_invalid" if any(ways) else "users_required")],
            "Give one of users, url and upload; a bearer_token belongs to a url.",
        )
    if given.url is not None:
        address = Address(given.url, given.bearer_token)
        return Answer(201, await service.fetch(*place, address, taken_at=taken_at))
    if given.users is UNSET:
        return Answer(201, await service.open(*place, taken_at=taken_at))
    return Answer(201, await service.compare(*place, read_objects(given.users), taken_at=taken_at))


async def _add_rows(call: Call) -> Answer:
    service = call.services.reconciliations
    place = (call.environment_id, call.path["id"], call.path["reconciliation_id"])
    first = _first_line(call)
    if call.media in _FORMATS:
        rows = _uploaded(call, first or 1)
    else:
        rows = read_objects(call.read(RosterRowsInput).users, first or 1)
    return Answer(200, await service.add_rows(*place, rows, numbered=first is not None))


def _first_line(call: Call) -> int | None:
    text = call.text("first_line")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text[:11]) <= _MOST_LINE):
        raise ValidationFailed([FieldError("first_line", "first_line_invalid")])
    return int(text)


async def _start(call: Call) -> Answer:
    place = (call.environment_id, call.path["id"], call.path["reconciliation_id"])
    return Answer(200, await call.services.reconciliations.start(*place))


async def _list(call: Call) -> Answer:
    found = await call.services.reconciliations.list(call.environment_id, call.path["id"], call.page())
    return Answer(200, listed(found))


async def _get(call: Call) -> Answer:
    place = (call.environment_id, call.path["id"], call.path["reconciliation_id"])
    return Answer(200, await call.services.reconciliations.get(*place))


async def _findings(call: Call) -> Answer:
    place = (call.environment_id, call.path["id"], call.path["reconciliation_id"])
    page = call.page(default_order=Order.ASC)
    return Answer(200, listed(await call.services.reconciliations.findings(*place, page, call.text("class"))))


async def _correct(call: Call) -> Answer:
    place = (call.environment_id, call.path["id"], call.path["reconciliation_id"])
    given = call.read(CorrectionInput)
    return Answer(200, await call.services.reconciliations.correct(*place, given.drift, call.cause))


async def _remove(call: Call) -> Answer:
    place = (call.environment_id, call.path["id"], call.path["reconciliation_id"])
    await call.services.reconciliations.remove(*place)
    return Answer(204)


_ONE = "/directories/{id}/reconciliations/{reconciliation_id}"
ROUTES = (
    Route(
        "POST",
        "/directories/{id}/reconcile",
        _reconcile,
        "Compare your roster with a directory",
        wire.ReconciliationResult,
        201,
        takes=ReconcileInput,
        query=(moment("taken_at", "When the app wrote the roster, for bodies that are no JSON."),),
        about=(
            "Takes the people as your app has them: JSON, a CSV or NDJSON file as the body (up to 16 MiB), "
            "or an address to fetch them from. A row is matched by the first it has of `directory_user_id`, "
            "`idp_id` and `email`; what else it has is compared. Small rosters are answered at once with "
            "their first 100 findings; for others the state tells how far it is. One bad row refuses the "
            "roster as a whole, and every bad row is named."
        ),
        refusals=((422, "roster_invalid"), (422, "invalid_url")),
        media=tuple(_FORMATS),
        largest=LARGEST,
    ),
    Route(
        "GET",
        "/directories/{id}/reconciliations",
        _list,
        "List reconciliations of a directory",
        [wire.Reconciliation],
        query=PAGING,
    ),
    Route("GET", _ONE, _get, "Get a reconciliation", wire.Reconciliation),
    Route(
        "GET",
        f"{_ONE}/findings",
        _findings,
        "List what a roster and a directory differ in",
        [wire.ReconciliationFinding],
        query=(
            *paging(Order.ASC),
            Parameter(
                "class",
                "Only findings of this class.",
                {"type": "string", "enum": [drift.value for drift in Drift]},
            ),
        ),
        about="People who are gone and still active in your app come first.",
    ),
    Route(
        "POST",
        f"{_ONE}/rows",
        _add_rows,
        "Add rows to a roster that comes in several calls",
        wire.Reconciliation,
        takes=RosterRowsInput,
        query=(
            Parameter(
                "first_line",
                "The number of the first row, or line of the file. Rows that had these numbers are replaced, "
                "so a call can be repeated; by default the rows follow the last ones.",
                {"type": "integer", "minimum": 1},
            ),
        ),
        about="JSON, or a piece of CSV (with its header) or NDJSON; up to 1 MiB. All rows are added or none.",
        refusals=((409, "reconciliation_started"), (422, "roster_invalid")),
        media=tuple(_FORMATS),
        largest=LARGEST_PART,
    ),
    Route(
        "POST",
        f"{_ONE}/start",
        _start,
        "Compare the rows that were added",
        wire.ReconciliationResult,
        about="No rows can be added after that. Once begun, it tells how far it is.",
    ),
    Route(
        "POST",
        f"{_ONE}/correct",
        _correct,
        "Emit the events that your app has missed",
        wire.ReconciliationCorrection,
        takes=CorrectionInput,
        about=(
            "For one class of findings: `dsync.user.created` for who is missing, `dsync.user.deleted` for "
            "who is gone (`dsync.user.updated` where inactive people are kept), `dsync.user.updated` for "
            "roles and profiles, with your app's values as `previous_attributes`. Their `context.actor` is "
            "the reconciliation. Each is emitted once, however often this is called; a finding that is not "
            "true any more is skipped and counted by the reason."
        ),
        refusals=((409, "reconciliation_incomplete"), (422, "class_uncorrectable")),
    ),
    Route("DELETE", _ONE, _remove, "Remove a reconciliation with its findings", status=204),
)
