"""Roles, attributes and effective memberships follow every change: in the writer, and in the job for all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from syncline import faults
from syncline.core.commands import DeleteGroup, DeleteUser, PatchGroup, PatchUser
from syncline.core.ids import Prefix
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.scim.schema import ENTERPRISE_URN, ResourceKind
from syncline.services.evaluations import Proposal, composed, reissue, tried_out
from syncline.services.reevaluation import Reevaluations
from syncline.store import tables as t
from syncline.store.jsontext import dump
from tests.services.test_apply import (
    CAUSE,
    World,
    add_members,
    patch,
    remove_member,
    set_active,
    world,
)

DEPARTMENT: dict[str, Json] = {ENTERPRISE_URN: {"department": "Logistics"}}


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[World]:
    async with world(database_url, InactiveUsers.KEEP) as made:
        await made.kernel.database.write(lambda connection: add_roles(connection, made))
        yield made


def add_roles(connection: Connection, here: World) -> None:
    now = here.kernel.clock()
    for priority, slug in enumerate(("admin", "editor"), start=-2):
        connection.execute(
            insert(t.roles),
            {
                "environment_id": here.place.environment_id,
                "id": here.kernel.ids.new(Prefix.ROLE),
                "slug": slug,
                "name": slug.title(),
                "resource_type_slug": "organization",
                "permissions": "[]",
                "priority": priority,
                "created_at": now,
                "updated_at": now,
            },
        )


def by_group(number: int, group_id: str, role: str) -> Json:
    return {
        "id": f"role_rule_{number}",
        "condition": {"kind": "group", "subject": group_id, "operator": "", "value": None},
        "role": role,
    }


def by_name(number: int, name: str, role: str) -> Json:
    return {
        "id": f"role_rule_{number}",
        "condition": {"kind": "group_name", "subject": "", "operator": "equals", "value": name},
        "role": role,
    }


async def rule(
    here: World, *rules: Json, floors: Json = None, mode: str = "single", work: bool = True
) -> None:
    """Put rules in force, and evaluate everybody unless that is left to the test."""
    body: dict[str, Json] = {"mode": mode, "precedence": "role_priority", "rules": list(rules)}
    body |= {"default_role": "member", "floors": floors or []}

    def change(connection: Connection) -> None:
        scope = here.place.directory.scope
        version = len(connection.execute(select(t.role_rules.c.version)).all()) + 1
        connection.execute(
            insert(t.role_rules),
            {
                "environment_id": scope.environment_id,
                "directory_id": scope.directory_id,
                "version": version,
                "body": dump(body),
                "cause": CAUSE.id,
                "created_at": here.kernel.clock(),
            },
        )
        assert reissue(here.kernel, connection, scope.environment_id, CAUSE) == [scope.directory_id]

    await here.kernel.database.write(change)
    if work:
        await Reevaluations(here.kernel).complete()


async def define(here: World, key: str, kind: str, *sources: Json) -> None:
    def change(connection: Connection) -> None:
        now = here.kernel.clock()
        connection.execute(
            insert(t.attribute_definitions),
            {
                "environment_id": here.place.environment_id,
                "id": here.kernel.ids.new(Prefix.ATTRIBUTE),
                "key": key,
                "kind": kind,
                "type": "string",
                "required": False,
                "sources": dump(list(sources)),
                "created_at": now,
                "updated_at": now,
            },
        )
        reissue(here.kernel, connection, here.place.environment_id, CAUSE)

    await here.kernel.database.write(change)


async def follow_effective(here: World) -> None:
    await here.kernel.database.write(
        lambda connection: connection.execute(
            update(t.directories).values(membership="effective", revision=t.directories.c.revision + 1)
        )
    )


async def since(here: World, count: int) -> list[tuple[str, Any]]:
    """What the log says after so many events: types, with whom and which roles."""
    found: list[tuple[str, Any]] = []
    for name, data in (await here.events())[count:]:
        user = data.get("user", data)
        roles = [role["slug"] for role in user.get("roles", [])]
        found.append((name, roles) if "user" in name else (name, None))
    return found


async def test_a_membership_brings_the_role_of_its_group_and_its_end_takes_it(here: World) -> None:
    admins = await here.group("Admins")
    mira = await here.user("mira@northwind.example")
    await rule(here, by_group(1, admins.id, "admin"))
    seen = len(await here.types())
    await here.do(PatchGroup(admins.id, add_members(mira.id)))
    await here.do(PatchGroup(admins.id, remove_member(mira.id)))
    assert await since(here, seen) == [
        ("dsync.group.user_added", ["admin"]),
        ("dsync.user.updated", ["admin"]),
        ("dsync.group.user_removed", ["member"]),
        ("dsync.user.updated", ["member"]),
    ]
    _, last = (await here.events())[-1]
    assert last["previous_attributes"] == {"role": {"slug": "admin"}, "roles": [{"slug": "admin"}]}


async def test_who_is_there_already_is_evaluated_by_the_job_once(here: World) -> None:
    mira, tom = [await here.user(f"{name}@northwind.example") for name in ("mira", "tom")]
    admins = await here.group("Admins", [mira.id])
    seen = len(await here.types())
    await rule(here, by_group(1, admins.id, "admin"))
    assert await since(here, seen) == [("dsync.user.updated", ["admin"]), ("dsync.user.updated", ["member"])]
    _, first = (await here.events())[seen]
    assert first["previous_attributes"] == {"role": None, "roles": None}
    await rule(here, by_group(2, admins.id, "admin"))
    assert len(await here.types()) == seen + 2
    assert tom.id


async def test_a_renamed_or_deleted_group_takes_its_roles_along(here: World) -> None:
    mira = await here.user("mira@northwind.example")
    editors = await here.group("Editors", [mira.id])
    await rule(here, by_name(1, "editors", "editor"))
    seen = len(await here.types())
    rename = patch(ResourceKind.GROUP, {"op": "replace", "path": "displayName", "value": "Writers"})
    await here.do(PatchGroup(editors.id, rename))
    back = patch(ResourceKind.GROUP, {"op": "replace", "path": "displayName", "value": "EDITORS"})
    await here.do(PatchGroup(editors.id, back))
    await here.do(DeleteGroup(editors.id))
    assert await since(here, seen) == [
        ("dsync.group.updated", None),
        ("dsync.user.updated", ["member"]),
        ("dsync.group.updated", None),
        ("dsync.user.updated", ["editor"]),
        ("dsync.group.deleted", None),
        ("dsync.user.updated", ["member"]),
    ]


async def test_a_floor_keeps_the_last_admins_and_says_so(here: World) -> None:
    mira, tom = [await here.user(f"{name}@northwind.example") for name in ("mira", "tom")]
    admins = await here.group("Admins", [mira.id, tom.id])
    await rule(here, by_group(1, admins.id, "admin"), floors=[{"role": "admin", "minimum": 2}])
    seen = len(await here.types())
    await here.do(PatchGroup(admins.id, remove_member(mira.id)))
    assert await since(here, seen) == [("dsync.group.user_removed", ["admin"])]
    assert await held(here) == [(mira.id, "admin", "pending")]
    # A third admin lets the first one go.
    ann = await here.user("ann@northwind.example")
    await here.do(PatchGroup(admins.id, add_members(ann.id)))
    await Reevaluations(here.kernel).complete()
    assert (await since(here, seen))[-1] == ("dsync.user.updated", ["member"])
    assert await held(here) == [(mira.id, "admin", "obsolete")]


async def test_nobody_is_kept_from_leaving_by_a_floor(here: World) -> None:
    mira = await here.user("mira@northwind.example")
    admins = await here.group("Admins", [mira.id])
    await rule(here, by_group(1, admins.id, "admin"), floors=[{"role": "admin", "minimum": 1}])
    seen = len(await here.types())
    await here.do(PatchUser(mira.id, set_active(False)))
    await here.do(DeleteUser(mira.id))
    assert [name for name, _ in await since(here, seen)] == [
        "dsync.user.updated",
        "dsync.group.user_removed",
        "dsync.user.deleted",
    ]
    assert await held(here) == []


async def held(here: World) -> list[tuple[str, str, str]]:
    rows = await here.kernel.database.read(
        lambda connection: connection.execute(
            select(t.held_changes.c.user_id, t.held_changes.c.role, t.held_changes.c.state)
        ).all()
    )
    return [(row.user_id, row.role, row.state) for row in rows]


async def test_an_attribute_is_shown_from_the_next_change_on_and_by_the_job(here: World) -> None:
    mira = await here.user("mira@northwind.example", **DEPARTMENT)
    await here.user("tom@northwind.example")
    await define(here, "department_name", "predefined")
    seen = len(await here.types())
    await here.do(PatchUser(mira.id, patch(ResourceKind.USER, {"op": "add", "value": {"title": "Planner"}})))
    await Reevaluations(here.kernel).complete()
    changed = [data for _, data in (await here.events())[seen:]]
    # Nothing is new about somebody without a department.
    assert [data["custom_attributes"] for data in changed] == [{"department_name": "Logistics"}]
    assert changed[0]["previous_attributes"] == {
        "custom_attributes": {"department_name": None},
        "job_title": None,
    }


async def test_a_job_goes_on_where_it_was_cut_off(
    here: World, monkeypatch: pytest.MonkeyPatch, no_plan_stays: None
) -> None:
    people = [await here.user(f"p{number}@northwind.example") for number in range(7)]
    admins = await here.group("Admins", [person.id for person in people])
    monkeypatch.setattr("syncline.services.reevaluation.BATCH", 2)
    seen = len(await here.types())
    await rule(here, by_group(1, admins.id, "admin"), work=False)
    job = Reevaluations(here.kernel)
    faults.install(faults.FaultPlan.parse("reevaluation.before_commit=fail@3"))
    with pytest.raises(faults.FaultInjected):
        await job.complete()
    faults.install(None)
    assert len(await here.types()) == seen + 4
    await here.kernel.database.write(
        lambda connection: connection.execute(update(t.reevaluations).values(lease_until=None))
    )
    await job.complete()
    assert await since(here, seen) == [("dsync.user.updated", ["admin"])] * 7
    state = await here.kernel.database.read(
        lambda connection: connection.execute(select(t.reevaluations)).one()
    )
    assert (state.state, state.total, state.done, state.changed) == ("complete", 7, 7, 7)


async def test_what_is_tried_out_is_what_happens(here: World) -> None:
    mira, tom = [await here.user(f"{name}@northwind.example", **DEPARTMENT) for name in ("mira", "tom")]
    admins = await here.group("Admins", [tom.id])
    rules: dict[str, Json] = {
        "mode": "single",
        "precedence": "role_priority",
        "default_role": "member",
        "rules": [by_group(1, admins.id, "admin")],
        "floors": [],
    }
    directory = here.place.directory
    evaluation = await here.kernel.database.read(
        lambda connection: composed(connection, directory, Proposal(rules=rules))
    )
    expected = [
        [grant.role for grant in after.roles or ()]
        async for pairs in tried_out(here.kernel, directory, evaluation)
        for _, after, _ in pairs
    ]
    assert expected == [["member"], ["admin"]]
    seen = len(await here.types())
    assert seen == 4
    await rule(here, by_group(1, admins.id, "admin"))
    assert [roles for _, roles in await since(here, seen)] == expected
    assert mira.id < tom.id


async def test_effective_memberships_begin_and_end_with_the_groups_inside(here: World) -> None:
    await follow_effective(here)
    mira = await here.user("mira@northwind.example")
    company = await here.group("Company")
    team = await here.group("Team")
    await rule(here, by_group(1, company.id, "editor"))
    await here.do(PatchGroup(company.id, add_members(team.id)))
    seen = len(await here.types())
    await here.do(PatchGroup(team.id, add_members(mira.id)))
    assert await since(here, seen) == [
        ("dsync.group.user_added", ["editor"]),
        ("dsync.group.user_added", ["editor"]),
        ("dsync.user.updated", ["editor"]),
    ]
    # A cycle changes nothing, and taking the way through it away ends the membership.
    await here.do(PatchGroup(team.id, add_members(company.id)))
    assert len(await here.types()) == seen + 3
    await here.do(PatchGroup(company.id, remove_member(team.id)))
    assert (await since(here, seen))[3:] == [
        ("dsync.group.user_removed", ["member"]),
        ("dsync.user.updated", ["member"]),
    ]
    _, data = (await here.events())[-2]
    assert data["group"]["name"] == "Company"


async def test_a_deleted_person_leaves_every_effective_membership(here: World) -> None:
    await follow_effective(here)
    mira = await here.user("mira@northwind.example")
    team = await here.group("Team", [mira.id])
    await here.group("Company", [team.id])
    seen = len(await here.types())
    await here.do(DeleteUser(mira.id))
    events = (await here.events())[seen:]
    assert [name for name, _ in events] == ["dsync.group.user_removed"] * 2 + ["dsync.user.deleted"]
    assert [data["group"]["name"] for _, data in events[:2]] == ["Team", "Company"]


async def test_a_deleted_group_ends_what_was_reached_through_it(here: World) -> None:
    await follow_effective(here)
    mira = await here.user("mira@northwind.example")
    team = await here.group("Team", [mira.id])
    await here.group("Company", [team.id])
    seen = len(await here.types())
    await here.do(DeleteGroup(team.id))
    events = (await here.events())[seen:]
    assert [name for name, _ in events] == ["dsync.group.deleted", "dsync.group.user_removed"]
    assert events[1][1]["group"]["name"] == "Company"
