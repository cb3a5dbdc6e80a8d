"""What must be true at the end: by the log, the rows of the endpoints and the journals of the receivers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from syncline.core.envelope import envelope
from syncline.core.ids import bare, ulid_bytes
from syncline.core.retry import LIFETIME
from syncline.services.delivery_lanes import lane_of
from syncline.store import log
from tests.reliability.oracle import LogEntry, Subscription, check_log, check_receipts
from tests.reliability.simulation.clock import START
from tests.reliability.simulation.schedule import check_schedule
from tests.reliability.simulation.watch import Arrival, Story
from tests.reliability.simulation.world import World


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the log with what order and subscriptions go by."""

    entry: LogEntry
    lane: str
    recorded: float


@dataclass(frozen=True, slots=True)
class Row:
    """An endpoint as the database shows it in the end, with its parked deliveries by position."""

    state: str
    cursor: int
    waiting: dict[int, Any]
    dead: dict[int, Any]


def judge(world: World) -> list[str]:
    """Return everything that is wrong; nothing if every promise was kept."""
    watch = world.watch
    problems = list(watch.problems)
    events = _log_of(world)
    entries = [event.entry for event in events]
    problems += check_log(entries)
    problems += _lost_changes(world, entries)
    for story in watch.stories.values():
        row = _row_of(world, story)
        problems += _receipts(world, story, entries)
        problems += _everything_arrived(story, events, watch.arrivals[story.url], row)
        problems += _processed_in_order(story, events, watch.arrivals[story.url])
        problems += _repetitions(world, story, watch.arrivals[story.url])
        problems += _dead_in_time(world, story, row)
        problems += check_schedule(world, story)
        problems += _gone_at_once(world, story)
    found = world.metrics.sweep_found._value.get()
    if found:
        problems.append(f"the sweep found {found:.0f} endpoints asleep")
    return problems


def _gone_at_once(world: World, story: Story) -> Iterator[str]:
    """One answer of 410 is enough, unless the process that got it came to harm."""
    told = world.watch.disturbances
    refused = [one for one in world.watch.arrivals[story.url] if one.receipt.answered == 410]
    excused = told.deaths or told.stops or world.weather.faults or story.deleted
    if refused and not excused and not any(quiet.why == "gone" for quiet in story.quiet):
        yield f"endpoint {story.number} answered 410 and is not gone"


def _log_of(world: World) -> list[Event]:
    environment = world.places[0].environment_id
    rows = world.store.read(lambda connection: log.read(connection, environment, log.LogFilter(), 1_000_000))
    events = []
    for row in rows:
        raw = envelope(
            row.event_id, row.type, row.body, row.recorded_at, row.actor, row.position, row.directory_sequence
        )
        entry = LogEntry.of(json.loads(raw), raw)
        lane = lane_of(row.directory_id, row.organization_id)
        events.append(Event(entry, lane, (row.recorded_at - START).total_seconds()))
    return events


def _row_of(world: World, story: Story) -> Row | None:
    raw = world.store.raw
    found = raw.execute("SELECT state, cursor FROM webhook_endpoints WHERE id = ?", (story.id,)).fetchone()
    if found is None:
        return None
    parked: dict[str, dict[int, Any]] = {"waiting": {}, "dead": {}}
    columns = "position, state, attempts, first_attempt_at, next_due_at, last_error"
    for row in raw.execute(f"SELECT {columns} FROM parked_deliveries WHERE endpoint_id = ?", (story.id,)):  # noqa: S608
        parked[row[1]][row[0]] = row
    return Row(found[0], found[1], parked["waiting"], parked["dead"])


def _lost_changes(world: World, entries: Sequence[LogEntry]) -> Iterator[str]:
    """Every change that was acknowledged is in the log once."""
    counted: dict[str, int] = defaultdict(int)
    for entry in entries:
        counted[str(entry.data.get("username") or entry.data.get("id"))] += 1
    for name in world.committed:
        if counted[name] != 1:
            yield f"the acknowledged {name} is {counted[name]} times in the log"


def _receipts(world: World, story: Story, entries: Sequence[LogEntry]) -> Iterator[str]:
    """Signatures, bodies, subscription; the order of first arrivals where nothing was given up."""
    in_order = story.ordering != "none" and not (story.given_up or story.skipped)
    subscription = Subscription(
        story.url,
        types=story.types,
        directories=() if story.directory is None else (story.directory,),
        after=min([story.after, *(position - 1 for position in story.replayed)]),
        in_order=in_order,
        all_of_it=False,
    )
    yield from check_receipts(world.watch.receipts.all, entries, subscription)


def _wanted(story: Story, events: Sequence[Event]) -> list[Event]:
    return [
        event
        for event in events
        if event.entry.sequence > story.after
        and event.entry.type in story.types
        and story.directory in (None, event.entry.directory_id)
    ]


def _everything_arrived(
    story: Story, events: Sequence[Event], arrivals: Sequence[Arrival], row: Row | None
) -> Iterator[str]:
    """Each event was taken by the receiver, or waits or is dead where its owner can see it."""
    if story.deleted or row is None:
        return
    taken = {arrival.receipt.event_id for arrival in arrivals if arrival.processed}
    for event in _wanted(story, events):
        entry = event.entry
        if entry.id in taken or entry.sequence in row.dead or entry.sequence in story.skipped:
            continue
        if row.state != "active" and (entry.sequence > row.cursor or entry.sequence in row.waiting):
            continue
        yield (
            f"endpoint {story.number} ({row.state}, cursor {row.cursor}) never took {entry.id[-6:]} at"
            f" {entry.sequence}, and it is neither waiting nor dead"
        )


def _processed_in_order(story: Story, events: Sequence[Event], arrivals: Sequence[Arrival]) -> Iterator[str]:
    """A receiver takes the events of one lane in their order; what was given up is passed over."""
    if story.ordering == "none":
        return
    excused = story.given_up | story.skipped
    by_id = {event.entry.id: event for event in events}
    reached: dict[str, int] = defaultdict(int)
    seen: set[str] = set()
    for arrival in arrivals:
        event = by_id.get(arrival.receipt.event_id)
        if event is None or not arrival.processed or event.entry.id in seen:
            continue
        seen.add(event.entry.id)
        lane = "" if story.ordering == "strict" else event.lane
        position = event.entry.sequence
        if position < reached[lane] and position not in excused:
            yield (
                f"endpoint {story.number} took {position} at {arrival.at:.3f} s, after {reached[lane]} of the"
                f" same directory"
            )
        reached[lane] = max(reached[lane], position)


def _repetitions(world: World, story: Story, arrivals: Sequence[Arrival]) -> Iterator[str]:
    """An event that was taken and answered comes again only after a disturbance, and then few at a time."""
    taken: set[str] = set()
    again = 0
    for arrival in arrivals:
        if arrival.receipt.event_id in taken and arrival.receipt.sequence not in story.replayed:
            again += 1
        if arrival.processed and arrival.answered:
            taken.add(arrival.receipt.event_id)
    told = world.watch.disturbances
    disturbed = told.deaths + told.stops + world.weather.faults
    allowed = disturbed * (world.plan.save_events + story.concurrency)
    if again > allowed:
        yield (
            f"endpoint {story.number} got {again} deliveries that it had already confirmed, at most {allowed}"
            f" are excused"
        )


def _dead_in_time(world: World, story: Story, row: Row | None) -> Iterator[str]:
    """Nothing is given up before 72 hours of trying."""
    for position, dead in (row.dead if row else {}).items():
        last = world.store.raw.execute(
            "SELECT max(started_at) FROM delivery_attempts WHERE endpoint_id = ? AND position = ?",
            (ulid_bytes(bare(story.id)), position),
        ).fetchone()[0]
        if position <= story.resumed_at or position in story.replayed:
            continue
        if dead[3] is None or last is None or last - dead[3] < LIFETIME.total_seconds() * 1_000 * 0.999:
            yield f"endpoint {story.number} gave {position} up too early: {dead}"
