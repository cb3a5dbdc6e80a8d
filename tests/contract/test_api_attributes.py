"""Attributes over HTTP: definitions, maps, previews, what a directory sends, and how a change is applied."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from syncline.services.observed_attributes import ObservedAttributes
from tests.support.api import Api, api

CUSTOM = "urn:okta:acme:2.0:user:custom"
NOBODY = "attribute_01KA0YPX7B9D1F3H5K7M9Q1S3T"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        yield made


@pytest.fixture
async def people(here: Api) -> list[str]:
    """Three people: two with a cost pool, one of these with a nickname as well."""
    made = [
        await pushed(here, "mira", {"title": "Planner", "nickName": " Mi ", CUSTOM: {"costPool": "North"}}),
        await pushed(here, "noor", {"title": "Driver", CUSTOM: {"costPool": "South"}}),
        await pushed(here, "odd", {"emails": [{"value": "odd@x.example", "type": "work"}]}),
    ]
    return [f"directory_user_{id_}" for id_ in made]


async def pushed(here: Api, user_name: str, body: dict[str, Any]) -> str:
    return await here.world.user(user_name, **body)


def home(here: Api) -> str:
    return f"/directories/{here.world.place.directory.id}"


async def defined(here: Api, key: str, **more: Any) -> Any:
    answer = await here.call("POST", "/attributes", {"key": key, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def applied(here: Api) -> Any:
    """Let the job that is due come to its end."""
    await here.world.services.reevaluations.complete()
    job = await here.get(f"{home(here)}/reevaluation")
    assert job["state"] == "complete"
    return job


async def custom(here: Api) -> list[Any]:
    found = await here.get(f"/directory_users?directory={here.world.place.directory.id}&order=asc")
    return [person["custom_attributes"] for person in found["data"]]


async def updates(here: Api) -> list[Any]:
    return [data for name, data in await here.world.told() if name == "dsync.user.updated"]


async def test_a_definition_has_the_shape_that_is_documented(here: Api) -> None:
    sources = [f"{CUSTOM}.costPool", {"value": "none", "transforms": ["upper"]}]
    made = await defined(here, "cost_pool", type="string", required=True, description=" x ", sources=sources)
    assert made == {
        "object": "attribute",
        "id": made["id"],
        "key": "cost_pool",
        "kind": "custom",
        "type": "string",
        "required": True,
        "description": "x",
        "sources": [
            {"path": f"{CUSTOM}.costPool", "transforms": []},
            {"value": "none", "transforms": [{"name": "upper", "arguments": {}}]},
        ],
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
    }
    assert made["id"].startswith("attribute_")
    assert await here.get(f"/attributes/{made['id']}") == made
    predefined = await defined(here, "department_name")
    assert (predefined["kind"], predefined["sources"]) == ("predefined", [])
    listed = await here.get("/attributes?limit=1")
    assert listed["data"] == [predefined]
    assert listed["list_metadata"]["after"] == predefined["id"]


async def test_an_attribute_is_shown_with_everybody_and_each_change_is_told(
    here: Api, people: list[str]
) -> None:
    await defined(here, "cost_pool", sources=[f"{CUSTOM}.costPool"])
    job = await applied(here)
    assert (job["total"], job["done"], job["changed"]) == (3, 3, 2)
    assert await custom(here) == [{"cost_pool": "North"}, {"cost_pool": "South"}, {"cost_pool": None}]
    told = await updates(here)
    assert [data["id"] for data in told] == people[:2]
    assert [data["previous_attributes"] for data in told] == [{"custom_attributes": {"cost_pool": None}}] * 2
    assert [data["custom_attributes"] for data in told] == [{"cost_pool": "North"}, {"cost_pool": "South"}]


async def test_a_change_of_sources_and_a_deletion_are_told_with_the_old_values(
    here: Api, people: list[str]
) -> None:
    made = await defined(here, "cost_pool", sources=[f"{CUSTOM}.costPool"])
    await applied(here)
    before = len(await updates(here))
    lower = [{"path": f"{CUSTOM}.costPool", "transforms": ["lower"]}]
    answer = await here.call("PATCH", f"/attributes/{made['id']}", {"sources": lower})
    assert answer.status_code == 200
    await applied(here)
    told = (await updates(here))[before:]
    assert [data["previous_attributes"]["custom_attributes"] for data in told] == [
        {"cost_pool": "North"},
        {"cost_pool": "South"},
    ]
    assert [data["custom_attributes"]["cost_pool"] for data in told] == ["north", "south"]
    assert (await here.call("DELETE", f"/attributes/{made['id']}")).status_code == 204
    await applied(here)
    told = (await updates(here))[before + 2 :]
    assert [data["id"] for data in told] == people[:2]
    assert [data["previous_attributes"] for data in told] == [
        {"custom_attributes": {"cost_pool": "north"}},
        {"custom_attributes": {"cost_pool": "south"}},
    ]
    assert await custom(here) == [{}, {}, {}]
    await here.refused(404, "GET", f"/attributes/{made['id']}")


async def test_people_who_come_later_have_the_attribute_from_the_start(here: Api) -> None:
    await defined(here, "cost_pool", sources=[f"{CUSTOM}.costPool"])
    await pushed(here, "mira", {CUSTOM: {"costPool": "North"}})
    (created,) = [data for name, data in await here.world.told() if name == "dsync.user.created"]
    assert created["custom_attributes"] == {"cost_pool": "North"}


async def test_a_new_directory_shows_what_the_environment_defines(here: Api) -> None:
    await defined(here, "cost_pool", sources=[f"{CUSTOM}.costPool"])
    body = {
        "organization_id": here.world.place.organization_id,
        "name": "Second",
        "type": "generic scim v2.0",
    }
    made = (await here.call("POST", "/directories", body)).json()
    base = made["scim"]["endpoint"].removeprefix("https://syncline.example")
    answer = await here.call(
        "POST",
        f"{base}/Users",
        {"userName": "mira", CUSTOM: {"costPool": "North"}},
        headers={"Authorization": f"Bearer {made['scim']['bearer_token']}"},
    )
    assert answer.status_code == 201, answer.text
    found = await here.get(f"/directory_users?directory={made['id']}")
    assert [person["custom_attributes"] for person in found["data"]] == [{"cost_pool": "North"}]


async def test_the_same_definition_again_is_no_change(here: Api, people: list[str]) -> None:
    made = await defined(here, "cost_pool", sources=[f"{CUSTOM}.costPool"])
    await applied(here)
    told = len(await updates(here))
    answer = await here.call("PATCH", f"/attributes/{made['id']}", {"sources": [f"{CUSTOM}.costPool"]})
    assert answer.json() == made
    job = await applied(here)
    assert job["changed"] == 2
    assert len(await updates(here)) == told


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["key_required"]),
    ({"key": "1x"}, ["key_invalid"]),
    ({"key": ""}, ["key_invalid"]),
    ({"key": "x" * 65}, ["key_invalid"]),
    ({"key": "a b"}, ["key_invalid"]),
    ({"key": "state"}, ["key_invalid", "sources_required"]),
    ({"key": "Email"}, ["key_invalid"]),
    ({"key": "roles"}, ["key_invalid"]),
    ({"key": "x", "kind": "predefined"}, ["key_unknown"]),
    ({"key": "x", "kind": "standard"}, ["key_unknown", "sources_required"]),
    ({"key": "x", "kind": "own"}, ["kind_unknown"]),
    ({"key": "x", "type": "text"}, ["type_unknown"]),
    ({"key": "department_name", "type": "number"}, ["type_invalid"]),
    ({"key": "email"}, ["sources_required"]),
    ({"key": "email", "sources": ["mail"], "required": True}, ["required_invalid", "sources_required"]),
    ({"key": "x", "required": "yes"}, ["required_invalid"]),
    ({"key": "x", "colour": 1}, ["colour_unknown"]),
    ({"key": "x", "description": "d" * 501}, ["description_invalid"]),
    ({"key": "x", "sources": "title"}, ["sources_invalid"]),
    ({"key": "x", "sources": ["a"] * 21}, ["sources_invalid"]),
    ({"key": "x", "sources": ["title", "a..b"]}, ["sources[1].path_invalid"]),
    ({"key": "x", "sources": ['emails[type eq "work"']}, ["sources[0].path_invalid"]),
    ({"key": "x", "sources": ["emails[type]"]}, ["sources[0].path_invalid"]),
    ({"key": "x", "sources": ["$nothing"]}, ["sources[0].path_unknown"]),
    ({"key": "x", "sources": [7]}, ["sources[0]_invalid"]),
    ({"key": "x", "sources": [{}]}, ["sources[0].path_required"]),
    ({"key": "x", "sources": [{"path": "a", "value": 1}]}, ["sources[0].path_required"]),
    ({"key": "x", "sources": [{"path": 1}]}, ["sources[0].path_invalid"]),
    ({"key": "x", "sources": [{"path": "a", "else": 1}]}, ["sources[0].else_unknown"]),
    ({"key": "x", "sources": [{"value": "v" * 5000}]}, ["sources[0].value_invalid"]),
    (
        {"key": "x", "sources": [{"path": "a", "transforms": ["trim", "shout"]}]},
        ["sources[0].transforms[1]_invalid"],
    ),
    (
        {
            "key": "x",
            "sources": [{"path": "a", "transforms": [{"name": "join", "arguments": {"by": 1}}]}],
        },
        ["sources[0].transforms[0].arguments.by_invalid"],
    ),
    (
        {"key": "x", "sources": [{"path": "a", "transforms": [{"arguments": {}}]}]},
        ["sources[0].transforms[0].name_required"],
    ),
]


async def test_a_definition_that_cannot_be_says_which_part_of_it(here: Api) -> None:
    for body, codes in WRONG:
        assert await here.refused(422, "POST", "/attributes", body) == ["validation_failed", *codes], body
    assert (await here.get("/attributes"))["data"] == []


async def test_the_message_tells_what_would_be_right(here: Api) -> None:
    body = {"key": "x", "sources": [{"path": "a", "transforms": ["shout"]}]}
    message = (await here.call("POST", "/attributes", body)).json()["message"]
    assert message.startswith(
        "sources[0].transforms[0]: There is no transform 'shout'. There are: trim, lower,"
    )


async def test_a_key_is_taken_in_any_letter_case(here: Api) -> None:
    await defined(here, "cost_pool")
    await defined(here, "job_title")
    assert await here.refused(409, "POST", "/attributes", {"key": "Cost_Pool"}) == ["attribute_key_taken"]
    standard = {"key": "job_title", "kind": "standard", "sources": ["title"]}
    assert await here.refused(409, "POST", "/attributes", standard) == ["attribute_key_taken"]


async def test_key_and_kind_stay_for_ever(here: Api) -> None:
    made = await defined(here, "department_name")
    for body, code in (
        ({"key": "dept"}, "key_unknown"),
        ({"kind": "custom"}, "kind_unknown"),
        ({"type": "list"}, "type_invalid"),
    ):
        assert code in await here.refused(422, "PATCH", f"/attributes/{made['id']}", body)
    assert await here.get(f"/attributes/{made['id']}") == made


async def test_a_standard_attribute_from_elsewhere_is_told_and_found(here: Api) -> None:
    await here.world.user("mira", mail="mira@corp.example")
    made = await defined(here, "email", sources=["mail", "$email"])
    assert made["kind"] == "standard"
    await applied(here)
    (told,) = await updates(here)
    assert told["previous_attributes"] == {"email": None}
    found = await here.get(
        f"/directory_users?directory={here.world.place.directory.id}&email=Mira@corp.example"
    )
    assert [person["email"] for person in found["data"]] == ["mira@corp.example"]
    assert "sources_required" in await here.refused(
        422, "PATCH", f"/attributes/{made['id']}", {"sources": []}
    )


async def test_what_stands_at_the_top_as_well_is_told_when_it_is_switched_on_and_off(here: Api) -> None:
    """With a standard attribute from elsewhere nobody was told, and previews never counted it."""
    await pushed(here, "mira", {"title": "Planner", "nickName": "Mi"})
    await defined(here, "name", sources=["nickName"])
    await applied(here)
    before = len(await updates(here))
    path = f"{home(here)}/attribute_map/preview"
    preview = (await here.call("POST", path, {"definitions": {"job_title": {}, "username": {}}})).json()
    counted = [(one["key"], one["changed"], one["filled"]) for one in preview["attributes"]]
    assert (preview["changed"], counted) == (1, [("job_title", 1, 1), ("username", 1, 1)])
    made = await defined(here, "job_title")
    await defined(here, "username")
    await applied(here)
    (on,) = (await updates(here))[before:]
    assert on["custom_attributes"] == {"job_title": "Planner", "username": "mira"}
    assert on["previous_attributes"] == {"custom_attributes": {"job_title": None, "username": None}}
    preview = (await here.call("POST", path, {"definitions": {"job_title": None}})).json()
    assert (preview["changed"], preview["losing"]["people"]) == (1, 1)
    assert (await here.call("DELETE", f"/attributes/{made['id']}")).status_code == 204
    await applied(here)
    (off,) = (await updates(here))[before + 1 :]
    assert off["previous_attributes"] == {"custom_attributes": {"job_title": "Planner"}}
    assert (off["job_title"], off["custom_attributes"]) == ("Planner", {"username": "mira"})


async def test_the_map_tells_level_coverage_and_who_misses_what_is_required(
    here: Api, people: list[str]
) -> None:
    await defined(here, "cost_pool", required=True, sources=[f"{CUSTOM}.costPool"])
    await defined(here, "nick")
    await defined(here, "department_name")
    own = {"nick": [{"path": "nickName", "transforms": ["trim"]}]}
    put = await here.call("PUT", f"{home(here)}/attribute_map", {"sources": own})
    assert put.status_code == 200, put.text
    await applied(here)
    found = await here.get(f"{home(here)}/attribute_map")
    assert (found["object"], found["version"]) == ("attribute_map", 1)
    shown = {one["key"]: one for one in found["attributes"]}
    assert list(shown)[:6] == ["email", "first_name", "job_title", "last_name", "name", "username"]
    assert {key: one["level"] for key, one in shown.items() if one["kind"] != "standard"} == {
        "cost_pool": "environment",
        "department_name": "built_in",
        "nick": "directory",
    }
    assert shown["cost_pool"]["coverage"] == {"people": 3, "examined": 3, "filled": 2, "ratio": 0.6667}
    assert (shown["cost_pool"]["missing"], shown["cost_pool"]["missing_examples"]) == (1, people[2:])
    assert (shown["nick"]["coverage"]["filled"], shown["nick"]["missing"]) == (1, None)
    assert shown["email"]["coverage"] == {"people": 3, "examined": 3, "filled": 1, "ratio": 0.3333}
    assert shown["department_name"]["sources"][0]["path"].endswith(":User.department")
    assert [person["nick"] for person in await custom(here)] == ["Mi", None, None]


async def test_a_directorys_own_sources_have_versions_that_can_be_restored(
    here: Api, people: list[str]
) -> None:
    await defined(here, "nick")
    path = f"{home(here)}/attribute_map"
    for source in ("nickName", "title", "title"):
        await here.call("PUT", path, {"sources": {"nick": [source]}})
    versions = (await here.get(f"{path}/versions"))["data"]
    assert [one["version"] for one in versions] == [2, 1]
    assert versions[1]["sources"] == {"nick": [{"path": "nickName", "transforms": []}]}
    assert versions[0]["actor_id"].startswith("key_")
    restored = await here.call("POST", f"{path}/versions/1/restore")
    assert (restored.status_code, restored.json()["version"]) == (200, 3)
    await applied(here)
    assert [person["nick"] for person in await custom(here)] == [" Mi ", None, None]
    reset = await here.call("PUT", path, {"sources": {}})
    assert (reset.json()["version"], reset.json()["attributes"][-1]["level"]) == (4, "built_in")
    for unknown in ("9", "0", "-1", "x", "1" * 30):
        assert await here.refused(404, "POST", f"{path}/versions/{unknown}/restore") == ["entity_not_found"]


async def test_a_map_of_what_is_not_there_is_refused_and_changes_nothing(here: Api) -> None:
    path = f"{home(here)}/attribute_map"
    for body, code in (
        ({"sources": {"pool": ["a"]}}, "sources.pool_unknown"),
        ({"sources": {"state": ["a"]}}, "sources.state_unknown"),
        ({"sources": {"email": ["a..b"]}}, "sources.email[0].path_invalid"),
        ({"sources": []}, "sources_invalid"),
        ({}, "sources_required"),
        ({"sources": {}, "x": 1}, "x_unknown"),
    ):
        assert code in await here.refused(422, "PUT", path, body)
    assert (await here.get(path))["version"] == 0
    assert (await here.get(f"{path}/versions"))["data"] == []


async def test_a_preview_says_what_the_change_then_does(here: Api, people: list[str]) -> None:
    made = await defined(here, "cost_pool", sources=[f"{CUSTOM}.costPool"])
    await applied(here)
    sources = [
        {
            "path": f"{CUSTOM}.costPool",
            "transforms": [{"name": "map", "arguments": {"table": {"north": "N"}}}],
        }
    ]
    body = {"definitions": {"cost_pool": {"sources": sources}, "department_name": {}}}
    answer = await here.call("POST", f"{home(here)}/attribute_map/preview", body)
    assert answer.status_code == 200, answer.text
    preview = answer.json()
    lost = {"directory_user_id": people[1], "key": "cost_pool", "before": "South", "after": None}
    assert preview == {
        "object": "attribute_map_preview",
        "directory_id": here.world.place.directory.id,
        "total": 3,
        "changed": 2,
        "attributes": [{"key": "cost_pool", "changed": 2, "filled": 0, "emptied": 1}],
        "examples": [
            {"directory_user_id": people[0], "key": "cost_pool", "before": "North", "after": "N"},
            lost,
        ],
        "losing": {"people": 1, "examples": [lost]},
        "roles_changed": 0,
        "person": None,
        "left_out": [],
        "events": {"dsync.user.updated": 2},
    }
    assert [person["cost_pool"] for person in await custom(here)] == ["North", "South", None]
    before = len(await updates(here))
    await here.call("PATCH", f"/attributes/{made['id']}", {"sources": sources})
    await defined(here, "department_name")
    await applied(here)
    told = (await updates(here))[before:]
    assert len(told) == preview["events"]["dsync.user.updated"]
    assert [person["cost_pool"] for person in await custom(here)] == ["N", None, None]


async def test_a_preview_of_own_sources_and_of_a_deletion(here: Api, people: list[str]) -> None:
    await defined(here, "cost_pool", sources=[f"{CUSTOM}.costPool"])
    await applied(here)
    path = f"{home(here)}/attribute_map/preview"
    own = (await here.call("POST", path, {"sources": {"cost_pool": ["title"]}})).json()
    assert own["attributes"] == [{"key": "cost_pool", "changed": 2, "filled": 0, "emptied": 0}]
    gone = (await here.call("POST", path, {"definitions": {"cost_pool": None}})).json()
    assert (gone["changed"], gone["losing"]["people"]) == (2, 2)
    nothing = (await here.call("POST", path, {})).json()
    assert (nothing["total"], nothing["changed"]) == (3, 0)
    for body, code in (
        ({"definitions": {"pool": None}}, "definitions.pool_unknown"),
        ({"definitions": {"pool": 7}}, "definitions.pool_invalid"),
        ({"definitions": {"pool": {"colour": 1}}}, "definitions.pool_invalid"),
        ({"definitions": {"pool": {"sources": ["a..b"]}}}, "definitions.pool.sources[0].path_invalid"),
        ({"sources": {"pool": ["a"]}}, "sources.pool_unknown"),
    ):
        assert code in await here.refused(422, "POST", path, body)
    both = {"definitions": {"pool": {}}, "sources": {"pool": ["title"]}}
    assert (await here.call("POST", path, both)).json()["attributes"] == [
        {"key": "cost_pool", "changed": 0, "filled": 0, "emptied": 0},
        {"key": "pool", "changed": 2, "filled": 2, "emptied": 0},
    ][1:]


async def test_what_a_directory_sends_is_listed_in_the_words_of_maps(here: Api, people: list[str]) -> None:
    found = await here.get(f"{home(here)}/observed_attributes")
    assert (found["people"], found["examined"], found["sampled"], found["cut"]) == (3, 3, False, False)
    shown = {one["path"]: one for one in found["attributes"]}
    assert shown[f"{CUSTOM}.costPool"] == {
        "path": f"{CUSTOM}.costPool",
        "name": "costPool",
        "types": ["string"],
        "people": 2,
        "ratio": 0.6667,
        "samples": ["Xxxxx"],
    }
    assert shown['emails[type eq "work"].value']["samples"] == ["xxx@x.xxxxxxx"]
    assert shown["userName"]["people"] == 3
    clear = await here.get(f"{home(here)}/observed_attributes?unmasked=true")
    samples = {one["path"]: one["samples"] for one in clear["attributes"]}
    assert samples[f"{CUSTOM}.costPool"] == ["North", "South"]
    assert clear["masked"] is False


async def test_samples_without_masks_and_writing_need_an_admin(here: Api, people: list[str]) -> None:
    for scopes in (["read"], ["read", "write"]):
        headers = {"Authorization": f"Bearer {await here.key(scopes)}"}
        for method, path, body, status in (
            ("GET", f"{home(here)}/observed_attributes", None, 200),
            ("GET", f"{home(here)}/observed_attributes?unmasked=true", None, 403),
            ("GET", f"{home(here)}/attribute_map", None, 200),
            ("GET", f"{home(here)}/reevaluation", None, 200),
            ("GET", "/attributes", None, 200),
            ("GET", "/environment", None, 200),
            ("PUT", f"{home(here)}/attribute_map", {"sources": {}}, 403),
            ("POST", f"{home(here)}/attribute_map/preview", {}, 403),
            ("POST", "/attributes", {"key": "x"}, 403),
            ("PATCH", "/environment", {}, 403),
        ):
            answer = await here.call(method, path, body, headers=headers)
            assert answer.status_code == status, (path, answer.text)


async def test_raw_attributes_are_shown_where_the_environment_says_so(here: Api, people: list[str]) -> None:
    settled = await here.get("/environment")
    assert settled == {
        "object": "environment",
        "id": here.world.environment,
        "name": settled["name"],
        "inactive_users": "delete",
        "raw_attributes": False,
        "role_mode": "single",
        "default_role": "member",
        "created_at": settled["created_at"],
        "updated_at": settled["updated_at"],
    }
    shown = await here.get(f"/directory_users/{people[0]}")
    assert shown["raw_attributes"] == {}
    changed = await here.call("PATCH", "/environment", {"raw_attributes": True})
    assert (changed.status_code, changed.json()["raw_attributes"]) == (200, True)
    await applied(here)
    shown = await here.get(f"/directory_users/{people[0]}")
    assert shown["raw_attributes"]["nickName"] == " Mi "
    assert shown["raw_attributes"][CUSTOM] == {"costPool": "North"}
    await here.call("PATCH", "/environment", {"raw_attributes": False})
    assert (await here.get(f"/directory_users/{people[0]}"))["raw_attributes"] == {}


async def test_settings_that_cannot_be_are_refused(here: Api) -> None:
    before = await here.get("/environment")
    for body, code in (
        ({"raw_attributes": "yes"}, "raw_attributes_invalid"),
        ({"role_mode": "both"}, "role_mode_invalid"),
        ({"default_role": "nobody"}, "default_role_unknown"),
        ({"name": "x"}, "name_unknown"),
    ):
        assert code in await here.refused(422, "PATCH", "/environment", body)
    assert await here.get("/environment") == before
    assert (await here.call("PATCH", "/environment", {"role_mode": "multiple"})).json()[
        "role_mode"
    ] == "multiple"


async def test_where_nothing_ever_changed_there_is_no_job(here: Api) -> None:
    job = await here.get(f"{home(here)}/reevaluation")
    assert (job["state"], job["total"], job["created_at"]) == ("none", 0, None)
    assert await here.refused(404, "GET", f"/attributes/{NOBODY}") == ["entity_not_found"]
    assert await here.refused(404, "DELETE", "/attributes/x") == ["entity_not_found"]


async def test_the_address_of_a_manager_is_found_in_the_same_directory(here: Api) -> None:
    noor = await pushed(here, "noor", {"emails": [{"value": "noor@x.example", "primary": True}]})
    await pushed(here, "mira", {"manager": {"value": noor}})
    await defined(here, "manager_email")
    await applied(here)
    await pushed(here, "later", {"manager": {"value": noor}})
    assert await custom(here) == [
        {"manager_email": None},
        {"manager_email": "noor@x.example"},
        {"manager_email": "noor@x.example"},
    ]


async def test_of_many_people_some_are_looked_at_all_over_the_directory(here: Api) -> None:
    for number in range(9):
        await pushed(here, f"p{number}", {"title": f"t{number}"})
    few = ObservedAttributes(here.world.services.kernel, most_people=4, stretch=2)
    found = await few.get(here.world.environment, here.world.place.directory.id)
    assert (found.people, found.examined) == (9, 4)
    (title,) = [one for one in found.paths if one.path == "title"]
    assert sorted(title.shared) == ["t0", "t1", "t4", "t5"]


async def test_reports_show_the_address_that_the_map_gives_their_manager(here: Api) -> None:
    await pushed(here, "mira", {"manager": {"value": "n-1"}})
    noor = {"externalId": "n-1", "mail": "noor@corp.example", "emails": [{"value": "noor@x.example"}]}
    await pushed(here, "noor", noor)
    await defined(here, "manager_email")
    await applied(here)
    body = {"definitions": {"email": {"sources": ["mail", "$email"]}}}
    preview = (await here.call("POST", f"{home(here)}/attribute_map/preview", body)).json()
    assert preview["changed"] == 2
    await defined(here, "email", sources=["mail", "$email"])
    await applied(here)
    assert [one["manager_email"] for one in await custom(here)] == ["noor@corp.example", None]
