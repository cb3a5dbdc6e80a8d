"""What turns read together: as if each had read for itself, and never older than they may rely on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import pytest
from sqlalchemy import update

from syncline.core.endpoint_options import EndpointOptions, PayloadFormat
from syncline.core.events import GroupDeleted, WebhookEndpointDisabled
from syncline.services.delivery_keys import TRUST_SECONDS as KEYS_TRUSTED
from syncline.services.delivery_keys import Keys
from syncline.services.delivery_recent import NEAR, TRUST_SECONDS, RecentEvents
from syncline.services.kernel import Kernel
from syncline.store import deliveries, delivery_log
from syncline.store import tables as t
from syncline.store.database import Connection, Database
from syncline.store.deliveries import Claim
from syncline.store.delivery_log import Wanted
from syncline.store.engine import database_now
from tests.support.deliveries import CREATED, DELETED, Stage

A, B = "directory_A", "directory_B"
ALL = Wanted(None)


@dataclass
class Counting:
    """A database that counts the look-ups, and a clock that stands still until it is moved."""

    inner: Database
    lookups: int = 0
    now: float = 50.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def look_up(self, work: Any) -> Any:
        self.lookups += 1
        return await self.inner.look_up(work)

    def recent(self) -> RecentEvents:
        return RecentEvents(cast(Database, self), "https://syncline.example", lambda: self.now)

    def keys(self, kernel: Kernel) -> Keys:
        return Keys(replace(kernel, database=cast(Database, self)), lambda: self.now)


@pytest.fixture
def counting(stage: Stage) -> Counting:
    return Counting(stage.kernel.database)


async def alone(stage: Stage, wanted: Wanted, after: int, until: int, limit: int) -> list[Any]:
    return await stage.kernel.database.read(
        lambda connection: delivery_log.read(
            connection, stage.environment_id, wanted, after=after, until=until, limit=limit
        )
    )


async def test_each_is_given_what_it_would_have_read_itself(stage: Stage, counting: Counting) -> None:
    await stage.emit(*[A, B, A] * 50)
    await stage.emit(*[B, A] * 10, event=GroupDeleted)
    everyone = [
        ALL,
        Wanted((CREATED,)),
        Wanted((DELETED,)),
        Wanted((DELETED, WebhookEndpointDisabled.name)),
        Wanted(()),
        Wanted(None, directory_ids=(A,)),
        Wanted((CREATED,), directory_ids=(B,), organization_ids=("org_2",)),
        Wanted(None, organization_ids=("org_1",)),
        Wanted(None, directory_ids=()),
    ]
    recent = counting.recent()
    for after, until, limit in ((160, 170, 100), (0, 170, 100), (40, 165, 100), (0, 170, 7), (169, 170, 1)):
        for wanted in everyone:
            found = await recent.read(stage.environment_id, wanted, after=after, until=until, limit=limit)
            assert found == await alone(stage, wanted, after, until, limit)
    # Each hundred positions once for everybody, and once more for the first who was further behind.
    assert counting.lookups <= 4


async def test_own_event_types_reach_only_those_who_name_them(stage: Stage, counting: Counting) -> None:
    await stage.emit(A)
    await stage.kernel.database.write(
        lambda connection: connection.execute(
            update(t.event_log)
            .where(t.event_log.c.environment_id == stage.environment_id)
            .values(type=WebhookEndpointDisabled.name)
        )
    )
    recent = counting.recent()
    for wanted, count in ((ALL, 0), (Wanted((CREATED,)), 0), (Wanted((WebhookEndpointDisabled.name,)), 1)):
        found = await recent.read(stage.environment_id, wanted, after=0, until=1, limit=10)
        assert found is not None
        assert len(found) == count == len(await alone(stage, wanted, 0, 1, 10))


async def test_where_a_log_ends_is_asked_anew_each_time(stage: Stage, counting: Counting) -> None:
    recent = counting.recent()
    assert (await recent.end(stage.environment_id)).position == 0
    for position in (1, 2):
        await stage.emit(A)
        assert (await recent.end(stage.environment_id)).position == position
        found = await recent.read(stage.environment_id, ALL, after=0, until=position, limit=10)
        assert found is not None
        assert [row.position for row in found] == list(range(1, position + 1))


async def test_what_was_erased_is_not_sent_for_longer_than_a_moment(stage: Stage, counting: Counting) -> None:
    await stage.emit(A, A)
    recent = counting.recent()

    async def bodies() -> list[str]:
        found = await recent.read(stage.environment_id, ALL, after=0, until=2, limit=10)
        assert found is not None
        # What is sent is as old as what was read.
        for row in found:
            written, _ = recent.payload(stage.environment_id, row, EndpointOptions())
            assert row.body.encode() in written
        return [row.body for row in found]

    before = await bodies()
    await stage.kernel.database.write(
        lambda connection: connection.execute(update(t.event_log).values(body='{"erased":true}'))
    )
    counting.now += TRUST_SECONDS
    assert await bodies() == before
    counting.now += 0.001
    assert await bodies() == ['{"erased":true}'] * 2


async def test_an_event_is_written_once_for_each_format(stage: Stage, counting: Counting) -> None:
    await stage.emit(A)
    recent = counting.recent()
    found = await recent.read(stage.environment_id, ALL, after=0, until=1, limit=1)
    assert found is not None
    [row] = found
    usual, other = EndpointOptions(), EndpointOptions(format=PayloadFormat.CLOUDEVENTS)
    assert recent.payload(stage.environment_id, row, usual) is recent.payload(
        stage.environment_id, row, usual
    )
    assert recent.payload(stage.environment_id, row, other)[1] == "application/cloudevents+json"
    # A row that somebody has read alone is written for itself.
    [mine] = await alone(stage, ALL, 0, 1, 1)
    assert (
        recent.payload(stage.environment_id, mine._replace(body='{"x":1}'), usual)[0].count(b'{"x":1}') == 1
    )


async def test_environments_are_kept_apart_and_one_far_behind_reads_alone(
    stage: Stage, counting: Counting
) -> None:
    await stage.emit(A, A)
    recent = counting.recent()
    assert await recent.read(stage.environment_id, ALL, after=0, until=2, limit=9)
    assert await recent.read("environment_other", ALL, after=0, until=2, limit=9) == []
    assert await recent.read(stage.environment_id, ALL, after=0, until=NEAR + 1, limit=9) is None


async def test_turns_that_ask_at_once_are_answered_by_few_queries(stage: Stage, counting: Counting) -> None:
    await stage.emit(*[A] * 20)
    recent = counting.recent()
    ends = await asyncio.gather(*(recent.end(stage.environment_id) for _ in range(8)))
    assert {end.position for end in ends} == {20}
    found = await asyncio.gather(
        *(
            recent.read(stage.environment_id, ALL, after=after, until=20, limit=99)
            for after in (3, 3, 0, 0, 3)
        )
    )
    assert [len(rows or ()) for rows in found] == [17, 17, 20, 20, 17]
    if not stage.kernel.database.looks_up_in_place:
        assert counting.lookups <= 6


async def claim(stage: Stage, endpoint_id: str) -> Claim:
    def work(connection: Connection) -> list[Claim]:
        now = database_now(connection) + timedelta(days=1)
        return deliveries.claim(connection, [endpoint_id], now, timedelta(0))

    [made] = await stage.kernel.database.write(work)
    return made


async def test_secrets_are_opened_once_until_the_endpoint_changes_or_a_minute_has_passed(
    stage: Stage, counting: Counting
) -> None:
    endpoint = await stage.endpoint("https://hooks.example/")
    first = await claim(stage, endpoint.id)
    keys = counting.keys(stage.kernel)
    secrets = await keys.of(first)
    assert len(secrets) == 1
    assert await keys.of(first) is secrets
    assert counting.lookups == 1

    assert (
        await keys.of(replace(first, updated_at=first.updated_at + timedelta(milliseconds=1))) is not secrets
    )
    assert counting.lookups == 2
    counting.now += KEYS_TRUSTED + 1
    await keys.of(first)
    assert counting.lookups == 3


async def test_a_secret_under_another_environment_signs_nothing(stage: Stage, counting: Counting) -> None:
    endpoint = await stage.endpoint("https://hooks.example/")
    mine = await claim(stage, endpoint.id)
    await stage.kernel.database.write(
        lambda connection: connection.execute(
            update(t.endpoint_secrets).values(environment_id="environment_other")
        )
    )
    assert await counting.keys(stage.kernel).of(mine) == []
