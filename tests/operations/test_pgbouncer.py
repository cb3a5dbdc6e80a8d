"""Syncline behind a real PgBouncer in transaction mode, where a session's state is lost or gets to others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection, text

from syncline.store.engine import open_database
from tests.operations.installation import installation
from tests.operations.servers import pgbouncer, query
from tests.support.databases import PostgresDatabases
from tests.support.processes import run

pytestmark = pytest.mark.e2e


@pytest.fixture
def pooled_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """The address of an empty database through a PgBouncer."""
    with postgres_databases.empty() as url, pgbouncer(url) as pooled:
        yield pooled


async def test_everything_works_through_a_pooler(tmp_path: Path, pooled_url: str, unused_port: int) -> None:
    settings = {"database_url": pooled_url, "database_pooler": "transaction"}
    async with installation(tmp_path, unused_port, **settings) as running:
        await running.push_everything()
        await running.check_nothing_lost()
        async with httpx.AsyncClient(base_url=running.worker_url) as worker:
            # A worker shows its figures and takes no calls.
            assert "syncline_log_gap 0.0" in (await worker.get("/metrics")).text
            assert (await worker.get("/directories")).status_code == 404
        people = await running.api.get("/directory_users", params={"limit": "1"})
        path = f"/directory_users/{people.json()['data'][0]['id']}/erase"
        assert (await running.api.post(path, json={"delete": True})).json()["state"] == "complete"
        # PgBouncer refuses the settings of a session; its own words would not say what to do.
        unaware = await asyncio.to_thread(run, tmp_path, "doctor", database_url=pooled_url)
        assert unaware.returncode == 1
        assert "SYNCLINE_DATABASE_POOLER=transaction" in unaware.stdout
        await running.stop()
        for process in running.processes:
            assert '"level": "error"' not in process.output()


async def test_settings_hold_for_our_transactions_and_for_nobody_elses(pooled_url: str) -> None:
    """A setting of the session would stay with whichever server connection happened to run it."""
    names = ("enable_seqscan", "jit", "lock_timeout", "statement_timeout")

    def settings(connection: Connection) -> list[str]:
        return [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]

    def ours() -> list[str]:
        return ["off", "off", "20s", "1min"]

    theirs = [str(query(pooled_url, f"SHOW {name}")) for name in names]
    assert theirs != ours()
    database = open_database(pooled_url, pooled=True)
    try:
        for call in (database.read, database.write, database.look_up, database.at_once):
            found = await asyncio.gather(*(call(settings) for _ in range(8)))
            assert found == [ours()] * 8
    finally:
        await database.close()
    for _ in range(8):
        left = [str(query(pooled_url, f"SHOW {name}")) for name in names]
        assert left == theirs
