"""Over HTTP: what deleting a role, another order of roles, and no rules any more would do to people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.api import Api, api

ORDER = "/authorization/role_priority/preview"
DELETION = "/authorization/roles/admin/deletion/preview"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        await furnish(made)
        yield made


async def furnish(here: Api) -> list[str]:
    """Two admins and an editor, by rules."""
    for slug in ("admin", "editor"):
        answer = await here.call("POST", "/authorization/roles", {"slug": slug, "name": slug.title()})
        assert answer.status_code == 201
    people = [await here.world.user(f"{name}@northwind.example") for name in ("ada", "ben", "cyd")]
    await here.world.group("Board", people[:2])
    await here.world.group("Dispatch", people)
    rules = [
        {"condition": {"kind": "group_name", "operator": "equals", "value": group}, "role": role}
        for group, role in (("Board", "admin"), ("Dispatch", "editor"))
    ]
    assert (await here.call("PUT", rules_path(here), {"rules": rules})).status_code == 200
    await here.world.services.reevaluations.complete()
    return people


def rules_path(here: Api) -> str:
    return f"/directories/{here.world.place.directory.id}/role_rules"


async def tried(here: Api, path: str, body: object = None) -> Any:
    """Try a change out, which changes nothing."""
    events = len(await here.world.rows())
    answer = await here.call("POST", path, body if body is not None else {})
    assert answer.status_code == 200, answer.text
    assert len(await here.world.rows()) == events
    return answer.json()


async def shown(here: Api) -> list[str]:
    people = (await here.get("/directory_users?order=asc"))["data"]
    return ["/".join(role["slug"] for role in one.get("roles", ())) for one in people]


async def test_a_deletion_tells_everything_about_whom_it_concerns(here: Api) -> None:
    place = here.world.place
    found = await tried(here, DELETION, {"person": "ada@northwind.example"})
    examples, person = found.pop("examples"), found.pop("person")
    [directory] = found["directories"].pop("data")
    assert [(one["email"], one["before"], one["after"]) for one in examples] == [
        ("ada@northwind.example", ["admin"], ["editor"]),
        ("ben@northwind.example", ["admin"], ["editor"]),
    ]
    assert examples[0]["directory_id"] == place.directory.id
    assert (person["gains"], person["loses"]) == (["editor"], ["admin"])
    untouched = {"gain": 0, "lose": 0, "held": 0, "emptied": 0}
    assert found == {
        "object": "roles_preview",
        "summary": "2 gain Editor, 2 lose Admin, 0 Admins left in 1 directory",
        "complete": True,
        "total": 3,
        "changed": 2,
        "roles": [
            untouched | {"role": "admin", "name": "Admin", "before": 2, "after": 0, "lose": 2, "emptied": 1},
            untouched | {"role": "editor", "name": "Editor", "before": 1, "after": 3, "gain": 2},
            untouched | {"role": "member", "name": "Member", "before": 0, "after": 0},
        ],
        "organization_roles": {"gain": 0, "lose": 0},
        "warnings": [
            {
                "code": "large_change",
                "message": "The roles of 2 of 3 people (67 %) change.",
                "role": None,
            },
            {
                "code": "role_without_holders",
                "message": "Nobody holds Admin any more in 1 directory.",
                "role": "admin",
            },
            {
                "code": "person_loses_access",
                "message": "ada@northwind.example loses Admin and has Editor from then on.",
                "role": "admin",
            },
        ],
        "directories": {"concerned": 1, "counted": 1, "changed": 1, "has_more": False},
    }
    assert (directory["directory_id"], directory["organization_id"], directory["name"]) == (
        place.directory.id,
        place.organization_id,
        "Northwind",
    )
    assert directory["summary"] == "2 gain Editor, 2 lose Admin, 0 Admins left"
    assert [one["role"] for one in directory["roles"]] == ["admin", "editor"]
    assert [one["code"] for one in directory["warnings"]] == ["large_change", "role_without_holders"]
    assert (await here.call("DELETE", "/authorization/roles/admin")).status_code == 204
    await here.world.services.reevaluations.complete()
    assert await shown(here) == ["editor"] * 3


async def test_an_order_is_tried_out_before_it_is_set(here: Api) -> None:
    order = {"slugs": ["editor", "admin", "member"]}
    found = await tried(here, ORDER, order)
    assert (found["summary"], found["person"]) == (
        "2 gain Editor, 2 lose Admin, 0 Admins left in 1 directory",
        None,
    )
    assert [one["role"] for one in found["roles"]] == order["slugs"]
    own = f"/authorization/organizations/{here.world.place.organization_id}/role_priority/preview"
    same = await tried(here, own, {"slugs": ["admin", "editor", "member"]})
    assert (same["summary"], same["total"], same["directories"]["concerned"]) == (
        "nobody's roles change",
        0,
        0,
    )
    assert await shown(here) == ["admin", "admin", "editor"]
    assert (await here.call("PUT", "/authorization/role_priority", order)).status_code == 200
    await here.world.services.reevaluations.complete()
    assert await shown(here) == ["editor"] * 3


async def test_rules_are_tried_out_to_be_gone_before_they_are(here: Api) -> None:
    found = await tried(here, f"{rules_path(here)}/deletion/preview", {"person": "cyd@northwind.example"})
    assert found["object"] == "role_rules_preview"
    assert found["summary"] == "2 lose Admin, 1 lose Editor, 0 Admins left, 0 Editors left"
    assert (found["person"]["before"], found["person"]["after"]) == (["editor"], [])
    assert found["warnings"][-1] == {
        "code": "person_loses_access",
        "message": "cyd@northwind.example loses Editor and has no role from then on.",
        "role": "editor",
    }
    assert "conflicts" not in found
    assert (await here.call("DELETE", rules_path(here))).status_code == 204
    await here.world.services.reevaluations.complete()
    assert await shown(here) == ["", "", ""]


async def test_what_is_wrong_about_a_call_is_named(here: Api) -> None:
    removal, slugs = f"{rules_path(here)}/deletion/preview", ["admin", "editor", "member"]
    unknown = "directory_user_01KA0YPX7B9D1F3H5K7M9Q1S3T"
    for path, body, codes in (
        (ORDER, {}, ["slugs_required"]),
        (ORDER, {"slugs": ["admin"]}, ["slugs_invalid"]),
        (ORDER, {"slugs": slugs, "persons": "x"}, ["persons_unknown"]),
        (ORDER, {"slugs": slugs, "person": unknown}, ["person_unknown"]),
        (DELETION, {"person": "nobody@northwind.example"}, ["person_unknown"]),
        (DELETION, {"slugs": []}, ["slugs_unknown"]),
        (removal, {"rules": []}, ["rules_unknown"]),
        (removal, {"person": "nobody"}, ["person_unknown"]),
    ):
        assert await here.refused(422, "POST", path, body) == ["validation_failed", *codes]
    default = "/authorization/roles/member/deletion/preview"
    assert await here.refused(409, "POST", default, {}) == ["role_is_default"]
    missing = "/authorization/roles/nobody/deletion/preview"
    assert await here.refused(404, "POST", missing, {}) == ["entity_not_found"]
    reader = {"authorization": f"Bearer {await here.key(['read'])}"}
    for path in (ORDER, DELETION, removal):
        assert (await here.call("POST", path, {"slugs": slugs}, headers=reader)).status_code == 403


async def test_nobody_of_another_environment_is_counted_or_found(here: Api, database_url: str) -> None:
    async with api(database_url) as other:
        people = await furnish(other)
        for path, body in (
            (DELETION, {}),
            (ORDER, {"slugs": ["editor", "admin", "member"]}),
        ):
            found = await tried(here, path, body)
            assert (found["total"], found["changed"], found["directories"]["concerned"]) == (3, 2, 1)
            assert other.world.place.directory.id not in str(found)
            named: dict[str, object] = {**body, "person": f"directory_user_{people[0]}"}
            assert await here.refused(422, "POST", path, named) == ["validation_failed", "person_unknown"]
