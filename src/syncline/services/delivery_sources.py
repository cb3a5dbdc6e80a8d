"""What an endpoint is sent next: from the log, from what is parked, or from a range that is sent again.

Two rules keep the order of a directory: one with a parked delivery is never sent to from the log, and only
the head of a lane is tried again. Neither source waits for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from syncline.core.endpoint_options import Ordering
from syncline.obs.logging import get_logger
from syncline.services.delivery_lanes import Lanes, key_of, slot_of
from syncline.services.delivery_window import Entry, Window
from syncline.store import delivery_log, parked, replays
from syncline.store.database import Connection, T
from syncline.store.deliveries import Claim
from syncline.store.delivery_log import End, Wanted
from syncline.store.parked import Parked
from syncline.store.replays import Replay

_logger = get_logger(__name__)
_READ_ROWS = 100
# How far one read of the log may look for what the endpoint wants.
_READ_POSITIONS = 10_000
# A request that hangs in one slot must not let the others read without end.
_MOST_AHEAD = 200
_MOST_OVERTAKEN = 25


class Reader(Protocol):
    """Reads for one turn, again and again while the database is away."""

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return what the work returns in a reading transaction."""
        ...

    async def end(self) -> End:
        """Return where the log ends, as of a moment after the call."""
        ...

    async def recent(self, wanted: Wanted, *, after: int, until: int, limit: int) -> list[Any] | None:
        """Return events near the end of the log, read for all turns; None for a stretch that is too long."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """An event that is sent now: one that was tried before (`head`), or one of a window (`entry`)."""

    event: Any
    lane: str
    slot: int
    head: Parked | None = None
    entry: Entry | None = None
    window: Window | None = None

    @property
    def number(self) -> int:
        """The number of this attempt, from 1."""
        return self.head.attempts + 1 if self.head else 1


class Sources:
    """Where the next event of one claimed endpoint comes from."""

    def __init__(
        self,
        claim: Claim,
        reader: Reader,
        *,
        parked_limit: int,
        park: Callable[[Parked], None],
        bury: Callable[[Parked], None],
    ) -> None:
        """`park` and `bury` are told of what is parked without an attempt, and of what retention removed."""
        self._claim = claim
        self._reader = reader
        self._limit = parked_limit
        self._park = park
        self._bury = bury
        self._ordering = claim.options.ordering
        self._slots = 1 if self._ordering is Ordering.STRICT else claim.options.concurrency
        self._wanted = Wanted.of(claim.events, claim.options)
        self.lanes = Lanes((), self._ordering)
        self.log = Window(claim.cursor, self._ordering, self._slots)
        self.replay: Window | None = None
        self._replays: list[Replay] = []
        self._busy: set[int] = set()
        self._from_windows = 0
        self._more_asked_for = False
        self._turn = 0
        self._events: dict[int, Any] = {}

    @property
    def has_more(self) -> bool:
        """Whether more is to be sent again than was loaded, and there is room for it now."""
        if self.replay is not None and self.replay.is_done and len(self._replays) > 1:
            return True
        return self._more_asked_for and len(self.lanes) < self._limit

    @property
    def slots(self) -> int:
        """How many requests this endpoint wants under way at once."""
        return self._slots

    def look_again(self) -> None:
        """Note that something was sealed since the end of the log was reached."""
        self.log.is_at_end = False

    async def load(self, *, has_parked: bool = True, has_replays: bool = True) -> None:
        """Read what is parked and what is to be sent again. No step may be under way."""
        if not (has_parked or has_replays):
            return

        def work(connection: Connection) -> tuple[list[Parked], list[Parked], list[Replay]]:
            rows = parked.waiting(connection, self._claim.id) if has_parked else []
            room = self._limit - len(rows) + 1
            asked = replays.asked_for(connection, self._claim.id, room) if has_parked and room > 0 else []
            return rows, asked, replays.pending(connection, self._claim.id) if has_replays else []

        rows, asked, self._replays = await self._reader.read(work)
        room = max(self._limit - len(rows), 0)
        self._more_asked_for = len(asked) > room
        self.lanes = Lanes(rows, self._ordering)
        for row in asked[:room]:
            self.lanes.park(row)
            self._park(row)
        self._begin_replay()

    async def next(self, now: datetime) -> Step | None:
        """Return what to send, from each source in turn; None if nothing is due or free.

        `landed` must be called for each step when its request has ended.
        """
        sources = (self._from_log, partial(self._from_lanes, now), self._from_replay)
        self._turn = (self._turn + 1) % len(sources)
        for offset in range(len(sources)):
            step = await sources[(self._turn + offset) % len(sources)]()
            if step is not None:
                return step
        return None

    async def probe(self, step_number: int) -> Step | None:
        """Return what to probe an endpoint with whose circuit is open, None if there is nothing to send.

        It is the head of a lane. Every second time it is an event of a directory that nothing waits of, so
        that a directory whose head fails for a reason of its own does not hold up all others.
        """
        untried = self._untried if step_number % 2 == 0 else self._head_step
        return (
            await untried() or await self._head_step() or await self._from_log() or await self._from_replay()
        )

    def landed(self, step: Step) -> None:
        """Free the slot of a step."""
        self._busy.discard(step.slot)
        self._from_windows -= step.head is None

    def arrived(self, step: Step) -> None:
        """Settle a step whose event arrived."""
        if step.head is not None:
            self.lanes.remove(step.head)
        if step.window is not None and step.entry is not None:
            step.window.settle(step.entry)

    def close(self) -> None:
        """Park what lies before settled events, so that the cursor moves over these.

        No step is under way any more. Without this, what other slots were sent would be sent again.
        """
        self._close_gaps(self.log)
        if self.replay is not None:
            self._close_gaps(self.replay)

    def failed(self, step: Step, row: Parked) -> None:
        """Settle a step whose event waits as `row` from now on; without a due time it was given up."""
        if step.head is not None:
            if row.next_due_at is None:
                self.lanes.remove(step.head)
            else:
                self.lanes.replace(row)
        elif row.next_due_at is not None:
            self.lanes.park(row)
        if step.window is not None and step.entry is not None:
            step.window.settle(step.entry)

    def replay_progress(self) -> list[Replay]:
        """Return how far the range under way was sent."""
        if self.replay is None or not self._replays:
            return []
        return [replace(self._replays[0], next_position=self.replay.cursor + 1)]

    def finish_replay(self) -> None:
        """Go on with the next range if the one under way is done; its progress is saved."""
        if self.replay is not None and self.replay.is_done:
            self._replays.pop(0)
            self._begin_replay()

    def _begin_replay(self) -> None:
        self.replay = None
        if self._replays:
            first = self._replays[0]
            self.replay = Window(first.next_position - 1, self._ordering, self._slots, first.last_position)

    def _is_free(self, key: str) -> bool:
        return slot_of(key, self._slots) not in self._busy

    def _has_room(self) -> bool:
        # What is under way from a window may fail and be parked.
        return len(self.lanes) + self._from_windows < self._limit

    def _has_room_for(self, window: Window, entry: Entry) -> bool:
        """Tell whether an event may be parked, and at the end what it and others have overtaken."""
        if window.is_overtaken(entry):
            # It is one of those others: whether it is sent or stays, it may have to be parked.
            return self._has_room()
        windows = (self.log,) if self.replay is None else (self.log, self.replay)
        others = sum(each.overtaken(entry.position if each is window else 0) for each in windows)
        return len(self.lanes) + self._from_windows + others < self._limit

    def _is_held_up(self) -> bool:
        return self._ordering is Ordering.STRICT and len(self.lanes) > 0

    async def _from_log(self) -> Step | None:
        return await self._from_window(self.log)

    async def _untried(self) -> Step | None:
        """Return the next event of the log whose lane is free, without moving the cursor to it."""
        if self._ordering is Ordering.STRICT or not self._has_room():
            return None
        if not self.log.has_untaken and not self.log.is_at_end:
            await self._read_ahead(self.log)
        # Those before it are parked afterwards, so there must be room for them, and they must be few.
        room = min(self._limit - len(self.lanes), _MOST_OVERTAKEN)
        entry = self.log.first_of(lambda entry: not self.lanes.blocks(entry.key), room)
        if entry is None:
            return None
        return self._step_from(self.log, entry)

    async def _from_replay(self) -> Step | None:
        if self.replay is None:
            return None
        return await self._from_window(self.replay)

    async def _from_window(self, window: Window) -> Step | None:
        while True:
            while (entry := window.first(self._busy)) is not None:
                if self.lanes.holds(entry.position):
                    # It is tried again on its own account.
                    window.take(entry)
                    window.settle(entry)
                elif not self._has_room_for(window, entry) or self._is_held_up():
                    return None
                elif self.lanes.blocks(entry.key):
                    self._park_behind(window, entry)
                else:
                    return self._step_from(window, entry)
            if window.is_at_end or len(window) > _MOST_AHEAD or not self._has_room():
                return None
            if window.has_untaken and len(self._busy) >= self._slots:
                return None
            await self._read_ahead(window)

    def _step_from(self, window: Window, entry: Entry) -> Step:
        window.take(entry)
        self._busy.add(entry.slot)
        self._from_windows += 1
        return Step(entry.event, entry.lane, entry.slot, entry=entry, window=window)

    def _park_behind(self, window: Window, entry: Entry) -> None:
        row = Parked(entry.position, entry.lane)
        window.take(entry)
        self.lanes.park(row)
        self._park(row)
        window.settle(entry)

    def _close_gaps(self, window: Window) -> None:
        for entry in window.gaps():
            if self.lanes.holds(entry.position):
                window.take(entry)
                window.settle(entry)
            elif len(self.lanes) < self._limit:
                self._park_behind(window, entry)

    async def _read_ahead(self, window: Window) -> None:
        after, head = window.examined, await self._reader.end()
        end = head.position if window.end is None else window.end
        if window.end is not None and head.trimmed_position > after:
            last = min(head.trimmed_position, window.end)
            _logger.error("replay.behind_retention", endpoint_id=self._claim.id, first=after + 1, last=last)
        until = max(after, min(end, after + _READ_POSITIONS))
        rows = await self._between(after, until, is_shared=window.end is None)
        examined = rows[-1].position if len(rows) == _READ_ROWS else until
        window.extend(rows, examined, is_at_end=examined >= end)

    async def _between(self, after: int, until: int, *, is_shared: bool) -> list[Any]:
        """Return the first wanted events behind `after`, up to `until`."""
        if until <= after:
            return []
        if is_shared:
            found = await self._reader.recent(self._wanted, after=after, until=until, limit=_READ_ROWS)
            if found is not None:
                return found
        environment, wanted = self._claim.environment_id, self._wanted
        return await self._reader.read(
            lambda connection: delivery_log.read(
                connection, environment, wanted, after=after, until=until, limit=_READ_ROWS
            )
        )

    async def _from_lanes(self, now: datetime) -> Step | None:
        while (head := self.lanes.due_head(now, self._is_free)) is not None:
            step = await self._step_of(head, now)
            if step is not None:
                return step
        return None

    async def _head_step(self) -> Step | None:
        while (head := self.lanes.probe_head()) is not None:
            step = await self._step_of(head, None)
            if step is not None:
                return step
        return None

    async def _step_of(self, head: Parked, now: datetime | None) -> Step | None:
        if head.position not in self._events:
            positions = [head.position] if now is None else self.lanes.upcoming(head, now, _READ_ROWS)
            work = partial(parked.events_at, environment_id=self._claim.environment_id, positions=positions)
            self._events = await self._reader.read(work)
        event = self._events.pop(head.position, None)
        if event is None:
            self.lanes.remove(head)
            self._bury(replace(head, last_error="The event was older than the retention of events."))
            return None
        slot = slot_of(key_of(self._ordering, head.lane, head.position), self._slots)
        self._busy.add(slot)
        return Step(event, head.lane, slot, head=head)
