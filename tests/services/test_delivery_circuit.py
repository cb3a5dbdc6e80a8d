"""An endpoint that fails is left alone but for one probe at a time, and recovers in order."""

from __future__ import annotations

from datetime import timedelta

from syncline.core.circuit import CircuitState
from syncline.core.endpoint_options import EndpointOptions
from tests.support.deliveries import Schedule, Stage, dispatching, with_schedule
from tests.support.options import choose, row_of, set_row
from tests.support.receiver import Gate, Received, Receiver, Reply
from tests.support.waiting import wait_until

DIRECTORIES = [f"directory_{letter}" for letter in "ABCDEFGHIJ"]
A, B = DIRECTORIES[:2]
NEVER = timedelta(hours=1)
# Repetitions of a delivery are far away, probes are not.
PROBING = with_schedule(Schedule(pause=NEVER, probe=timedelta(milliseconds=20)))


async def test_after_five_failures_in_a_row_nothing_more_is_sent_before_the_next_probe(
    stage: Stage, hooks: Receiver
) -> None:
    hooks.answer = lambda request: Reply(500 if request.path == "/hook" else 200)
    endpoint = await stage.endpoint(hooks.url())
    await stage.emit(*DIRECTORIES)
    async with dispatching(stage.kernel, with_schedule(Schedule(pause=NEVER))) as dispatcher:
        await wait_until(lambda: len(hooks.received) == 5 and not dispatcher.turns_under_way)
        other = await stage.endpoint(hooks.url("/other"))
        await stage.emit(A, *DIRECTORIES)
        await wait_until(lambda: stage.is_idle(other))
        await dispatcher.sweep()
    assert len(hooks.at("/hook")) == 5
    assert len(await stage.parked(endpoint)) == 5
    row = await row_of(stage, endpoint)
    assert (row.circuit, row.circuit_step, row.cursor) == (CircuitState.OPEN, 1, 5)
    gauge = stage.kernel.metrics.endpoints
    assert gauge.labels("active", "open")._value.get() == 1
    assert gauge.labels("active", "closed")._value.get() == 1
    assert stage.kernel.metrics.endpoint_lag_positions._value.get() == 16


async def test_a_success_closes_the_circuit_and_all_arrives_at_once_and_in_order(
    stage: Stage, hooks: Receiver
) -> None:
    is_down = True
    hooks.answer = lambda _: Reply(503 if is_down else 200)
    endpoint = await stage.endpoint(hooks.url())
    ids = await stage.emit(*DIRECTORIES, *DIRECTORIES)
    async with dispatching(stage.kernel, PROBING):
        await wait_until(lambda: len(hooks.received) > 12)
        # One probe at a time is all that a failing endpoint gets.
        assert hooks.most_in_flight == 1
        is_down = False
        # The repetitions themselves would only be due in an hour.
        await wait_until(lambda: stage.is_idle(endpoint))
    assert (await row_of(stage, endpoint)).circuit == CircuitState.CLOSED
    firsts = list(dict.fromkeys(hooks.ids()))
    assert sorted(firsts) == sorted(ids)
    for lane in range(10):
        assert [id_ for id_ in firsts if id_ in ids[lane::10]] == ids[lane::10]


async def test_one_poisoned_directory_does_not_keep_the_circuit_open_for_the_others(
    stage: Stage, hooks: Receiver
) -> None:
    hooks.answer = lambda request: Reply(500 if request.event["data"]["directory_id"] == A else 200)
    endpoint = await stage.endpoint(hooks.url())
    await stage.emit(A)
    # The one event of the directory has failed often enough already.
    await set_row(stage, endpoint, consecutive_failures=4)
    async with dispatching(stage.kernel, PROBING):
        await wait_until(lambda: len(hooks.received) > 2)
        wanted = await stage.emit(B, B)
        await wait_until(lambda: set(wanted) <= set(hooks.ids()))
    assert [id_ for id_ in hooks.ids() if id_ in wanted] == wanted


async def test_after_a_recovery_requests_become_many_only_step_by_step(stage: Stage, hooks: Receiver) -> None:
    in_flight: list[int] = []
    gate = Gate()

    async def answer(request: Received) -> Reply:
        in_flight.append(hooks.in_flight)
        return Reply() if len(in_flight) <= 12 else await gate.reply(request)

    hooks.answer = answer
    endpoint = await stage.endpoint(hooks.url())
    await choose(stage, endpoint, EndpointOptions(concurrency=8))
    await set_row(stage, endpoint, circuit="open", circuit_step=1, consecutive_failures=5)
    await stage.emit(*[f"directory_{number}" for number in range(60)])
    async with dispatching(stage.kernel, PROBING):
        await wait_until(lambda: hooks.in_flight > 4)
        gate.open()
        await wait_until(lambda: stage.is_idle(endpoint))
    assert in_flight[0] == 1
    assert max(in_flight[:3]) <= 2
    assert max(in_flight[:7]) <= 4
