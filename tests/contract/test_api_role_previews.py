"""Previews of role rules over HTTP: whom several rules match, and what becomes of the person who asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.api import Api, api
from tests.support.kernels import seed

NOBODY = "directory_user_01KA0YPX7B9D1F3H5K7M9Q1S3T"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        for slug in ("admin", "editor"):
            answer = await made.call("POST", "/authorization/roles", {"slug": slug, "name": slug.title()})
            assert answer.status_code == 201
        yield made


def path(here: Api, more: str = "/preview") -> str:
    return f"/directories/{here.world.place.directory.id}/role_rules{more}"


def named(role: str, value: str, operator: str = "equals") -> dict[str, Any]:
    return {"condition": {"kind": "group_name", "operator": operator, "value": value}, "role": role}


def titled(role: str, value: str) -> dict[str, Any]:
    condition = {"kind": "attribute", "subject": "job_title", "operator": "equals", "value": value}
    return {"condition": condition, "role": role}


async def preview(here: Api, *rules: dict[str, Any], **more: Any) -> Any:
    answer = await here.call("POST", path(here), {"rules": rules} | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def apply(here: Api, *rules: dict[str, Any], **more: Any) -> None:
    answer = await here.call("PUT", path(here, ""), {"rules": rules} | more)
    assert answer.status_code == 200, answer.text
    await here.world.services.reevaluations.complete()


async def roles(here: Api, user: str) -> list[str]:
    shown = await here.get(f"/directory_users/directory_user_{user}")
    return [role["slug"] for role in shown["roles"]]


async def test_people_in_several_mapped_groups_are_told_with_what_they_get(here: Api) -> None:
    people = [await here.world.user(f"p{n}@northwind.example", title="Chief") for n in range(8)]
    await here.world.group("Engineering", people[:7])
    await here.world.group("Security", people[1:7])
    await here.world.group("Board", people[6:])
    rules = [named("editor", "Engineering"), named("editor", "Security"), named("admin", "Board")]
    found = (await preview(here, *rules))["conflicts"]
    assert (found["people"], found["contested"], found["sets"], found["complete"]) == (6, 1, 2, True)
    board, both = found["data"]
    assert both == {
        "people": 5,
        "matched": 2,
        "rules": [
            {
                "number": 1,
                "role": "editor",
                "text": "is a member of a group that is named “Engineering”",
            },
            {"number": 2, "role": "editor", "text": "is a member of a group that is named “Security”"},
        ],
        "roles": ["editor"],
        "rule": 1,
        "contested": False,
        "text": "5 people are in both “Engineering” and “Security”. They get Editor either way.",
        "examples": [
            {"directory_user_id": f"directory_user_{people[n]}", "email": f"p{n}@northwind.example"}
            for n in range(1, 6)
        ],
    }
    assert (board["people"], board["contested"], board["rule"], board["roles"]) == (1, True, 3, ["admin"])
    assert board["text"] == (
        "1 person is in “Engineering”, “Security” and “Board”. "
        "They get Admin, the most important of these roles."
    )
    await apply(here, *rules)
    assert [await roles(here, user) for user in people[5:]] == [["editor"], ["admin"], ["admin"]]


async def test_the_first_rule_wins_where_the_order_of_rules_counts(here: Api) -> None:
    ada = await here.world.user("ada", title="Planner")
    group = await here.world.group("Dispatch", [ada])
    by_id = {"condition": {"kind": "group", "subject": group}, "role": "admin"}
    rules = [titled("editor", "planner"), by_id]
    (one,) = (await preview(here, *rules, precedence="rule_order"))["conflicts"]["data"]
    assert (one["rule"], one["roles"], one["contested"]) == (1, ["editor"], True)
    assert one["text"] == (
        "1 person matches 2 rules: whoever has a job_title that is “planner” and whoever is a member of the "
        "group “Dispatch”. They get Editor, which the first of these rules gives."
    )
    await apply(here, *rules, precedence="rule_order")
    assert await roles(here, ada) == ["editor"]
    assert (await preview(here, *rules[:1]))["conflicts"] == {
        "people": 0,
        "contested": 0,
        "sets": 0,
        "complete": True,
        "data": [],
    }


async def test_where_everybody_gets_all_that_match_nothing_is_contested(here: Api) -> None:
    ada = await here.world.user("ada")
    await here.world.group("Dispatch", [ada])
    rules = [named("editor", "Dispatch"), named("admin", "dis*", "matches"), named("admin", "Dispatch")]
    found = (await preview(here, *rules, mode="multiple"))["conflicts"]
    (one,) = found["data"]
    assert (found["contested"], one["rule"], one["roles"]) == (0, None, ["admin", "editor"])
    assert one["text"].endswith("They get Admin and Editor.")
    twice = (await preview(here, named("admin", "Dispatch"), named("editor", "Dispatch")))["conflicts"]
    assert twice["data"][0]["text"] == (
        "1 person is in “Dispatch”, which 2 rules name. They get Admin, the most important of these roles."
    )


async def test_memberships_through_other_groups_count_where_the_directory_says_so(here: Api) -> None:
    ada = await here.world.user("ada")
    team = await here.world.group("Team", [ada])
    await here.world.group("Engineering", [team])
    rules = [named("admin", "Engineering"), named("editor", "Team")]
    assert (await preview(here, *rules))["conflicts"]["people"] == 0
    directory = f"/directories/{here.world.place.directory.id}"
    assert (await here.call("PATCH", directory, {"membership": "effective"})).status_code == 200
    (one,) = (await preview(here, *rules))["conflicts"]["data"]
    assert one["text"] == (
        "1 person is in both “Engineering” and “Team”. They get Admin, the most important of these roles."
    )


async def test_rules_of_a_version_of_long_ago_can_be_tried_out_before_they_are_restored(here: Api) -> None:
    await here.world.user("ada", title="Planner")
    first = (await here.call("PUT", path(here, ""), {"rules": [titled("admin", "Planner")]})).json()
    for number in range(22):
        rules = [titled("editor", f"Chief {number}")]
        assert (await here.call("PUT", path(here, ""), {"rules": rules})).status_code == 200
    found = await preview(here, *first["rules"])
    assert found["summary"] == "1 gain Admin"
    unknown = titled("admin", "Planner") | {"id": "role_rule_01KA0YPX7B9D1F3H5K7M9Q1S3T"}
    assert await here.refused(422, "POST", path(here), {"rules": [unknown]}) == [
        "validation_failed",
        "id_unknown",
    ]


async def test_many_conflicts_and_many_rules_stay_a_short_answer(here: Api) -> None:
    people = [await here.world.user(f"p{n}") for n in range(22)]
    await here.world.group("Everybody", people)
    for number, user in enumerate(people):
        await here.world.group(f"G{number}", [user])
    everybody = [named("editor", "Everybody")] * 12
    found = (await preview(here, *everybody, *(named("admin", f"G{n}") for n in range(22))))["conflicts"]
    assert (found["people"], found["contested"], found["sets"]) == (22, 22, 22)
    assert len(found["data"]) == 20
    first = found["data"][0]
    assert (first["matched"], len(first["rules"]), first["rules"][-1]["number"]) == (13, 10, 13)
    assert first["rule"] == 13


async def test_who_would_lose_their_own_access_is_warned(here: Api) -> None:
    ada = await here.world.user("ada@northwind.example")
    ben = await here.world.user("ben@northwind.example")
    await here.world.group("Dispatch", [ada])
    await apply(here, named("admin", "Dispatch"))
    rules = [named("editor", "Dispatch")]
    expected = {
        "directory_user_id": f"directory_user_{ada}",
        "email": "ada@northwind.example",
        "before": ["admin"],
        "after": ["editor"],
        "gains": ["editor"],
        "loses": ["admin"],
    }
    for who in (f"directory_user_{ada}", "Ada@Northwind.example"):
        found = await preview(here, *rules, person=who)
        assert found["person"] == expected
        warned = [one for one in found["warnings"] if one["code"] == "person_loses_access"]
        text = "ada@northwind.example loses Admin and has Editor from then on."
        assert warned == [{"code": "person_loses_access", "message": text, "role": "admin"}]
    unconcerned = await preview(here, *rules, person=f"directory_user_{ben}")
    assert (unconcerned["person"]["before"], unconcerned["person"]["loses"]) == (["member"], [])
    assert "person_loses_access" not in {one["code"] for one in unconcerned["warnings"]}
    assert (await preview(here, *rules))["person"] is None
    await apply(here, *rules)
    assert await roles(here, ada) == expected["after"]


async def test_a_change_of_attributes_tells_the_same_about_a_person(here: Api) -> None:
    ada = await here.world.user("ada", title="Planner", nickName="Boss")
    assert (await here.call("POST", "/attributes", {"key": "job_title"})).status_code == 201
    await apply(here, titled("admin", "Planner"))
    body = {"sources": {"job_title": ["nickName"]}, "person": f"directory_user_{ada}"}
    to = f"/directories/{here.world.place.directory.id}/attribute_map/preview"
    found = (await here.call("POST", to, body)).json()
    assert (found["roles_changed"], found["person"]["loses"], found["person"]["gains"]) == (
        1,
        ["admin"],
        ["member"],
    )
    assert (await here.call("POST", to, {})).json()["person"] is None


async def test_somebody_who_is_not_in_the_directory_is_refused(here: Api) -> None:
    await here.world.user("ada@northwind.example")
    for name in ("t1", "t2"):
        await here.world.user(name, emails=[{"value": "twin@northwind.example", "primary": True}])
    gone = await here.world.user("gone@northwind.example")
    await here.world.delete_user(gone)
    other = await seed(here.world.services.kernel)
    elsewhere = await here.world.user("far@northwind.example", at=other)
    attributes = f"/directories/{here.world.place.directory.id}/attribute_map/preview"
    for who, code in (
        (NOBODY, "person_unknown"),
        ("", "person_unknown"),
        ("ada", "person_unknown"),
        ("gone@northwind.example", "person_unknown"),
        (f"directory_user_{gone}", "person_unknown"),
        ("far@northwind.example", "person_unknown"),
        (f"directory_user_{elsewhere}", "person_unknown"),
        ("twin@northwind.example", "person_ambiguous"),
        (7, "person_invalid"),
    ):
        assert await here.refused(422, "POST", path(here), {"rules": [], "person": who}) == [
            "validation_failed",
            code,
        ], who
        assert code in await here.refused(422, "POST", attributes, {"person": who})
    # Rules that are put in force know no such field.
    refused = await here.refused(422, "PUT", path(here, ""), {"rules": [], "person": NOBODY})
    assert refused[1:] == ["person_unknown"]
