"""A stretch of the log on its way to one endpoint: read ahead, sent in slots, settled from its front."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

from syncline.core.endpoint_options import Ordering
from syncline.services.delivery_lanes import key_of, lane_of, slot_of


@dataclass(slots=True, eq=False)
class Entry:
    """One event of the stretch. `lane` is what is stored, `key` what it must stay in order with."""

    event: Any
    lane: str
    key: str
    slot: int
    is_taken: bool = False
    is_settled: bool = False

    @property
    def position(self) -> int:
        """The event's place in the log."""
        return int(self.event.position)


class Window:
    """The events behind a cursor, which moves only over a prefix that is settled.

    Within a slot events are taken in order. `end` is the last position that belongs to the stretch, None
    for the log itself, which grows.
    """

    def __init__(self, cursor: int, ordering: Ordering, slots: int, end: int | None = None) -> None:
        self.cursor = cursor
        self.end = end
        self.examined = cursor
        self.is_at_end = False
        self._furthest = 0
        self._ordering = ordering
        self._slots = slots
        self._open: deque[Entry] = deque()
        self._untaken: list[deque[Entry]] = [deque() for _ in range(slots)]

    def __len__(self) -> int:
        return len(self._open)

    @property
    def has_untaken(self) -> bool:
        """Whether events were read that nobody has taken."""
        return any(self._untaken)

    @property
    def is_done(self) -> bool:
        """Whether everything up to the end is settled."""
        return self.end is not None and self.cursor >= self.end

    def extend(self, rows: Sequence[Any], examined: int, *, is_at_end: bool) -> None:
        """Add what was read behind `examined`, and how far the reading looked."""
        for row in rows:
            lane = lane_of(row.directory_id, row.organization_id)
            key = key_of(self._ordering, lane, row.position)
            entry = Entry(row, lane, key, slot_of(key, self._slots))
            self._open.append(entry)
            self._untaken[entry.slot].append(entry)
        self.examined = examined
        self.is_at_end = is_at_end
        self._move()

    def first(self, busy: Container[int]) -> Entry | None:
        """Return the first event whose slot is not busy, without taking it."""
        found: Entry | None = None
        for slot, waiting in enumerate(self._untaken):
            if waiting and slot not in busy and (found is None or waiting[0].position < found.position):
                found = waiting[0]
        return found

    def first_of(self, suits: Callable[[Entry], bool], limit: int) -> Entry | None:
        """Return the first of the next `limit` events that suits, without taking it; those before it stay."""
        untaken = (entry for entry in self._open if not entry.is_taken)
        return next(filter(suits, islice(untaken, limit)), None)

    def take(self, entry: Entry) -> None:
        """Take an event that `first` or `first_of` returned."""
        if not entry.is_taken:
            entry.is_taken = True
            self._furthest = max(self._furthest, entry.position)
            self._untaken[entry.slot].remove(entry)

    def is_overtaken(self, entry: Entry) -> bool:
        """Tell whether an event behind this one was taken already."""
        return entry.position < self._furthest

    def overtaken(self, position: int = 0) -> int:
        """Return how many events nobody has taken before this position, or before one that somebody has."""
        if not self.has_untaken:
            return 0
        end = max(position, self._furthest)
        before = takewhile(lambda entry: entry.position < end, self._open)
        return sum(not entry.is_taken for entry in before)

    def gaps(self) -> list[Entry]:
        """Return what is not settled before an event that is: because of it the cursor stays back."""
        last = max((entry.position for entry in self._open if entry.is_settled), default=0)
        return [entry for entry in self._open if not entry.is_settled and entry.position < last]

    def settle(self, entry: Entry) -> None:
        """Note that an event needs nothing more of this stretch: it arrived, or is parked."""
        entry.is_settled = True
        self._move()

    def _move(self) -> None:
        while self._open and self._open[0].is_settled:
            self.cursor = self._open.popleft().position
        if not self._open:
            self.cursor = self.examined
