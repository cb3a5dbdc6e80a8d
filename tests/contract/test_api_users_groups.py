"""Directory users and groups over HTTP: exact shapes, filters and refusals (`api.md` §2.2, §2.3, §3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.api import Api, api
from tests.support.kernels import seed

NOBODY = "01KA0YPX7B9D1F3H5K7M9Q1S3T"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        yield made


def ids(listed: dict[str, Any]) -> list[str]:
    return [one["id"] for one in listed["data"]]


async def test_a_user_has_exactly_the_keys_of_the_contract(here: Api) -> None:
    place = here.world.place
    user = await here.world.user(
        "mira@northwind.example",
        externalId="00u8k2",
        title="Planner",
        name={"givenName": "Mira", "familyName": "Voss"},
        emails=[{"value": "m.voss@northwind.example", "type": "work", "primary": True}],
    )
    group = await here.world.group("Dispatch", [user])
    found = await here.get(f"/directory_users/directory_user_{user}")
    [held] = found.pop("groups")
    assert found == {
        "object": "directory_user",
        "id": f"directory_user_{user}",
        "directory_id": place.directory.id,
        "organization_id": place.organization_id,
        "idp_id": "00u8k2",
        "email": "m.voss@northwind.example",
        "first_name": "Mira",
        "last_name": "Voss",
        "name": "Mira Voss",
        "emails": [{"primary": True, "type": "work", "value": "m.voss@northwind.example"}],
        "job_title": "Planner",
        "username": "mira@northwind.example",
        "state": "active",
        "raw_attributes": {},
        "custom_attributes": {},
        "created_at": found["created_at"],
        "updated_at": found["updated_at"],
    }
    assert held == {
        "object": "directory_group",
        "id": f"directory_group_{group}",
        "idp_id": "Dispatch",
        "directory_id": place.directory.id,
        "organization_id": place.organization_id,
        "name": "Dispatch",
        "raw_attributes": {},
        "created_at": held["created_at"],
        "updated_at": held["updated_at"],
    }
    assert await here.get(f"/directory_groups/directory_group_{group}") == held
    assert (await here.get("/directory_groups"))["data"] == [held]
    [listed] = (await here.get(f"/directory_users?directory={place.directory.id}"))["data"]
    assert listed == found | {"groups": [held]}


async def test_what_a_provider_did_not_say_is_null_and_groups_are_a_list(here: Api) -> None:
    user = await here.world.user("ada")
    found = await here.get(f"/directory_users/directory_user_{user}")
    assert found["groups"] == []
    assert found["idp_id"] == user
    nothing = ("email", "first_name", "last_name", "name", "job_title")
    assert [found[key] for key in nothing] == [None] * len(nothing)
    assert "role" not in found


async def test_the_events_data_is_the_read_user_without_groups(here: Api) -> None:
    user = await here.world.user("ada", title="Planner")
    await here.world.rows()
    [event] = (await here.get("/events"))["data"]
    read = await here.get(f"/directory_users/directory_user_{user}")
    assert event["data"] | {"groups": []} == read


async def test_a_membership_moves_updated_at_of_the_user(here: Api) -> None:
    user = await here.world.user("ada")
    before = await here.get(f"/directory_users/directory_user_{user}")
    await here.world.group("Dispatch", [user])
    after = await here.get(f"/directory_users/directory_user_{user}")
    assert after["updated_at"] > before["updated_at"]
    assert after["created_at"] == before["created_at"]


async def test_filters_and_both_at_once(here: Api) -> None:
    directory = here.world.place.directory.id
    other = await seed(here.world.services.kernel, environment_id=here.world.environment)
    ada = await here.world.user("ada@northwind.example", externalId="E1")
    ben = await here.world.user("ben@northwind.example")
    eve = await here.world.user("eve@northwind.example", at=other)
    group = await here.world.group("Dispatch", [ada])
    names = {f"directory_user_{id_}": name for id_, name in ((ada, "ada"), (ben, "ben"), (eve, "eve"))}
    for query, expected in (
        ("", ["eve", "ben", "ada"]),
        (f"directory={directory}", ["ben", "ada"]),
        (f"group=directory_group_{group}", ["ada"]),
        (f"group=directory_group_{group}&directory={directory}", ["ada"]),
        (f"group=directory_group_{group}&directory={other.directory.id}", []),
        (f"directory={directory}&email=BEN%40northwind.example", ["ben"]),
        (f"directory={directory}&idp_id=E1", ["ada"]),
        (f"directory={directory}&idp_id=e1", []),
        ("directory=&group=", ["eve", "ben", "ada"]),
    ):
        found = await here.get(f"/directory_users?{query}")
        assert [names[id_] for id_ in ids(found)] == expected, query
    for query, count in (
        ("", 1),
        (f"directory={directory}", 1),
        (f"directory={other.directory.id}", 0),
        (f"user=directory_user_{ada}", 1),
        (f"user=directory_user_{ben}", 0),
        (f"user=directory_user_{eve}&directory={directory}", 0),
    ):
        assert len(ids(await here.get(f"/directory_groups?{query}"))) == count, query


@pytest.mark.parametrize(
    "path",
    [
        f"/directory_users/directory_user_{NOBODY}",
        f"/directory_users/directory_group_{NOBODY}",
        f"/directory_users/{NOBODY}",
        "/directory_users/nonsense",
        f"/directory_groups/directory_group_{NOBODY}",
        "/directory_groups/%00",
        f"/directory_users?directory=directory_{NOBODY}",
        "/directory_users?directory=nonsense",
        f"/directory_users?group=directory_group_{NOBODY}",
        f"/directory_groups?directory=directory_{NOBODY}",
        f"/directory_groups?user=directory_user_{NOBODY}",
    ],
)
async def test_what_is_not_there_is_a_404(here: Api, path: str) -> None:
    assert await here.refused(404, "GET", path) == ["entity_not_found"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("email=a%40b.example", "directory_required"),
        ("idp_id=E1", "directory_required"),
        ("limit=1000", "limit_invalid"),
        ("order=up", "order_invalid"),
        (f"after=directory_group_{NOBODY}", "after_invalid"),
        ("email=%00", "email_invalid"),
    ],
)
async def test_a_wrong_query_is_named(here: Api, query: str, code: str) -> None:
    assert await here.refused(422, "GET", f"/directory_users?{query}") == ["validation_failed", code]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_walk_over_pages_sees_everybody_once(here: Api, order: str) -> None:
    people = [f"directory_user_{await here.world.user(f'user{n}')}" for n in range(7)]
    group = await here.world.group("All", [id_.removeprefix("directory_user_") for id_ in people])
    for narrowed in ("", f"&directory={here.world.place.directory.id}", f"&group=directory_group_{group}"):
        path = f"/directory_users?limit=3&order={order}{narrowed}"
        seen: list[str] = []
        after = ""
        while True:
            page = await here.get(path + after)
            seen += ids(page)
            if page["list_metadata"]["after"] is None:
                break
            after = f"&after={page['list_metadata']['after']}"
        assert seen == (people if order == "asc" else people[::-1])


async def test_nothing_can_be_written_here(here: Api) -> None:
    user = await here.world.user("ada")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/directory_users", f"/directory_users/directory_user_{user}", "/directory_groups"):
            answer = await here.call(method, path, {})
            assert answer.status_code == 405
            assert answer.headers["allow"] == "GET"
