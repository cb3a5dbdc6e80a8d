"""The primary is lost in the middle of the work and its standby takes over: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from sqlalchemy import Connection, delete

from syncline.store import tables as t
from syncline.store.database import DatabaseUnavailable
from syncline.store.engine import open_database
from tests.operations.installation import installation
from tests.operations.servers import query, replicated
from tests.support.databases import PostgresDatabases
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


async def test_a_promoted_synchronous_standby_has_everything(tmp_path: Path, unused_port: int) -> None:
    """The processes are not restarted: the address names both servers, and they find the one that writes."""
    with replicated() as pair:
        async with installation(tmp_path, unused_port, database_url=pair.url) as running:
            work = asyncio.create_task(running.push_everything())
            await wait_until(lambda: len(running.sink.events) > 40, 30, reason="work that is well under way")
            assert not work.done()
            await asyncio.to_thread(pair.kill_primary)
            refused = await running.api.get("/organizations")
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
            await asyncio.to_thread(pair.promote)
            # The copy of the primary's settings would make it wait for a standby that it has not got.
            query(pair.standby.url, "ALTER SYSTEM RESET synchronous_standby_names")
            query(pair.standby.url, "SELECT pg_reload_conf()")
            await work
            await running.check_nothing_lost()
            assert all(process.process.poll() is None for process in running.processes)
            await running.stop()


async def test_a_server_that_takes_no_writes_any_more_is_left(postgres_databases: PostgresDatabases) -> None:
    """A primary that was made a standby keeps our connections open, and refuses every change on them."""
    with postgres_databases.migrated() as url:
        name = urlsplit(url).path[1:]
        query(url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        database = open_database(url)

        def write(connection: Connection) -> int:
            return connection.execute(delete(t.environments)).rowcount

        try:
            with pytest.raises(DatabaseUnavailable):
                await database.write(write)
            query(
                at_database(url, "postgres"), f'ALTER DATABASE "{name}" RESET default_transaction_read_only'
            )
            assert await database.write(write) == 0
        finally:
            await database.close()


def at_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
