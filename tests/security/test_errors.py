"""Threat: a refusal tells what is stored, repeats a secret that was sent, or is large enough to be abused.

A refusal names the attribute, the operation or the id that was asked for. It never shows what the directory
holds, a password, a credential or a header, and it is short however long the request was.
"""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.api import api
from tests.support.directory_world import CAUSE

STORED, SENT = "stored-canary-5hT", "sent-canary-8kQ"
LONG = "x" * 60_000
LARGEST = 2_000


async def test_a_refusal_shows_nothing_stored_nothing_secret_and_is_short(database_url: str) -> None:
    """Every way to be refused, with a stored canary next to what is asked for and secrets in what is sent."""
    async with api(database_url) as here:
        world = here.world
        directory = world.place.directory
        token = (await world.services.tokens.create(world.environment, directory.id, CAUSE)).secret
        user = await world.user("holder", title=STORED, emails=[{"value": f"{STORED}@x.example"}])
        group = await world.group("Staff", [user])
        base = f"/scim/v2/{directory.id.removeprefix('directory_')}"
        sent = {
            "Authorization": f"Bearer {token}",
            "Cookie": f"session={SENT}",
            "User-Agent": SENT,
            "X-Anything": SENT,
        }
        answers: list[httpx.Response] = []

        async def scim(method: str, path: str, body: object = None, **headers: str) -> None:
            for address in (base, base.replace("v2", "v1")):
                answer = await here.client.request(
                    method, f"{address}{path}", json=body, headers=sent | headers
                )
                answers.append(answer)

        async def rest(method: str, path: str, body: object = None) -> None:
            secrets = {name: value for name, value in sent.items() if name != "Authorization"}
            answers.append(await here.client.request(method, path, json=body, headers=secrets))

        for body in wrong_people():
            await scim("POST", "/Users", body)
            await scim("PUT", f"/Users/{user}", body)
        for operation in wrong_operations():
            body = {"Operations": [operation | {"password": SENT}]}
            await scim("PATCH", f"/Users/{user}", body)
            await scim("PATCH", f"/Groups/{group}", body)
        await scim("PUT", f"/Users/{user}", {"userName": "holder", "password": SENT}, **{"If-Match": 'W/"9"'})
        for query in (f"filter=title eq {LONG[:2000]}(", "filter=title", f"sortBy={LONG[:2000]}", "count=x"):
            await scim("GET", f"/Users?{query}&access_token={SENT}")
        for path in (f"/Users/{LONG[:9000]}", f"/{LONG[:9000]}", "/Me", f"/Schemas/{LONG[:9000]}"):
            await scim("GET", path)
        await scim("GET", f"/Users/{user}", Authorization=f"Bearer scim_{SENT}")
        for path, wrong in wrong_calls(world.place.organization_id):
            await rest("POST", path, wrong)
        for path in (f"/directories/{LONG[:9000]}", f"/{LONG[:9000]}", f"/directories?limit={SENT}"):
            await rest("GET", path)

    refused = [answer for answer in answers if answer.status_code >= 400]
    assert {400, 401, 404, 409, 412, 422, 501} <= {answer.status_code for answer in refused}
    assert len(refused) > len(answers) * 0.7
    for answer in refused:
        told = answer.text + str(answer.headers)
        assert STORED not in told, answer.text
        assert SENT not in told, answer.text
        assert token not in told
        assert len(told) < LARGEST, f"{answer.request.method} {answer.request.url}"[:200]
        assert "json" in answer.headers["content-type"]


def wrong_people() -> list[dict[str, Any]]:
    """Return people that cannot be, each with a password."""
    wrong: list[dict[str, Any]] = [
        {"userName": "HOLDER"},
        {"userName": LONG},
        {"userName": "", "title": LONG},
        {"userName": "x", "active": LONG},
        {"userName": "x", "name": LONG},
        {"userName": "x", "emails": [{"value": "a@b.example", "primary": LONG}]},
        {"userName": "x", LONG: LONG + LONG},
        {"userName": {"a": LONG}},
        {},
    ]
    return [body | {"password": SENT} for body in wrong]


def wrong_operations() -> list[dict[str, Any]]:
    """Return operations that cannot be carried out."""
    return [
        {"op": LONG, "path": "title", "value": 1},
        {"op": "replace", "path": f"{LONG[:8000]}[", "value": 1},
        {"op": "replace", "path": 'emails[value co "a" and type eq "x"].display', "value": "x"},
        {"op": "replace", "path": f'members[value eq "{LONG[:7000]}', "value": "x"},
        {"op": "replace", "path": "active", "value": LONG},
        {"op": "replace", "path": "userName", "value": {"a": LONG}},
        {"op": "replace", "path": "displayName", "value": [LONG, LONG]},
        {"op": "remove", "path": "id"},
        {"op": "remove"},
        {"op": "add", "value": LONG},
        {"op": "add", "path": "members", "value": [{"display": LONG}]},
    ]


def wrong_calls(organization_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return calls of the REST API that are refused."""
    return [
        ("/organizations", {"name": [LONG]}),
        ("/organizations", {"name": "x", "external_id": LONG}),
        ("/organizations", {"name": "x", "metadata": {LONG: LONG}}),
        ("/directories", {"organization_id": LONG, "name": "x", "type": "generic scim v2.0"}),
        ("/directories", {"organization_id": organization_id, "name": "x", "type": LONG}),
        ("/organization_domains", {"organization_id": organization_id, "domain": LONG}),
        ("/webhook_endpoints", {"endpoint_url": f"https://u:{SENT}@x.example/", "events": ["dsync.deleted"]}),
        ("/webhook_endpoints", {"endpoint_url": "https://x.example/", "events": [LONG]}),
        ("/api_keys", {"name": LONG}),
        ("/api_keys", {"name": "x", "scopes": [LONG]}),
        ("/api_keys", {"name": "x", "expires_at": LONG}),
    ]
