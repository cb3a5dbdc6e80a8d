"""Which parked delivery of an endpoint may be tried: only the head of a lane, when it is due.

A lane is what must stay in order at one endpoint: the events of one directory. While a lane has a waiting
delivery, later events of it wait behind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from syncline.store.parked import Parked


def lane_of(directory_id: str | None, organization_id: str | None) -> str:
    """Return the lane of an event; what belongs to no directory stays in order per organization."""
    return directory_id or organization_id or ""


class Lanes:
    """The waiting deliveries of one endpoint, each lane in log order."""

    def __init__(self, rows: Iterable[Parked]) -> None:
        self._lanes: dict[str, deque[Parked]] = {}
        self._count = 0
        for row in sorted(rows, key=lambda row: row.position):
            self.park(row)

    def __len__(self) -> int:
        return self._count

    def blocks(self, lane: str) -> bool:
        """Tell whether an event of this lane must wait behind others."""
        return lane in self._lanes

    def park(self, row: Parked) -> None:
        """Put a delivery behind those of its lane; its position is higher than theirs."""
        self._lanes.setdefault(row.lane, deque()).append(row)
        self._count += 1

    def replace_head(self, row: Parked) -> None:
        """Note that the head of a lane was tried again without success."""
        self._lanes[row.lane][0] = row

    def remove_head(self, lane: str) -> None:
        """Take the head out of its lane: it arrived, or was given up."""
        rows = self._lanes[lane]
        rows.popleft()
        self._count -= 1
        if not rows:
            del self._lanes[lane]

    def due_head(self, now: datetime) -> Parked | None:
        """Return the head that has been due for longest, or None if none is."""
        heads = [rows[0] for rows in self._lanes.values() if _is_due(rows[0], now)]
        # A head that moved up has no time of its own: it is due now, and waits its turn behind the others.
        return min(heads, key=lambda row: (row.next_due_at or now, row.position), default=None)

    def upcoming(self, head: Parked, now: datetime, limit: int) -> list[int]:
        """Return the positions that are likely to be needed next, this head's first."""
        behind = [row.position for row in islice(self._lanes[head.lane], limit)]
        heads = [rows[0].position for rows in self._lanes.values() if _is_due(rows[0], now)]
        return list(dict.fromkeys([*behind, *heads[:limit]]))

    def next_due_at(self, now: datetime) -> datetime | None:
        """Return when the first head is due, None if nothing waits."""
        return min((rows[0].next_due_at or now for rows in self._lanes.values()), default=None)


def _is_due(row: Parked, now: datetime) -> bool:
    return row.next_due_at is None or row.next_due_at <= now
