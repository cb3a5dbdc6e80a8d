"""The history of people and groups, and why people are as they are: our own calls (`ui.md` §11)."""

from __future__ import annotations

from syncline.core import wire
from syncline.services.history import Told
from syncline.web.api.described import PAGING, Parameter
from syncline.web.api.routing import Answer, Call, Route, listed


async def _of_user(call: Call) -> Answer:
    history = call.services.history
    return _page(await history.of_user(call.environment_id, call.path["id"], call.page(), call.text("field")))


async def _of_group(call: Call) -> Answer:
    history = call.services.history
    return _page(
        await history.of_group(call.environment_id, call.path["id"], call.page(), call.text("field"))
    )


async def _explain(call: Call) -> Answer:
    return Answer(200, await call.services.explain.of_user(call.environment_id, call.path["id"]))


def _page(told: Told) -> Answer:
    body = listed(told.page)
    body["list_metadata"]["truncated_before"] = told.truncated_before
    return Answer(200, body)


_CURSORS = ("before", "after", "truncated_before")
_FIELD = Parameter(
    "field", "Only changes of this field, such as `job_title`, `state`, `roles`, `groups` or `members`."
)
_ABOUT = (
    "One entry for each event, the newest first; the ids of events are the cursors. "
    "`list_metadata.truncated_before` is the time before which retention has removed events, null if "
    "nothing is missing."
)

ROUTES = (
    Route(
        "GET",
        "/directory_users/{id}/history",
        _of_user,
        "List what happened to a directory user",
        [wire.HistoryEntry],
        query=(*PAGING, _FIELD),
        about=f"{_ABOUT} Works for people who are gone, while the log has events about them.",
        cursors=_CURSORS,
    ),
    Route(
        "GET",
        "/directory_groups/{id}/history",
        _of_group,
        "List what happened to a directory group",
        [wire.HistoryEntry],
        query=(*PAGING, _FIELD),
        about=f"{_ABOUT} Works for groups that are gone, while the log has events about them.",
        cursors=_CURSORS,
    ),
    Route(
        "GET",
        "/directory_users/{id}/explain",
        _explain,
        "Explain why a directory user is as they are",
        wire.Explanation,
        about=(
            "For each attribute, role and membership: where it comes from, the rule, the event that "
            "announced it, and what brought that event; and for each role that the person does not hold, "
            "why not. Every part has a sentence of its own."
        ),
    ),
)
