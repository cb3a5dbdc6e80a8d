"""The cursor moves over a settled prefix only, and each slot keeps its order."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from syncline.core.endpoint_options import Ordering
from syncline.services.delivery_window import Entry, Window


@dataclass(frozen=True)
class Row:
    position: int
    directory_id: str | None
    organization_id: str | None = None


def rows(first: int, *directories: str) -> list[Row]:
    return [Row(first + offset, directory) for offset, directory in enumerate(directories)]


def test_an_empty_stretch_moves_to_where_it_was_looked_at() -> None:
    window = Window(3, Ordering.LANES, 1)
    window.extend([], 40, is_at_end=True)
    assert (window.cursor, window.is_at_end) == (40, True)


def test_the_cursor_waits_for_the_first_that_is_not_settled() -> None:
    window = Window(0, Ordering.NONE, 2)
    window.extend(rows(1, "a", "b", "c"), 9, is_at_end=True)
    taken = []
    busy: set[int] = set()
    while (entry := window.first(busy)) is not None:
        window.take(entry)
        taken.append(entry)
    assert [entry.position for entry in taken] == [1, 2, 3]
    window.settle(taken[1])
    assert window.cursor == 0
    window.settle(taken[0])
    assert window.cursor == 2
    window.settle(taken[2])
    assert window.cursor == 9


@pytest.mark.parametrize("seed", range(30))
def test_a_directory_keeps_its_order_whatever_ends_first(seed: int) -> None:
    chance = random.Random(seed)
    slots = chance.randint(1, 6)
    window = Window(0, Ordering.LANES, slots)
    directories = [f"directory_{chance.randint(1, 9)}" for _ in range(60)]
    window.extend(rows(1, *directories[:40]), 40, is_at_end=False)
    window.extend(rows(41, *directories[40:]), 60, is_at_end=True)
    flying: list[Entry] = []
    sent: dict[str, list[int]] = {}
    while len(window):
        entry = window.first({each.slot for each in flying})
        if entry is not None and chance.random() < 0.7:
            window.take(entry)
            assert entry.key not in {each.key for each in flying}
            sent.setdefault(entry.key, []).append(entry.position)
            flying.append(entry)
        elif flying:
            before = window.cursor
            window.settle(flying.pop(chance.randrange(len(flying))))
            assert window.cursor >= before
            assert all(each.position > window.cursor for each in flying)
    assert window.cursor == 60
    assert sorted(position for lane in sent.values() for position in lane) == list(range(1, 61))
    assert all(lane == sorted(lane) for lane in sent.values())


def test_strict_order_has_one_slot_for_everything() -> None:
    window = Window(0, Ordering.STRICT, 1)
    window.extend(rows(1, "a", "b"), 2, is_at_end=True)
    entry = window.first(())
    assert entry is not None
    window.take(entry)
    assert window.first({entry.slot}) is None


def test_an_event_can_be_taken_before_those_that_must_wait() -> None:
    window = Window(0, Ordering.LANES, 1)
    window.extend(rows(1, "a", "a", "b"), 3, is_at_end=True)
    entry = window.first_of(lambda each: each.key != "a", 3)
    assert entry is not None
    assert window.first_of(lambda each: each.key != "a", 2) is None
    window.take(entry)
    window.settle(entry)
    assert (entry.position, window.cursor) == (3, 0)
    following = window.first(())
    assert following is not None
    assert following.position == 1


def test_a_range_is_done_when_its_last_position_is_settled() -> None:
    window = Window(4, Ordering.LANES, 1, end=6)
    window.extend(rows(5, "a"), 6, is_at_end=True)
    assert not window.is_done
    entry = window.first(())
    assert entry is not None
    window.take(entry)
    window.settle(entry)
    assert window.is_done
