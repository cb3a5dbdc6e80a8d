"""Why a person is as they are, over HTTP: attributes, state, roles, absent roles and memberships."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from syncline.core.commands import PatchUser
from syncline.core.model import InactiveUsers
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from tests.support.api import Api, api

NOBODY = "01KA0YPX7B9D1F3H5K7M9Q1S3T"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url, InactiveUsers.KEEP) as made:
        await made.world.services.sealer.seal_now(made.world.environment)
        yield made


async def explained(here: Api, user: str) -> dict[str, Any]:
    await here.world.rows()
    found: dict[str, Any] = await here.get(f"/directory_users/directory_user_{user}/explain")
    return found


async def attribute(here: Api, user: str, key: str) -> dict[str, Any]:
    found = await explained(here, user)
    [one] = [one for one in found["attributes"] if one["key"] == key]
    return dict(one)


async def patch(here: Api, user: str, path: str, value: Any) -> None:
    operation: dict[str, Any] = {"op": "replace", "path": path, "value": value}
    await here.world.do(PatchUser(user, parse_operations({"Operations": [operation]}, ResourceKind.USER)))


async def test_an_attribute_names_its_source_and_the_event_that_told_it(here: Api) -> None:
    user = await here.world.user("mira", title="Engineer")
    created = await attribute(here, user, "job_title")
    assert created["announced"]["event"] == "dsync.user.created"
    await patch(here, user, "title", "Staff Engineer")
    title = await attribute(here, user, "job_title")
    announced = title.pop("announced")
    history = (await here.get(f"/directory_users/directory_user_{user}/history?field=job_title"))["data"]
    assert announced == {
        "event_id": history[0]["id"],
        "event": "dsync.user.updated",
        "actor": {"kind": "provider", "id": None, "name": None},
        "cause": {"kind": "request", "id": "request_scim"},
        "recorded_at": history[0]["recorded_at"],
    }
    assert title == {
        "key": "job_title",
        "kind": "standard",
        "value": "Staff Engineer",
        "level": "built_in",
        "source": {"number": 1, "path": "title", "value": None, "transforms": []},
        "raw": "Staff Engineer",
        "pending": False,
        "sentence": "job_title is Staff Engineer: from title, by the built-in rule "
        f"(request request_scim, {announced['recorded_at']}).",
    }
    name = await attribute(here, user, "last_name")
    assert (name["value"], name["source"]) == (None, None)
    assert name["sentence"] == "last_name is empty: none of its sources has a value, by the built-in rule."
    assert (await attribute(here, user, "idp_id"))["value"] == user


async def test_a_mapped_attribute_names_level_transforms_and_the_change_of_the_map(here: Api) -> None:
    user = await here.world.user("mira", title=" Engineer ", userType="Staff")
    body = {"key": "kind", "sources": ["nickName", {"path": "userType", "transforms": ["lower"]}]}
    answer = await here.call("POST", "/attributes", body)
    assert answer.status_code == 201, answer.text
    waiting = await attribute(here, user, "kind")
    assert (waiting["pending"], waiting["value"], waiting["announced"]["event"]) == (
        True,
        None,
        "dsync.user.created",
    )
    await here.world.services.reevaluations.complete()
    mapped = await attribute(here, user, "kind")
    assert (mapped["kind"], mapped["value"], mapped["raw"]) == ("custom", "staff", "Staff")
    assert (mapped["level"], mapped["pending"]) == ("environment", False)
    assert mapped["source"] == {
        "number": 2,
        "path": "userType",
        "value": None,
        "transforms": ["lower"],
    }
    assert mapped["announced"]["event"] == "dsync.user.updated"
    assert mapped["announced"]["actor"]["kind"] == "attribute_map"
    own = {"sources": {"kind": [{"value": "fixed"}]}}
    answer = await here.call("PUT", f"/directories/{here.world.place.directory.id}/attribute_map", own)
    assert answer.status_code == 200, answer.text
    await here.world.services.reevaluations.complete()
    fixed = await attribute(here, user, "kind")
    assert (fixed["level"], fixed["value"]) == ("directory", "fixed")
    assert fixed["announced"]["actor"]["kind"] == "attribute_map"
    assert fixed["sentence"].startswith("kind is fixed: a fixed value, by the directory's own map (request ")


async def test_a_state_says_what_the_provider_sent(here: Api) -> None:
    user = await here.world.user("mira")
    active = await attribute(here, user, "state")
    assert (active["value"], active["raw"]) == ("active", None)
    assert active["sentence"] == "Active: the provider never said otherwise."
    await patch(here, user, "active", False)
    state = await attribute(here, user, "state")
    assert (state["value"], state["raw"]) == ("inactive", False)
    assert state["sentence"].startswith(
        "Inactive because the provider sent active: false (request request_scim, "
    )


async def test_roles_and_absent_roles_name_the_rule_and_the_group(here: Api) -> None:
    user = await here.world.user("mira", title="Planner")
    group = await here.world.group("Engineering", [user])
    admins = await here.world.group("App Admins")
    for slug in ("admin", "editor", "auditor"):
        body = {"slug": slug, "name": slug.title()}
        assert (await here.call("POST", "/authorization/roles", body)).status_code == 201
    rules = [
        {"condition": {"kind": "group", "subject": admins}, "role": "admin"},
        {"condition": {"kind": "group", "subject": group}, "role": "editor"},
        {
            "condition": {
                "kind": "attribute",
                "subject": "job_title",
                "operator": "equals",
                "value": "Auditor",
            },
            "role": "auditor",
        },
    ]
    path = f"/directories/{here.world.place.directory.id}/role_rules"
    assert (await here.call("PUT", path, {"rules": rules})).status_code == 200
    await here.world.services.reevaluations.complete()
    found = await explained(here, user)
    [editor] = found["roles"]
    assert (editor["role"], editor["rule"]["number"]) == ("editor", 2)
    assert editor["group"] == {"id": f"directory_group_{group}", "name": "Engineering"}
    assert editor["sentence"] == f"Editor, because of group Engineering, rule 2, since {editor['since']}."
    assert editor["announced"]["actor"]["kind"] == "role_rules"
    absent = {one["role"]: one for one in found["absent_roles"]}
    assert set(absent) == {"admin", "auditor", "member"}
    assert absent["admin"]["sentence"] == "Not Admin: rule 1 needs group App Admins; not a member."
    assert absent["admin"]["rules"][0]["matches"] is False
    assert absent["auditor"]["sentence"] == (
        "Not Auditor: rule 3 is for whoever has a job_title that is “Auditor”; job_title is Planner."
    )
    assert absent["member"]["sentence"] == "Not Member: it is for people whom no rule matches."


async def test_a_membership_is_direct_or_has_a_way(here: Api) -> None:
    user = await here.world.user("mira")
    inner = await here.world.group("Inner", [user])
    outer = await here.world.group("Outer", [inner])
    found = await explained(here, user)
    direct, nested = found["memberships"]
    assert (direct["id"], direct["direct"], direct["shown"]) == (f"directory_group_{inner}", True, True)
    assert direct["announced"]["event"] == "dsync.group.user_added"
    assert direct["sentence"].startswith("A direct member of Inner (request request_scim, ")
    assert (nested["id"], nested["direct"], nested["shown"]) == (f"directory_group_{outer}", False, False)
    assert [step["name"] for step in nested["path"]] == ["Inner", "Outer"]
    assert nested["announced"] is None
    assert nested["sentence"] == (
        "A member of Outer through other groups: a direct member of Inner, which is in Outer."
    )


async def test_who_is_not_there_is_not_explained(here: Api) -> None:
    for id_ in (f"directory_user_{NOBODY}", "nonsense"):
        path = f"/directory_users/{id_}/explain"
        assert await here.refused(404, "GET", path) == ["entity_not_found"]
