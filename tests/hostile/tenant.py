"""A fresh tenant to attack, made through the product's own interfaces, and a picture of all it holds."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.hostile.requests import Target
from tests.support.processes import run
from tests.support.waiting import wait_until

_LISTS = ("organizations", "directories", "webhook_endpoints", "api_keys")
# They change by use, and by the very requests that look.
_BY_USE = ("last_used_at",)


@dataclass(slots=True)
class Tenant:
    """An environment of its own, seen through its API key and its directory's token."""

    target: Target
    api: httpx.AsyncClient
    scim: httpx.AsyncClient
    marker: str
    marked: int = 0

    async def mark(self) -> str:
        """Make a change, wait until its event is the newest of the log, and return that event's id.

        Whatever happened before has its event before it.
        """
        self.marked += 1
        title = f"marker {self.marked}"
        operations = [{"op": "replace", "path": "title", "value": title}]
        answer = await self.scim.patch(
            f"/Users/{self.marker}",
            content=json.dumps({"Operations": operations}),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 200, answer.text

        async def newest() -> str | None:
            listed = await self._get("/events?order=desc&limit=1")
            event = listed["data"][0]
            return str(event["id"]) if event["data"].get("job_title") == title else None

        found = await wait_until(newest, 20, reason="the marker's event")
        assert found
        return found

    async def events_between(self, first: str, last: str) -> list[str]:
        """Return the types of the events after one and before another."""
        found: list[str] = []
        after = first
        while True:
            page = await self._get(f"/events?limit=100&after={after}")
            for event in page["data"]:
                if event["id"] == last:
                    return found
                found.append(event["event"])
                after = event["id"]
            assert page["data"], f"event {last} is not in the log"

    async def picture(self) -> dict[str, Any]:
        """Return everything that the tenant can read, without what changes by use."""
        found: dict[str, Any] = {name: await self._all(f"/{name}") for name in _LISTS}
        for directory in found["directories"]:
            path = f"/directories/{directory['id']}/bearer_tokens"
            found[path] = await self._all(path)
        for kind in ("Users", "Groups"):
            found[kind] = [one for one in await self._resources(kind) if one["id"] != self.marker]
        for name in ("directory_users", "directory_groups"):
            everything = await self._all(f"/{name}")
            found[name] = [one for one in everything if self.marker not in one["id"]]
        return found

    async def close(self) -> None:
        """Close the clients."""
        await self.api.aclose()
        await self.scim.aclose()

    async def _all(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = await self._get(f"{path}?limit=100{after}")
            found += [{k: v for k, v in one.items() if k not in _BY_USE} for one in page["data"]]
            if page["list_metadata"]["after"] is None:
                return found
            after = f"&after={page['list_metadata']['after']}"

    async def _resources(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            answer = await self.scim.get(f"/{kind}?count=1000&startIndex={len(found) + 1}")
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["Resources"]
            if len(found) >= page["totalResults"]:
                return found

    async def _get(self, path: str) -> Any:
        answer = await self.api.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def make_tenant(folder: Path, url: str, name: str, settings: dict[str, str]) -> Tenant:
    """Make an environment with the command line, and in it an organization and a directory with people.

    `settings` are those of the running process, so that the command finds its database.
    """
    made = await asyncio.to_thread(run, folder, "keys", "create", "--environment", name, "--json", **settings)
    assert made.returncode == 0, made.stderr
    api_key = json.loads(made.stdout)["value"]
    headers = {"Authorization": f"Bearer {api_key}"}
    api = httpx.AsyncClient(base_url=url, headers=headers, timeout=60)
    organization = await _made(api, "/organizations", {"name": "Northwind"})
    directory = await _made(api, "/directories", _directory(organization["id"]))
    token = directory["scim"]["bearer_token"]
    key = directory["id"].removeprefix("directory_")
    scim = httpx.AsyncClient(
        base_url=f"{url}/scim/v2/{key}", headers={"Authorization": f"Bearer {token}"}, timeout=60
    )
    users = [(await _made(scim, "/Users", {"userName": f"u{n}"}))["id"] for n in range(4)]
    body = {"displayName": "Staff", "members": [{"value": users[1]}]}
    groups = [(await _made(scim, "/Groups", body | {"displayName": f"g{n}"}))["id"] for n in range(2)]
    target = Target(
        scim_key=key,
        scim_token=token,
        api_key=api_key,
        organization_id=organization["id"],
        directory_id=directory["id"],
        users=tuple(users),
        groups=tuple(groups),
        prey=await _prey(api),
    )
    marker = (await _made(scim, "/Users", {"userName": "marker"}))["id"]
    return Tenant(target, api, scim, marker)


async def _prey(api: httpx.AsyncClient) -> dict[str, str]:
    organization = await _made(api, "/organizations", {"name": "Prey"})
    directory = await _made(api, "/directories", _directory(organization["id"]))
    endpoint = {"endpoint_url": "https://prey.invalid/", "events": ["dsync.deleted"]}
    return {
        "prey_organization": organization["id"],
        "prey_directory": directory["id"],
        "prey_endpoint": (await _made(api, "/webhook_endpoints", endpoint))["id"],
    }


def _directory(organization_id: str) -> dict[str, str]:
    return {"organization_id": organization_id, "name": "Okta", "type": "generic scim v2.0"}


async def _made(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()
