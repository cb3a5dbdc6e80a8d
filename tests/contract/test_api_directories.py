"""Directories and bearer tokens over HTTP: exact shapes, statuses and refusals (`api.md` §2.1, §3.1, §11)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.api import Api, api
from tests.support.kernels import BASE_URL

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
KEYS = {
    "object",
    "id",
    "organization_id",
    "external_key",
    "type",
    "state",
    "name",
    "metadata",
    "created_at",
    "updated_at",
}
TYPE = "generic scim v2.0"
NOBODY = "directory_01KA0YPX7B9D1F3H5K7M9Q1S3T"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        yield made


def wanted(here: Api, **more: object) -> dict[str, object]:
    return {"organization_id": here.world.place.organization_id, "name": "People", "type": TYPE} | more


async def test_a_directory_has_exactly_the_keys_of_the_contract(here: Api) -> None:
    directory = here.world.place.directory.id
    ada = await here.world.user("ada")
    await here.world.group("Dispatch", [ada])
    found = await here.get(f"/directories/{directory}")
    assert found.keys() == KEYS
    assert (found["object"], found["id"], found["state"]) == ("directory", directory, "linked")
    assert found["metadata"] == {"users": {"active": 1, "inactive": 0}, "groups": 1}
    assert TIME.fullmatch(found["created_at"])
    listed = await here.get("/directories")
    assert listed == {
        "object": "list",
        "data": [found],
        "list_metadata": {"before": None, "after": None},
    }


async def test_creating_a_directory_shows_addresses_and_the_token_once(here: Api) -> None:
    answer = await here.call("POST", "/directories", wanted(here, inactive_users="keep"))
    assert answer.status_code == 201
    made: dict[str, Any] = answer.json()
    assert made.keys() == KEYS | {"inactive_users", "membership", "scim"}
    assert (made["state"], made["inactive_users"]) == ("validating", "keep")
    ulid = made["id"].removeprefix("directory_")
    token = made["scim"].pop("bearer_token")
    assert made["scim"] == {
        "endpoint": f"{BASE_URL}/scim/v2/{ulid}",
        "endpoint_v1": f"{BASE_URL}/scim/v1/{ulid}",
    }
    for path in (f"/directories/{made['id']}", f"/directories/{made['id']}/bearer_tokens", "/events"):
        assert token not in (await here.call("GET", path)).text
    pushed = await here.call(
        "POST", f"/scim/v2/{ulid}/Users", {"userName": "ada"}, headers={"Authorization": f"Bearer {token}"}
    )
    assert pushed.status_code == 201
    assert (await here.get(f"/directories/{made['id']}"))["state"] == "linked"


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"name": None}, ["name_invalid"]),
        ({"name": 7}, ["name_invalid"]),
        ({"name": ""}, ["name_required"]),
        ({"type": "nothing"}, ["type_unknown"]),
        ({"type": "workday"}, ["type_unsupported"]),
        ({"inactive_users": "no"}, ["inactive_users_invalid"]),
        ({"inactve_users": "keep"}, ["inactve_users_unknown"]),
    ],
)
async def test_a_wrong_field_is_named(here: Api, change: dict[str, object], codes: list[str]) -> None:
    assert (await here.refused(422, "POST", "/directories", wanted(here, **change)))[1:] == codes
    assert len((await here.get("/directories"))["data"]) == 1


async def test_refusals_of_creation(here: Api) -> None:
    assert await here.refused(422, "POST", "/directories", {"name": "x", "type": TYPE}) == [
        "validation_failed",
        "organization_id_required",
    ]
    assert await here.refused(422, "POST", "/directories", wanted(here, type="sftp")) == [
        "type_unsupported",
        "type_unsupported",
    ]
    unknown = wanted(here, organization_id="org_01KA0YPX7B9D1F3H5K7M9Q1S3T")
    assert await here.refused(404, "POST", "/directories", unknown) == ["entity_not_found"]
    for text in ("{", "[]", '{"name":"a","name":"b"}', "nul", '{"name":NaN}'):
        answer = await here.call("POST", "/directories", content=text)
        assert answer.status_code == 400, text


async def test_updating_a_directory(here: Api) -> None:
    path = f"/directories/{here.world.place.directory.id}"
    answer = await here.call("PATCH", path, {"name": "Renamed"})
    assert (answer.status_code, answer.json()["name"]) == (200, "Renamed")
    assert answer.json()["scim"].keys() == {"endpoint", "endpoint_v1"}
    answer = await here.call("PATCH", path, {"inactive_users": "keep"})
    assert (answer.json()["inactive_users"], answer.json()["name"]) == ("keep", "Renamed")
    assert (await here.call("PATCH", path, {})).status_code == 200
    assert (await here.refused(422, "PATCH", path, {"type": TYPE}))[1:] == ["type_unknown"]
    assert (await here.refused(422, "PATCH", path, {"name": " "}))[1:] == ["name_required"]
    assert (await here.refused(422, "PATCH", path, {"inactive_users": 1}))[1:] == ["inactive_users_invalid"]
    assert await here.refused(404, "PATCH", f"/directories/{NOBODY}", {"name": "x"}) == ["entity_not_found"]


async def test_deleting_a_directory(here: Api) -> None:
    path = f"/directories/{here.world.place.directory.id}"
    assert (await here.call("DELETE", path)).status_code == 202
    for method, below in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/sync"),
        ("GET", "/bearer_tokens"),
        ("POST", "/bearer_tokens"),
    ):
        assert await here.refused(404, method, path + below) == ["entity_not_found"]
    assert (await here.get("/directories"))["data"] == []


async def test_an_unknown_directory_is_a_404_that_names_it(here: Api) -> None:
    for id_ in (NOBODY, "directory_1", "%00", "a%2Fb", "ä"):
        answer = await here.call("GET", f"/directories/{id_}")
        assert answer.status_code == 404
        assert answer.json()["code"] == "entity_not_found"
        assert answer.json()["message"] == f"Directory not found: '{answer.json()['entity_id']}'."


async def test_a_pushed_directory_has_nothing_to_pull(here: Api) -> None:
    path = f"/directories/{here.world.place.directory.id}/sync"
    assert (await here.refused(422, "POST", path))[0] == "directory_sync_unsupported"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "limit_invalid"),
        ("limit=101", "limit_invalid"),
        ("limit=ten", "limit_invalid"),
        ("limit=-1", "limit_invalid"),
        ("limit=1.0", "limit_invalid"),
        ("order=newest", "order_invalid"),
        ("after=nonsense", "after_invalid"),
        ("before=org_01KA0YPX7B9D1F3H5K7M9Q1S3T", "before_invalid"),
        ("search=%00", "search_invalid"),
        ("search=%ff", "query_invalid"),
    ],
)
async def test_a_wrong_query_is_named(here: Api, query: str, code: str) -> None:
    assert await here.refused(422, "GET", f"/directories?{query}") == ["validation_failed", code]


async def test_unknown_parameters_empty_ones_and_a_trailing_slash_are_nothing(here: Api) -> None:
    expected = await here.get("/directories")
    for path in (
        "/directories/",
        "/directories?directoryState=x",
        "/directories?search=&after=&limit=&order=&organization_id=",
        "/directories?limit=1&limit=100",
        "/directories/?domain=",
    ):
        assert await here.get(path) == expected


async def test_paging_forth_and_back(here: Api) -> None:
    made = [here.world.place.directory.id]
    for n in range(4):
        made.append((await here.call("POST", "/directories", wanted(here, name=f"No {n}"))).json()["id"])
    newest_first = made[::-1]
    first = await here.get("/directories?limit=2")
    assert [one["id"] for one in first["data"]] == newest_first[:2]
    assert first["list_metadata"] == {"before": None, "after": newest_first[1]}
    second = await here.get(f"/directories?limit=2&after={newest_first[1]}&order=desc")
    assert [one["id"] for one in second["data"]] == newest_first[2:4]
    assert second["list_metadata"] == {"before": newest_first[2], "after": newest_first[3]}
    back = await here.get(f"/directories?limit=2&before={newest_first[2]}")
    assert back["data"] == first["data"]
    assert back["list_metadata"] == first["list_metadata"]
    window = await here.get(f"/directories?after={newest_first[0]}&before={newest_first[3]}")
    assert [one["id"] for one in window["data"]] == newest_first[1:3]
    assert window["list_metadata"]["after"] is None
    oldest = await here.get("/directories?limit=2&order=asc")
    assert [one["id"] for one in oldest["data"]] == made[:2]
    normal = await here.get(f"/directories?limit=2&order=normal&before={newest_first[1]}")
    assert normal["data"] == second["data"]


async def test_tokens_over_their_life(here: Api) -> None:
    path = f"/directories/{here.world.place.directory.id}/bearer_tokens"
    answer = await here.call("POST", path, {"label": "first", "expires_at": "2999-01-01T00:00:00+02:00"})
    made = answer.json()
    assert answer.status_code == 201
    assert made.pop("token").startswith("scim_")
    assert made == {
        "object": "directory_token",
        "id": made["id"],
        "directory_id": here.world.place.directory.id,
        "label": "first",
        "token_suffix": made["token_suffix"],
        "created_at": made["created_at"],
        "expires_at": "2998-12-31T22:00:00.000Z",
        "last_used_at": None,
    }
    assert (await here.get(path))["data"] == [made]
    rotated = await here.call("POST", f"{path}/{made['id']}/rotate", {"overlap_seconds": 60})
    assert rotated.status_code == 201
    successor = rotated.json()
    [newer, older] = (await here.get(path))["data"]
    assert (newer["id"], older["id"]) == (successor["id"], made["id"])
    assert older["expires_at"] < made["expires_at"]
    assert (await here.call("DELETE", f"{path}/{made['id']}")).status_code == 204
    assert await here.refused(404, "DELETE", f"{path}/{made['id']}") == ["entity_not_found"]
    assert [one["id"] for one in (await here.get(path))["data"]] == [successor["id"]]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"label": 7}, "label_invalid"),
        ({"label": "x" * 300}, "label_too_long"),
        ({"expires_at": "tomorrow"}, "expires_at_invalid"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at_invalid"),
        ({"expires_at": "2999-01-01T00:00:00"}, "expires_at_invalid"),
        ({"expires": "2999-01-01T00:00:00Z"}, "expires_unknown"),
    ],
)
async def test_a_wrong_wish_for_a_token_is_named(here: Api, body: dict[str, object], code: str) -> None:
    path = f"/directories/{here.world.place.directory.id}/bearer_tokens"
    assert await here.refused(422, "POST", path, body) == ["validation_failed", code]
    assert (await here.get(path))["data"] == []


async def test_a_key_does_only_what_its_scopes_allow(here: Api) -> None:
    path = f"/directories/{here.world.place.directory.id}"
    headers = {"Authorization": f"Bearer {await here.key(['read'])}"}
    assert (await here.call("GET", path, headers=headers)).status_code == 200
    for method, below, body in (
        ("DELETE", "", None),
        ("PATCH", "", {"name": "x"}),
        ("POST", "/bearer_tokens", {}),
    ):
        answer = await here.call(method, path + below, body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    for wrong in ("", "Bearer ", "Bearer sk_wrong", "Basic eDp5", "Bearer \xff"):
        answer = await here.call("DELETE", path, headers={"Authorization": wrong.encode("latin-1")})
        assert (answer.status_code, answer.json()["message"]) == (401, "Unauthorized")
    assert (await here.get(path))["name"] == "Northwind"
