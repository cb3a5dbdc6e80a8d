"""A provider pushes, the process is killed again and again, and nothing is lost, doubled or reordered."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from syncline.testing.okta import SimulatedOkta
from syncline.testing.people import GROUPS, TITLES, members_of, people
from syncline.testing.sink import WebhookSink
from tests.reliability.launch import shared
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
KEY = "sk_test_0123456789abcdefghijkl"
KILLS = 4
TYPES = [
    "dsync.user.created",
    "dsync.user.updated",
    "dsync.user.deleted",
    "dsync.group.created",
    "dsync.group.user_added",
    "dsync.group.user_removed",
]


async def test_kill_in_the_middle(tmp_path: Path, empty_database_url: str, unused_port: int) -> None:
    url = f"http://127.0.0.1:{unused_port}"
    settings = {
        "database_url": empty_database_url,
        "port": str(unused_port),
        "api_key": KEY,
        "outbound_allow": "127.0.0.0/8",
        # What a killed process had claimed is free again after the lease: 45 seconds in the product.
        "test_lease_seconds": "3",
    }
    headers = {"Authorization": f"Bearer {KEY}"}
    sink = WebhookSink()
    hook = await sink.start()
    process = shared().launch(tmp_path, "up", settings=settings, url=url)
    try:
        await asyncio.to_thread(process.await_ready)
        async with httpx.AsyncClient(base_url=url, headers=headers) as api:
            organization = (await api.post("/organizations", json={"name": "Northwind"})).json()
            body = {"organization_id": organization["id"], "name": "Okta", "type": "okta scim v2.0"}
            directory = (await api.post("/directories", json=body)).json()
            endpoint = {"endpoint_url": hook, "events": TYPES}
            sink.secret = (await api.post("/webhook_endpoints", json=endpoint)).json()["secret"]
        async with aiohttp.ClientSession() as session:
            okta = SimulatedOkta(session, directory["scim"]["endpoint"], directory["scim"]["bearer_token"])
            work = asyncio.create_task(drive(okta))
            for _ in range(KILLS):
                await asyncio.sleep(0.6)
                process.kill()
                process = shared().launch(tmp_path, "up", settings=settings, url=url)
                await asyncio.to_thread(process.await_ready)
            await work
            async with httpx.AsyncClient(base_url=url, headers=headers) as api:
                log = await whole_log(api)
                await received(sink, [event for event in log if event["event"] in TYPES])
                await check_state(api, directory["id"], log)
            await asyncio.to_thread(process.terminate)
    finally:
        process.kill()
        await sink.close()
    check_log(log)
    check_deliveries(sink, log)


async def drive(okta: SimulatedOkta) -> None:
    """Everything a provider does in a day, in a few seconds."""
    await okta.connect()
    await okta.provision()
    for n, person in enumerate(people()):
        await okta.change_title(person, TITLES[(person.number + 1) % len(TITLES)])
        if n % 3 == 0:
            await okta.set_active(person, False)
        if n % 6 == 0:
            await okta.set_active(person, True)
        if n % 4 == 0:
            await okta.change_membership(GROUPS[1], person, add=True)


async def whole_log(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = (await api.get("/events", params={"limit": 100, **({"after": after} if after else {})})).json()
        found.extend(page["data"])
        after = page["list_metadata"]["after"]
        if after is None:
            return found


async def received(sink: WebhookSink, wanted: list[dict[str, Any]]) -> None:
    ids = {event["id"] for event in wanted}
    await wait_until(lambda: ids <= {event["id"] for event in sink.events}, 60, reason="every webhook")


def check_log(log: list[dict[str, Any]]) -> None:
    """Dense, in order, and each change of each person once."""
    assert [event["context"]["sequence"] for event in log] == list(range(1, len(log) + 1))
    in_directory = [e["context"]["directory_sequence"] for e in log if "directory_sequence" in e["context"]]
    assert in_directory == list(range(1, len(in_directory) + 1))
    ids = [event["id"] for event in log]
    assert ids == sorted(set(ids))
    names = Counter(event["event"] for event in log)
    assert names["dsync.activated"] == 1
    assert names["dsync.group.created"] == len(GROUPS)
    suspended = {person.user_name for n, person in enumerate(people()) if n % 3 == 0}
    returned = {person.user_name for n, person in enumerate(people()) if n % 6 == 0}
    assert names["dsync.user.created"] == len(people()) + len(returned)
    assert names["dsync.user.deleted"] == len(suspended)
    assert names["dsync.user.updated"] == len(people())


def check_deliveries(sink: WebhookSink, log: list[dict[str, Any]]) -> None:
    """Everything arrived, what was repeated is the same, first arrivals are in the order of the log."""
    assert sink.refused == 0
    by_id = {event["id"]: event for event in log}
    first: dict[str, None] = {}
    for event in sink.events:
        assert by_id[event["id"]] == event
        first[event["id"]] = None
    assert list(first) == [event["id"] for event in log if event["event"] in TYPES]
    repeats = len(sink.events) - len(first)
    assert repeats <= KILLS * 26


async def check_state(api: httpx.AsyncClient, directory: str, log: list[dict[str, Any]]) -> None:
    """The log, applied from the beginning, is what the API shows."""
    people_now: dict[str, str] = {}
    members: dict[str, set[str]] = defaultdict(set)
    for event in log:
        data = event["data"]
        match event["event"]:
            case "dsync.user.created" | "dsync.user.updated":
                people_now[data["id"]] = data["job_title"]
            case "dsync.user.deleted":
                del people_now[data["id"]]
            case "dsync.group.user_added":
                members[data["group"]["id"]].add(data["user"]["id"])
            case "dsync.group.user_removed":
                members[data["group"]["id"]].remove(data["user"]["id"])
    params = {"directory": directory, "limit": "100"}
    shown = (await api.get("/directory_users", params=params)).json()["data"]
    assert {user["id"]: user["job_title"] for user in shown} == people_now
    held: dict[str, set[str]] = defaultdict(set)
    for user in shown:
        for group in user["groups"]:
            held[group["id"]].add(user["id"])
    assert {id_: ids for id_, ids in members.items() if ids} == dict(held)
    groups = (await api.get("/directory_groups", params=params)).json()["data"]
    everybody = next(group["id"] for group in groups if group["name"] == "Everybody")
    assert len(held[everybody]) == len(shown)
    assert members_of("Everybody")
