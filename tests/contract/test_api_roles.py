"""Roles over HTTP: exact shapes, statuses, refusals, order and events (`api.md` §2.9, §3.6, §4)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.api import Api, api

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
KEYS = {
    "object",
    "id",
    "slug",
    "name",
    "description",
    "type",
    "resource_type_slug",
    "permissions",
    "created_at",
    "updated_at",
}
NOBODY = "org_01KA0YPX7B9D1F3H5K7M9Q1S3T"
ROLES = "/authorization/roles"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        yield made


def own(here: Api) -> str:
    return f"/authorization/organizations/{here.world.place.organization_id}/roles"


async def made(here: Api, path: str, **body: Any) -> dict[str, Any]:
    answer = await here.call("POST", path, {"name": "Some role"} | body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def slugs(here: Api, path: str = ROLES) -> list[str]:
    return [role["slug"] for role in (await here.get(path))["data"]]


async def test_every_environment_begins_with_the_role_member(here: Api) -> None:
    found = await here.get(ROLES)
    assert found.keys() == {"object", "data"}
    [member] = found["data"]
    assert member.keys() == KEYS
    assert (member["object"], member["slug"], member["name"]) == ("role", "member", "Member")
    assert (member["type"], member["resource_type_slug"]) == ("EnvironmentRole", "organization")
    assert (member["description"], member["permissions"]) == (None, [])
    assert re.fullmatch(r"role_[0-9A-HJKMNP-TV-Z]{26}", member["id"])
    assert TIME.fullmatch(member["created_at"])
    another = await here.world.services.environments.create("another")
    key = (await here.world.services.api_keys.create(another.id, "x")).value
    answer = await here.call("GET", ROLES, headers={"Authorization": f"Bearer {key}"})
    [theirs] = answer.json()["data"]
    assert theirs["slug"] == "member"
    assert theirs["id"] != member["id"]


async def test_a_role_is_made_read_and_changed(here: Api) -> None:
    role = await made(here, ROLES, slug="planner", name="Planner", description="Plans")
    assert role.keys() == KEYS
    assert await here.get(f"{ROLES}/planner") == role
    answer = await here.call("PATCH", f"{ROLES}/planner", {"name": "Chief", "description": None, "slug": "x"})
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["name"], changed["description"], changed["slug"]) == ("Chief", None, "planner")
    assert (await here.call("PATCH", f"{ROLES}/planner", {"name": "Chief"})).json() == changed
    told = [(name, data) for name, data in await here.world.told() if name.startswith("role.")]
    assert [name for name, _ in told] == ["role.created", "role.updated"]
    assert told[1][1] == {
        "object": "role",
        "slug": "planner",
        "resource_type_slug": "organization",
        "permissions": [],
        "created_at": role["created_at"],
        "updated_at": changed["updated_at"],
    }
    listed = await here.get(f"/events?events=role.created&organization_id={here.world.place.organization_id}")
    assert listed["data"] == []


async def test_an_organizations_own_role_applies_there_beside_the_others(here: Api) -> None:
    role = await made(here, own(here), slug="org-auditor", name="Auditor")
    assert role["type"] == "OrganizationRole"
    assert await slugs(here, own(here)) == ["org-auditor", "member"]
    assert await slugs(here) == ["member"]
    older = await here.get(f"/organizations/{here.world.place.organization_id}/roles")
    assert older == await here.get(own(here))
    assert await here.get(f"{own(here)}/org-auditor") == role
    assert (await here.get(f"{own(here)}/member"))["type"] == "EnvironmentRole"
    await here.refused(404, "GET", f"{ROLES}/org-auditor")
    other = await here.call("POST", "/organizations", {"name": "Other"})
    assert await slugs(here, f"/authorization/organizations/{other.json()['id']}/roles") == ["member"]
    answer = await here.call("PATCH", f"{own(here)}/org-auditor", {"description": "Reads"})
    assert answer.json()["description"] == "Reads"
    assert (await here.call("DELETE", f"{own(here)}/org-auditor")).status_code == 204
    await here.refused(404, "GET", f"{own(here)}/org-auditor")
    told = [(name, data) for name, data in await here.world.told() if name.startswith("organization_role")]
    assert [name.rpartition(".")[2] for name, _ in told] == ["created", "updated", "deleted"]
    assert told[0][1] == {
        "object": "organization_role",
        "organization_id": here.world.place.organization_id,
        "slug": "org-auditor",
        "name": "Auditor",
        "description": None,
        "resource_type_slug": "organization",
        "permissions": [],
        "created_at": role["created_at"],
        "updated_at": role["updated_at"],
    }


async def test_a_slug_is_made_from_the_name(here: Api) -> None:
    role = await made(here, own(here), name="Night Shift & Co. " + "x" * 30)
    assert re.fullmatch(r"org-night-shift-co-x+-[0-9a-f]{8}", role["slug"])
    assert len(role["slug"]) <= 48
    assert (await made(here, own(here), name="日本"))["slug"].startswith("org-role-")


async def test_permissions_are_kept_in_order_each_once(here: Api) -> None:
    for path, slug in ((ROLES, "planner"), (own(here), "org-planner")):
        await made(here, path, slug=slug)
        permissions = f"{path}/{slug}/permissions"
        answer = await here.call("PUT", permissions, {"permissions": ["b:edit", "a:view", "b:edit"]})
        assert (answer.status_code, answer.json()["permissions"]) == (200, ["b:edit", "a:view"])
        for _ in range(2):
            answer = await here.call("POST", permissions, {"slug": "c"})
            assert (answer.status_code, answer.json()["permissions"]) == (200, ["b:edit", "a:view", "c"])
        assert (await here.call("DELETE", f"{permissions}/b:edit")).status_code == 204
        assert (await here.get(f"{path}/{slug}"))["permissions"] == ["a:view", "c"]
        await here.refused(404, "DELETE", f"{permissions}/b:edit")
        assert await here.refused(422, "POST", permissions, {"slug": "no spaces"}) == [
            "validation_failed",
            "slug_invalid",
        ]
        await here.refused(422, "PUT", permissions, {"permissions": ["x" * 101]})
    updates = [name for name in await here.world.types() if name.endswith("role.updated")]
    assert updates == ["role.updated"] * 3 + ["organization_role.updated"] * 3


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": "x"}, ["slug_required"]),
    ({"slug": "x"}, ["name_required"]),
    ({"slug": "x", "name": " "}, ["name_required"]),
    ({"slug": "x", "name": 7}, ["name_invalid"]),
    ({"slug": "x", "name": "x" * 49}, ["name_too_long"]),
    ({"slug": "X", "name": "x"}, ["slug_invalid"]),
    ({"slug": "x y", "name": "x"}, ["slug_invalid"]),
    ({"slug": "", "name": "x"}, ["slug_invalid"]),
    ({"slug": "org-x", "name": "x"}, ["slug_invalid"]),
    ({"slug": "x" * 49, "name": "x"}, ["slug_too_long"]),
    ({"slug": "x", "name": "x", "description": "x" * 151}, ["description_too_long"]),
    ({"slug": "x", "name": "x", "resource_type_slug": "A"}, ["resource_type_slug_invalid"]),
]


async def test_a_wrong_field_is_named_and_changes_nothing(here: Api) -> None:
    for body, codes in WRONG:
        assert (await here.refused(422, "POST", ROLES, body))[1:] == codes, body
    await made(here, ROLES, slug="planner")
    for body, codes in (({"name": ""}, ["name_required"]), ({"description": 7}, ["description_invalid"])):
        assert (await here.refused(422, "PATCH", f"{ROLES}/planner", body))[1:] == codes
    assert await slugs(here) == ["planner", "member"]
    told = [name for name in await here.world.types() if name.startswith("role.")]
    assert told == ["role.created"]


async def test_refusals(here: Api) -> None:
    await made(here, ROLES, slug="planner")
    body = {"slug": "planner", "name": "x"}
    assert await here.refused(409, "POST", ROLES, body) == ["role_slug_conflict"]
    await made(here, own(here), slug="org-planner")
    body = {"slug": "org-planner", "name": "x"}
    assert await here.refused(409, "POST", own(here), body) == ["organization_role_slug_conflict"]
    assert (await here.refused(422, "POST", own(here), {"slug": "x", "name": "x"}))[1:] == ["slug_invalid"]
    for method, path in (
        ("GET", f"{ROLES}/nothing"),
        ("PATCH", f"{ROLES}/nothing"),
        ("DELETE", f"{ROLES}/nothing"),
        ("GET", f"{own(here)}/nothing"),
        ("PATCH", f"{own(here)}/member"),
        ("DELETE", f"{own(here)}/planner"),
        ("GET", f"/authorization/organizations/{NOBODY}/roles"),
        ("GET", "/authorization/organizations/nothing/roles"),
        ("GET", "/authorization/permissions"),
    ):
        await here.refused(404, method, path, {} if method == "PATCH" else None)


async def test_the_order_is_that_of_importance(here: Api) -> None:
    for slug in ("admin", "editor"):
        await made(here, ROLES, slug=slug)
    assert await slugs(here) == ["admin", "editor", "member"]
    await made(here, own(here), slug="org-one")
    await made(here, own(here), slug="org-two")
    assert await slugs(here, own(here)) == ["admin", "editor", "org-one", "org-two", "member"]
    wanted = ["org-two", "admin", "editor", "member", "org-one"]
    path = own(here).replace("/roles", "/role_priority")
    answer = await here.call("PUT", path, {"slugs": wanted})
    assert [role["slug"] for role in answer.json()["data"]] == wanted == await slugs(here, own(here))
    turned = ["member", "editor", "admin"]
    answer = await here.call("PUT", "/authorization/role_priority", {"slugs": turned})
    assert answer.status_code == 200
    assert await slugs(here) == turned
    # An organization's own roles keep their places between those of the environment.
    assert await slugs(here, own(here)) == ["org-two", "member", "editor", "admin", "org-one"]
    await made(here, ROLES, slug="late")
    assert await slugs(here) == [*turned, "late"]
    await here.refused(422, "PUT", path, {"slugs": wanted})
    for wrong in ([], turned[1:], [*turned, "late", "late"], [*turned, "other"]):
        refused = await here.refused(422, "PUT", "/authorization/role_priority", {"slugs": wrong})
        assert refused[1:] == ["slugs_invalid"]
    assert await slugs(here) == [*turned, "late"]


async def test_roles_made_at_once_all_get_their_place(here: Api) -> None:
    bodies = [{"slug": f"r{n}", "name": "x"} for n in (0, 0, 1, 1, 2, 2)]
    answers = await asyncio.gather(*(here.call("POST", ROLES, body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 409, 409, 409]
    found = await slugs(here)
    assert sorted(found[:3]) == ["r0", "r1", "r2"]
    assert found[3] == "member"
    assert (await here.world.types()).count("role.created") == 3


async def test_a_deleted_organization_takes_its_roles_along(here: Api) -> None:
    await made(here, own(here), slug="org-auditor")
    gone = here.world.place.organization_id
    assert (await here.call("DELETE", f"/organizations/{gone}")).status_code == 202
    await here.refused(404, "GET", own(here))
    assert await slugs(here) == ["member"]
