"""Reading in a snapshot: what others commit meanwhile is not seen, and nothing can be written."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

from syncline.store import tables as t
from syncline.store.database import Connection, Database, DatabaseUnavailable
from syncline.store.engine import open_database
from tests.support.kernels import kernel, seed


def count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(t.directories)).scalar_one())


@pytest.mark.parametrize("pooled", [False, True])
async def test_every_statement_sees_the_same_state(database_url: str, pooled: bool) -> None:
    async with kernel(database_url) as parts:
        await seed(parts)
        loop = asyncio.get_running_loop()
        database: Database = open_database(database_url, pooled=pooled)

        def meanwhile(work: Coroutine[Any, Any, Any]) -> None:
            """Let somebody else work while the snapshot is open; SQLite reads in a thread of its own."""
            if parts.database.name == "postgresql":
                await_only(work)
            else:
                asyncio.run_coroutine_threadsafe(work, loop).result(20)

        def reading(connection: Connection) -> tuple[int, int]:
            before = count(connection)
            meanwhile(seed(parts))
            return before, count(connection)

        try:
            assert await database.snapshot(reading) == (1, 1)
            assert await database.snapshot(count) == 2
        finally:
            await database.close()


async def test_nothing_can_be_written(database_url: str) -> None:
    async with kernel(database_url) as parts:
        await seed(parts)

        def writing(connection: Connection) -> None:
            connection.execute(update(t.directories).values(name="Changed"))

        with pytest.raises((DBAPIError, DatabaseUnavailable)):
            await parts.database.snapshot(writing)
        names = await parts.database.read(
            lambda connection: set(connection.execute(select(t.directories.c.name)).scalars())
        )
        assert names == {"Northwind"}
