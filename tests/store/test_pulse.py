"""A PostgreSQL that falls silent is noticed in seconds, and a slow statement is not mistaken for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from sqlalchemy import text

from syncline.store import pulse
from syncline.store.database import Connection, DatabaseUnavailable
from syncline.store.postgres import PostgresDatabase
from tests.reliability.proxy import Proxy
from tests.support.databases import PostgresDatabases
from tests.support.waiting import wait_until

_PATIENCE = 30


@pytest.fixture
async def silenced(
    postgres_databases: PostgresDatabases,
) -> AsyncIterator[tuple[PostgresDatabase, Proxy]]:
    """A database behind a proxy that may fall silent."""
    with postgres_databases.empty() as url:
        parts = urlsplit(url)
        proxy = Proxy(parts.port or 5432)
        await proxy.start()
        account = parts.netloc.rsplit("@", 1)[0]
        database = PostgresDatabase(urlunsplit(parts._replace(netloc=f"{account}@127.0.0.1:{proxy.port}")))
        yield database, proxy
        proxy.heal()
        await database.close()
        await proxy.close()


def one(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())


async def test_whoever_waits_for_a_silent_database_is_told_and_then_all_is_well(
    silenced: tuple[PostgresDatabase, Proxy],
) -> None:
    """Requests used to hang for as long as the network was silent, up to a minute."""
    database, proxy = silenced
    assert await database.read(one) == 1
    proxy.go_silent()
    async with asyncio.timeout(_PATIENCE):
        for call in (database.read, database.write):
            with pytest.raises(DatabaseUnavailable):
                await call(one)
    proxy.heal()

    async def answers() -> bool:
        try:
            return await database.read(one) == 1
        except DatabaseUnavailable:
            return False

    await wait_until(answers, _PATIENCE)


async def test_a_slow_statement_is_waited_for(
    silenced: tuple[PostgresDatabase, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, _ = silenced
    monkeypatch.setattr(pulse, "PATIENCE_SECONDS", 0.05)

    def slow(connection: Connection) -> int:
        return int(connection.execute(text("SELECT 7 FROM pg_sleep(1)")).scalar_one())

    assert await database.read(slow) == 7
