"""Only the head of a lane is tried, and only when it is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from syncline.services.delivery_lanes import Lanes, lane_of
from syncline.store.parked import Parked

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def test_an_events_lane_is_its_directory() -> None:
    assert lane_of("directory_1", "org_1") == "directory_1"
    assert lane_of(None, "org_1") == "org_1"
    assert lane_of(None, None) == ""


def test_a_lane_with_a_waiting_delivery_blocks_only_itself() -> None:
    lanes = Lanes([Parked(1, "a", next_due_at=LATER)])
    assert lanes.blocks("a")
    assert not lanes.blocks("b")
    lanes.remove(Parked(1, "a"))
    assert not lanes.blocks("a")
    assert len(lanes) == 0


def test_what_waits_behind_a_head_is_not_due_before_it() -> None:
    lanes = Lanes([Parked(2, "a"), Parked(1, "a", next_due_at=LATER)])
    assert lanes.due_head(NOW) is None
    assert lanes.next_due_at(NOW) == LATER
    head = lanes.due_head(LATER)
    assert head is not None
    assert head.position == 1


def test_the_next_of_a_lane_is_due_as_soon_as_the_head_is_gone() -> None:
    lanes = Lanes([Parked(1, "a", next_due_at=NOW), Parked(2, "a")])
    lanes.remove(Parked(1, "a"))
    head = lanes.due_head(NOW)
    assert head is not None
    assert head.position == 2
    assert lanes.next_due_at(NOW) == NOW


def test_heads_that_are_overdue_come_before_those_that_just_moved_up() -> None:
    lanes = Lanes([Parked(1, "a"), Parked(9, "b", next_due_at=NOW - timedelta(seconds=1))])
    head = lanes.due_head(NOW)
    assert head is not None
    assert head.lane == "b"


def test_a_head_that_failed_again_keeps_its_place() -> None:
    lanes = Lanes([Parked(1, "a", next_due_at=NOW), Parked(2, "a")])
    lanes.replace(Parked(1, "a", attempts=2, next_due_at=LATER))
    assert lanes.due_head(NOW) is None
    assert lanes.next_due_at(NOW) == LATER
    assert len(lanes) == 2


def test_nothing_waiting_is_never_due() -> None:
    assert Lanes([]).next_due_at(NOW) is None
    assert Lanes([]).due_head(NOW) is None


def test_the_events_needed_next_are_those_behind_the_head_and_the_other_due_heads() -> None:
    rows = [Parked(1, "a", next_due_at=NOW), Parked(3, "a"), Parked(5, "a"), Parked(2, "b", next_due_at=NOW)]
    lanes = Lanes([*rows, Parked(4, "c", next_due_at=LATER)])
    head = lanes.due_head(NOW)
    assert head is not None
    assert lanes.upcoming(head, NOW, 2) == [1, 3, 2]
