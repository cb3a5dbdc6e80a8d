"""What is older than its retention goes, in order, and whoever had not got it is flagged."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, insert, select, update

from syncline.core.ids import Prefix, make_id, new_ulid
from syncline.core.model import EventDraft
from syncline.services.endpoints import EndpointChanges, Endpoints
from syncline.services.kernel import Kernel
from syncline.services.retention import Retention
from syncline.services.sealing import Sealer
from syncline.store import log, parked, upkeep
from syncline.store import tables as t
from syncline.store.database import Connection
from syncline.store.jsontext import load
from syncline.store.types import to_ms
from tests.support.deliveries import CAUSE, CREATED, Stage, dispatching
from tests.support.kernels import kernel, seed
from tests.support.receiver import receiver
from tests.support.waiting import wait_until


@pytest.fixture
async def within(database_url: str) -> AsyncIterator[Kernel]:
    async with kernel(database_url) as made:
        yield replace(made, retention=timedelta(days=10))


async def emit_at(stage: Stage, recorded_at: datetime, count: int) -> None:
    """Seal events that were recorded at a moment in the past."""
    drafts = [
        EventDraft(stage.environment_id, "org_1", "directory_A", CREATED, "{}", recorded_at)
        for _ in range(count)
    ]
    await stage.kernel.database.write(lambda connection: log.append(connection, drafts, CAUSE))
    await Sealer(stage.kernel).seal_now(stage.environment_id)


async def positions(stage: Stage) -> list[int]:
    rows = await stage.kernel.database.read(
        lambda connection: log.read(connection, stage.environment_id, log.LogFilter(), 100_000)
    )
    return [row.position for row in rows]


async def missed(stage: Stage, endpoint_id: str) -> object:
    c = t.webhook_endpoints.c
    text = await stage.kernel.database.read(
        lambda connection: connection.execute(select(c.settings).where(c.id == endpoint_id)).scalar_one()
    )
    return load(text).get("missed")


async def test_only_events_older_than_the_retention_go(stage: Stage) -> None:
    now = stage.kernel.clock()
    await emit_at(stage, now - timedelta(days=11), 3)
    await emit_at(stage, now - timedelta(days=9), 2)
    assert await Retention(stage.kernel).trim_log() == 3
    assert await positions(stage) == [4, 5]
    assert await Retention(stage.kernel).trim_log() == 0


async def test_more_than_one_batch_goes_and_the_rest_stays_dense(stage: Stage) -> None:
    now = stage.kernel.clock()
    await emit_at(stage, now - timedelta(days=11), 2_300)
    await emit_at(stage, now, 5)
    retention = Retention(stage.kernel)
    assert await retention.trim_log() == 2_300
    assert await positions(stage) == [2_301, 2_302, 2_303, 2_304, 2_305]
    await retention.measure()
    assert stage.kernel.metrics.log_gap._value.get() == 0


async def test_an_environment_is_trimmed_by_its_own_events_only(stage: Stage) -> None:
    other = Stage(stage.kernel, (await seed(stage.kernel)).environment_id)
    now = stage.kernel.clock()
    await emit_at(stage, now - timedelta(days=11), 2)
    await emit_at(other, now, 2)
    await Retention(stage.kernel).trim_log()
    assert await positions(stage) == [2]
    assert await positions(other) == [1, 2]


async def test_an_endpoint_that_missed_events_is_flagged_and_goes_on_behind_the_gap(stage: Stage) -> None:
    now = stage.kernel.clock()
    async with receiver() as hooks:
        behind = await stage.endpoint(hooks.url("/behind"))
        endpoints = Endpoints(stage.kernel)
        await endpoints.update(stage.environment_id, behind.id, EndpointChanges(state="paused"), CAUSE)
        await emit_at(stage, now - timedelta(days=11), 4)
        await stage.emit("directory_A")
        current = await stage.endpoint(hooks.url("/current"))

        await Retention(stage.kernel).trim_log()
        flag = await missed(stage, behind.id)
        assert isinstance(flag, dict)
        assert (flag["first"], flag["last"]) == (1, 4)
        assert await missed(stage, current.id) is None

        await endpoints.update(stage.environment_id, behind.id, EndpointChanges(state="active"), CAUSE)
        async with dispatching(stage.kernel):
            await wait_until(lambda: stage.is_idle(behind))
        assert [request.event["context"]["sequence"] for request in hooks.at("/behind")] == [5]


async def test_attempts_are_kept_for_a_week_and_failures_for_a_month(stage: Stage) -> None:
    ages = [(1, "success"), (8, "success"), (8, "failed"), (29, "timeout"), (31, "failed")]
    endpoints = [await stage.endpoint(f"https://example.invalid/{name}") for name in ("one", "other")]
    for endpoint in endpoints:
        await attempted(stage, endpoint.id, ages)
    assert await Retention(stage.kernel).run_once() == 4
    for endpoint in endpoints:
        assert sorted(attempt.position for attempt in await stage.attempts(endpoint)) == [0, 2, 3]


async def test_more_old_attempts_than_a_batch_go_from_every_endpoint(stage: Stage) -> None:
    endpoints = [await stage.endpoint(f"https://example.invalid/{number}") for number in range(3)]
    for endpoint in endpoints:
        await attempted(stage, endpoint.id, [(8, "success"), (8, "failed")] * 700 + [(1, "success")])
    assert await Retention(stage.kernel).run_once() == 2_100
    assert await Retention(stage.kernel).run_once() == 0


async def test_attempts_of_an_endpoint_that_is_gone_do_not_stay(stage: Stage) -> None:
    """They are found through the endpoints that have attempts, not through those that there are."""
    await attempted(stage, "we_01KA0YR5F7H9K1M3P5R7T9V1X3", [(31, "failed"), (31, "success")])
    assert await Retention(stage.kernel).run_once() == 2
    assert await Retention(stage.kernel).run_once() == 0


async def attempted(stage: Stage, endpoint_id: str, ages: Sequence[tuple[int, str]]) -> None:
    """Write down attempts of an endpoint: how many days ago, and how they ended."""
    now = stage.kernel.clock()
    rows = [
        parked.Attempt(
            id=make_id(Prefix.ATTEMPT, new_ulid(to_ms(now - timedelta(days=days)), os.urandom(10))),
            position=number,
            event_id=stage.kernel.ids.new(Prefix.EVENT),
            event_type=CREATED,
            attempt=1,
            started_at=now - timedelta(days=days),
            duration_ms=1,
            outcome=outcome,
            status=None,
            error=None,
            response=None,
            next_due_at=None,
        )
        for number, (days, outcome) in enumerate(ages)
    ]
    await stage.kernel.database.write(lambda connection: parked.record(connection, endpoint_id, rows))


async def test_stored_answers_are_kept_for_a_day(stage: Stage) -> None:
    now = stage.kernel.clock()

    def store(connection: Connection) -> None:
        rows = [
            {
                "environment_id": stage.environment_id,
                "key": f"key {hours}",
                "request_digest": "digest",
                "created_at": now - timedelta(hours=hours),
            }
            for hours in (23, 25, 48)
        ]
        connection.execute(insert(t.idempotency_keys), rows)

    await stage.kernel.database.write(store)
    assert await Retention(stage.kernel).run_once() == 2
    left = await stage.kernel.database.read(
        lambda connection: connection.execute(select(t.idempotency_keys.c.key)).scalars().all()
    )
    assert left == ["key 23"]


async def test_secrets_whose_overlap_is_over_are_deleted(stage: Stage) -> None:
    endpoint = await stage.endpoint("https://example.invalid/hook")
    await Endpoints(stage.kernel).rotate_secret(
        stage.environment_id, endpoint.id, CAUSE, overlap=timedelta(0)
    )
    await Retention(stage.kernel).run_once()
    count = select(func.count()).select_from(t.endpoint_secrets)
    assert await stage.kernel.database.read(lambda connection: connection.execute(count).scalar_one()) == 1


async def test_figures_show_a_hole_in_the_log_and_what_waits_to_be_sealed(stage: Stage) -> None:
    now = stage.kernel.clock()
    await emit_at(stage, now, 4)

    def damage(connection: Connection) -> None:
        c = t.event_log.c
        connection.execute(update(t.event_log).where(c.position == 4).values(position=6))
        draft = EventDraft(stage.environment_id, None, None, CREATED, "{}", now - timedelta(seconds=30))
        log.append(connection, [draft], CAUSE)

    await stage.kernel.database.write(damage)
    await Retention(stage.kernel).measure()
    metrics = stage.kernel.metrics
    assert metrics.log_gap._value.get() == 2
    assert metrics.inbox_rows._value.get() == 1
    assert 30 <= metrics.inbox_age_seconds._value.get() < 60


async def test_a_batch_is_limited(stage: Stage) -> None:
    now = stage.kernel.clock()
    await emit_at(stage, now - timedelta(days=11), 10)
    removed, _ = await stage.kernel.database.write(
        lambda connection: upkeep.trim_log(connection, stage.environment_id, now, now, 4)
    )
    assert removed == 4
    assert await positions(stage) == list(range(5, 11))
