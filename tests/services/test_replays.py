"""Past events are sent again with their ids and bodies: one, a range, or all that were given up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from syncline import faults
from syncline.core.endpoint_options import EndpointOptions
from syncline.core.errors import CursorExpired, NotFound, ValidationFailed
from syncline.core.events import GroupDeleted
from syncline.core.wire import WebhookEndpoint
from syncline.services.endpoints import EndpointChanges, Endpoints
from syncline.services.replays import Replayed, ReplayRange, Replays
from syncline.store import log
from tests.support.deliveries import CAUSE, CREATED, QUICK, Schedule, Stage, dispatching, with_schedule
from tests.support.kernels import seed
from tests.support.options import choose
from tests.support.receiver import Received, Receiver, Reply
from tests.support.waiting import wait_until

A, B = "directory_A", "directory_B"
# The first failure of a delivery is its last; an open circuit is probed again right away.
DYING = with_schedule(Schedule(attempts=1, probe=timedelta(milliseconds=10)))


async def delivered(stage: Stage, hooks: Receiver, *directories: str) -> tuple[WebhookEndpoint, list[str]]:
    """Make an endpoint and have it take events; the receiver forgets them."""
    endpoint = await stage.endpoint(hooks.url())
    ids = await stage.emit(*directories)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    return endpoint, ids


async def trim(stage: Stage, events: int) -> None:
    later = stage.kernel.clock() + timedelta(days=1)
    await stage.kernel.database.write(
        lambda connection: log.trim(connection, stage.environment_id, later, events)
    )


async def test_one_event_is_sent_again_as_it_was(stage: Stage, hooks: Receiver) -> None:
    endpoint, ids = await delivered(stage, hooks, A, B, A)
    async with dispatching(stage.kernel):
        replayed = await Replays(stage.kernel).replay_event(stage.environment_id, endpoint.id, ids[1])
        await wait_until(lambda: len(hooks.received) == 4)
        await wait_until(lambda: stage.is_idle(endpoint))
    assert replayed == Replayed(1)
    assert hooks.ids() == [*ids, ids[1]]
    assert hooks.received[3].body == hooks.received[1].body


async def test_a_range_is_sent_again_in_order_and_without_what_the_endpoint_does_not_want(
    stage: Stage, hooks: Receiver
) -> None:
    endpoint, ids = await delivered(stage, hooks, A, B, A, A)
    ids += await stage.emit(A, event=GroupDeleted)
    ids += await stage.emit(A, A)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    hooks.received.clear()
    changes = EndpointChanges(events=[CREATED])
    await Endpoints(stage.kernel).update(stage.environment_id, endpoint.id, changes, CAUSE)
    await choose(stage, endpoint, EndpointOptions(directory_ids=(A,)))
    wanted = ReplayRange(first_id=ids[1], last_id=ids[5])
    replayed = await Replays(stage.kernel).replay_range(stage.environment_id, endpoint.id, wanted)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    assert replayed == Replayed(3)
    assert hooks.ids() == [ids[2], ids[3], ids[5]]


async def test_a_range_of_moments_begins_with_its_start_and_ends_before_its_end(
    stage: Stage, hooks: Receiver
) -> None:
    endpoint, before = await delivered(stage, hooks, A)
    start = stage.kernel.clock() + timedelta(milliseconds=2)
    await wait_until(lambda: stage.kernel.clock() > start)
    inside = await stage.emit(A, A)
    end = stage.kernel.clock() + timedelta(milliseconds=2)
    await wait_until(lambda: stage.kernel.clock() > end)
    after = await stage.emit(A)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    hooks.received.clear()
    replays = Replays(stage.kernel)
    wanted = ReplayRange(start=start, end=end)
    assert await replays.replay_range(stage.environment_id, endpoint.id, wanted) == Replayed(2)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == inside
    assert not {*before, *after} & {*hooks.ids()}


async def test_while_a_replayed_event_fails_its_directory_waits_and_others_flow(
    stage: Stage, hooks: Receiver
) -> None:
    endpoint, ids = await delivered(stage, hooks, A, B, A, B)
    hooks.received.clear()
    hooks.answer = lambda request: Reply(500 if request.id == ids[0] and request.attempt < 4 else 200)
    await Replays(stage.kernel).replay_range(stage.environment_id, endpoint.id, ReplayRange(first_id=ids[0]))
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    firsts = list(dict.fromkeys(hooks.ids()))
    assert firsts[:3] == [ids[0], ids[1], ids[3]]
    assert [id_ for id_ in hooks.ids() if id_ in (ids[0], ids[2])] == [ids[0]] * 4 + [ids[2]]


@pytest.mark.usefixtures("no_plan_stays")
async def test_a_range_goes_on_where_a_turn_broke_off(stage: Stage, hooks: Receiver) -> None:
    endpoint, ids = await delivered(stage, hooks, *[A, B] * 20)
    hooks.received.clear()
    await Replays(stage.kernel).replay_range(stage.environment_id, endpoint.id, ReplayRange(first_id=ids[0]))
    settings = replace(QUICK, save_events=5, hold=timedelta(milliseconds=20))
    faults.install(faults.FaultPlan.parse("dispatch.after_send=fail@23"))
    async with dispatching(stage.kernel, settings):
        await wait_until(lambda: stage.is_idle(endpoint) if len(hooks.received) > 30 else None)
    assert list(dict.fromkeys(hooks.ids())) == ids
    assert len(ids) < len(hooks.ids()) <= len(ids) + settings.save_events


async def test_ranges_asked_for_together_are_sent_one_after_the_other(stage: Stage, hooks: Receiver) -> None:
    endpoint, ids = await delivered(stage, hooks, A, A, A)
    hooks.received.clear()
    replays = Replays(stage.kernel)
    for id_ in (ids[2], ids[0], ids[1]):
        await replays.replay_event(stage.environment_id, endpoint.id, id_)
    async with dispatching(stage.kernel):
        await wait_until(lambda: len(hooks.received) == 3)
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == [ids[2], ids[0], ids[1]]


async def test_all_that_was_given_up_is_sent_again_however_much_it_is(stage: Stage, hooks: Receiver) -> None:
    is_down = True

    def answer(request: Received) -> Reply:
        return Reply(500 if is_down else 200)

    hooks.answer = answer
    endpoint = await stage.endpoint(hooks.url())
    ids = await stage.emit(*[A] * 5, *[B] * 3)
    async with dispatching(stage.kernel, DYING):
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == ids
    hooks.received.clear()
    is_down = False
    replays = Replays(stage.kernel)
    assert await replays.replay_dead(stage.environment_id, endpoint.id) == Replayed(8)
    assert await replays.replay_dead(stage.environment_id, endpoint.id) == Replayed(8)
    async with dispatching(stage.kernel, replace(QUICK, parked_limit=3)):
        await wait_until(lambda: len(hooks.received) == 8)
        await wait_until(lambda: stage.is_idle(endpoint))
    assert sorted(hooks.ids()) == sorted(ids)
    assert [id_ for id_ in hooks.ids() if id_ in ids[:5]] == ids[:5]
    assert await replays.replay_dead(stage.environment_id, endpoint.id) == Replayed(0)


async def test_what_the_endpoint_has_yet_to_get_is_not_sent_twice(stage: Stage, hooks: Receiver) -> None:
    endpoint, _ = await delivered(stage, hooks, A)
    hooks.received.clear()
    coming = await stage.emit(A, A)
    replays = Replays(stage.kernel)
    assert await replays.replay_event(stage.environment_id, endpoint.id, coming[0]) == Replayed(0)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == coming


async def test_foreign_ids_are_answered_like_ids_that_never_were(stage: Stage, hooks: Receiver) -> None:
    endpoint, ids = await delivered(stage, hooks, A)
    other = Stage(stage.kernel, (await seed(stage.kernel)).environment_id)
    foreign = await other.endpoint(hooks.url("/other"))
    [foreign_event] = await other.emit(A)
    replays = Replays(stage.kernel)
    for endpoint_id, event_id in (
        (foreign.id, ids[0]),
        (endpoint.id, foreign_event),
        ("we_nonsense", ids[0]),
        (endpoint.id, "event_nonsense\x00"),
    ):
        with pytest.raises(NotFound):
            await replays.replay_event(stage.environment_id, endpoint_id, event_id)
    with pytest.raises(NotFound):
        await replays.replay_dead(stage.environment_id, foreign.id)
    async with dispatching(stage.kernel):
        await wait_until(lambda: other.is_idle(foreign))
    assert hooks.ids() == ids


async def test_what_retention_removed_is_an_error_and_no_silent_gap(stage: Stage, hooks: Receiver) -> None:
    hooks.answer = lambda _: Reply(500)
    endpoint = await stage.endpoint(hooks.url())
    long_ago = stage.kernel.clock()
    ids = await stage.emit(A, A, A)
    async with dispatching(stage.kernel, DYING):
        await wait_until(lambda: stage.is_idle(endpoint))
    await trim(stage, 1)
    replays = Replays(stage.kernel)
    with pytest.raises(CursorExpired) as expired:
        await replays.replay_event(stage.environment_id, endpoint.id, ids[0])
    assert expired.value.oldest_id == ids[1]
    for wanted in (ReplayRange(first_id=ids[0], last_id=ids[2]), ReplayRange(start=long_ago)):
        with pytest.raises(CursorExpired):
            await replays.replay_range(stage.environment_id, endpoint.id, wanted)
    assert await replays.replay_dead(stage.environment_id, endpoint.id) == Replayed(2, lost=1)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (ReplayRange(), "first_id_required"),
        (ReplayRange(last_id="event_x"), "first_id_required"),
    ],
)
async def test_a_range_without_a_beginning_is_refused(
    stage: Stage, hooks: Receiver, wanted: ReplayRange, code: str
) -> None:
    endpoint = await stage.endpoint(hooks.url())
    with pytest.raises(ValidationFailed) as refused:
        await Replays(stage.kernel).replay_range(stage.environment_id, endpoint.id, wanted)
    assert [error.code for error in refused.value.errors] == [code]
