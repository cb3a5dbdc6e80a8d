"""Versions of what an environment defines over HTTP, and versions of directories' own maps tried out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.api import Api, api

ROOT = "/attributes/versions"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        yield made


async def defined(here: Api, key: str, **more: Any) -> Any:
    answer = await here.call("POST", "/attributes", {"key": key, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def done(here: Api, method: str, path: str, body: object = None) -> Any:
    answer = await here.call(method, path, body)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


async def applied(here: Api) -> None:
    await here.world.services.reevaluations.complete()


async def custom(here: Api) -> list[Any]:
    return [one["custom_attributes"] for one in (await here.get("/directory_users?order=asc"))["data"]]


async def updates(here: Api) -> list[Any]:
    return [data for name, data in await here.world.told() if name == "dsync.user.updated"]


async def listed(here: Api) -> list[tuple[Any, ...]]:
    names = ("version", "added", "changed", "removed", "restored")
    return [tuple(one[name] for name in names) for one in (await here.get(ROOT))["data"]]


async def test_every_change_of_a_definition_is_a_version_of_the_whole_set(here: Api) -> None:
    nick = await defined(here, "nick", sources=["nickName"])
    await defined(here, "department_name")
    changed = await done(here, "PATCH", f"/attributes/{nick['id']}", {"sources": ["title"]})
    # Says what is there already.
    await done(here, "PATCH", f"/attributes/{nick['id']}", {"sources": ["title"]})
    await done(here, "DELETE", f"/attributes/{nick['id']}")
    assert await listed(here) == [
        (4, [], [], ["nick"], None),
        (3, [], ["nick"], [], None),
        (2, ["department_name"], [], [], None),
        (1, ["nick"], [], [], None),
    ]
    first, third = await here.get(f"{ROOT}/1"), await here.get(f"{ROOT}/3")
    assert first == {
        "object": "attribute_version",
        "version": 1,
        "added": ["nick"],
        "changed": [],
        "removed": [],
        "restored": None,
        "request_id": first["request_id"],
        "actor_id": first["actor_id"],
        "created_at": first["created_at"],
        "attributes": [nick],
    }
    assert first["request_id"].startswith("request_")
    assert first["actor_id"].startswith("key_")
    assert third["attributes"][1] == changed
    assert [one["key"] for one in third["attributes"]] == ["department_name", "nick"]
    assert "attributes" not in (await here.get(ROOT))["data"][0]


async def test_a_restored_version_is_previewed_then_told_with_the_old_values(here: Api) -> None:
    mira = await here.world.user("mira", title="Planner", nickName="Mi")
    noor = await here.world.user("noor", title="Driver")
    nick = await defined(here, "nick", sources=["nickName"])
    await defined(here, "job_title")
    await done(here, "DELETE", f"/attributes/{nick['id']}")
    await defined(here, "unit", type="list", sources=["title"])
    await applied(here)
    before = await custom(here)
    assert before == [
        {"job_title": "Planner", "unit": ["Planner"]},
        {"job_title": "Driver", "unit": ["Driver"]},
    ]
    told = len(await updates(here))

    preview = await done(here, "POST", f"{ROOT}/1/preview")
    shown = [f"directory_user_{id_}" for id_ in (mira, noor)]
    assert {one["key"]: (one["changed"], one["filled"], one["emptied"]) for one in preview["attributes"]} == {
        "nick": (1, 1, 0),
        "job_title": (2, 0, 2),
        "unit": (2, 0, 2),
    }
    assert (preview["version"], preview["directories"]) == (1, 1)
    assert (preview["total"], preview["changed"], preview["losing"]["people"]) == (2, 2, 2)
    assert {
        "directory_user_id": shown[1],
        "key": "unit",
        "before": ["Driver"],
        "after": None,
    } in preview["losing"]["examples"]
    home = here.world.place.directory.id
    assert await done(here, "POST", f"{ROOT}/1/preview?directory={home}") == preview
    await applied(here)
    assert (await custom(here), len(await updates(here))) == (before, told)

    restored = await done(here, "POST", f"{ROOT}/1/restore")
    assert (restored["version"], restored["restored"]) == (5, 1)
    assert (restored["added"], restored["removed"]) == (["nick"], ["job_title", "unit"])
    (back,) = (await here.get("/attributes"))["data"]
    assert [back] == restored["attributes"]
    assert {**back, "updated_at": ""} == {**nick, "updated_at": ""}
    await applied(here)
    assert await custom(here) == [{"nick": "Mi"}, {"nick": None}]
    events = (await updates(here))[told:]
    assert len(events) == preview["events"]["dsync.user.updated"]
    assert [one["previous_attributes"] for one in events] == [
        {"custom_attributes": {"job_title": "Planner", "nick": None, "unit": ["Planner"]}},
        {"custom_attributes": {"job_title": "Driver", "unit": ["Driver"]}},
    ]
    # Once more changes nothing, and tells nobody.
    again = await done(here, "POST", f"{ROOT}/5/restore")
    await applied(here)
    assert (again["version"], len(await updates(here))) == (5, told + 2)


async def test_attributes_that_are_there_keep_their_ids_and_others_of_the_name_give_way(here: Api) -> None:
    one = await defined(here, "unit", sources=["title"])
    await done(here, "DELETE", f"/attributes/{one['id']}")
    two = await defined(here, "unit", type="list", sources=["nickName"])
    await defined(here, "Nick", sources=["nickName"])
    restored = await done(here, "POST", f"{ROOT}/1/restore")
    (unit,) = restored["attributes"]
    assert (unit["id"], unit["type"], unit["sources"]) == (two["id"], "string", one["sources"])
    # The same name in another letter case: the one that was there goes before the other comes.
    await defined(here, "nick", sources=["title"])
    back = await done(here, "POST", f"{ROOT}/4/restore")
    assert [one["key"] for one in back["attributes"]] == ["Nick", "unit"]
    assert (back["added"], back["changed"], back["removed"]) == (["Nick"], ["unit"], ["nick"])
    # A kind never changes: the standard attribute goes, the predefined one comes.
    await defined(here, "username")
    (predefined,) = (one for one in (await here.get("/attributes"))["data"] if one["key"] == "username")
    with_it = (await here.get(ROOT))["data"][0]["version"]
    await done(here, "DELETE", f"/attributes/{predefined['id']}")
    await defined(here, "username", kind="standard", sources=["title"])
    again = await done(here, "POST", f"{ROOT}/{with_it}/restore")
    assert {one["key"]: (one["id"], one["kind"]) for one in again["attributes"]}["username"] == (
        predefined["id"],
        "predefined",
    )


async def test_versions_that_are_not_there_and_keys_that_may_not_are_refused(here: Api) -> None:
    assert (await here.get(ROOT))["data"] == []
    await defined(here, "nick")
    for unknown in ("2", "0", "-1", "x", "1" * 30):
        for method, rest in (("GET", ""), ("POST", "/preview"), ("POST", "/restore")):
            codes = await here.refused(404, method, f"{ROOT}/{unknown}{rest}")
            assert codes == ["entity_not_found"]
    nobody = "directory_01KA0YPX7B9D1F3H5K7M9Q1S3T"
    assert await here.refused(404, "POST", f"{ROOT}/1/preview?directory={nobody}") == ["entity_not_found"]
    headers = {"Authorization": f"Bearer {await here.key(['read', 'write'])}"}
    for method, rest, status in (("GET", "", 200), ("POST", "/preview", 403), ("POST", "/restore", 403)):
        answer = await here.call(method, f"{ROOT}/1{rest}", headers=headers)
        assert answer.status_code == status
    assert len(await listed(here)) == 1


async def test_an_old_map_that_names_a_deleted_attribute_is_previewed_as_it_is_restored(here: Api) -> None:
    """The sources of such a version used to be refused by the preview, though restoring took them."""
    await here.world.user("ada", nickName="Ad", title="Chief")
    nick = await defined(here, "nick", sources=["name.formatted"])
    path = f"/directories/{here.world.place.directory.id}/attribute_map"
    own = {"nick": ["nickName"], "job_title": ["nickName"]}
    await done(here, "PUT", path, {"sources": own})
    await done(here, "PUT", path, {"sources": {}})
    await done(here, "DELETE", f"/attributes/{nick['id']}")
    await applied(here)
    preview = await done(here, "POST", f"{path}/versions/1/preview")
    assert (preview["object"], preview["left_out"]) == ("attribute_map_preview", ["nick"])
    assert preview["attributes"] == [{"key": "job_title", "changed": 1, "filled": 0, "emptied": 0}]
    assert (await here.get(path))["left_out"] == []
    told = len(await updates(here))
    restored = await done(here, "POST", f"{path}/versions/1/restore")
    assert (restored["version"], restored["left_out"]) == (3, ["nick"])
    await applied(here)
    (event,) = (await updates(here))[told:]
    assert event["previous_attributes"] == {"job_title": "Chief"}
    assert preview["events"] == {"dsync.user.updated": 1}
    # What a caller writes anew still has to be right.
    codes = await here.refused(422, "POST", f"{path}/preview", {"sources": own})
    assert "sources.nick_unknown" in codes
    for unknown in ("9", "0", "x"):
        codes = await here.refused(404, "POST", f"{path}/versions/{unknown}/preview")
        assert codes == ["entity_not_found"]
    await defined(here, "nick")
    assert (await here.get(path))["left_out"] == []
