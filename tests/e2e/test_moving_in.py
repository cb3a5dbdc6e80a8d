"""A customer moves from a service that speaks the WorkOS API, while the new process is killed on purpose."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from syncline.core.model import InactiveUsers
from tests.reliability.launch import shared
from tests.support.databases import SqliteDatabases
from tests.support.live import Live, serving
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
KEY = "sk_test_0123456789abcdefghijkl"
TOKEN = "the-token-that-the-provider-has-had-for-years"
PEOPLE = 500
KILLS = 2


def furnish(old: Live) -> tuple[str, dict[str, Any]]:
    """Fill the old service with one customer; return its API key and what its directory looks like."""
    tenant = old.tenant("source", InactiveUsers.KEEP)
    with httpx.Client(
        base_url=old.url, headers={"Authorization": f"Bearer {tenant.api_key}"}, timeout=60
    ) as api:
        import_id = api.post("/imports", json={"source": "records"}).json()["id"]
        here = {"directory_id": tenant.directory_id}
        records: list[dict[str, Any]] = [
            {
                "type": "user",
                "id": f"u-{n}",
                **here,
                "resource": {"userName": f"p{n}@northwind.example", "externalId": f"00u{n}"},
            }
            for n in range(PEOPLE)
        ]
        records.append({"type": "group", "id": "g", **here, "resource": {"displayName": "All"}})
        everybody = [f"u-{n}" for n in range(PEOPLE)]
        records.append({"type": "membership", "group_id": "g", "user_ids": everybody, **here})
        for start in range(0, len(records), 400):
            body = {"first": start + 1, "records": records[start : start + 400]}
            assert api.post(f"/imports/{import_id}/records", json=body).status_code == 200
        return tenant.api_key, api.get(f"/directories/{tenant.directory_id}").json()


async def test_a_customer_moves_in_although_the_process_is_killed(
    tmp_path: Path, empty_database_url: str, unused_port: int, sqlite_databases: SqliteDatabases
) -> None:
    url = f"http://127.0.0.1:{unused_port}"
    settings = {
        "database_url": empty_database_url,
        "port": str(unused_port),
        "api_key": KEY,
        "outbound_allow": "127.0.0.0/8",
        "test_lease_seconds": "1",
    }
    (tmp_path / "old").mkdir()
    with serving(sqlite_databases.migrated(tmp_path / "old")) as old:
        old_key, directory = await asyncio.to_thread(furnish, old)
        process = shared().launch(tmp_path, "up", settings=settings, url=url)
        try:
            await asyncio.to_thread(process.await_ready)
            headers = {"Authorization": f"Bearer {KEY}"}
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as api:
                asked = {"source": "workos", "base_url": old.url, "api_key": old_key}
                import_id = (await api.post("/imports", json=asked)).json()["id"]

                async def read() -> dict[str, Any]:
                    return dict((await api.get(f"/imports/{import_id}")).json())

                for kill in range(1, KILLS + 1):

                    async def moved(least: int = 150 * kill) -> bool:
                        current = await read()
                        return bool(sum(current["counts"].get("users", {}).values()) >= least)

                    await wait_until(moved, 60, reason="an import that moves on")
                    process.kill()
                    process = shared().launch(tmp_path, "up", settings=settings, url=url)
                    await asyncio.to_thread(process.await_ready)

                async def complete() -> bool:
                    return bool((await read())["state"] == "complete")

                await wait_until(complete, 90, reason="an import that is complete")
                assert (await read())["problems"] == []
                found = (await api.get(f"/directories/{directory['id']}")).json()
                assert {**found, "updated_at": ""} == {**directory, "updated_at": ""}
                events = (await api.get("/events")).json()["data"]
                assert events == []
                await api.post(f"/directories/{directory['id']}/bearer_tokens", json={"token": TOKEN})
            await provider_arrives(url, directory)
            await asyncio.to_thread(process.terminate)
        finally:
            process.kill()


async def provider_arrives(url: str, directory: dict[str, Any]) -> None:
    """The customer's provider goes on with its old address, token and ids."""
    base = f"{url}/scim/v2.0/{directory['external_key']}"
    async with httpx.AsyncClient(
        base_url=base, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
    ) as scim:
        listed = (await scim.get("/Users", params={"count": 1})).json()
        assert listed["totalResults"] == PEOPLE
        person = listed["Resources"][0]
        change = {"Operations": [{"op": "replace", "path": "title", "value": "Planner"}]}
        assert (await scim.patch(f"/Users/{person['id']}", json=change)).status_code == 200
        [group] = (await scim.get("/Groups", params={"excludedAttributes": "members"})).json()["Resources"]
        whole = (await scim.get(f"/Groups/{group['id']}")).json()
        assert len({member["value"] for member in whole["members"]}) == PEOPLE
