"""A token that is no longer good is refused in every request, also where its writes were taken before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import httpx
import pytest

from tests.support.live import Live, Tenant, serving

Request = tuple[str, str, object]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two processes on one database: a provider talks to the first, an operator to the second."""

    first: Live
    second: Live
    tenant: Tenant

    def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        return httpx.request(
            method,
            f"{self.first.url}/scim/v2/{self.tenant.directory_key}{path}",
            content=body if isinstance(body, bytes) else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.tenant.scim_token}"},
            timeout=60,
        )

    def operator(self, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tenant.api_key}"}
        return httpx.request(method, f"{self.second.url}{path}", json=body, headers=headers, timeout=60)

    def make(self) -> str:
        """Make a person, and another to change; by then the first process has met the token in a write."""
        for name in ("mira", "rohan"):
            made = self.call("POST", "/Users", {"userName": name})
            assert made.status_code == 201
        return str(made.json()["id"])

    def names(self) -> list[str]:
        found = self.operator("GET", f"/directory_users?directory={self.tenant.directory_id}")
        return sorted(person["username"] for person in found.json()["data"])


@pytest.fixture
def pair(database_url: str) -> Iterator[Pair]:
    with serving(database_url) as first, serving(database_url) as second:
        yield Pair(first, second, first.tenant("scim"))


def writes(person: str) -> list[Request]:
    renamed = {"Operations": [{"op": "replace", "path": "userName", "value": "renamed"}]}
    return [
        ("POST", "/Users", {"userName": "intruder"}),
        ("POST", "/Users", {"userName": "mira"}),
        ("POST", "/Users", b"{"),
        ("POST", "/Groups", {"displayName": "Intruders", "members": [{"value": person}]}),
        ("PUT", f"/Users/{person}", {"userName": "renamed"}),
        ("PATCH", f"/Users/{person}", renamed),
        ("PATCH", f"/Users/{person}", {"Operations": []}),
        ("PATCH", "/Users/01KA0YPX7B9D1F3H5K7M9Q1S3T", renamed),
        ("DELETE", f"/Users/{person}", None),
        ("GET", f"/Users/{person}", None),
    ]


def test_after_a_revocation_by_another_process_nothing_is_written_or_told(pair: Pair) -> None:
    person = pair.make()
    tokens = f"/directories/{pair.tenant.directory_id}/bearer_tokens"
    [token] = pair.operator("GET", tokens).json()["data"]
    for asked in writes(person):
        # The first request after a revocation each: a refusal makes the process forget the token.
        second = pair.operator("POST", tokens, {"label": "next"}).json()
        fresh = replace(pair, tenant=replace(pair.tenant, scim_token=second["token"]))
        assert fresh.call("PATCH", f"/Users/{person}", {"Operations": []}).status_code == 200
        assert pair.operator("DELETE", f"{tokens}/{second['id']}").status_code == 204
        for _ in range(2):
            answer = fresh.call(*asked)
            assert answer.status_code == 401, asked
            assert "mira" not in answer.text
    assert pair.names() == ["mira", "rohan"]
    assert pair.operator("DELETE", f"{tokens}/{token['id']}").status_code == 204
    assert pair.call("DELETE", f"/Users/{person}").status_code == 401


def test_a_token_of_a_deleted_directory_writes_nothing(pair: Pair) -> None:
    person = pair.make()
    assert pair.operator("DELETE", f"/directories/{pair.tenant.directory_id}").status_code in (202, 204)
    for asked in writes(person):
        assert pair.call(*asked).status_code == 401, asked


def test_a_token_opens_no_other_directory_after_it_has_written_to_its_own(pair: Pair) -> None:
    pair.make()
    other = pair.first.tenant("other")
    strange = replace(pair, tenant=replace(other, scim_token=pair.tenant.scim_token))
    assert strange.call("POST", "/Users", {"userName": "intruder"}).status_code == 401
    assert strange.names() == []
