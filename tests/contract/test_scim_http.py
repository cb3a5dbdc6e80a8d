"""The SCIM server over HTTP: what the recordings do not reach."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from itertools import count

import httpx
import pytest

from tests.support.live import Live, Tenant, eventually


@dataclass(frozen=True, slots=True)
class Scim:
    """A client of one directory."""

    live: Live
    tenant: Tenant

    def call(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        return httpx.request(
            method,
            f"{self.live.url}/scim/v2/{self.tenant.directory_key}{path}",
            content=raw,
            headers={"Authorization": f"Bearer {self.tenant.scim_token}", **headers},
            timeout=60,
        )

    def types(self) -> list[str]:
        answer = httpx.get(
            f"{self.live.url}/events?limit=100", headers={"Authorization": f"Bearer {self.tenant.api_key}"}
        )
        return [event["event"] for event in answer.json()["data"]]


_NUMBERS = count(1)


@pytest.fixture
def scim(shared_live: Live) -> Scim:
    return Scim(shared_live, shared_live.tenant(f"scim {next(_NUMBERS)}"))


def test_the_first_valid_request_activates_the_directory_once(scim: Scim) -> None:
    eventually(lambda: scim.types() == ["organization.created", "dsync.token.created"], "the first events")
    wrong = httpx.get(f"{scim.live.url}/scim/v2/{scim.tenant.directory_key}/Users")
    assert wrong.status_code == 401
    assert "dsync.activated" not in scim.types()

    async def together() -> None:
        address = f"{scim.live.url}/scim/v2/{scim.tenant.directory_key}/Users"
        headers = {"Authorization": f"Bearer {scim.tenant.scim_token}"}
        async with httpx.AsyncClient() as client:
            await asyncio.gather(*(client.get(address, headers=headers) for _ in range(8)))

    asyncio.run(together())
    scim.call("POST", "/Users", {"userName": "mira"})
    eventually(lambda: scim.types()[-1] == "dsync.user.created", "the user's event")
    assert scim.types().count("dsync.activated") == 1


@pytest.mark.parametrize(
    "spelling",
    ["Bearer {}", "bearer {}", "BEARER   {}", "Bearer Bearer {}", "{}", '"{}"', "Bearer '{}'"],
)
def test_any_spelling_of_the_token_is_understood(scim: Scim, spelling: str) -> None:
    headers = {"Authorization": spelling.format(scim.tenant.scim_token)}
    base = f"{scim.live.url}/scim/v2"
    for name in (scim.tenant.directory_key.lower(), scim.tenant.directory_id, scim.tenant.directory_key):
        assert httpx.get(f"{base}/{name}/Users/", headers=headers).status_code == 200


def test_a_revoked_token_is_refused_from_the_next_request_on(scim: Scim) -> None:
    api = {"Authorization": f"Bearer {scim.tenant.api_key}"}
    tokens = f"{scim.live.url}/directories/{scim.tenant.directory_id}/bearer_tokens"
    assert scim.call("GET", "/Users").status_code == 200
    [token] = httpx.get(tokens, headers=api).json()["data"]
    second = httpx.post(tokens, json={"label": "next"}, headers=api).json()
    assert httpx.delete(f"{tokens}/{token['id']}", headers=api).status_code == 204
    assert scim.call("GET", "/Users").status_code == 401
    headers = {"Authorization": f"Bearer {second['token']}"}
    assert httpx.get(f"{scim.live.url}/scim/v2/{scim.tenant.directory_key}/Users", headers=headers).is_success


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Nothing", 404),
        ("GET", "/Users/x%2Fy", 404),
        ("GET", "/Users/%00", 404),
        ("GET", "/%55sers/x", 404),
        ("GET", "/Me", 501),
        ("HEAD", "/Users", 405),
        ("OPTIONS", "/Users", 405),
        ("POST", "/Users/x", 405),
        ("DELETE", "/Schemas", 405),
        ("GET", "/Schemas?filter=x", 403),
        ("GET", "/Users?filter=userName%20eq", 400),
        ("GET", "/Users?filter=%FF", 400),
        ("GET", "/Users?startIndex=x", 400),
        ("GET", "/Users?sortBy=nothing", 400),
        ("GET", "/Users?startIndex=" + "9" * 300, 200),
        ("GET", "/Users?" + "a" * 40_000, 414),
        ("GET", "/Bulk", 405),
    ],
)
def test_addresses_that_do_not_work_say_so(scim: Scim, method: str, path: str, status: int) -> None:
    answer = scim.call(method, path)
    assert answer.status_code == status
    if status >= 400 and method != "HEAD":
        assert answer.headers["content-type"] == "application/scim+json"
        assert answer.json()["status"] == str(status)
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b'"x"', {}, 400),
        (b"", {}, 400),
        (b'{"userName": NaN}', {}, 400),
        (b'{"userName": "a", "userName": "b"}', {}, 400),
        (b'{"userName": "a", "USERNAME": "b"}', {}, 400),
        (b'{"userName": "a\\u0000"}', {}, 400),
        (b'{"userName": "\\ud800"}', {}, 400),
        (b'{"userName": "\xff"}', {}, 400),
        (b'{"userName": ' + b"[" * 100 + b"]" * 100 + b"}", {}, 400),
        (b'{"userName": "x", "n": ' + b"9" * 5000 + b"}", {}, 400),
        (b'{"userName": "' + b"x" * 2000 + b'"}', {}, 400),
        (b'{"userName": "x", "title": "' + b"x" * 70_000 + b'"}', {}, 400),
        (b'{"userName": "' + b"x" * 1_100_000 + b'"}', {}, 413),
        (b"<x/>", {"Content-Type": "text/xml"}, 415),
        (b"{}", {"Content-Encoding": "gzip"}, 415),
        (b'{"userName": "x", "name": "y"}', {}, 400),
    ],
)
def test_bodies_that_cannot_be_taken_change_nothing(
    scim: Scim, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = scim.call("POST", "/Users", body, **headers)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert scim.call("GET", "/Users").json()["totalResults"] == 0
    assert "dsync.user.created" not in scim.types()


def test_etags_guard_writes_and_spare_reads(scim: Scim) -> None:
    made = scim.call("POST", "/Users", {"userName": "mira"})
    path, tag = f"/Users/{made.json()['id']}", made.headers["etag"]
    assert made.headers["location"].endswith(path)
    assert scim.call("GET", path, **{"If-None-Match": tag}).status_code == 304
    body = {"userName": "mira", "title": "Planner"}
    assert scim.call("PUT", path, body, **{"If-Match": 'W/"99"'}).status_code == 412
    assert scim.call("PUT", path, body, **{"If-Match": tag}).status_code == 200
    assert scim.call("DELETE", path, **{"If-Match": tag}).status_code == 412
    assert scim.call("DELETE", path, **{"If-Match": "*"}).status_code == 204
    assert scim.call("DELETE", path).status_code == 404


def test_a_large_group_is_filled_read_and_patched(scim: Scim) -> None:
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": f"u{n}", "data": {"userName": f"u{n}"}}
        for n in range(1000)
    ]
    done = scim.call("POST", "/Bulk", {"Operations": operations})
    assert {entry["status"] for entry in done.json()["Operations"]} == {"201"}
    ids = [entry["location"].rpartition("/")[2] for entry in done.json()["Operations"]]
    extra = scim.call("POST", "/Users", {"userName": "extra"}).json()["id"]
    group = scim.call("POST", "/Groups", {"displayName": "Everybody", "members": [{"value": i} for i in ids]})
    assert len(group.json()["members"]) == 1000
    path = f"/Groups/{group.json()['id']}"
    add = {"Operations": [{"op": "add", "path": "members", "value": [{"value": extra}]}]}
    assert scim.call("PATCH", path, add).status_code == 204
    assert len(scim.call("GET", path).json()["members"]) == 1001
    assert "members" not in scim.call("GET", f"{path}?excludedAttributes=members").json()
    hidden = scim.call("PATCH", f"{path}?excludedAttributes=members", add)
    assert (hidden.status_code, hidden.json()["displayName"]) == (200, "Everybody")
    assert scim.call("POST", "/Bulk", {"Operations": [{}] * 1001}).status_code == 413


def test_bulk_resolves_references_and_stops_after_errors(scim: Scim) -> None:
    done = scim.call(
        "POST",
        "/Bulk",
        {
            "failOnErrors": 1,
            "Operations": [
                {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "mira"}},
                {
                    "method": "POST",
                    "path": "/Groups",
                    "bulkId": "g",
                    "data": {"displayName": "Dispatch", "members": [{"value": "bulkId:a"}]},
                },
                {"method": "PATCH", "path": "/Users/bulkId:nobody", "data": {"Operations": []}},
                {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"userName": "never"}},
            ],
        },
    ).json()
    assert [entry["status"] for entry in done["Operations"]] == ["201", "201", "400"]
    [member] = scim.call("GET", "/Groups?attributes=members.display").json()["Resources"][0]["members"]
    assert member == {"display": "mira"}
    [member] = scim.call("GET", "/Groups").json()["Resources"][0]["members"]
    assert member["type"] == "User"
    assert "display" not in member
    assert scim.call("GET", "/Users").json()["totalResults"] == 1


def test_both_versions_show_the_same_person(scim: Scim) -> None:
    urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    made = scim.call("POST", "/Users", {"userName": "mira", urn: {"manager": {"value": "m1"}}}).json()
    old = httpx.get(
        f"{scim.live.url}/scim/v1/{scim.tenant.directory_key}/Users/{made['id']}",
        headers={"Authorization": f"Bearer {scim.tenant.scim_token}"},
    )
    assert old.headers["content-type"] == "application/json; charset=utf-8"
    assert old.json()["urn:scim:schemas:extension:enterprise:1.0"] == {"manager": {"managerId": "m1"}}
    assert old.json()["id"] == made["id"]
