"""The log on both engines: dense positions, ids that sort like them, nothing lost between read and delete."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from syncline.core.model import Cause, EventDraft
from syncline.services.sealing import event_ids
from syncline.store import log
from syncline.store import tables as t
from syncline.store.database import Database
from syncline.store.engine import open_database

NOW = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)
CAUSE = Cause("request_1", actor_id="key_7", actor_source="api")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


def drafts(
    count: int, *, environment: str = "environment_a", directory: str | None = "directory_a"
) -> list[EventDraft]:
    return [
        EventDraft(
            environment, "org_a", directory, "dsync.user.created", f'{{"n":{n}}}', NOW, user_id=f"u{n}"
        )
        for n in range(count)
    ]


async def append(database: Database, events: list[EventDraft]) -> None:
    await database.write(lambda connection: log.append(connection, events, CAUSE))


async def seal(
    database: Database, environment: str = "environment_a", now: datetime = NOW
) -> log.Sealed | None:
    return await database.write(
        lambda connection: log.seal(connection, environment, now, event_ids(os.urandom))
    )


async def everything(database: Database, environment: str = "environment_a") -> list[Any]:
    return await database.read(lambda connection: log.read(connection, environment, log.LogFilter(), 10_000))


async def test_sealed_events_have_dense_positions_and_ids_that_sort_alike(database: Database) -> None:
    await append(database, drafts(700))
    assert (await seal(database)) == log.Sealed(500, 500, NOW, 0)
    assert (await seal(database)) == log.Sealed(200, 700, NOW, 0)
    assert await seal(database) is None

    rows = await everything(database)
    assert [row.position for row in rows] == list(range(1, 701))
    assert [row.body for row in rows] == [f'{{"n":{n}}}' for n in range(700)]
    assert [row.directory_sequence for row in rows] == list(range(1, 701))
    ids = [row.event_id for row in rows]
    assert ids == sorted(ids)
    assert len(set(ids)) == 700
    assert rows[0].cause == "request_1"


async def test_event_ids_ascend_when_the_clock_steps_back(database: Database) -> None:
    await append(database, drafts(3))
    await seal(database)
    await append(database, drafts(3))
    await seal(database, now=NOW - timedelta(hours=1))
    ids = [row.event_id for row in await everything(database)]
    assert ids == sorted(ids)


async def test_each_directory_counts_for_itself_and_each_environment_too(database: Database) -> None:
    await append(
        database, drafts(2) + drafts(1, directory="directory_b") + drafts(1, directory=None) + drafts(1)
    )
    await append(database, drafts(2, environment="environment_b", directory="directory_c"))
    await seal(database)
    await seal(database, "environment_b")
    here = await everything(database)
    assert [(row.position, row.directory_id, row.directory_sequence) for row in here] == [
        (1, "directory_a", 1),
        (2, "directory_a", 2),
        (3, "directory_b", 1),
        (4, None, None),
        (5, "directory_a", 3),
    ]
    assert [row.position for row in await everything(database, "environment_b")] == [1, 2]


async def test_writers_and_sealers_at_once_lose_and_double_nothing(database: Database) -> None:
    total, writers = 40, 6

    async def write(name: str) -> None:
        for n in range(total):
            event = EventDraft("environment_a", None, name, "dsync.user.created", str(n), NOW)
            await append(database, [event])

    finished = asyncio.Event()

    async def sealer() -> None:
        while not finished.is_set():
            await seal(database)
            await asyncio.sleep(0)

    sealers = [asyncio.create_task(sealer()) for _ in range(2)]
    await asyncio.gather(*(write(f"directory_{n}") for n in range(writers)))
    finished.set()
    await asyncio.gather(*sealers)
    while await seal(database):
        pass

    rows = await everything(database)
    assert [row.position for row in rows] == list(range(1, total * writers + 1))
    for n in range(writers):
        mine = [row for row in rows if row.directory_id == f"directory_{n}"]
        assert [row.body for row in mine] == [str(k) for k in range(total)]
        assert [row.directory_sequence for row in mine] == list(range(1, total + 1))
    assert await database.read(partial(log.gap, environment_id="environment_a")) == 0
    assert await database.read(_inbox_size) == 0


def _inbox_size(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(t.event_inbox)).scalar_one())


async def test_retention_cuts_a_prefix_and_remembers_where(database: Database) -> None:
    old, new = drafts(5), drafts(5)
    await append(database, old)
    await append(
        database,
        [EventDraft(d.environment_id, None, None, d.type, d.body, NOW + timedelta(days=2)) for d in new],
    )
    await seal(database)
    cut = partial(log.trim, environment_id="environment_a", recorded_before=NOW + timedelta(days=1), limit=3)
    assert await database.write(cut) == 3
    assert await database.write(cut) == 2
    assert await database.write(cut) == 0
    assert [row.position for row in await everything(database)] == [6, 7, 8, 9, 10]
    head = await database.read(partial(log.head, environment_id="environment_a"))
    assert (head.position, head.trimmed_position) == (10, 5)
    assert await database.read(partial(log.gap, environment_id="environment_a")) == 0


async def test_a_rolled_back_transaction_leaves_no_event(database: Database) -> None:
    def work(connection: Connection) -> None:
        log.append(connection, drafts(1), CAUSE)
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(work)
    assert await seal(database) is None
    assert await everything(database) == []
