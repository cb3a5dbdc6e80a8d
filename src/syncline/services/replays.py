"""Send past events to a webhook endpoint again, with the ids and bodies they had: one, a range, or all dead.

Retrying is something else: the next attempt of a delivery that has not succeeded. A replay is worked off by
the dispatcher, under the endpoint's types, filters and order, beside what is new.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from syncline.core.errors import CursorExpired, FieldError, NotFound, ValidationFailed
from syncline.core.ids import Prefix, is_id
from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.store import delivery_log, log
from syncline.store import replays as store
from syncline.store.database import Connection, Work
from syncline.store.delivery_log import Wanted
from syncline.store.endpoint_positions import first_at, place_of
from syncline.store.endpoints import Endpoint, get
from syncline.store.log import LogFilter
from syncline.store.replays import Replay
from syncline.store.types import to_ms

_logger = get_logger(__name__)
_ENDPOINT, _EVENT = "Webhook endpoint", "Event"


@dataclass(frozen=True, slots=True)
class ReplayRange:
    """What is to be sent again: from an event id or a moment, to another one.

    Ids are inclusive, moments are of `created_at` with the end exclusive. One of `first_id` and `start` is
    required; without an end everything is sent that the endpoint has passed.
    """

    first_id: str | None = None
    last_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay will do: how many events are sent again, and how many retention has removed."""

    events: int
    lost: int = 0


class Replays:
    """Replays of one environment's endpoints. Foreign ids are answered like ids that never existed."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def replay_event(self, environment_id: str, endpoint_id: str, event_id: str) -> Replayed:
        """Send one event again. The count is 0 if the endpoint does not want it or has yet to get it.

        Raises `NotFound` for either id and `CursorExpired` for an event that retention removed.
        """
        return await self.replay_range(
            environment_id, endpoint_id, ReplayRange(first_id=event_id, last_id=event_id)
        )

    async def replay_range(self, environment_id: str, endpoint_id: str, wanted: ReplayRange) -> Replayed:
        """Send the events of a range again that the endpoint has passed, and count them.

        Raises `NotFound` for unknown ids, `CursorExpired` if retention removed the beginning of the range,
        and `ValidationFailed` for a range without a beginning, with two, or that ends before it begins.
        """
        _check(wanted)

        def work(connection: Connection) -> Replayed:
            endpoint = _required(connection, environment_id, endpoint_id)
            span = _Span(connection, environment_id, wanted)
            last = min(span.last, place_of(connection, environment_id, endpoint_id).cursor)
            filters = Wanted.of(endpoint.events, endpoint.options)
            count = delivery_log.count(connection, environment_id, filters, after=span.first - 1, until=last)
            if count:
                replay = Replay(self._kernel.ids.ulid(), span.first, last)
                store.add(connection, environment_id, endpoint_id, replay, self._kernel.clock())
                store.wake(connection, environment_id, endpoint_id)
            return Replayed(count)

        return await self._begin(environment_id, endpoint_id, work)

    async def replay_dead(self, environment_id: str, endpoint_id: str) -> Replayed:
        """Send everything again that was given up, and count it; `lost` are those whose events are gone.

        Raises `NotFound`, and `CursorExpired` if nothing but lost ones is left.
        """

        def work(connection: Connection) -> Replayed:
            _required(connection, environment_id, endpoint_id)
            trimmed = log.head(connection, environment_id).trimmed_position
            now = self._kernel.clock()
            found = store.ask_for_dead(connection, environment_id, endpoint_id, trimmed, now)
            lost = store.count_lost(connection, environment_id, endpoint_id, trimmed)
            if lost and not found:
                raise CursorExpired(_oldest(connection, environment_id))
            if found:
                store.wake(connection, environment_id, endpoint_id)
            return Replayed(found, lost)

        return await self._begin(environment_id, endpoint_id, work)

    async def _begin(self, environment_id: str, endpoint_id: str, work: Work[Replayed]) -> Replayed:
        replayed = await self._kernel.database.write(work)
        _logger.info("endpoint.replay", endpoint_id=endpoint_id, events=replayed.events, lost=replayed.lost)
        self._kernel.sealed.notify(environment_id)
        return replayed


class _Span:
    """The positions of a range, both inclusive; `last` is below `first` if nothing lies in it."""

    def __init__(self, connection: Connection, environment_id: str, wanted: ReplayRange) -> None:
        self._connection = connection
        self._environment = environment_id
        self._head = log.head(connection, environment_id)
        self.first = self._first(wanted)
        self.last = self._last(wanted)
        if wanted.first_id is not None and wanted.last_id is not None and self.last < self.first:
            raise _refused("last_id")

    def _first(self, wanted: ReplayRange) -> int:
        if wanted.first_id is not None:
            return self._position(wanted.first_id)
        assert wanted.start is not None
        # The id's time is when an event was sealed, which is never before it was recorded.
        if self._head.trimmed_position and to_ms(wanted.start) <= self._head.trimmed_event_ms:
            raise CursorExpired(_oldest(self._connection, self._environment))
        found = first_at(self._connection, self._environment, wanted.start)
        return self._head.position + 1 if found is None else found

    def _last(self, wanted: ReplayRange) -> int:
        if wanted.last_id is not None:
            return self._position(wanted.last_id)
        if wanted.end is None:
            return self._head.position
        return store.last_before(self._connection, self._environment, wanted.end) or 0

    def _position(self, event_id: str) -> int:
        if not is_id(Prefix.EVENT, event_id):
            raise NotFound(_EVENT, event_id)
        position = log.position_of(self._connection, self._environment, event_id)
        if position is not None:
            return position
        if self._head.trimmed_position and log.event_ms(event_id) <= self._head.trimmed_event_ms:
            raise CursorExpired(_oldest(self._connection, self._environment))
        raise NotFound(_EVENT, event_id)


def _check(wanted: ReplayRange) -> None:
    if wanted.first_id is None and wanted.start is None:
        raise _refused("first_id", missing=True)
    if wanted.first_id is not None and wanted.start is not None:
        raise _refused("start")
    if wanted.last_id is not None and wanted.end is not None:
        raise _refused("end")
    if wanted.start is not None and wanted.end is not None and wanted.end <= wanted.start:
        raise _refused("end")


def _refused(field: str, *, missing: bool = False) -> ValidationFailed:
    return ValidationFailed([FieldError(field, f"{field}_required" if missing else f"{field}_invalid")])


def _required(connection: Connection, environment_id: str, endpoint_id: str) -> Endpoint:
    """Return an endpoint, which stays as it is until the commit. Raises `NotFound`."""
    known = is_id(Prefix.WEBHOOK_ENDPOINT, endpoint_id)
    endpoint = get(connection, environment_id, endpoint_id, lock=True) if known else None
    if endpoint is None:
        raise NotFound(_ENDPOINT, endpoint_id)
    return endpoint


def _oldest(connection: Connection, environment_id: str) -> str | None:
    rows = log.read(connection, environment_id, LogFilter(), 1)
    return str(rows[0].event_id) if rows else None
