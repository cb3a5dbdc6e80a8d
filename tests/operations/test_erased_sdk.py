"""What is left of an erased person's events is read by the official SDKs like any other event."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from workos import WorkOSClient

from syncline.core.signing import new_endpoint_secret, workos_signature
from tests.support.live import Live, Tenant, eventually, serving

TYPES = [
    "dsync.user.created",
    "dsync.group.user_added",
    "dsync.user.updated",
    "dsync.group.user_removed",
    "dsync.user.deleted",
]


@pytest.fixture
def erased(database_url: str) -> Iterator[tuple[Live, Tenant, str]]:
    """A service in which one person was created, grouped, changed, and erased while still there."""
    with serving(database_url) as live:
        tenant = live.tenant("erasure")
        base = f"{live.url}/scim/v2/{tenant.directory_key}"
        with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {tenant.scim_token}"}) as scim:
            person = {"userName": "ida@northwind.example", "externalId": "E1", "title": "Miller"}
            user = scim.post("/Users", json=person).json()["id"]
            scim.post("/Groups", json={"displayName": "Dispatch", "members": [{"value": user}]})
            scim.put(f"/Users/{user}", json=person | {"title": "Baker"})
        done = httpx.post(
            f"{live.url}/directory_users/directory_user_{user}/erase",
            json={"delete": True},
            headers={"Authorization": f"Bearer {tenant.api_key}"},
            timeout=60,
        )
        assert done.json()["erased"]["events"] == len(TYPES), done.text
        yield live, tenant, f"directory_user_{user}"


def test_both_sdks_read_tombstones(erased: tuple[Live, Tenant, str], node_sdk: Path) -> None:
    live, tenant, user = erased
    client = WorkOSClient(api_key=tenant.api_key, client_id="client_any", base_url=live.url)

    def listed() -> list[Any]:
        found: list[Any] = list(client.events.list_events(events=[], limit=100).data)
        return [event for event in found if event.event in TYPES]

    eventually(lambda: len(listed()) == len(TYPES), "every event in the log")
    assert [event.event for event in listed()] == TYPES
    for event in listed():
        assert type(event).__name__ != "EventSchemaUnknown"
        about = getattr(event.data, "user", event.data)
        assert (about.id, about.email, about.idp_id, about.emails) == (user, None, "", [])

    headers = {"Authorization": f"Bearer {tenant.api_key}"}
    page = httpx.get(f"{live.url}/events", params={"limit": "100"}, headers=headers).json()["data"]
    bodies = [json.dumps(event) for event in page if event["event"] in TYPES]
    secret = new_endpoint_secret(b"x" * 32)
    signed = [
        {"body": body, "header": workos_signature(secret, int(time.time() * 1000), as_node(body))}
        for body in bodies
    ]
    for body in bodies:
        header = workos_signature(secret, int(time.time() * 1000), body.encode())
        verified: Any = client.webhooks.verify_event(
            event_body=body.encode(), event_signature=header, secret=secret
        )
        assert verified.event in TYPES
    seen = subprocess.run(
        ["node", "tombstones.mjs", secret],
        cwd=node_sdk,
        input=json.dumps(signed),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert seen.returncode == 0, seen.stderr
    assert json.loads(seen.stdout) == [[name, user, None, "", "active"] for name in TYPES]


def as_node(body: str) -> bytes:
    """Return a body as the Node SDK writes it before it verifies the signature."""
    return json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
