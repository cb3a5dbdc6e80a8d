"""What owners and receivers say takes effect on delivery: gone, paused, disabled, moved, deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncline.services.endpoints import EndpointChanges, Endpoints
from tests.support.deliveries import CAUSE, QUICK, Stage, dispatching
from tests.support.receiver import Gate, Receiver, Reply
from tests.support.waiting import wait_until

A, B = "directory_A", "directory_B"


async def test_an_endpoint_that_answers_410_is_sent_nothing_until_it_is_enabled(
    stage: Stage, hooks: Receiver
) -> None:
    hooks.answer = lambda _: Reply(410)
    endpoint = await stage.endpoint(hooks.url())
    endpoints = Endpoints(stage.kernel)
    async with dispatching(stage.kernel):
        ids = await stage.emit(A, B)

        async def is_gone() -> bool:
            return (await endpoints.get(stage.environment_id, endpoint.id)).state == "gone"

        await wait_until(is_gone)
        ids += await stage.emit(A)
        assert (await endpoints.get(stage.environment_id, endpoint.id)).status == "disabled"
        assert hooks.ids() == ids[:1]

        hooks.answer = lambda _: Reply()
        await endpoints.update(stage.environment_id, endpoint.id, EndpointChanges(status="enabled"), CAUSE)
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids() == [ids[0], *ids]


@pytest.mark.parametrize("changes", [EndpointChanges(state="paused"), EndpointChanges(status="disabled")])
async def test_a_paused_or_disabled_endpoint_goes_on_where_it_stopped(
    stage: Stage, hooks: Receiver, changes: EndpointChanges
) -> None:
    gate = Gate()
    endpoint = await stage.endpoint(hooks.url())
    endpoints = Endpoints(stage.kernel)
    ids = await stage.emit(*[A] * 10)
    hooks.answer = gate.reply
    async with dispatching(stage.kernel, replace(QUICK, save_events=1)):
        await wait_until(lambda: hooks.received)
        await endpoints.update(stage.environment_id, endpoint.id, changes, CAUSE)
        gate.open()
        await wait_until(lambda: stage.attempts(endpoint))
        ids += await stage.emit(A)
        other = await stage.endpoint(hooks.url("/other"))
        await stage.emit(B)
        await wait_until(lambda: stage.is_idle(other))
        assert hooks.ids() == ids[:1]
        await endpoints.update(stage.environment_id, endpoint.id, EndpointChanges(state="active"), CAUSE)
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids()[: len(ids)] == ids


async def test_a_changed_address_takes_effect_within_the_turn(stage: Stage, hooks: Receiver) -> None:
    gate = Gate()
    hooks.answer = gate.reply
    endpoint = await stage.endpoint(hooks.url("/old"))
    ids = await stage.emit(*[A] * 5)
    async with dispatching(stage.kernel, replace(QUICK, save_events=1)):
        await wait_until(lambda: hooks.received)
        await Endpoints(stage.kernel).update(
            stage.environment_id, endpoint.id, EndpointChanges(endpoint_url=hooks.url("/new")), CAUSE
        )
        gate.open()
        await wait_until(lambda: stage.is_idle(endpoint))
    assert hooks.ids("/old") == ids[:1]
    assert hooks.ids("/new") == ids[1:]


async def test_a_deleted_endpoint_is_not_called_any_more(stage: Stage, hooks: Receiver) -> None:
    gate = Gate()
    hooks.answer = gate.reply
    endpoint = await stage.endpoint(hooks.url())
    await stage.emit(*[A] * 5)
    async with dispatching(stage.kernel, replace(QUICK, save_events=1)) as dispatcher:
        await wait_until(lambda: hooks.received)
        await Endpoints(stage.kernel).delete(stage.environment_id, endpoint.id, CAUSE)
        gate.open()
        await wait_until(lambda: not dispatcher.turns_under_way)
    assert len(hooks.received) == 1
