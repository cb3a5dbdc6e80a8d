"""Where a webhook endpoint goes on when its owner starts it: where it stopped, from now, from a point."""

from __future__ import annotations

from datetime import datetime, timedelta

from syncline.core.errors import CursorExpired, FieldError, ValidationFailed
from syncline.core.ids import Prefix, is_id
from syncline.services.endpoint_changes import refused
from syncline.store import endpoint_positions as store
from syncline.store import log
from syncline.store.database import Connection
from syncline.store.engine import database_now
from syncline.store.types import to_ms

STOPPED = "stopped"
NOW = "now"
# No request that is under way takes longer (`events-webhooks.md` §3: 15 s in all).
_LONGEST_REQUEST = timedelta(seconds=20)
# An owner who says "now" as a time may have a clock that is a little ahead.
_CLOCKS_APART = timedelta(minutes=1)

ResumePoint = str | datetime
"""`stopped`, `now`, the id of the first event to send, or the time from which events are sent."""


def resume(
    connection: Connection, environment_id: str, endpoint_id: str, point: ResumePoint | None, now: datetime
) -> None:
    """Start an endpoint that the caller has locked, at a point of the log; without one where it stopped.

    What is missed by that is not sent: waiting deliveries before the point become dead. Raises
    `CursorExpired` for a point behind retention, `ValidationFailed` for one that is none.
    """
    position = None if point is None else _position(connection, environment_id, endpoint_id, point, now)
    if position is not None:
        until = database_now(connection) + _LONGEST_REQUEST
        store.move(connection, environment_id, endpoint_id, position, until)
    store.start(connection, environment_id, endpoint_id)


def _position(
    connection: Connection, environment_id: str, endpoint_id: str, point: ResumePoint, now: datetime
) -> int | None:
    """Return the position of the first event to send, None to go on where the endpoint stopped."""
    if point == STOPPED:
        place = store.place_of(connection, environment_id, endpoint_id)
        if place.cursor < place.trimmed:
            raise _expired(connection, environment_id)
        return None
    head = log.head(connection, environment_id)
    if point == NOW:
        return head.position + 1
    if isinstance(point, datetime):
        if point > now + _CLOCKS_APART:
            raise _refused("resume_from_invalid")
        if head.trimmed_position and to_ms(point) <= head.trimmed_event_ms:
            raise _expired(connection, environment_id)
        found = store.first_at(connection, environment_id, point)
        return head.position + 1 if found is None else found
    if not is_id(Prefix.EVENT, point):
        raise _refused("resume_from_invalid")
    position = log.position_of(connection, environment_id, point)
    if position is None:
        if head.trimmed_position and log.event_ms(point) <= head.trimmed_event_ms:
            raise _expired(connection, environment_id)
        raise _refused("resume_from_unknown")
    return position


def _expired(connection: Connection, environment_id: str) -> CursorExpired:
    oldest = log.read(connection, environment_id, log.LogFilter(), 1)
    return CursorExpired(str(oldest[0].event_id) if oldest else None)


def _refused(code: str) -> ValidationFailed:
    return refused([FieldError("resume_from", code)])
