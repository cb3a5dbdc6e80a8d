"""Threat: one tenant asks so often that others wait.

Each caller has a bucket of its own: a directory for SCIM, a key or an address for the API. A refusal says
when to come back in whole seconds, in the form of the interface, and changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx
import pytest

from syncline.config import SettingsError, load_settings
from syncline.core.errors import RateLimited
from syncline.core.ids import bare
from syncline.core.model import Cause
from syncline.web.app import build_app
from syncline.web.rates import Rate, Rates
from tests.support.directory_world import directory_world


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


def passed(rate: Rate, caller: str, times: int) -> int:
    """Return how many of so many requests pass."""
    count = 0
    for _ in range(times):
        with suppress(RateLimited):
            rate.take(caller)
            count += 1
    return count


def test_a_caller_may_ask_so_often_a_minute_and_waits_no_longer_than_it_is_told() -> None:
    clock = Clock()
    rate = Rate(30, now=clock)
    assert passed(rate, "a", 100) == 30
    with pytest.raises(RateLimited) as refused:
        rate.take("a")
    assert refused.value.retry_after == 2
    clock.seconds += refused.value.retry_after
    rate.take("a")
    with pytest.raises(RateLimited):
        rate.take("a")
    clock.seconds += 20
    assert passed(rate, "a", 100) == 10
    clock.seconds += 3_600
    assert passed(rate, "a", 100) == 30


def test_callers_do_not_share_and_none_is_remembered_for_ever() -> None:
    rate = Rate(1, now=Clock())
    assert passed(rate, "a", 2) == 1
    assert passed(rate, "b", 2) == 1
    for number in range(10_000):
        rate.take(f"other {number}")
    assert passed(rate, "a", 2) == 1


def test_nought_is_no_limit() -> None:
    assert passed(Rate(0), "a", 10_000) == 10_000


def test_a_rate_that_would_refuse_honest_providers_cannot_be_set() -> None:
    with pytest.raises(SettingsError, match="SYNCLINE_SCIM_RATE must be 0 or at least 1500"):
        load_settings({"scim_rate": 100})
    assert load_settings({"scim_rate": 1_500}).scim_rate == 1_500


@dataclass(frozen=True, slots=True)
class Served:
    """A process with limits, two keys of an environment, and two of its directories with their tokens."""

    client: httpx.AsyncClient
    keys: tuple[str, str]
    organization: str
    directories: tuple[str, str]
    tokens: tuple[str, str]

    async def api(self, method: str, path: str, key: int = 0, body: object = None) -> httpx.Response:
        """Call the API with one of the keys."""
        headers = {"Authorization": f"Bearer {self.keys[key]}"}
        return await self.client.request(method, path, json=body, headers=headers)

    async def scim(self, method: str, path: str, at: int = 0, version: str = "v2") -> httpx.Response:
        """Call SCIM at one of the directories."""
        address = f"/scim/{version}/{bare(self.directories[at])}{path}"
        body = {"userName": f"user-{path}"} if method == "POST" else None
        headers = {"Authorization": f"Bearer {self.tokens[at]}"}
        return await self.client.request(method, address, json=body, headers=headers)


@asynccontextmanager
async def served(database_url: str, rates: Rates) -> AsyncIterator[Served]:
    """Serve with these limits."""
    async with directory_world(database_url) as world:
        services, place = world.services, world.place
        keys = [(await services.api_keys.create(place.environment_id, name)).value for name in ("a", "b")]
        made = [
            await services.directories.create(
                place.environment_id, place.organization_id, name, "generic scim v2.0", Cause("request_test")
            )
            for name in ("one", "two")
        ]
        transport = httpx.ASGITransport(app=build_app(services, rates=rates))
        async with httpx.AsyncClient(transport=transport, base_url="http://syncline.test") as client:
            yield Served(
                client,
                (keys[0], keys[1]),
                place.organization_id,
                (made[0].directory.id, made[1].directory.id),
                (str(made[0].bearer_token), str(made[1].bearer_token)),
            )


def is_refused(answer: httpx.Response) -> bool:
    """Tell whether an answer is the API's refusal of one request too many."""
    if answer.status_code != 429:
        return False
    assert answer.json().keys() == {"message", "code"}
    assert answer.json()["code"] == "rate_limited"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    return True


async def test_a_directory_that_asks_too_often_is_refused_in_the_form_of_scim_and_others_are_not(
    database_url: str,
) -> None:
    async with served(database_url, Rates(scim=Rate(2, now=Clock()))) as here:
        assert (await here.scim("POST", "/Users")).status_code == 201
        assert (await here.scim("GET", "/Users")).status_code == 200
        for version, key in (("v2", "schemas"), ("v1", "Errors")):
            refused = await here.scim("POST", "/Users", version=version)
            assert refused.status_code == 429
            assert key in refused.json()
            assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await here.scim("GET", "/Users", at=1)).json()["totalResults"] == 0
        assert (await here.scim("POST", "/Users", at=1)).status_code == 201
        people = (await here.api("GET", f"/directory_users?directory={here.directories[0]}")).json()["data"]
        assert len(people) == 1


async def test_who_has_no_token_spends_nothing_of_a_directory(database_url: str) -> None:
    async with served(database_url, Rates(scim=Rate(1, now=Clock()))) as here:
        for _ in range(3):
            address = f"/scim/v2/{bare(here.directories[0])}/Users"
            assert (await here.client.get(address)).status_code == 401
        assert (await here.scim("GET", "/Users")).status_code == 200


async def test_a_key_that_asks_too_often_is_refused_and_another_one_is_not(database_url: str) -> None:
    async with served(database_url, Rates(api_key=Rate(2, now=Clock()))) as here:
        first = await here.api("POST", "/organizations", body={"name": "Northwind"})
        assert first.status_code == 201
        assert (await here.api("GET", "/nothing")).status_code == 404
        assert is_refused(await here.api("POST", "/organizations", body={"name": "Southwind"}))
        listed = (await here.api("GET", "/organizations", key=1)).json()["data"]
        assert "Southwind" not in [one["name"] for one in listed]


async def test_an_address_is_counted_before_anybody_is_asked_who_it_is(database_url: str) -> None:
    async with served(database_url, Rates(address=Rate(2, now=Clock()))) as here:
        for _ in range(2):
            assert (await here.client.get("/events")).status_code == 401
        assert is_refused(await here.api("GET", "/events"))
        assert (await here.scim("GET", "/Users")).status_code == 200
        assert (await here.client.get("/health/live")).status_code == 200


async def test_calls_of_the_vendors_list_have_limits_of_their_own(database_url: str) -> None:
    rates = Rates(
        directory_users=Rate(1, now=Clock()),
        organization_deletions=Rate(1, now=Clock()),
    )
    async with served(database_url, rates) as here:
        for directory in here.directories:
            address = f"/directory_users?directory={directory}"
            assert (await here.api("GET", address)).status_code == 200
            assert is_refused(await here.api("GET", address))
        nobody = "/organizations/org_01KA0YPX7B9D1F3H5K7M9Q1S3T"
        assert (await here.api("DELETE", nobody)).status_code == 404
        assert is_refused(await here.api("DELETE", f"/organizations/{here.organization}"))
        assert (await here.api("GET", f"/organizations/{here.organization}")).status_code == 200


async def test_a_refused_post_can_be_repeated_with_its_key(database_url: str) -> None:
    clock = Clock()
    async with served(database_url, Rates(api_key=Rate(1, now=clock))) as here:
        assert (await here.api("GET", "/events")).status_code == 200
        headers = {"Authorization": f"Bearer {here.keys[0]}", "Idempotency-Key": "once"}
        body = {"name": "Northwind"}
        assert is_refused(await here.client.post("/organizations", json=body, headers=headers))
        clock.seconds += 60
        assert (await here.client.post("/organizations", json=body, headers=headers)).status_code == 201
