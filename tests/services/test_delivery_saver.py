"""Saves of several turns in one commit: each stands for itself, and none is lost or done twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

import asyncpg
import pytest
from sqlalchemy import select, update

from syncline.core.ids import Prefix
from syncline.core.wire import WebhookEndpoint
from syncline.services.delivery_saver import Saver
from syncline.services.kernel import Kernel
from syncline.store import deliveries
from syncline.store import tables as t
from syncline.store.database import Connection, Database, DatabaseUnavailable
from syncline.store.deliveries import Claim, Ending, LeaseLost, Progress, Saved
from syncline.store.delivery_saves import Save
from syncline.store.engine import database_now
from syncline.store.parked import Attempt
from tests.support.databases import PostgresDatabases
from tests.support.deliveries import Stage, dispatching
from tests.support.kernels import kernel, seed
from tests.support.receiver import Received, Receiver, Reply

A = "directory_A"
LEASE = timedelta(seconds=45)
c = t.webhook_endpoints.c


class Faulty:
    """A database on whose next commits the connection breaks, before the commit or after it."""

    def __init__(self, inner: Database, *, after: bool) -> None:
        self._inner = inner
        self._after = after
        self.failures = 0
        self.commits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def write(self, work: Any) -> Any:
        return await self._broken(self._inner.write, work)

    async def at_once(self, work: Any) -> Any:
        # SQLite does nothing here.
        return None if self._inner.single_writer else await self._broken(self._inner.at_once, work)

    async def _broken(self, call: Any, work: Any) -> Any:
        fails, self.failures = self.failures > 0, max(self.failures - 1, 0)
        if fails and not self._after:
            raise DatabaseUnavailable("away")
        result = await call(work)
        self.commits += 1
        if fails:
            raise DatabaseUnavailable("away")
        return result


def attempt(within: Kernel, position: int, now: datetime) -> Attempt:
    made = within.ids.new(Prefix.ATTEMPT)
    known: dict[str, Any] = {
        "id": made,
        "position": position,
        "attempt": 1,
        "started_at": now,
        "duration_ms": 3,
        "outcome": "success",
        "status": 200,
    }
    texts = {"event_id": within.ids.new(Prefix.EVENT), "event_type": "dsync.group.created"}
    values: dict[str, Any] = {name: known.get(name, texts.get(name)) for name in Attempt.__slots__}
    return Attempt(**values)


def save_of(within: Kernel, claim: Claim, position: int, ending: Ending = Ending.KEEP) -> Save:
    now = claim.claimed_at
    progress = Progress(
        cursor=position,
        circuit=claim.circuit,
        failing_since=None,
        failed_attempts=0,
        last_success_at=now,
        attempts=[attempt(within, position, now)],
    )
    return Save(claim, progress, ending, now + LEASE, None)


async def save(saver: Saver, wanted: Save) -> Saved:
    def work(connection: Connection) -> Saved:
        return deliveries.save(
            connection,
            wanted.claim,
            wanted.progress,
            wanted.ending,
            lease_until=wanted.lease_until,
            next_due_at=wanted.next_due_at,
        )

    return await saver.save(wanted, work)


async def claimed(stage: Stage, count: int) -> tuple[list[WebhookEndpoint], list[Claim]]:
    made = [await stage.endpoint(f"https://hooks.example/{number}") for number in range(count)]

    def work(connection: Connection) -> list[Claim]:
        ids = [endpoint.id for endpoint in made]
        return deliveries.claim(connection, ids, database_now(connection), LEASE)

    claims = {claim.id: claim for claim in await stage.kernel.database.write(work)}
    return made, [claims[endpoint.id] for endpoint in made]


async def taken_over(stage: Stage, claim: Claim) -> None:
    """Let another process claim the endpoint."""
    await stage.kernel.database.write(
        lambda connection: connection.execute(
            update(t.webhook_endpoints).where(c.id == claim.id).values(fence=99)
        )
    )


async def cursors(stage: Stage) -> dict[str, int]:
    rows = await stage.kernel.database.read(
        lambda connection: connection.execute(select(c.id, c.cursor)).all()
    )
    return {row.id: row.cursor for row in rows}


async def test_saves_that_come_together_are_one_commit(stage: Stage) -> None:
    made, claims = await claimed(stage, 6)
    database = Faulty(stage.kernel.database, after=False)
    saver = Saver(replace(stage.kernel, database=cast(Database, database)))
    saved = await asyncio.gather(*(save(saver, save_of(stage.kernel, claim, 7)) for claim in claims))
    assert database.commits == 1
    assert {one.state for one in saved} == {"active"}
    assert [one.wake for one in saved] == [claim.wake for claim in claims]
    assert await cursors(stage) == {endpoint.id: 7 for endpoint in made}
    for endpoint in made:
        assert [each.position for each in await stage.attempts(endpoint)] == [7]


async def test_a_save_whose_lease_is_lost_is_refused_alone(stage: Stage) -> None:
    made, claims = await claimed(stage, 4)
    await taken_over(stage, claims[1])
    saver = Saver(stage.kernel)
    saves = [save(saver, save_of(stage.kernel, claim, 7, Ending.RELEASE)) for claim in claims]
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    assert [isinstance(outcome, LeaseLost) for outcome in outcomes] == [False, True, False, False]
    assert [(await cursors(stage))[endpoint.id] for endpoint in made] == [7, 0, 7, 7]
    assert [len(await stage.attempts(endpoint)) for endpoint in made] == [1, 0, 1, 1]


async def test_only_those_go_to_sleep_that_nothing_came_for(stage: Stage) -> None:
    made, claims = await claimed(stage, 3)
    await stage.kernel.database.write(
        lambda connection: connection.execute(
            update(t.webhook_endpoints).where(c.id == made[1].id).values(wake=c.wake + 1)
        )
    )
    saver = Saver(stage.kernel)
    saved = await asyncio.gather(
        *(save(saver, save_of(stage.kernel, claim, 3, Ending.IDLE)) for claim in claims)
    )
    assert [one.wake for one in saved] == [0, claims[1].wake + 1, 0]
    assert await stage.row(made[0]) is None
    # The one that was woken is still held, and its next save holds too.
    assert (await save(saver, save_of(stage.kernel, claims[1], 4))).wake == claims[1].wake + 1


async def test_saves_of_one_endpoint_take_place_in_their_order(stage: Stage) -> None:
    [made], [claim] = await claimed(stage, 1)
    saver = Saver(stage.kernel)
    await asyncio.gather(*(save(saver, save_of(stage.kernel, claim, position)) for position in (1, 2, 3)))
    assert await cursors(stage) == {made.id: 3}
    assert [each.position for each in await stage.attempts(made)] == [1, 2, 3]


async def test_a_save_whose_caller_went_away_is_done_all_the_same(stage: Stage) -> None:
    made, claims = await claimed(stage, 2)
    saver = Saver(stage.kernel)
    first, second = [asyncio.create_task(save(saver, save_of(stage.kernel, claim, 5))) for claim in claims]
    await asyncio.sleep(0)
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await cursors(stage) == {endpoint.id: 5 for endpoint in made}


async def test_a_fault_of_ours_in_one_save_fails_that_one_only(stage: Stage) -> None:
    made, claims = await claimed(stage, 3)
    saves = [save_of(stage.kernel, claim, 5) for claim in claims]
    [spoiled] = saves[1].progress.attempts
    # No column takes this, on either engine.
    saves[1] = replace(
        saves[1], progress=replace(saves[1].progress, attempts=[replace(spoiled, outcome=cast(str, None))])
    )
    saver = Saver(stage.kernel)
    outcomes = await asyncio.gather(*map(partial(save, saver), saves), return_exceptions=True)
    assert [isinstance(outcome, Saved) for outcome in outcomes] == [True, False, True]
    assert [(await cursors(stage))[endpoint.id] for endpoint in made] == [5, 0, 5]


async def test_whoever_holds_one_row_keeps_no_other_save_waiting(
    postgres_databases: PostgresDatabases,
) -> None:
    """On SQLite nobody holds a single row."""
    with postgres_databases.migrated() as url:
        async with kernel(url) as within:
            stage = Stage(within, (await seed(within)).environment_id)
            made, claims = await claimed(stage, 3)
            saver = Saver(within)
            saves = [save(saver, save_of(within, claim, 5)) for claim in claims]
            held = await asyncpg.connect(url)
            async with held.transaction():
                await held.execute("SELECT 1 FROM webhook_endpoints WHERE id = $1 FOR UPDATE", made[1].id)
                first, second, third = map(asyncio.create_task, saves)
                await asyncio.gather(first, third)
                # Nor does it hold up the next group.
                await save(saver, save_of(within, claims[0], 6))
                assert not second.done()
            await second
            await held.close()
            assert [(await cursors(stage))[endpoint.id] for endpoint in made] == [6, 5, 5]


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
async def test_when_the_database_fails_a_group_all_of_it_is_saved_again_and_nothing_is_sent_twice(
    stage: Stage, hooks: Receiver, after: bool
) -> None:
    endpoints = [await stage.endpoint(hooks.url(f"/{number}")) for number in range(5)]
    ids = await stage.emit(A, A, A)
    database = Faulty(stage.kernel.database, after=after)

    def answer(request: Received) -> Reply:
        if len(hooks.received) == 1:
            # From now on only saves are written.
            database.failures = 2
        return Reply()

    hooks.answer = answer
    async with dispatching(replace(stage.kernel, database=cast(Database, database))):
        for endpoint in endpoints:
            await stage.settled(endpoint)
    assert database.failures == 0
    for number, endpoint in enumerate(endpoints):
        assert hooks.ids(f"/{number}") == ids
        assert [each.position for each in await stage.attempts(endpoint)] == [1, 2, 3]
