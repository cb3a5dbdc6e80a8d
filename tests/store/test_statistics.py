"""PostgreSQL plans for tables as large as they are, also before autovacuum has seen them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text

from syncline.core.commands import CreateUser
from syncline.core.model import Cause
from syncline.core.scim.normalize import normalize_user
from syncline.services.apply import Writer
from syncline.store.statistics import analyze_doubled
from tests.support.databases import PostgresDatabases
from tests.support.kernels import kernel, seed
from tests.support.waiting import wait_until


@pytest.fixture
def postgres_database(postgres_databases: PostgresDatabases) -> Iterator[str]:
    with postgres_databases.migrated() as url:
        yield url


def rows_known(connection: Connection) -> int:
    found = connection.execute(text("SELECT reltuples FROM pg_class WHERE relname = 'directory_users'"))
    return int(found.scalar_one())


async def test_a_table_that_grows_is_analyzed_while_it_is_written(postgres_database: str) -> None:
    """Look-ups by id read the whole directory for a minute after its first provisioning."""
    async with kernel(postgres_database) as parts:
        writer, place = Writer(parts), await seed(parts)
        await writer.start()
        number = 0

        async def one_more() -> bool:
            nonlocal number
            number += 1
            person = normalize_user({"userName": f"person{number}@northwind.example"})
            await writer.submit(place.directory.scope, CreateUser(person), Cause("request_test"))
            return await parts.database.read(rows_known) >= 50

        await wait_until(one_more, 30.0, reason="the planner knows how many people there are")
        await writer.close()


async def test_a_table_that_has_not_doubled_is_left_alone(postgres_database: str) -> None:
    async with kernel(postgres_database) as parts:
        await seed(parts)
        assert await parts.database.read(analyze_doubled) == []
