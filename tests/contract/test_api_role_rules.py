"""Role rules over HTTP: shapes, refusals, versions, what rules would do, and why somebody holds a role."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from syncline.core.commands import DeleteGroup
from tests.support.api import Api, api

RULE_ID = re.compile(r"role_rule_[0-9A-HJKMNP-TV-Z]{26}")
NOBODY = "01KA0YPX7B9D1F3H5K7M9Q1S3T"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        for slug in ("admin", "editor"):
            answer = await made.call("POST", "/authorization/roles", {"slug": slug, "name": slug.title()})
            assert answer.status_code == 201
        yield made


def path(here: Api, more: str = "") -> str:
    return f"/directories/{here.world.place.directory.id}/role_rules{more}"


def by_name(role: str, value: str, operator: str = "equals", **more: Any) -> dict[str, Any]:
    return {"condition": {"kind": "group_name", "operator": operator, "value": value}, "role": role} | more


def by_group(role: str, group: str, **more: Any) -> dict[str, Any]:
    return {"condition": {"kind": "group", "subject": group}, "role": role} | more


def by_title(role: str, operator: str = "equals", value: Any = "Planner", **more: Any) -> dict[str, Any]:
    condition = {"kind": "attribute", "subject": "job_title", "operator": operator}
    if value is not None:
        condition["value"] = value
    return {"condition": condition, "role": role} | more


async def put(here: Api, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await here.call("PUT", path(here), {"rules": rules} | more)
    assert answer.status_code == 200, answer.text
    await here.world.services.reevaluations.complete()
    found: dict[str, Any] = answer.json()
    return found


async def roles(here: Api, user: str) -> list[str]:
    shown = await here.get(f"/directory_users/directory_user_{user}")
    assert shown.get("role") == (shown["roles"][0] if "roles" in shown else None)
    return [role["slug"] for role in shown.get("roles", [])]


async def test_without_rules_nobody_shows_a_role(here: Api) -> None:
    ada = await here.world.user("ada")
    found = await here.get(path(here))
    assert found == {
        "object": "role_rules",
        "directory_id": here.world.place.directory.id,
        "version": 0,
        "in_use": False,
        "mode": "single",
        "precedence": "role_priority",
        "default_role": "member",
        "rules": [],
        "floors": [],
        "request_id": None,
        "actor_id": None,
        "created_at": None,
    }
    assert await roles(here, ada) == []
    assert (await here.get(f"/directory_users/directory_user_{ada}/roles"))["data"] == []


async def test_rules_are_shown_in_words_and_keep_their_ids(here: Api) -> None:
    group = await here.world.group("Dispatch")
    made = await put(
        here,
        by_group("admin", group),
        by_name("editor", "Sales*", "matches"),
        by_title("editor", "in", ["Planner", "Chief"]),
        by_title("editor", "absent", None),
        floors=[{"role": "admin", "minimum": 2}],
    )
    assert (made["version"], made["in_use"], made["floors"]) == (1, True, [{"role": "admin", "minimum": 2}])
    assert made["rules"][0]["condition"] == {"kind": "group", "subject": f"directory_group_{group}"}
    assert [rule["text"] for rule in made["rules"]] == [
        "is a member of the group “Dispatch”",
        "is a member of a group that has a name that matches “Sales*”",
        "has a job_title that is one of “Planner”, “Chief”",
        "has no value for job_title",
    ]
    ids = [rule["id"] for rule in made["rules"]]
    assert all(RULE_ID.fullmatch(id_) for id_ in ids)
    assert await here.get(path(here)) == made
    # What was read may be sent back as it is: the same rules are no new version.
    again = await put(here, *made["rules"], floors=made["floors"], version=1)
    assert again == made
    turned = await put(here, *made["rules"][::-1], by_group("admin", f"directory_group_{group}"))
    assert turned["version"] == 2
    assert [rule["id"] for rule in turned["rules"]][:4] == ids[::-1]
    assert turned["rules"][4]["id"] not in ids


async def test_what_is_wrong_is_named_and_changes_nothing(here: Api) -> None:
    group = await here.world.group("Dispatch")
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["rules_required"]),
        ({"rules": [], "rulse": []}, ["rulse_unknown"]),
        ({"rules": [], "mode": "triple"}, ["mode_invalid"]),
        ({"rules": [], "default_role": "owner"}, ["default_role_unknown"]),
        ({"rules": [by_group("owner", group)]}, ["role_unknown"]),
        ({"rules": [by_group("admin", NOBODY)]}, ["subject_unknown"]),
        ({"rules": [by_group("admin", "")]}, ["subject_required"]),
        ({"rules": [by_name("admin", "")]}, ["value_required"]),
        ({"rules": [by_name("admin", "x", "contains")]}, ["operator_invalid"]),
        ({"rules": [by_name("admin", "x", "")]}, ["operator_required"]),
        ({"rules": [by_title("admin", "equals", {"a": 1})]}, ["value_invalid"]),
        ({"rules": [by_title("admin", "contains", 7)]}, ["value_invalid"]),
        ({"rules": [by_title("admin", "in", [])]}, ["value_required"]),
        ({"rules": [by_title("admin", "present", "x")]}, ["value_invalid"]),
        ({"rules": [by_title("admin", "equals", 10**30)]}, ["value_invalid"]),
        ({"rules": [by_title("admin", "in", ["x", [7]])]}, ["value_invalid"]),
        ({"rules": [by_title("admin", "equals", "x" * 501)]}, ["value_invalid"]),
        ({"rules": [by_name("admin", "x", id="role_rule_1")]}, ["id_unknown"]),
        ({"rules": [], "floors": [{"role": "owner", "minimum": 1}]}, ["role_unknown"]),
        ({"rules": [], "floors": [{"role": "admin", "minimum": 0}]}, ["minimum_invalid"]),
        ({"rules": [], "floors": [{"role": "admin", "minimum": 1}] * 2}, ["role_invalid"]),
        (
            {"rules": [by_name("owner", "x"), by_group("boss", NOBODY)]},
            ["role_unknown", "role_unknown", "subject_unknown"],
        ),
    ]
    for body, codes in cases:
        for method, to in (("PUT", path(here)), ("POST", path(here, "/preview"))):
            assert (await here.refused(422, method, to, body))[1:] == codes, body
    unknown = by_title("admin")
    unknown["condition"]["subject"] = "shoe_size"
    answer = await here.call("PUT", path(here), {"rules": [by_title("admin"), unknown]})
    assert answer.json()["errors"] == [{"field": "rules[1].condition.subject", "code": "subject_unknown"}]
    kind = {"condition": {"kind": "moon"}, "role": "admin"}
    assert (await here.call("PUT", path(here), {"rules": [kind]})).status_code == 422
    assert (await here.get(path(here)))["version"] == 0


async def test_somebody_elses_change_is_not_overwritten(here: Api) -> None:
    await put(here, by_title("admin"), version=0)
    for version in (0, 2):
        body: dict[str, Any] = {"rules": [], "version": version}
        assert await here.refused(409, "PUT", path(here), body) == ["role_rules_changed"]
        assert await here.refused(409, "POST", path(here, "/preview"), body) == ["role_rules_changed"]
    assert (await put(here, version=1))["version"] == 2


async def test_a_rule_whose_group_is_gone_stays_and_is_marked(here: Api) -> None:
    group = await here.world.group("Dispatch")
    made = await put(here, by_group("admin", group), by_title("editor"))
    await here.world.do(DeleteGroup(group))
    await here.call("DELETE", "/authorization/roles/editor")
    found = await here.get(path(here))
    assert [rule["dangling"] for rule in found["rules"]] == [True, True]
    assert found["rules"][0]["text"] == "is a member of a group that no longer exists"
    # Both may be sent back beside a new rule, but a new rule may not name what is gone.
    kept = await put(here, *made["rules"], by_title("admin"))
    assert [rule.get("dangling", False) for rule in kept["rules"]] == [True, True, False]
    body: dict[str, Any] = {"rules": [by_group("admin", group)]}
    assert (await here.refused(422, "PUT", path(here), body))[1:] == ["subject_unknown"]


async def test_earlier_versions_can_be_put_in_force_again(here: Api) -> None:
    first = await put(here, by_title("admin"))
    await put(here, by_title("editor"))
    assert (await here.call("DELETE", path(here))).status_code == 204
    assert (await here.call("DELETE", path(here))).status_code == 204
    off = await here.get(path(here))
    assert (off["version"], off["in_use"], off["rules"]) == (3, False, [])
    listed = await here.get(path(here, "/versions"))
    assert [one["version"] for one in listed["data"]] == [3, 2, 1]
    assert listed["data"][2] == first
    assert listed["data"][0]["actor_id"].startswith("key_")
    answer = await here.call("POST", path(here, "/versions/1/restore"))
    assert answer.status_code == 200
    assert (answer.json()["version"], answer.json()["rules"]) == (4, first["rules"])
    for wrong in ("9", "0", "x", "1e1", "9" * 30):
        await here.refused(404, "POST", path(here, f"/versions/{wrong}/restore"))
    await put(here, default_role="editor")
    await put(here)
    assert (await here.call("DELETE", "/authorization/roles/editor")).status_code == 204
    refused = await here.refused(422, "POST", path(here, "/versions/5/restore"))
    assert refused[1:] == ["default_role_unknown"]


async def test_a_preview_says_what_applying_then_does(here: Api) -> None:
    people = [await here.world.user(f"u{n}", title="Planner" if n < 4 else "Chief") for n in range(12)]
    await here.world.group("Dispatch", people[:2])
    await put(here, by_title("editor"))
    rules = [by_name("admin", "dispatch"), by_title("editor", "equals", "Chief")]
    before = {user: await roles(here, user) for user in people}
    answer = await here.call("POST", path(here, "/preview"), {"rules": rules})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["total"], found["changed"]) == (12, 12)
    assert found["summary"] == "2 gain Admin, 8 gain Editor, 2 gain Member, 4 lose Editor, 8 lose Member"
    assert found["roles"][0] == {
        "role": "admin",
        "name": "Admin",
        "before": 0,
        "after": 2,
        "gain": 2,
        "lose": 0,
        "held": 0,
    }
    assert [warning["code"] for warning in found["warnings"]] == ["large_change"]
    assert {user: await roles(here, user) for user in people} == before
    assert (await here.get(path(here)))["version"] == 1
    await put(here, *rules)
    told = [data for name, data in await here.world.told() if name == "dsync.user.updated"]
    changed = {data["id"]: data for data in told[-12:]}
    for example in found["examples"]:
        data = changed[example["directory_user_id"]]
        assert [role["slug"] for role in data["previous_attributes"]["roles"]] == example["before"]
        assert [role["slug"] for role in data["roles"]] == example["after"]
    assert len(changed) == len(found["examples"]) == found["changed"]
    again = (await here.call("POST", path(here, "/preview"), {"rules": rules})).json()
    assert (again["changed"], again["summary"], again["warnings"]) == (0, "nobody's roles change", [])


async def test_a_preview_warns_of_roles_that_run_out_and_of_floors(here: Api) -> None:
    people = [await here.world.user(f"u{n}") for n in range(3)]
    await here.world.group("Dispatch", people)
    await put(here, by_name("admin", "Dispatch"))
    body: dict[str, Any] = {"rules": []}
    found = (await here.call("POST", path(here, "/preview"), body)).json()
    assert found["summary"] == "3 gain Member, 3 lose Admin, 0 Admins left"
    assert [one["code"] for one in found["warnings"]] == ["large_change", "role_without_holders"]
    body["floors"] = [{"role": "admin", "minimum": 2}]
    found = (await here.call("POST", path(here, "/preview"), body)).json()
    assert found["summary"] == "3 gain Member, 3 lose Admin"
    assert [one["code"] for one in found["warnings"]] == ["large_change", "floor_holds"]
    assert found["warnings"][1]["role"] == "admin"
    assert [one["held"] for one in found["roles"]] == [2, 0, 0]
    await put(here, **body)
    held = sorted([await roles(here, user) for user in people])
    assert held == [["admin"], ["admin"], ["member"]]


async def test_why_somebody_holds_a_role(here: Api) -> None:
    ada = await here.world.user("ada", title="Planner")
    group = await here.world.group("Dispatch", [ada])
    made = await put(here, by_group("admin", group), by_title("editor"), mode="multiple")
    answer = await here.get(f"/directory_users/directory_user_{ada}/roles")
    admin, editor = answer["data"]
    rule = made["rules"][0]
    assert admin == {
        "object": "role_grant",
        "role": "admin",
        "name": "Admin",
        "rule": {"id": rule["id"], "text": rule["text"]},
        "group": {"id": f"directory_group_{group}", "name": "Dispatch"},
        "since": admin["since"],
        "held": False,
        "sentence": (
            f"Admin because of group “Dispatch” by rule {rule['id']} (whoever {rule['text']}) "
            f"since {admin['since']}."
        ),
    }
    assert (editor["role"], editor["group"], editor["rule"]["id"]) == ("editor", None, made["rules"][1]["id"])
    await put(here)
    [member] = (await here.get(f"/directory_users/directory_user_{ada}/roles"))["data"]
    assert (member["role"], member["rule"], member["group"]) == ("member", None, None)
    assert member["sentence"] == f"Member, the default role, since {member['since']}: no rule matches."
    await here.refused(404, "GET", f"/directory_users/directory_user_{NOBODY}/roles")


async def test_a_held_change_waits_for_a_decision(here: Api) -> None:
    ada = await here.world.user("ada")
    group = await here.world.group("Dispatch", [ada])
    await put(here, by_name("admin", "Dispatch"), floors=[{"role": "admin", "minimum": 1}])
    await here.world.do(DeleteGroup(group))
    changes = f"/directories/{here.world.place.directory.id}/held_changes"
    [held] = (await here.get(f"{changes}?state=pending"))["data"]
    assert held == {
        "object": "held_change",
        "id": held["id"],
        "directory_id": here.world.place.directory.id,
        "kind": "role_floor",
        "state": "pending",
        "directory_user_id": f"directory_user_{ada}",
        "role": "admin",
        "message": f"directory_user_{ada} would lose the role admin, which a floor protects.",
        "created_at": held["created_at"],
        "settled_at": None,
    }
    assert (await here.get(f"{changes}?state=approved"))["data"] == []
    assert (await here.refused(422, "GET", f"{changes}?state=open"))[1:] == ["state_invalid"]
    assert (await here.refused(422, "GET", f"{changes}?after=x"))[1:] == ["after_invalid"]
    for action in ("approve", "ignore"):
        await here.refused(404, "POST", f"{changes}/held_{NOBODY}/{action}")
        await here.refused(404, "POST", f"{changes}/x/{action}")
    answer = await here.call("POST", f"{changes}/{held['id']}/approve")
    assert answer.status_code == 200
    assert answer.json() == held | {"state": "approved", "settled_at": answer.json()["settled_at"]}
    assert await roles(here, ada) == ["member"]
    for action in ("approve", "ignore"):
        assert await here.refused(409, "POST", f"{changes}/{held['id']}/{action}") == ["held_change_settled"]
    assert [one["state"] for one in (await here.get(changes))["data"]] == ["approved"]


async def test_a_key_that_may_not_decide_about_access_is_refused(here: Api) -> None:
    key = await here.key(["read", "write"])
    for method, to in (("PUT", path(here)), ("DELETE", path(here)), ("POST", path(here, "/preview"))):
        answer = await here.call(
            method,
            to,
            {"rules": []} if method != "DELETE" else None,
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code == 403, to


async def test_a_role_that_rules_name_is_protected_as_the_contract_says(here: Api) -> None:
    own = f"/authorization/organizations/{here.world.place.organization_id}/roles"
    assert (await here.call("POST", own, {"slug": "org-lead", "name": "Lead"})).status_code == 201
    ada = await here.world.user("ada", title="Planner")
    await put(here, by_title("org-lead"), by_title("editor", "present", None))
    assert await roles(here, ada) == ["editor"]
    refused = await here.refused(409, "DELETE", f"{own}/org-lead")
    assert refused == ["role_has_group_role_mappings"]
    await put(here, by_title("org-lead"))
    assert await roles(here, ada) == ["org-lead"]
    # Taken out of the rules, but not yet from the people.
    assert (await here.call("PUT", path(here), {"rules": []})).status_code == 200
    assert await here.refused(409, "DELETE", f"{own}/org-lead") == ["role_has_assignments"]
    await here.world.services.reevaluations.complete()
    assert (await here.call("DELETE", f"{own}/org-lead")).status_code == 204
    assert await here.refused(409, "DELETE", "/authorization/roles/member") == ["role_is_default"]


async def test_what_rules_leave_open_is_as_the_environment_has_settled_it(here: Api) -> None:
    changed = await here.call("PATCH", "/environment", {"role_mode": "multiple", "default_role": "editor"})
    assert changed.status_code == 200
    found = await put(here, by_title("admin"))
    assert (found["mode"], found["default_role"]) == ("multiple", "editor")
    assert (await put(here, mode="single"))["mode"] == "single"
