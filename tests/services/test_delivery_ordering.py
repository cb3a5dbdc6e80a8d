"""What the owner of an endpoint chooses: the order, how many requests at once, and whose events."""

from __future__ import annotations

from dataclasses import replace

from syncline.core.endpoint_options import EndpointOptions, Ordering
from syncline.services.delivery_lanes import slot_of
from tests.support.deliveries import QUICK, Stage, dispatching
from tests.support.options import choose, row_of
from tests.support.receiver import Gate, Received, Receiver, Reply
from tests.support.waiting import wait_until

A, B, C = "directory_A", "directory_B", "directory_C"


def each_in_a_slot(slots: int) -> list[str]:
    """Return directories that take place in different slots."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < slots:
        found.setdefault(slot_of(f"directory_{number}", slots), f"directory_{number}")
        number += 1
    return list(found.values())


async def test_in_strict_order_everything_waits_behind_a_failure(stage: Stage, hooks: Receiver) -> None:
    endpoint = await stage.endpoint(hooks.url())
    await choose(stage, endpoint, EndpointOptions(ordering=Ordering.STRICT))
    ids = await stage.emit(A, B, A, C, B)
    hooks.answer = lambda request: Reply(500 if request.id == ids[1] and request.attempt < 4 else 200)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == [ids[0], *[ids[1]] * 4, *ids[2:]]


async def test_without_order_only_the_failed_event_waits(stage: Stage, hooks: Receiver) -> None:
    gate = Gate()
    endpoint = await stage.endpoint(hooks.url())
    await choose(stage, endpoint, EndpointOptions(ordering=Ordering.NONE))
    ids = await stage.emit(A, A, A)

    async def answer(request: Received) -> Reply:
        if request.id != ids[0]:
            return Reply()
        return Reply(500) if request.attempt == 1 else await gate.reply(request)

    hooks.answer = answer
    async with dispatching(stage.kernel):
        await wait_until(lambda: len(hooks.received) == 4)
        gate.open()
        await wait_until(lambda: stage.is_idle(endpoint))
    assert sorted(hooks.ids()) == sorted([ids[0], *ids])


async def test_several_directories_are_served_at_once_each_in_order(stage: Stage, hooks: Receiver) -> None:
    gate = Gate()
    hooks.answer = gate.reply
    directories = each_in_a_slot(4)
    endpoint = await stage.endpoint(hooks.url())
    await choose(stage, endpoint, EndpointOptions(concurrency=4))
    ids = await stage.emit(*directories * 15)
    async with dispatching(stage.kernel):
        await wait_until(lambda: hooks.in_flight == 4)
        gate.open()
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.most_in_flight == 4
    assert sorted(hooks.ids()) == sorted(ids)
    for lane in range(4):
        assert [id_ for id_ in hooks.ids() if id_ in ids[lane::4]] == ids[lane::4]


async def test_the_cursor_waits_for_a_slow_directory_and_nothing_is_sent_twice(
    stage: Stage, hooks: Receiver
) -> None:
    gate = Gate()
    slow, quick = each_in_a_slot(2)
    endpoint = await stage.endpoint(hooks.url())
    await choose(stage, endpoint, EndpointOptions(concurrency=2))
    ids = await stage.emit(slow, *[quick] * 10, slow, *[quick] * 10)

    async def answer(request: Received) -> Reply:
        return await gate.reply(request) if request.id == ids[0] else Reply()

    hooks.answer = answer
    async with dispatching(stage.kernel, replace(QUICK, save_events=1, turn_seconds=0.2)):
        await wait_until(lambda: len(hooks.received) == 21)
        assert (await row_of(stage, endpoint)).cursor == 0
        gate.open()
        await wait_until(lambda: stage.is_idle(endpoint))
    assert sorted(hooks.ids()) == sorted(ids)


async def test_one_host_is_never_sent_more_than_its_share_by_turns_with_many_requests(
    stage: Stage, hooks: Receiver
) -> None:
    gate = Gate()
    hooks.answer = gate.reply
    made = [await stage.endpoint(hooks.url(f"/{number}")) for number in range(3)]
    for endpoint in made:
        await choose(stage, endpoint, EndpointOptions(concurrency=8))
    await stage.emit(*each_in_a_slot(8) * 3)
    async with dispatching(stage.kernel, replace(QUICK, slots_per_host=5)) as dispatcher:
        await wait_until(lambda: hooks.in_flight == 5)
        gate.open()
        for endpoint in made:
            await stage.settled(endpoint)
        await wait_until(lambda: not dispatcher.turns_under_way)
    assert hooks.most_in_flight == 5
    assert len(hooks.received) == 3 * 24


async def test_only_events_of_the_named_directories_and_organizations_are_sent(
    stage: Stage, hooks: Receiver
) -> None:
    directory = await stage.endpoint(hooks.url("/directory"))
    organization = await stage.endpoint(hooks.url("/organization"))
    nobody = await stage.endpoint(hooks.url("/nobody"))
    await choose(stage, directory, EndpointOptions(directory_ids=(A, C)))
    await choose(stage, organization, EndpointOptions(organization_ids=("org_1",)))
    await choose(stage, nobody, EndpointOptions(organization_ids=("org_2",)))
    async with dispatching(stage.kernel) as dispatcher:
        ids = await stage.emit(*[B] * 120, A, B, C, B)
        for endpoint in (directory, organization, nobody):
            # The cursor passes what is filtered out, so nobody reads it again.
            await wait_until(lambda endpoint=endpoint: stage.is_idle(endpoint))  # type: ignore[misc]
        assert await dispatcher.sweep() == 0
    assert hooks.ids("/directory") == [ids[120], ids[122]]
    assert hooks.ids("/organization") == ids
    assert hooks.ids("/nobody") == []


async def test_a_change_of_the_order_keeps_the_order_of_what_waits(stage: Stage, hooks: Receiver) -> None:
    endpoint = await stage.endpoint(hooks.url())
    await choose(stage, endpoint, EndpointOptions(ordering=Ordering.STRICT))
    ids = await stage.emit(A, B, A)
    hooks.answer = lambda _: Reply(500)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.parked(endpoint))
    hooks.received.clear()
    hooks.answer = lambda _: Reply()
    await choose(stage, endpoint, EndpointOptions())
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    assert [id_ for id_ in hooks.ids() if id_ != ids[1]] == [ids[0], ids[2]]
