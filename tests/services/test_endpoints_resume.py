"""Where an endpoint goes on that its owner starts: where it stopped, from now, from an event or a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from syncline.core.errors import CursorExpired, ValidationFailed
from syncline.core.events import GroupDeleted
from syncline.core.paging import Order, PageRequest
from syncline.core.wire import EndpointHealth, WebhookEndpoint
from syncline.services.endpoint_deliveries import EndpointDeliveries
from syncline.services.endpoint_resume import ResumePoint
from syncline.services.endpoints import EndpointChanges, Endpoints
from syncline.services.replays import Replays
from syncline.services.retention import Retention
from tests.support.deliveries import CAUSE, CREATED, QUICK, Schedule, Stage, dispatching
from tests.support.kernels import kernel, seed, system_clock
from tests.support.receiver import Gate, Received, Receiver, Reply
from tests.support.waiting import wait_until

A, B = "directory_A", "directory_B"
NEVER = "event_01KA0YPX7B9D1F3H5K7M9Q1S3T"
SLOWLY = replace(QUICK, delay=Schedule(pause=timedelta(hours=1)))


class Clock:
    """The time of the machine, moved as a test wants."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        """Return the time."""
        return system_clock() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def stage(database_url: str, clock: Clock) -> AsyncIterator[Stage]:
    async with kernel(database_url, clock=clock) as made:
        yield Stage(made, (await seed(made)).environment_id)


async def change(stage: Stage, endpoint: WebhookEndpoint, state: str, point: ResumePoint | None) -> None:
    """Let the owner change the state."""
    changes = EndpointChanges(state=state, resume_from=point)
    await Endpoints(stage.kernel).update(stage.environment_id, endpoint.id, changes, CAUSE)


async def health(stage: Stage, endpoint: WebhookEndpoint) -> EndpointHealth:
    """Return the health of an endpoint."""
    found = (await Endpoints(stage.kernel).get(stage.environment_id, endpoint.id)).health
    assert isinstance(found, EndpointHealth)
    return found


async def unsent(stage: Stage, endpoint: WebhookEndpoint) -> list[tuple[str, str]]:
    """Return the deliveries that wait or are dead, oldest first, as (event id, state)."""
    page = await EndpointDeliveries(stage.kernel).list(
        stage.environment_id, endpoint.id, PageRequest(limit=100, order=Order.ASC)
    )
    return [(one.event_id, one.state) for one in page.items]


async def failing(stage: Stage, hooks: Receiver) -> tuple[WebhookEndpoint, list[str]]:
    """Make an endpoint that was sent one event in vain, has one waiting behind it, and then is paused."""
    endpoint = await stage.endpoint(hooks.url())
    hooks.answer = lambda _: Reply(500)
    async with dispatching(stage.kernel, SLOWLY):
        ids = await stage.emit(A, A)

        async def both_wait() -> bool:
            return len(await stage.parked(endpoint)) == 2

        await wait_until(both_wait)
        await change(stage, endpoint, "paused", None)
    ids += await stage.emit(A, B)
    hooks.answer = lambda _: Reply()
    hooks.received.clear()
    return endpoint, ids


@pytest.mark.parametrize("point", [None, "stopped"])
async def test_by_default_an_endpoint_goes_on_where_it_stopped_and_what_waits_is_due_at_once(
    stage: Stage, hooks: Receiver, point: str | None
) -> None:
    endpoint, ids = await failing(stage, hooks)
    await change(stage, endpoint, "active", point)
    async with dispatching(stage.kernel, SLOWLY):
        await stage.settled(endpoint)
    assert sorted(hooks.ids()) == ids
    assert [id_ for id_ in hooks.ids() if id_ != ids[3]] == ids[:3]


async def test_from_now_nothing_of_the_past_is_sent_and_what_waited_is_dead_and_replayable(
    stage: Stage, hooks: Receiver
) -> None:
    endpoint, ids = await failing(stage, hooks)
    await change(stage, endpoint, "active", "now")
    assert await unsent(stage, endpoint) == [(ids[0], "dead"), (ids[1], "dead")]
    found = await health(stage, endpoint)
    assert (found.lag_events, found.waiting, found.dead) == (0, 0, 2)
    async with dispatching(stage.kernel, SLOWLY):
        [new] = await stage.emit(A)
        await stage.settled(endpoint)
        assert hooks.ids() == [new]
        await Replays(stage.kernel).replay_dead(stage.environment_id, endpoint.id)
        await wait_until(lambda: len(hooks.ids()) == 3)
        await stage.settled(endpoint)
    assert sorted(hooks.ids()[1:]) == ids[:2]
    assert await unsent(stage, endpoint) == []


async def test_from_an_event_it_is_the_first_that_is_sent(stage: Stage, hooks: Receiver) -> None:
    endpoint, ids = await failing(stage, hooks)
    await change(stage, endpoint, "active", ids[1])
    async with dispatching(stage.kernel, SLOWLY):
        await stage.settled(endpoint)
    assert [id_ for id_ in hooks.ids() if id_ != ids[3]] == ids[1:3]
    assert ids[3] in hooks.ids()
    assert await unsent(stage, endpoint) == [(ids[0], "dead")]


async def test_an_endpoint_can_be_sent_the_past_again(stage: Stage, hooks: Receiver) -> None:
    endpoint = await stage.endpoint(hooks.url())
    async with dispatching(stage.kernel):
        ids = await stage.emit(A, A, A)
        await stage.settled(endpoint)
        await change(stage, endpoint, "active", ids[1])
        await stage.settled(endpoint)
    assert hooks.ids() == [*ids, *ids[1:]]


async def test_from_a_time_what_occurred_then_or_later_is_sent(
    stage: Stage, hooks: Receiver, clock: Clock
) -> None:
    endpoint = await stage.endpoint(hooks.url())
    await change(stage, endpoint, "paused", None)
    await stage.emit(A, B)
    clock.ahead = timedelta(hours=1)
    late = await stage.emit(A, B)
    await change(stage, endpoint, "active", clock() - timedelta(minutes=1))
    async with dispatching(stage.kernel):
        await stage.settled(endpoint)
        assert sorted(hooks.ids()) == late
        # Nothing has occurred since: it waits for what comes.
        await change(stage, endpoint, "active", clock())
        await stage.settled(endpoint)
    assert sorted(hooks.ids()) == late


async def test_a_point_behind_retention_is_expired_and_the_endpoint_stays_as_it_was(
    stage: Stage, hooks: Receiver, clock: Clock
) -> None:
    endpoint, ids = await failing(stage, hooks)
    clock.ahead = timedelta(days=91)
    [newest] = await stage.emit(A)
    await Retention(stage.kernel).trim_log()
    for point in (ids[0], "stopped", clock() - timedelta(days=92)):
        with pytest.raises(CursorExpired) as refused:
            await change(stage, endpoint, "active", point)
        assert refused.value.oldest_id == newest
    assert (await health(stage, endpoint)).missed is not None
    assert (await Endpoints(stage.kernel).get(stage.environment_id, endpoint.id)).state == "paused"
    await change(stage, endpoint, "active", newest)
    async with dispatching(stage.kernel):
        await stage.settled(endpoint)
    assert hooks.ids() == [newest]
    assert (await health(stage, endpoint)).missed is None


async def test_a_point_that_is_none_is_refused(stage: Stage, hooks: Receiver) -> None:
    endpoint = await stage.endpoint(hooks.url())
    foreign = Stage(stage.kernel, (await seed(stage.kernel)).environment_id)
    [theirs] = await foreign.emit(A)
    await stage.emit(A)
    for state, point, code in (
        ("active", NEVER, "resume_from_unknown"),
        ("active", theirs, "resume_from_unknown"),
        ("active", "event_1", "resume_from_invalid"),
        ("active", "yesterday", "resume_from_invalid"),
        ("active", stage.kernel.clock() + timedelta(hours=1), "resume_from_invalid"),
        ("paused", "now", "resume_from_invalid"),
        ("disabled", "stopped", "resume_from_invalid"),
    ):
        with pytest.raises(ValidationFailed) as refused:
            await change(stage, endpoint, state, point)
        assert [error.code for error in refused.value.errors] == [code], (state, point)
    assert (await Endpoints(stage.kernel).get(stage.environment_id, endpoint.id)).state == "active"


async def test_moving_an_endpoint_during_a_request_neither_undoes_the_move_nor_overtakes_the_request(
    stage: Stage, hooks: Receiver
) -> None:
    """Who delivers loses the endpoint, and its request has ended before another one begins."""
    gate = Gate()
    hooks.answer = lambda request: gate.reply(request) if request.path == "/hook" else Reply()
    endpoint, other = await stage.endpoint(hooks.url()), await stage.endpoint(hooks.url("/other"))
    briefly = replace(QUICK, lease=timedelta(seconds=5), send_seconds=1.0)
    async with dispatching(stage.kernel, briefly), dispatching(stage.kernel, briefly):
        ids = await stage.emit(*[A] * 5)
        await wait_until(lambda: hooks.at("/hook"))
        await change(stage, endpoint, "active", "now")
        assert (await health(stage, endpoint)).lag_events == 0
        new: list[str] = []
        # By then each of the two dispatchers has looked for something to do.
        for _ in range(5):
            new += await stage.emit(A)
            await stage.settled(other)
        assert hooks.ids() == ids[:1]
        gate.open()
        await stage.settled(endpoint, 30)
    assert hooks.ids() == [ids[0], *new]


async def test_what_waits_can_be_tried_now(stage: Stage, hooks: Receiver) -> None:
    endpoint = await stage.endpoint(hooks.url())
    deliveries = EndpointDeliveries(stage.kernel)
    hooks.answer = lambda _: Reply(503)
    async with dispatching(stage.kernel, SLOWLY):
        ids = await stage.emit(A, A, B)

        async def all_wait() -> bool:
            return len(await stage.parked(endpoint)) == 3

        await wait_until(all_wait)
        hooks.answer = lambda _: Reply()
        hooks.received.clear()
        assert await deliveries.retry(stage.environment_id, endpoint.id, CAUSE) == 3
        await stage.settled(endpoint)
        assert [id_ for id_ in hooks.ids() if id_ != ids[2]] == ids[:2]
        assert await deliveries.retry(stage.environment_id, endpoint.id, CAUSE) == 0
    await change(stage, endpoint, "paused", None)
    with pytest.raises(ValidationFailed):
        await deliveries.retry(stage.environment_id, endpoint.id, CAUSE)


async def test_health_tells_how_deliveries_are_going(stage: Stage, hooks: Receiver, clock: Clock) -> None:
    endpoint = await stage.endpoint(hooks.url(), [CREATED])
    untouched = await health(stage, endpoint)
    assert (untouched.lag_events, untouched.lag_seconds, untouched.circuit) == (0, 0.0, "closed")
    assert (untouched.recent_attempts, untouched.success_ratio, untouched.p95_ms) == (0, None, None)
    refused = iter([True])

    def answer(_: Received) -> Reply:
        return Reply(500) if next(refused, False) else Reply()

    hooks.answer = answer
    async with dispatching(stage.kernel, SLOWLY):
        ids = await stage.emit(A, A)

        async def both_wait() -> bool:
            return (await health(stage, endpoint)).waiting == 2

        await wait_until(both_wait)
        await stage.emit(B, B, B)
        await wait_until(lambda: len(hooks.received) == 4)

        async def is_saved() -> bool:
            return (await health(stage, endpoint)).recent_attempts == 4

        await wait_until(is_saved)
        await change(stage, endpoint, "paused", None)
    await stage.emit(B, B)
    await stage.emit(B, event=GroupDeleted)
    clock.ahead = timedelta(minutes=5)
    found = await health(stage, endpoint)
    assert (found.lag_events, found.waiting, found.dead) == (3, 2, 0)
    assert 300 <= found.lag_seconds < 600
    assert found.oldest_waiting_seconds is not None
    assert 300 <= found.oldest_waiting_seconds < 600
    assert found.success_ratio == 0.75
    assert found.p95_ms is not None
    assert await unsent(stage, endpoint) == [(id_, "waiting") for id_ in ids]
