"""Which parked delivery of an endpoint may be tried: only the head of a lane, when it is due.

A lane is what must stay in order at one endpoint. By default these are the events of one directory: while a
lane has a waiting delivery, later events of it wait behind. An endpoint may want one lane for everything
(`strict`) or no order at all (`none`: every event is a lane of its own).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from zlib import crc32

from syncline.core.endpoint_options import Ordering
from syncline.store.parked import Parked


def lane_of(directory_id: str | None, organization_id: str | None) -> str:
    """Return the lane of an event; what belongs to no directory stays in order per organization."""
    return directory_id or organization_id or ""


def key_of(ordering: Ordering, lane: str, position: int) -> str:
    """Return what an event shares with those it must stay in order with.

    Rows keep the lane whatever the ordering is, so that an owner may change it at any time.
    """
    if ordering is Ordering.STRICT:
        return ""
    return str(position) if ordering is Ordering.NONE else lane


def slot_of(key: str, slots: int) -> int:
    """Return in which of so many slots the events of a key take place, one after the other."""
    return 0 if slots == 1 else crc32(key.encode()) % slots


def _always(_: str) -> bool:
    return True


class Lanes:
    """The waiting deliveries of one endpoint, each lane in log order."""

    def __init__(self, rows: Iterable[Parked], ordering: Ordering = Ordering.LANES) -> None:
        self._ordering = ordering
        self._lanes: dict[str, list[Parked]] = {}
        self._positions: set[int] = set()
        for row in sorted(rows, key=lambda row: row.position):
            self.park(row)

    def __len__(self) -> int:
        return len(self._positions)

    def holds(self, position: int) -> bool:
        """Tell whether the event at a position waits here."""
        return position in self._positions

    def blocks(self, key: str) -> bool:
        """Tell whether an event of this key must wait behind others."""
        return key in self._lanes

    def park(self, row: Parked) -> None:
        """Put a delivery into its lane at the place of its position."""
        rows = self._lanes.setdefault(self._key(row), [])
        at = len(rows)
        while at and rows[at - 1].position > row.position:
            at -= 1
        rows.insert(at, row)
        self._positions.add(row.position)

    def replace(self, row: Parked) -> None:
        """Note that a delivery was tried again without success."""
        rows = self._lanes[self._key(row)]
        rows[self._at(rows, row)] = row

    def remove(self, row: Parked) -> None:
        """Take a delivery out of its lane: it arrived, or was given up."""
        key = self._key(row)
        rows = self._lanes[key]
        del rows[self._at(rows, row)]
        self._positions.remove(row.position)
        if not rows:
            del self._lanes[key]

    def make_due(self) -> None:
        """Make every delivery due at once, each when it is the head of its lane."""
        for rows in self._lanes.values():
            rows[:] = [row if row.next_due_at is None else replace(row, next_due_at=None) for row in rows]

    def due_head(self, now: datetime, is_free: Callable[[str], bool] = _always) -> Parked | None:
        """Return the head that has been due for longest among the free lanes, None if there is none."""
        heads = [rows[0] for key, rows in self._lanes.items() if _is_due(rows[0], now) and is_free(key)]
        # A head that moved up has no time of its own: it is due now, and waits its turn behind the others.
        return min(heads, key=lambda row: (row.next_due_at or now, row.position), default=None)

    def probe_head(self) -> Parked | None:
        """Return the head to probe an endpoint with, due or not: the one with the fewest attempts."""
        heads = (rows[0] for rows in self._lanes.values())
        return min(heads, key=lambda row: (row.attempts, row.position), default=None)

    def upcoming(self, head: Parked, now: datetime, limit: int) -> list[int]:
        """Return the positions that are likely to be needed next, this head's first."""
        behind = [row.position for row in self._lanes[self._key(head)][:limit]]
        heads = [rows[0].position for rows in self._lanes.values() if _is_due(rows[0], now)]
        return list(dict.fromkeys([head.position, *behind, *heads[:limit]]))

    def next_due_at(self, now: datetime) -> datetime | None:
        """Return when the first head is due, None if nothing waits."""
        return min((rows[0].next_due_at or now for rows in self._lanes.values()), default=None)

    def _key(self, row: Parked) -> str:
        return key_of(self._ordering, row.lane, row.position)

    @staticmethod
    def _at(rows: list[Parked], row: Parked) -> int:
        # Nearly always the head.
        return next(at for at, other in enumerate(rows) if other.position == row.position)


def _is_due(row: Parked, now: datetime) -> bool:
    return row.next_due_at is None or row.next_due_at <= now
