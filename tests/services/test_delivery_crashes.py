"""Dispatchers that die, hang past their lease or race each other: nothing lost, little repeated."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from syncline import faults
from syncline.services.kernel import Kernel
from tests.support.deliveries import QUICK, Stage, dispatching
from tests.support.dispatcher_program import short_leased
from tests.support.kernels import kernel, seed
from tests.support.programs import ended, program
from tests.support.receiver import Gate, Received, Receiver, Reply
from tests.support.waiting import wait_until

A, B, C = "directory_A", "directory_B", "directory_C"


async def dispatch_until_death(database_url: str, plan: str) -> int:
    """Run a dispatcher with a fault plan in a process of its own and return its exit status."""
    async with program("tests.support.dispatcher_program", database_url, plan) as running:
        return await ended(running)


@pytest.mark.parametrize(
    "plan",
    [
        "dispatch.after_claim=exit",
        "dispatch.after_send=exit@1",
        "dispatch.after_send=exit@13",
        "dispatch.before_finish=exit@3",
    ],
)
async def test_a_dispatcher_that_dies_loses_nothing_and_repeats_only_what_was_not_saved(
    stage: Stage, hooks: Receiver, database_url: str, plan: str
) -> None:
    poisoned: list[str] = []
    hooks.answer = lambda request: Reply(500 if request.id in poisoned and request.attempt < 3 else 200)
    endpoint = await stage.endpoint(hooks.url())
    ids = await stage.emit(*[A, B, C] * 10)
    poisoned += [ids[1], ids[7]]

    assert await dispatch_until_death(database_url, plan) == faults.EXIT_STATUS
    async with dispatching(stage.kernel, short_leased()):
        await wait_until(lambda: stage.is_idle(endpoint), 20)

    firsts = list(dict.fromkeys(hooks.ids()))
    assert sorted(firsts) == sorted(ids)
    for lane in range(3):
        assert [id_ for id_ in firsts if id_ in ids[lane::3]] == ids[lane::3]
    accepted = Counter(request.id for request in hooks.received if request.id not in poisoned)
    repeated = sum(accepted.values()) - len(accepted)
    assert repeated <= short_leased().save_events


async def test_a_death_before_a_common_save_repeats_of_each_endpoint_only_what_it_had_not_saved(
    stage: Stage, hooks: Receiver, database_url: str
) -> None:
    endpoints = [await stage.endpoint(hooks.url(f"/{number}")) for number in range(6)]
    ids = await stage.emit(*[A, B] * 6)

    assert await dispatch_until_death(database_url, "dispatch.before_finish=exit@9") == faults.EXIT_STATUS
    before = len(hooks.received)
    async with dispatching(stage.kernel, short_leased()):
        for endpoint in endpoints:
            await stage.settled(endpoint)

    assert 0 < before < len(ids) * len(endpoints)
    for number, endpoint in enumerate(endpoints):
        received = hooks.ids(f"/{number}")
        assert list(dict.fromkeys(received)) == ids
        assert len(received) - len(ids) <= short_leased().save_events
        # What was recorded before the death is not recorded again.
        assert [one.event_id for one in await stage.attempts(endpoint)] == ids


async def test_one_that_slept_past_its_lease_writes_nothing(
    stage: Stage, hooks: Receiver, database_url: str
) -> None:
    gate = Gate()
    endpoint = await stage.endpoint(hooks.url())
    ids = await stage.emit(*[A] * 6)

    async def answer(request: Received) -> Reply:
        return await gate.reply(request) if len(hooks.received) == 1 else Reply()

    hooks.answer = answer
    async with kernel(database_url) as zombie, dispatching(zombie, short_leased()):
        await wait_until(lambda: hooks.received)
        async with dispatching(stage.kernel, short_leased()):
            await wait_until(lambda: stage.is_idle(endpoint))
            gate.open()
            await wait_until(lambda: zombie.metrics.leases_lost._value.get() == 1)
        assert await stage.is_idle(endpoint)
    assert hooks.ids() == [ids[0], *ids]
    assert len(await stage.attempts(endpoint)) == len(ids)


async def test_a_lease_is_renewed_while_a_long_batch_is_sent(
    stage: Stage, hooks: Receiver, database_url: str
) -> None:
    async def slowly(_: Received) -> Reply:
        # Twenty of these take longer than the lease.
        await asyncio.sleep(0.06)
        return Reply()

    hooks.answer = slowly
    endpoint = await stage.endpoint(hooks.url())
    ids = await stage.emit(*[A] * 20)
    settings = replace(short_leased(), save_events=1_000, save_seconds=1_000.0)
    async with (
        kernel(database_url) as other,
        dispatching(stage.kernel, settings),
        dispatching(other, settings),
    ):
        await wait_until(lambda: stage.is_idle(endpoint), 20)
    assert hooks.ids() == ids
    assert hooks.most_in_flight == 1


async def test_racing_dispatchers_send_everything_once_and_in_order(
    stage: Stage, hooks: Receiver, database_url: str
) -> None:
    endpoints = [await stage.endpoint(hooks.url(f"/{number}")) for number in range(6)]
    ids: list[str] = []
    async with AsyncExitStack() as stack:
        for _ in range(2):
            another = await stack.enter_async_context(kernel(database_url))
            await stack.enter_async_context(dispatching(another))
        await stack.enter_async_context(dispatching(stage.kernel))
        for _ in range(15):
            ids += await stage.emit(A, B, A, C)
        for endpoint in endpoints:
            await stage.settled(endpoint)
    for number in range(6):
        assert hooks.ids(f"/{number}") == ids


async def test_no_wake_up_is_lost(within: Kernel, hooks: Receiver) -> None:
    stages = [Stage(within, (await seed(within)).environment_id) for _ in range(8)]
    endpoints = [(stage, await stage.endpoint(hooks.url(f"/{n}"))) for n, stage in enumerate(stages)]

    async def fill(stage: Stage) -> None:
        for _ in range(12):
            await stage.emit(A)

    # Without polling or a sweep, an endpoint left asleep would stay so.
    async with dispatching(within, replace(QUICK, poll=3_600.0, sweep=3_600.0)) as dispatcher:
        await asyncio.gather(*(fill(stage) for stage in stages))
        for stage, endpoint in endpoints:
            await stage.settled(endpoint)
        assert await dispatcher.sweep() == 0
    for number, stage in enumerate(stages):
        assert hooks.ids(f"/{number}") == await stage.ids()


@pytest.mark.usefixtures("no_plan_stays")
async def test_an_error_of_ours_in_a_turn_costs_a_pause_and_nothing_else(
    stage: Stage, hooks: Receiver
) -> None:
    endpoint = await stage.endpoint(hooks.url())
    ids = await stage.emit(*[A] * 3)
    faults.install(faults.FaultPlan.parse("dispatch.after_send=fail@2"))
    # Whatever the machine does meanwhile, the first event is not saved before the second one fails.
    settings = replace(QUICK, hold=timedelta(milliseconds=50), save_seconds=1_000.0)
    async with dispatching(stage.kernel, settings):
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == [ids[0], ids[1], *ids]
    assert stage.kernel.metrics.loop_errors.labels("dispatch turn")._value.get() == 1
