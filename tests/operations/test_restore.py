"""A backup that is taken under load and restored: a shorter log, as dense as before, and no cursor skips."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from syncline.core.commands import CreateUser
from syncline.core.scim.normalize import normalize_user
from syncline.services.container import Services
from syncline.store.backup import BackupFailed, copy_sqlite
from syncline.web.app import build_app
from tests.support import postgres
from tests.support.api import Api, api
from tests.support.databases import EngineKind, PostgresDatabases, sqlite_url
from tests.support.deliveries import QUICK, dispatching
from tests.support.directory_world import DirectoryWorld
from tests.support.kernels import kernel
from tests.support.processes import run
from tests.support.receiver import Receiver, receiver
from tests.support.waiting import wait_until

CREATED = "dsync.user.created"
# The copy holds the claim of the process that ran then, as it would after any crash.
SHORT = replace(QUICK, lease=timedelta(seconds=3), send_seconds=1)


@pytest.fixture
def restored_url(engine_kind: EngineKind, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of nothing yet, where a backup will be restored."""
    if engine_kind == "sqlite":
        yield sqlite_url(tmp_path / "restored.db")
        return
    server: PostgresDatabases = request.getfixturevalue("postgres_databases")
    with server.empty() as url:
        yield url


def back_up_and_restore(database_url: str, restored_url: str, folder: Path) -> None:
    """Do what docs/operations.md tells operators to do."""
    if database_url.startswith("sqlite"):
        made = run(folder, "backup", urlsplit(restored_url).path, database_url=database_url)
        assert made.returncode == 0, made.stderr
        return
    programs, dump = postgres.find_programs(), folder / "dump"
    subprocess.run(
        [programs / "pg_dump", "--format=custom", f"--file={dump}", database_url], check=True, timeout=60
    )
    subprocess.run(
        [programs / "pg_restore", "--exit-on-error", f"--dbname={restored_url}", dump], check=True, timeout=60
    )


async def test_a_restored_log_is_dense_and_refuses_cursors_beyond_its_head(
    database_url: str, restored_url: str, tmp_path: Path
) -> None:
    async with receiver() as hooks:
        async with api(database_url) as calls:
            lost = await lived(calls, hooks, database_url, restored_url, tmp_path)
        hooks.received.clear()
        async with kernel(restored_url) as parts:
            services = Services(parts)
            await services.writer.start()
            world = DirectoryWorld(services, calls.world.place)
            transport = httpx.ASGITransport(app=build_app(services))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://syncline.test", headers=calls.client.headers
            ) as client:
                await check(Api(world, client), hooks, lost)
            await services.close()


async def lived(
    calls: Api, hooks: Receiver, database_url: str, restored_url: str, folder: Path
) -> list[dict[str, Any]]:
    """Back up while people are written and webhooks sent; return the events as they were in the end."""
    world = calls.world
    hook = {"endpoint_url": hooks.url(), "events": [CREATED]}
    assert (await calls.call("POST", "/webhook_endpoints", hook)).status_code == 201
    done = asyncio.Event()

    async def write() -> None:
        number = 0
        while not done.is_set() or number < 60:
            await world.user(f"user{number}")
            number += 1

    async with dispatching(world.services.kernel, SHORT):
        writing = asyncio.create_task(write())
        sealing = asyncio.create_task(world.services.sealer.run(done))
        await wait_until(lambda: len(hooks.received) > 5, 30)
        await asyncio.to_thread(back_up_and_restore, database_url, restored_url, folder)
        done.set()
        await asyncio.gather(writing, sealing)
    await world.user("the last one before the disaster")
    await world.rows()
    return [event async for event in every(calls)]


async def every(calls: Api, what: str = "events") -> AsyncIterator[dict[str, Any]]:
    """Yield what a list holds, page by page."""
    after = ""
    while True:
        page = await calls.get(f"/{what}?limit=100{after}")
        for one in page["data"]:
            yield one
        if page["list_metadata"]["after"] is None:
            return
        after = f"&after={page['list_metadata']['after']}"


async def check(calls: Api, hooks: Receiver, before: list[dict[str, Any]]) -> None:
    world = calls.world
    await world.rows()
    left = [event async for event in every(calls)]
    assert 5 < len(left) < len(before)
    assert left == before[: len(left)]
    people = [person["id"] async for person in every(calls, "directory_users")]
    created = [event["data"]["id"] for event in left if event["event"] == CREATED]
    assert sorted(people) == sorted(created), "state and log are of one moment"

    beyond = before[-1]["id"]
    assert await calls.refused(400, "GET", f"/events?after={beyond}") == ["cursor_unknown"]
    await world.do(CreateUser(normalize_user({"userName": "somebody after the restore"})))
    now = [event async for event in every(calls)]
    assert [event["context"]["sequence"] for event in now] == list(range(1, len(now) + 1))
    assert now[-1]["id"] > beyond, "ids do not go back"
    assert await calls.refused(400, "GET", f"/events?after={beyond}") == ["cursor_unknown"]
    assert (await calls.get(f"/events?after={left[-1]['id']}"))["data"] == now[len(left) :]

    async with dispatching(world.services.kernel):
        await wait_until(lambda: now[-1]["id"] in hooks.ids(), 30, reason="the first new event")
    wanted = [event["id"] for event in now if event["event"] == CREATED]
    assert hooks.ids() == wanted[-len(hooks.ids()) :], "from the endpoint's cursor on, nothing is skipped"


def test_a_backup_is_whole_or_not_there(tmp_path: Path) -> None:
    source, target = tmp_path / "source.db", tmp_path / "copy.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute("INSERT INTO t VALUES ('old secret')")
        connection.commit()
        connection.execute("DELETE FROM t")
        connection.commit()
    assert copy_sqlite(source, target) == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    assert b"old secret" in source.read_bytes()
    assert b"old secret" not in target.read_bytes()
    with pytest.raises(BackupFailed, match="is there already"):
        copy_sqlite(source, target)
    source.write_bytes(b"no database at all " * 100)
    with pytest.raises(BackupFailed, match="cannot be copied"):
        copy_sqlite(source, tmp_path / "other.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "source.db"]


def test_postgresql_is_sent_to_its_own_tools(tmp_path: Path) -> None:
    made = run(tmp_path, "backup", "copy", database_url="postgresql://nobody@127.0.0.1:1/x")
    assert made.returncode == 2
    assert "pg_dump" in made.stderr
    assert len(made.stderr.strip().splitlines()) == 1
