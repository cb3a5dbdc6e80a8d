"""What is sent to webhook endpoints: tests, attempts, what waits, and sending again (`api.md` §11)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from syncline.core import wire
from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.retry import Outcome
from syncline.services.replays import ReplayRange
from syncline.web.api.described import PAGING, Parameter, note
from syncline.web.api.routing import Answer, Call, Route, listed, read_moment
from syncline.web.api.webhook_endpoints import NothingInput


class EndpointTestInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which type of event is sent as a test."""

    event: Annotated[
        str | None,
        note("One of the types that the endpoint subscribes to; by default the first that has a sample."),
    ] = None


class ReplayInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent again: one event, a range, or everything that was given up."""

    event_id: Annotated[str | None, note("Only this event.")] = None
    first_id: Annotated[str | None, note("A range begins with this event.")] = None
    last_id: Annotated[
        str | None, note("It ends with this event; by default with the last that the endpoint has passed.")
    ] = None
    range_start: Annotated[
        str | None, note("A range begins with what occurred at this RFC 3339 time or later.")
    ] = None
    range_end: Annotated[str | None, note("It ends with what occurred before this RFC 3339 time.")] = None
    dead: Annotated[bool, note("True: every dead delivery of the endpoint.", True)] = False


class QueuedDeliveries(wire.Wire, frozen=True, kw_only=True):
    """How many deliveries a call has made due; `lost` are those whose events retention has removed."""

    object: Literal["queued_deliveries"] = "queued_deliveries"
    count: int
    lost: int = 0


async def _test(call: Call) -> Answer:
    given = call.read(EndpointTestInput)
    tests = call.services.endpoint_tests
    return Answer(200, await tests.send(call.environment_id, call.path["id"], given.event))


async def _attempts(call: Call) -> Answer:
    found = await call.services.endpoint_deliveries.attempts(
        call.environment_id,
        call.path["id"],
        call.page(),
        outcome=call.text("outcome"),
        event_id=call.text("event_id"),
    )
    return Answer(200, listed(found))


async def _deliveries(call: Call) -> Answer:
    found = await call.services.endpoint_deliveries.list(
        call.environment_id, call.path["id"], call.page(), state=call.text("state")
    )
    return Answer(200, listed(found))


async def _retry(call: Call) -> Answer:
    call.read(NothingInput)
    count = await call.services.endpoint_deliveries.retry(call.environment_id, call.path["id"], call.cause)
    return Answer(202, QueuedDeliveries(count=count))


async def _replay(call: Call) -> Answer:
    given = call.read(ReplayInput)
    replays, environment, endpoint = call.services.replays, call.environment_id, call.path["id"]
    is_range = given.first_id is not None or given.range_start is not None
    if (given.event_id is not None) + is_range + given.dead != 1:
        message = "Name an event, the beginning of a range, or the dead deliveries."
        raise ValidationFailed([FieldError("event_id", "event_id_required")], message)
    if given.dead:
        replayed = await replays.replay_dead(environment, endpoint)
    elif given.event_id is not None:
        replayed = await replays.replay_event(environment, endpoint, given.event_id)
    else:
        replayed = await replays.replay_range(environment, endpoint, _range(given))
    return Answer(202, QueuedDeliveries(count=replayed.events, lost=replayed.lost))


def _range(given: ReplayInput) -> ReplayRange:
    """Return the range of a body. Raises `ValidationFailed` for two beginnings or ends, or none between."""
    start = None if given.range_start is None else read_moment(given.range_start, "range_start")
    end = None if given.range_end is None else read_moment(given.range_end, "range_end")
    if start is not None and given.first_id is not None:
        raise ValidationFailed([FieldError("range_start", "range_start_invalid")])
    if end is not None and (given.last_id is not None or (start is not None and end <= start)):
        raise ValidationFailed([FieldError("range_end", "range_end_invalid")])
    return ReplayRange(first_id=given.first_id, last_id=given.last_id, start=start, end=end)


ROUTES = (
    Route(
        "POST",
        "/webhook_endpoints/{id}/test",
        _test,
        "Send a test event",
        wire.DeliveryAttempt,
        takes=EndpointTestInput,
        about=(
            "One made-up event is signed and sent, once, and the answer is what came back. It stands in no "
            "log, its `context` has `test`, and nothing about the endpoint changes; one that is paused or "
            "disabled can be tested."
        ),
    ),
    Route(
        "GET",
        "/webhook_endpoints/{id}/attempts",
        _attempts,
        "List the attempts of an endpoint",
        [wire.DeliveryAttempt],
        query=(
            *PAGING,
            Parameter(
                "outcome",
                "Only attempts that ended so.",
                {"type": "string", "enum": [one.value for one in Outcome]},
            ),
            Parameter("event_id", "Only attempts of this event."),
        ),
        about="Successes are kept for 7 days, failures for 30.",
    ),
    Route(
        "GET",
        "/webhook_endpoints/{id}/deliveries",
        _deliveries,
        "List what an endpoint has not taken",
        [wire.Delivery],
        query=(
            *PAGING,
            Parameter(
                "state",
                "`waiting` for those that will be tried again, `dead` for those that were given up.",
                {"type": "string", "enum": ["waiting", "dead"]},
            ),
        ),
        about=(
            "Deliveries that failed, and those that wait behind them to stay in order. The cursors are ids "
            "of events. What the endpoint has not been sent yet is `lag_events` of its `health`."
        ),
    ),
    Route(
        "POST",
        "/webhook_endpoints/{id}/retry",
        _retry,
        "Try what waits now",
        QueuedDeliveries,
        202,
        about="Every waiting delivery of an active endpoint becomes due, each in its order.",
    ),
    Route(
        "POST",
        "/webhook_endpoints/{id}/replay",
        _replay,
        "Send past events again",
        QueuedDeliveries,
        202,
        takes=ReplayInput,
        about=(
            "One event, a range, or all dead deliveries are sent again, with the ids and bodies they had, "
            "under the types, filters and order of the endpoint. Only what it has passed is sent: the rest "
            "comes by itself. `count` says how many events that are."
        ),
        refusals=((410, "cursor_expired"),),
    ),
)
