"""The newest events of each log, read once for all endpoints that are sent them.

Endpoints of an environment that have nearly caught up want the same few events. What was read for one of
them serves the others: the log only grows, so a piece of it stays true. Where it ends is asked anew for
everybody, after they have asked: an endpoint may only sleep if nothing came since it was claimed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import Any

from syncline.core.endpoint_options import EndpointOptions, PayloadFormat
from syncline.services.coalesce import Coalescer
from syncline.services.delivery_request import Payload, payload
from syncline.store import delivery_log
from syncline.store.database import Database
from syncline.store.delivery_log import End, Wanted

# Who is further behind reads on their own.
NEAR = 500
# An erasure changes what an event says; turns that have read it go on with what it said for a moment.
TRUST_SECONDS = 1.0
_CHUNK = 100
# Of all logs together, in characters of bodies; each is kept as it was read and as it is sent.
_MOST_KEPT = 4_000_000
_ROW = 500

_Key = tuple[str, int, int]
_position = attrgetter("position")


@dataclass(slots=True)
class _Stretch:
    """All events behind `low` up to `high`; `begun` is when the first of them was asked for."""

    low: int
    high: int
    begun: float
    rows: list[Any]
    size: int
    payloads: dict[tuple[int, PayloadFormat], tuple[Any, Payload]] = field(default_factory=dict)


class RecentEvents:
    """What a process knows of the ends of logs."""

    def __init__(self, database: Database, base_url: str, time: Callable[[], float]) -> None:
        """`time` counts seconds from any moment on."""
        self._database = database
        self._base_url = base_url
        self._time = time
        collects = not database.looks_up_in_place
        self._ends: Coalescer[str, End] = Coalescer(self._load_ends, collects=collects)
        self._missing: Coalescer[_Key, list[Any]] = Coalescer(self._load, collects=collects)
        self._stretches: dict[str, _Stretch] = {}
        self._size = 0

    async def end(self, environment_id: str) -> End:
        """Return where a log ends, as of a moment after the call. Raises what the query raises."""
        return await self._ends.get(environment_id) or delivery_log.NOTHING

    async def read(
        self, environment_id: str, wanted: Wanted, *, after: int, until: int, limit: int
    ) -> list[Any] | None:
        """Return up to `limit` wanted events behind `after`, up to `until`, which is no further than the end.

        None says that this is too long a stretch to be kept. Raises what the query raises.
        """
        if until - after > NEAR:
            return None
        found: list[Any] = []
        while after < until and len(found) < limit:
            stretch = await self._reaching(environment_id, after, min(until, after + _CHUNK))
            for row in islice(stretch.rows, bisect_right(stretch.rows, after, key=_position), None):
                if row.position <= until and wanted.takes(row):
                    found.append(row)
            after = stretch.high
        return found[:limit]

    def payload(self, environment_id: str, event: Any, options: EndpointOptions) -> Payload:
        """Return an event as it is sent; written once for all endpoints that were given the same row."""
        stretch = self._stretches.get(environment_id)
        if stretch is None or not stretch.low < event.position <= stretch.high:
            return payload(event, options, self._base_url)
        key = event.position, options.format
        known = stretch.payloads.get(key)
        # A row that was read at another time may say something else since.
        if known is None or known[0] is not event:
            known = stretch.payloads[key] = event, payload(event, options, self._base_url)
        return known[1]

    async def _reaching(self, environment_id: str, after: int, until: int) -> _Stretch:
        """Return a stretch that has at least the events behind `after` up to `until`."""
        while True:
            stretch = self._stretches.get(environment_id)
            now = self._time()
            if (
                stretch is None
                or now - stretch.begun > TRUST_SECONDS
                or not stretch.low <= after <= stretch.high
            ):
                rows = await self._missing.get((environment_id, after, until)) or []
                stretch = _Stretch(after, until, now, list(rows), _size(rows))
                self._keep(environment_id, stretch)
                return stretch
            if until <= stretch.high:
                return stretch
            low = stretch.high
            rows = await self._missing.get((environment_id, low, until)) or []
            # Somebody else may have been faster.
            if stretch.high == low:
                is_kept = self._stretches.get(environment_id) is stretch
                if is_kept:
                    self._drop(environment_id)
                stretch.rows += rows
                stretch.size += _size(rows)
                stretch.high = until
                if is_kept:
                    self._keep(environment_id, stretch)

    def _keep(self, environment_id: str, stretch: _Stretch) -> None:
        """Keep a stretch, and drop the first ones while they are too old or all together too much."""
        self._drop(environment_id)
        self._stretches[environment_id] = stretch
        self._size += stretch.size
        now = self._time()
        while self._stretches:
            environment, first = next(iter(self._stretches.items()))
            if self._size <= _MOST_KEPT and now - first.begun <= TRUST_SECONDS:
                break
            self._drop(environment)

    def _drop(self, environment_id: str) -> None:
        dropped = self._stretches.pop(environment_id, None)
        if dropped is not None:
            self._size -= dropped.size

    async def _load_ends(self, environment_ids: Sequence[str]) -> Mapping[str, End]:
        return await self._database.look_up(lambda connection: delivery_log.ends(connection, environment_ids))

    async def _load(self, keys: Sequence[_Key]) -> Mapping[_Key, list[Any]]:
        return await self._database.look_up(
            lambda connection: {
                key: delivery_log.stretch(connection, key[0], after=key[1], until=key[2]) for key in keys
            }
        )


def _size(rows: Sequence[Any]) -> int:
    return sum(len(row.body) + _ROW for row in rows)
