"""Two processes with workers on one PostgreSQL, a provider that pushes, a receiver, and what must hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx

from syncline.testing.okta import SimulatedOkta
from syncline.testing.people import GROUPS, TITLES, members_of, people
from syncline.testing.sink import WebhookSink
from tests.support.postgres import unused_port
from tests.support.processes import Process
from tests.support.waiting import wait_until

KEY = "sk_test_0123456789abcdefghijkl"
TYPES = [
    "dsync.user.created",
    "dsync.user.updated",
    "dsync.user.deleted",
    "dsync.group.created",
    "dsync.group.user_added",
    "dsync.group.user_removed",
]


@dataclass(slots=True)
class Installation:
    """The running processes as seen by an application, a provider and a receiver."""

    api: httpx.AsyncClient
    sink: WebhookSink
    okta: SimulatedOkta
    directory_id: str
    worker_url: str
    processes: list[Process]

    async def log(self) -> list[dict[str, Any]]:
        """Return the whole event log."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            params = {"limit": "100"} | ({"after": after} if after else {})
            page = (await self.api.get("/events", params=params)).json()
            found.extend(page["data"])
            after = page["list_metadata"]["after"]
            if after is None:
                return found

    async def push_everything(self) -> None:
        """Do what a provider does in a day: create, group, change, suspend."""
        await self.okta.connect()
        await self.okta.provision()
        for n, person in enumerate(people()):
            await self.okta.change_title(person, TITLES[(person.number + 1) % len(TITLES)])
            if n % 5 == 0:
                await self.okta.set_active(person, False)

    async def check_nothing_lost(self) -> None:
        """Everything that was acknowledged is in the log once, in order, delivered, and is the state."""
        expected = {
            "dsync.user.created": len(people()),
            "dsync.user.updated": len(people()),
            "dsync.user.deleted": 5,
            "dsync.group.created": len(GROUPS),
            "dsync.group.user_added": sum(len(members_of(group)) for group in GROUPS),
        }
        log: list[dict[str, Any]] = []

        async def complete() -> bool:
            log[:] = await self.log()
            return Counter(event["event"] for event in log).items() >= expected.items()

        await wait_until(complete, 30, reason="every event")
        assert [event["context"]["sequence"] for event in log] == list(range(1, len(log) + 1))
        assert len({event["id"] for event in log}) == len(log)
        wanted = [event["id"] for event in log if event["event"] in TYPES]
        await wait_until(lambda: {e["id"] for e in self.sink.events} >= {*wanted}, 60, reason="every webhook")
        assert self.sink.refused == 0
        assert list(dict.fromkeys(event["id"] for event in self.sink.events)) == wanted
        shown = await self.api.get(
            "/directory_users", params={"directory": self.directory_id, "limit": "100"}
        )
        suspended = {person.user_name for n, person in enumerate(people()) if n % 5 == 0}
        titles = {user["username"]: user["job_title"] for user in shown.json()["data"]}
        assert titles == {
            person.user_name: TITLES[(person.number + 1) % len(TITLES)]
            for person in people()
            if person.user_name not in suspended
        }

    async def stop(self) -> None:
        """End every process in an orderly way."""
        for process in self.processes:
            await asyncio.to_thread(process.terminate)


@asynccontextmanager
async def installation(folder: Path, port: int, **settings: str) -> AsyncIterator[Installation]:
    """Start `up` and then `worker` on one database, and connect a provider and a receiver."""
    url = f"http://127.0.0.1:{port}"
    worker_port = str(unused_port())
    given = {
        "worker_port": worker_port,
        "port": str(port),
        "api_key": KEY,
        "outbound_allow": "127.0.0.0/8",
        **settings,
    }
    sink = WebhookSink()
    hook = await sink.start()
    headers = {"Authorization": f"Bearer {KEY}"}
    with ExitStack() as running:
        web = running.enter_context(Process(folder, "up", **given))
        await asyncio.to_thread(web.await_ready, url, 90)
        worker = running.enter_context(Process(folder, "worker", **given))
        async with (
            httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as api,
            aiohttp.ClientSession() as session,
        ):
            organization = (await api.post("/organizations", json={"name": "Northwind"})).json()
            body = {"organization_id": organization["id"], "name": "Okta", "type": "okta scim v2.0"}
            directory = (await api.post("/directories", json=body)).json()
            endpoint = {"endpoint_url": hook, "events": TYPES}
            sink.secret = (await api.post("/webhook_endpoints", json=endpoint)).json()["secret"]
            okta = SimulatedOkta(session, directory["scim"]["endpoint"], directory["scim"]["bearer_token"])
            worker_url = f"http://127.0.0.1:{worker_port}"
            await asyncio.to_thread(worker.await_ready, worker_url, 90)
            yield Installation(api, sink, okta, directory["id"], worker_url, [web, worker])
    await sink.close()
