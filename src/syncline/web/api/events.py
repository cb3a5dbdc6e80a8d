"""The Events API (`api.md` §2.4)."""

from __future__ import annotations

import msgspec

from syncline.core import wire
from syncline.core.paging import Order
from syncline.services.events import EventQuery
from syncline.web.api.described import Parameter, moment, paging, texts
from syncline.web.api.routing import Answer, Call, Route

_encode = msgspec.json.Encoder().encode


async def _list(call: Call) -> Answer:
    page = call.page(default_order=Order.ASC)
    found = await call.services.events.list(
        call.environment_id,
        EventQuery(
            types=call.texts("events"),
            organization_id=call.text("organization_id"),
            range_start=call.moment("range_start"),
            range_end=call.moment("range_end"),
            limit=page.limit,
            order=page.order,
            after=page.after,
            before=page.before,
        ),
    )
    cursors = _encode({"before": found.before, "after": found.after, "cursor": found.cursor})
    body = b'{"object":"list","data":[' + b",".join(found.items) + b'],"list_metadata":' + cursors + b"}"
    return Answer(200, body)


ROUTES = (
    Route(
        "GET",
        "/events",
        _list,
        "List events, oldest first",
        [wire.Event],
        query=(
            *paging(Order.ASC),
            texts("events", "Only events of these types."),
            Parameter("organization_id", "Only events of this organization."),
            moment("range_start", "Only events that occurred at this time or later."),
            moment("range_end", "Only events that occurred before this time."),
        ),
        about=(
            "Every change of every directory, each exactly once. `list_metadata.after` is null when the "
            "newest event has been returned; `list_metadata.cursor` is the last event that was looked at, "
            "matching or not, and is accepted as `after`."
        ),
        refusals=((400, "cursor_unknown"), (410, "cursor_expired")),
        cursors=("before", "after", "cursor"),
    ),
)
