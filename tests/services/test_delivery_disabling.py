"""An endpoint that takes nothing for five days is disabled, and the log says so to those who ask for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from syncline.services.delivery_disabling import disable
from syncline.services.endpoints import EndpointChanges, Endpoints
from syncline.services.events import EventQuery, Events
from syncline.services.sealing import Sealer
from syncline.store import deliveries
from syncline.store.database import Connection
from syncline.store.deliveries import Ending, Progress
from syncline.store.engine import database_now
from tests.support.deliveries import CAUSE, QUICK, Stage, dispatching
from tests.support.options import row_of
from tests.support.receiver import Receiver, Reply
from tests.support.waiting import wait_until

A = "directory_A"
DISABLED = "syncline.webhook_endpoint.disabled"


async def test_after_five_days_without_a_success_it_is_disabled_and_an_event_says_so(
    stage: Stage, hooks: Receiver
) -> None:
    days = timedelta(0)

    def now(connection: Connection) -> datetime:
        return database_now(connection) + days

    hooks.answer = lambda request: Reply(500 if request.path == "/bad" else 200)
    bad = await stage.endpoint(hooks.url("/bad"))
    told = await stage.endpoint(hooks.url("/told"), [DISABLED])
    ids = await stage.emit(A, A)
    async with dispatching(stage.kernel, replace(QUICK, now=now)) as dispatcher:
        await wait_until(lambda: len(hooks.at("/bad")) > 21)
        assert (await row_of(stage, bad)).state == "active"
        days = timedelta(days=5)

        async def is_disabled() -> bool:
            return (await row_of(stage, bad)).state == "disabled" and not dispatcher.turns_under_way

        await wait_until(is_disabled)
        await Sealer(stage.kernel).seal_now(stage.environment_id)
        await wait_until(lambda: hooks.at("/told"))
        await wait_until(lambda: stage.is_idle(told))
        assert (await row_of(stage, bad)).disabled_reason == "no_success_for_five_days"

        [event] = [request.event for request in hooks.at("/told")]
        assert (event["event"], event["data"]["id"]) == (DISABLED, bad.id)
        assert event["data"]["failed_attempts"] >= 20
        assert hooks.ids("/bad") == [ids[0]] * len(hooks.at("/bad"))

        hooks.answer = lambda _: Reply()
        days = timedelta(days=5, seconds=1)
        await Endpoints(stage.kernel).update(
            stage.environment_id, bad.id, EndpointChanges(status="enabled"), CAUSE
        )
        await wait_until(lambda: stage.is_idle(bad))
    assert list(dict.fromkeys(hooks.ids("/bad"))) == ids


async def test_our_own_types_are_listed_only_where_they_are_named(stage: Stage, hooks: Receiver) -> None:
    claim = await _claimed(stage, hooks)
    await _disable(stage, claim)
    await Sealer(stage.kernel).seal_now(stage.environment_id)
    ids = await stage.emit(A)
    events = Events(stage.kernel)
    everything = await events.list(stage.environment_id, EventQuery())
    assert [DISABLED in item.decode() for item in everything.items] == [False, False]
    assert everything.cursor == ids[0]
    named = await events.list(stage.environment_id, EventQuery(types=[DISABLED]))
    assert len(named.items) == 1


async def test_a_save_that_is_repeated_disables_once_and_never_takes_the_endpoint_up_again(
    stage: Stage, hooks: Receiver
) -> None:
    claim = await _claimed(stage, hooks)
    await _disable(stage, claim)
    with pytest.raises(deliveries.LeaseLost):
        await _disable(stage, claim)
    await Sealer(stage.kernel).seal_now(stage.environment_id)
    assert len(await stage.ids()) == 2


async def _claimed(stage: Stage, hooks: Receiver) -> deliveries.Claim:
    endpoint = await stage.endpoint(hooks.url())
    await stage.emit(A)

    def work(connection: Connection) -> list[deliveries.Claim]:
        return deliveries.claim(connection, [endpoint.id], database_now(connection), timedelta(minutes=1))

    [claim] = await stage.kernel.database.write(work)
    return claim


async def _disable(stage: Stage, claim: deliveries.Claim) -> None:
    now = stage.kernel.clock()
    progress = Progress(claim.cursor, claim.circuit, now, 20, None)

    def work(connection: Connection) -> None:
        deliveries.save(connection, claim, progress, Ending.DISABLED, lease_until=now, next_due_at=None)
        disable(connection, stage.kernel, claim, progress, now)

    await stage.kernel.database.write(work)
