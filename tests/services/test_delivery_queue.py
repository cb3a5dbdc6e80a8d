"""In which order endpoints that wait for a slot get one."""

from __future__ import annotations

from syncline.services.delivery_queue import Queue
from syncline.services.delivery_slots import Slots, host_of
from syncline.store.deliveries import Due


def endpoint(name: str) -> Due:
    """An endpoint `host-number`."""
    return Due(name, "environment_1", f"https://{name.partition('-')[0]}.example/{name}")


def queued(slots: Slots, *names: str) -> Queue:
    queue = Queue(slots)
    for name in names:
        queue.add(endpoint(name))
    return queue


def taken(queue: Queue, *busy: str) -> list[str]:
    return [due.id for due in queue.take(busy)]


def test_hosts_take_turns_and_none_gets_more_than_its_share() -> None:
    queue = queued(Slots(100, 2), "a-1", "a-2", "a-3", "b-1", "c-1", "c-2")
    assert taken(queue) == ["a-1", "b-1", "c-1", "a-2", "c-2"]
    assert len(queue) == 1


def test_a_host_that_was_served_goes_behind_the_others() -> None:
    slots = Slots(2, 2)
    queue = queued(slots, "a-1", "a-2", "b-1", "c-1", "c-2")
    order = [taken(queue) for _ in range(4)]
    assert order == [["a-1", "b-1"], ["c-1", "a-2"], ["c-2"], []]


def test_a_host_without_a_free_slot_keeps_its_place_and_holds_up_nobody() -> None:
    slots = Slots(10, 1)
    queue = queued(slots, "a-1", "b-1")
    slots.take(host_of(endpoint("a-0").endpoint_url))
    assert not queue.is_enough
    assert taken(queue) == ["b-1"]
    slots.give(host_of(endpoint("a-0").endpoint_url))
    assert taken(queue) == ["a-1"]


def test_it_is_enough_when_every_free_slot_can_be_filled() -> None:
    slots = Slots(2, 1)
    queue = queued(slots, "a-1", "a-2")
    assert not queue.is_enough
    queue.add(endpoint("b-1"))
    assert queue.is_enough
    slots.take(("elsewhere.example", 443))
    slots.take(("elsewhere.example", 443))
    assert Queue(slots).is_enough


def test_an_endpoint_waits_once_and_not_while_it_has_its_turn() -> None:
    queue = queued(Slots(10, 10), "a-1", "a-1", "a-2", "a-3")
    assert taken(queue, "a-2") == ["a-1", "a-3"]
    assert len(queue) == 0
