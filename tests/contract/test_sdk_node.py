"""The official Node SDK, unmodified: only host, port and key are ours."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from syncline.core.json import stringify
from syncline.core.signing import new_endpoint_secret, workos_signature
from tests.support.live import serving

pytestmark = pytest.mark.node


def node(folder: Path, script: str, *arguments: str, given: str | None = None) -> Any:
    done = subprocess.run(
        ["node", script, *arguments],
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_resource(node_sdk: Path, database_url: str) -> None:
    with serving(database_url) as live:
        tenant = live.tenant("node")
        base = f"{live.url}/scim/v2/{tenant.directory_key}"
        headers = {"Authorization": f"Bearer {tenant.scim_token}"}
        ids = [
            httpx.post(f"{base}/Users", json={"userName": f"u{n}@northwind.example"}, headers=headers).json()[
                "id"
            ]
            for n in range(3)
        ]
        for name in ("Dispatch", "Planning"):
            group = {"displayName": name, "members": [{"value": ids[0]}]}
            assert httpx.post(f"{base}/Groups", json=group, headers=headers).status_code == 201
        host = urlsplit(live.url)
        seen = node(
            node_sdk,
            "sdk.mjs",
            str(host.hostname),
            str(host.port),
            tenant.api_key,
            tenant.directory_id,
            tenant.organization_id,
        )
    assert seen == {
        "walked": 4,
        "byExternalId": True,
        "updated": ["Renamed", "gold"],
        "read": "Renamed",
        "domain": ["node.example", "pending"],
        "directories": [[tenant.directory_id, "active"]],
        "directory": "Northwind",
        "users": [f"u{n}@northwind.example" for n in range(3)],
        "groups": ["Dispatch", "Planning"],
        "groupsOfUser": 2,
        "group": True,
        "roles": ["Chief", "EnvironmentRole", ["planner", "member"], ["a"], ["a", "b"]],
        "ownRoles": [
            "OrganizationRole",
            "Reads",
            ["y", "z"],
            ["planner", "org-auditor", "member"],
            ["EnvironmentRole", "OrganizationRole", "EnvironmentRole"],
        ],
        "roleEvents": [*[["role.updated", "planner"]] * 3, ["organization_role.deleted", "org-auditor"]],
        "events": ["organization.created", *["dsync.user.created"] * 3, *["organization.created"] * 3],
        "errors": ["NotFoundException", "UnprocessableEntityException", "UnauthorizedException"],
    }


def test_a_webhook_body_survives_the_sdks_own_serializer(node_sdk: Path) -> None:
    data = {"10": "b", "9": "a", "text": "é \u2028 / \\ \b \x1f €", "whole": 1.0, "small": 1e-7, "big": 1e21}
    body = stringify({"object": "event", "id": "event_1", "event": "dsync.user.created", "data": _user(data)})
    secret = new_endpoint_secret(b"x" * 32)
    header = workos_signature(secret, int(time.time() * 1000), body.encode())
    assert node(node_sdk, "verify.mjs", header, secret, given=body) == {
        "id": "event_1",
        "event": "dsync.user.created",
    }


def _user(custom: dict[str, Any]) -> dict[str, Any]:
    times = {"created_at": "2026-01-15T12:00:00.000Z", "updated_at": "2026-01-15T12:00:00.000Z"}
    return {"object": "directory_user", "id": "directory_user_1", "custom_attributes": custom, **times}
