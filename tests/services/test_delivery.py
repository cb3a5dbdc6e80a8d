"""Webhook delivery to a real receiver, on both engines: at least once, in order per directory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import update

from syncline.core.events import GroupDeleted
from syncline.store import tables as t
from tests.support.deliveries import (
    CREATED,
    DELETED,
    QUICK,
    Schedule,
    Stage,
    dispatching,
    with_schedule,
)
from tests.support.kernels import seed
from tests.support.receiver import Gate, Received, Receiver, Reply
from tests.support.waiting import wait_until

A, B = "directory_A", "directory_B"


def failing(*statuses: int, when: str = A, then: int = 200) -> Failing:
    return Failing(list(statuses), when, then)


class Failing:
    """Answers the events of one directory with these statuses first, everything else with 200."""

    def __init__(self, statuses: list[int], directory: str, then: int) -> None:
        self._statuses = statuses
        self._directory = directory
        self._then = then

    def __call__(self, request: Received) -> Reply:
        if request.event["data"]["directory_id"] != self._directory:
            return Reply()
        return Reply(self._statuses.pop(0) if self._statuses else self._then)


async def test_an_endpoint_gets_what_is_sealed_after_it_was_made(stage: Stage, hooks: Receiver) -> None:
    await stage.emit(A, A)
    endpoint = await stage.endpoint(hooks.url())
    async with dispatching(stage.kernel):
        ids = await stage.emit(A, B, A)
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == ids


async def test_a_request_carries_the_event_and_its_headers(stage: Stage, hooks: Receiver) -> None:
    endpoint = await stage.endpoint(hooks.url())
    [id_] = await stage.emit(A)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    [request] = hooks.received
    assert request.event["event"] == CREATED
    assert request.event["context"]["sequence"] == 1
    assert request.event["context"]["directory_sequence"] == 1
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("Syncline/")
    assert request.headers["syncline-event-id"] == request.headers["webhook-id"] == id_
    assert request.attempt == 1


async def test_only_subscribed_types_are_sent_and_the_cursor_passes_the_others(
    stage: Stage, hooks: Receiver
) -> None:
    endpoint = await stage.endpoint(hooks.url(), [DELETED])
    async with dispatching(stage.kernel):
        await stage.emit(*[A] * 120)
        wanted = await stage.emit(B, event=GroupDeleted)
        await stage.emit(A)
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == wanted


async def test_a_long_backlog_arrives_once_and_in_order(stage: Stage, hooks: Receiver) -> None:
    endpoint = await stage.endpoint(hooks.url())
    ids = await stage.emit(*[A, B, "directory_C"] * 80)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint), 30)
    assert hooks.ids() == ids
    assert hooks.most_in_flight == 1
    attempts = await stage.attempts(endpoint)
    assert [attempt.event_id for attempt in attempts] == ids
    assert {attempt.outcome for attempt in attempts} == {"success"}


async def test_while_a_directory_waits_others_flow_and_its_own_order_holds(
    stage: Stage, hooks: Receiver
) -> None:
    hooks.answer = failing(500, 503, 500)
    endpoint = await stage.endpoint(hooks.url())
    a1, b1, a2, b2, a3 = await stage.emit(A, B, A, B, A)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    first_receipts = list(dict.fromkeys(hooks.ids()))
    assert first_receipts[:3] == [a1, b1, b2]
    assert [id_ for id_ in hooks.ids() if id_ in (a1, a2, a3)] == [a1, a1, a1, a1, a2, a3]
    assert [request.attempt for request in hooks.received if request.id == a1] == [1, 2, 3, 4]


async def test_attempts_are_kept_with_their_answers(stage: Stage, hooks: Receiver) -> None:
    hooks.answer = lambda request: Reply(503, body="later\x00 please") if request.attempt == 1 else Reply()
    endpoint = await stage.endpoint(hooks.url())
    [id_] = await stage.emit(A)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    failed, succeeded = await stage.attempts(endpoint)
    assert (failed.event_id, failed.attempt, failed.outcome, failed.status) == (id_, 1, "failed", 503)
    assert failed.response == "later please"
    assert failed.next_due_at is not None
    assert (succeeded.attempt, succeeded.outcome, succeeded.next_due_at) == (2, "success", None)


async def test_a_redirect_is_a_failure_and_is_not_followed(stage: Stage, hooks: Receiver) -> None:
    elsewhere = {"Location": hooks.url("/elsewhere")}
    hooks.answer = lambda request: Reply(307, elsewhere) if request.attempt == 1 else Reply()
    endpoint = await stage.endpoint(hooks.url())
    [id_] = await stage.emit(A)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == [id_, id_]
    assert hooks.at("/elsewhere") == []


async def test_a_receiver_that_is_down_gets_everything_once_it_is_back(
    stage: Stage, unused_port: int
) -> None:
    endpoint = await stage.endpoint(f"http://127.0.0.1:{unused_port}/hook")
    async with dispatching(stage.kernel):
        await stage.emit(A, A)
        await wait_until(lambda: stage.parked(endpoint))
        [first, *_] = await stage.attempts(endpoint)
        assert (first.outcome, first.status) == ("failed", None)
        assert first.error == "The connection was refused."
        assert not await stage.is_idle(endpoint)


async def test_a_delivery_that_never_succeeds_is_dead_and_its_lane_moves_on(
    stage: Stage, hooks: Receiver
) -> None:
    endpoint = await stage.endpoint(hooks.url())
    poisoned, follower = await stage.emit(A, A)
    hooks.answer = lambda request: Reply(500 if request.id == poisoned else 200)
    async with dispatching(stage.kernel, with_schedule(Schedule(attempts=3))):
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == [poisoned] * 3 + [follower]
    assert [attempt.next_due_at is None for attempt in await stage.attempts(endpoint)] == [
        False,
        False,
        True,
        True,
    ]
    assert stage.kernel.metrics.deliveries_dead._value.get() == 1


async def test_one_tenants_hanging_endpoint_does_not_delay_another(stage: Stage, hooks: Receiver) -> None:
    gate = Gate()
    other = Stage(stage.kernel, (await seed(stage.kernel)).environment_id)
    hanging = await stage.endpoint(hooks.url("/hanging"))
    healthy = await other.endpoint(hooks.url("/healthy"))

    async def answer(request: Received) -> Reply:
        return await gate.reply(request) if request.path == "/hanging" else Reply()

    hooks.answer = answer
    async with dispatching(stage.kernel):
        await stage.emit(A)
        await wait_until(lambda: hooks.at("/hanging"))
        ids = await other.emit(*[B] * 30)
        await wait_until(lambda: other.is_idle(healthy))
        assert hooks.ids("/healthy") == ids
        assert not await stage.is_idle(hanging)
        gate.open()
        await wait_until(lambda: stage.is_idle(hanging))


async def test_an_environments_events_reach_only_its_own_endpoints(stage: Stage, hooks: Receiver) -> None:
    other = Stage(stage.kernel, (await seed(stage.kernel)).environment_id)
    mine = await stage.endpoint(hooks.url("/mine"))
    theirs = await other.endpoint(hooks.url("/theirs"))
    async with dispatching(stage.kernel):
        own, foreign = await stage.emit(A, A), await other.emit(A)
        await wait_until(lambda: stage.is_idle(mine))
        await wait_until(lambda: other.is_idle(theirs))
    assert hooks.ids("/mine") == own
    assert hooks.ids("/theirs") == foreign


async def test_one_host_never_gets_more_than_its_share_of_requests(stage: Stage, hooks: Receiver) -> None:
    gate = Gate()
    hooks.answer = gate.reply
    made = [await stage.endpoint(hooks.url(f"/{number}")) for number in range(7)]
    await stage.emit(A)
    async with dispatching(stage.kernel, replace(QUICK, slots_per_host=3)):
        await wait_until(lambda: hooks.in_flight == 3)
        gate.open()
        for endpoint in made:
            await stage.settled(endpoint)
    assert hooks.most_in_flight == 3
    assert sorted(request.path for request in hooks.received) == sorted(f"/{n}" for n in range(7))


async def test_a_full_parking_lot_stops_the_cursor_and_loses_nothing(stage: Stage, hooks: Receiver) -> None:
    hooks.answer = lambda _: Reply(500)
    endpoint = await stage.endpoint(hooks.url())
    ids = await stage.emit(*[A, B] * 15)
    async with dispatching(stage.kernel, replace(QUICK, parked_limit=6)):
        await wait_until(lambda: len(hooks.received) > 4)
        assert len(await stage.parked(endpoint)) <= 6
        hooks.answer = lambda _: Reply()
        await wait_until(lambda: stage.is_idle(endpoint))
    firsts = list(dict.fromkeys(hooks.ids()))
    assert firsts[0] == ids[0]
    assert [id_ for id_ in firsts if id_ in ids[::2]] == ids[::2]
    assert [id_ for id_ in firsts if id_ in ids[1::2]] == ids[1::2]


async def test_a_clean_stop_keeps_what_arrived_and_repeats_nothing(stage: Stage, hooks: Receiver) -> None:
    endpoint = await stage.endpoint(hooks.url())
    ids = await stage.emit(*[A] * 60)
    async with dispatching(stage.kernel):
        await wait_until(lambda: len(hooks.received) >= 5)
    assert len(hooks.received) < 60
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == ids


async def test_a_stop_cuts_off_a_request_that_hangs_and_repeats_only_it(
    stage: Stage, hooks: Receiver
) -> None:
    gate = Gate()
    endpoint = await stage.endpoint(hooks.url())
    ids = await stage.emit(*[A] * 4)

    async def answer(request: Received) -> Reply:
        return await gate.reply(request) if request.id == ids[2] else Reply()

    hooks.answer = answer
    async with dispatching(stage.kernel, replace(QUICK, drain_seconds=0.05)):
        await wait_until(lambda: len(hooks.received) == 3)
    gate.open()
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == [ids[0], ids[1], ids[2], ids[2], ids[3]]


async def test_the_sweep_finds_nothing_while_all_is_well_and_wakes_a_stranded_endpoint(
    stage: Stage, hooks: Receiver
) -> None:
    endpoint = await stage.endpoint(hooks.url())
    async with dispatching(stage.kernel) as dispatcher:
        ids = await stage.emit(A, B)
        await wait_until(lambda: stage.is_idle(endpoint))
        assert await dispatcher.sweep() == 0

    await stage.kernel.database.write(
        lambda connection: connection.execute(
            update(t.webhook_endpoints).where(t.webhook_endpoints.c.id == endpoint.id).values(cursor=0)
        )
    )
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    assert stage.kernel.metrics.sweep_found._value.get() == 1
    assert hooks.ids() == [*ids, *ids]


async def test_timestamps_of_the_attempt_log_are_near_the_clock(stage: Stage, hooks: Receiver) -> None:
    endpoint = await stage.endpoint(hooks.url())
    before = stage.kernel.clock() - timedelta(milliseconds=1)
    await stage.emit(A)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    [attempt] = await stage.attempts(endpoint)
    assert before <= attempt.started_at <= stage.kernel.clock()
