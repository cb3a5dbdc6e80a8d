"""Roles follow whatever changes: memberships, names, groups, people and rules; each is announced once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from syncline.core.commands import DeleteGroup, PatchGroup, PatchUser
from syncline.core.errors import Conflict, NotFound
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.paging import PageRequest
from syncline.core.role_conditions import Condition, ConditionKind
from syncline.core.roles import Floor, Precedence, RoleMode, RoleRule
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from syncline.services.held_changes import HeldChange
from syncline.services.role_rule_shapes import RuleSetInput
from syncline.services.role_shapes import RoleInput
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world

EVERYTHING = PageRequest(limit=100)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[DirectoryWorld]:
    async with directory_world(database_url, InactiveUsers.KEEP) as made:
        for slug in ("admin", "editor"):
            await made.services.roles.create(made.environment, RoleInput(slug.title(), slug=slug), CAUSE)
        yield made


def named(role: str, name: str, operator: str = "equals") -> RoleRule:
    return RoleRule("", Condition(ConditionKind.GROUP_NAME, "", operator, name), role)


def inactive(role: str) -> RoleRule:
    return RoleRule("", Condition(ConditionKind.ATTRIBUTE, "state", "equals", "inactive"), role)


async def rules(
    world: DirectoryWorld,
    *given: RoleRule,
    mode: RoleMode = RoleMode.SINGLE,
    floors: Sequence[Floor] = (),
) -> None:
    """Put rules in force and wait until everybody is evaluated."""
    wanted = RuleSetInput(mode, Precedence.ROLE_PRIORITY, "member", given, floors)
    await world.services.role_rules.replace(world.environment, world.place.directory.id, wanted, CAUSE)
    await world.services.reevaluations.complete()


async def patch_group(world: DirectoryWorld, group: str, op: str, path: str, value: Json = None) -> None:
    operation: dict[str, Json] = {"op": op, "path": path}
    if value is not None:
        operation["value"] = value
    await world.do(PatchGroup(group, parse_operations({"Operations": [operation]}, ResourceKind.GROUP)))


async def updates(world: DirectoryWorld, begin: int) -> list[tuple[str, list[str], list[str] | None]]:
    """Who was announced with which roles, and which before, since that many events."""
    found = []
    for name, data in (await world.told())[begin:]:
        if name == "dsync.user.updated":
            before = data["previous_attributes"].get("roles")
            found.append((data["username"], slugs(data["roles"]), None if before is None else slugs(before)))
            if before is not None:
                assert data["role"] == data["roles"][0]
                assert data["previous_attributes"].get("role", before[0]) == before[0]
    return found


def slugs(roles: list[dict[str, Any]]) -> list[str]:
    return [role["slug"] for role in roles]


async def count(world: DirectoryWorld) -> int:
    return len(await world.told())


async def held(world: DirectoryWorld, state: str | None = "pending") -> list[HeldChange]:
    page = await world.services.held_changes.list(
        world.environment, world.place.directory.id, state, EVERYTHING
    )
    return list(page.items)


async def roles(world: DirectoryWorld, user: str) -> list[str]:
    found = await world.services.role_grants.of(world.environment, f"directory_user_{user}")
    return [one.grant.role for one in found]


async def test_roles_follow_memberships(world: DirectoryWorld) -> None:
    ada, ben = await world.user("ada"), await world.user("ben")
    group = await world.group("Dispatch", [ada])
    await rules(world, named("admin", "Dispatch"))
    assert await updates(world, 0) == [("ada", ["admin"], None), ("ben", ["member"], None)]
    begin = await count(world)
    await patch_group(world, group, "add", "members", [{"value": ben}])
    await patch_group(world, group, "remove", f'members[value eq "{ada}"]')
    assert await updates(world, begin) == [("ben", ["admin"], ["member"]), ("ada", ["member"], ["admin"])]
    begin = await count(world)
    # The same again is no change and is not announced.
    await patch_group(world, group, "add", "members", [{"value": ben}])
    assert await count(world) == begin


async def test_a_membership_and_the_role_that_it_gives_tell_the_same(world: DirectoryWorld) -> None:
    await rules(world, named("admin", "Dispatch"))
    ada = await world.user("ada")
    group = await world.group("Dispatch")
    begin = await count(world)
    await patch_group(world, group, "add", "members", [{"value": ada}])
    told = (await world.told())[begin:]
    assert sorted(name for name, _ in told) == ["dsync.group.user_added", "dsync.user.updated"]
    last = next(data for name, data in told if name == "dsync.user.updated")
    added = next(data for name, data in told if name == "dsync.group.user_added")
    assert slugs(last["roles"]) == slugs(added["user"]["roles"]) == ["admin"]


async def test_roles_follow_names_of_groups_and_end_with_them(world: DirectoryWorld) -> None:
    ada = await world.user("ada")
    group = await world.group("Dispatch", [ada])
    await rules(world, named("editor", "sales*", "matches"))
    assert await roles(world, ada) == ["member"]
    begin = await count(world)
    await patch_group(world, group, "replace", "displayName", "Sales EMEA")
    assert await updates(world, begin) == [("ada", ["editor"], ["member"])]
    begin = await count(world)
    await world.do(DeleteGroup(group))
    assert await updates(world, begin) == [("ada", ["member"], ["editor"])]
    assert await roles(world, ada) == ["member"]


async def test_roles_follow_the_state_of_people(world: DirectoryWorld) -> None:
    ada = await world.user("ada")
    await world.group("Dispatch", [ada])
    await rules(world, named("editor", "Dispatch"), inactive("admin"))
    begin = await count(world)
    await world.set_active(ada, False)
    assert await updates(world, begin) == [("ada", ["admin"], ["editor"])]
    await world.set_active(ada, True)
    assert (await updates(world, begin))[1:] == [("ada", ["editor"], ["admin"])]


async def test_a_group_inside_of_another_counts_where_the_directory_says_so(world: DirectoryWorld) -> None:
    ada = await world.user("ada")
    inner = await world.group("EMEA", [ada])
    outer = await world.group("Sales", [inner])
    await rules(world, named("editor", "Sales"))
    assert await roles(world, ada) == ["member"]
    where = world.environment, world.place.directory.id
    await world.services.directories.update(*where, CAUSE, membership="effective")
    await world.services.reevaluations.complete()
    assert await roles(world, ada) == ["editor"]
    begin = await count(world)
    await patch_group(world, outer, "remove", f'members[value eq "{inner}"]')
    assert await updates(world, begin) == [("ada", ["member"], ["editor"])]


async def test_who_comes_back_shows_roles_at_once(world: DirectoryWorld) -> None:
    await rules(world, named("editor", "Dispatch"))
    where = world.environment, world.place.directory.id
    await world.services.directories.update(*where, CAUSE, inactive="delete")
    ada = await world.user("ada")
    await world.group("Dispatch", [ada])
    await world.set_active(ada, False)
    begin = await count(world)
    await world.set_active(ada, True)
    told = (await world.told())[begin:]
    assert [name for name, _ in told] == ["dsync.user.created", "dsync.group.user_added"]
    assert slugs(told[0][1]["roles"]) == slugs(told[1][1]["user"]["roles"]) == ["editor"]


async def test_who_is_created_shows_roles_at_once(world: DirectoryWorld) -> None:
    await rules(world, RoleRule("", Condition(ConditionKind.ATTRIBUTE, "job_title", "present"), "editor"))
    ada = await world.user("ada", title="Planner")
    name, data = (await world.told())[-1]
    assert (name, data["role"], data["roles"]) == (
        "dsync.user.created",
        {"slug": "editor"},
        [{"slug": "editor"}],
    )
    operation: dict[str, Json] = {"op": "remove", "path": "title"}
    await world.do(PatchUser(ada, parse_operations({"Operations": [operation]}, ResourceKind.USER)))
    assert (await updates(world, 0))[-1] == ("ada", ["member"], ["editor"])


async def test_several_roles_and_the_way_back(world: DirectoryWorld) -> None:
    ada = await world.user("ada")
    await world.group("Dispatch", [ada])
    await world.group("Sales", [ada])
    both = named("editor", "Dispatch"), named("admin", "Sales")
    await rules(world, *both, mode=RoleMode.MULTIPLE)
    assert await roles(world, ada) == ["admin", "editor"]
    begin = await count(world)
    await rules(world, *both)
    assert await updates(world, begin) == [("ada", ["admin"], ["admin", "editor"])]
    since = (await world.services.role_grants.of(world.environment, f"directory_user_{ada}"))[0].grant.since
    # Another rule gives the same role: nothing to announce, and it is held since then.
    begin = await count(world)
    await rules(world, named("admin", "Dispatch"))
    assert await count(world) == begin
    [found] = await world.services.role_grants.of(world.environment, f"directory_user_{ada}")
    assert (found.grant.since, found.group_name) == (since, "Dispatch")
    await world.services.role_rules.clear(world.environment, world.place.directory.id, CAUSE)
    await world.services.reevaluations.complete()
    name, data = (await world.told())[-1]
    assert name == "dsync.user.updated"
    assert "roles" not in data
    assert "role" not in data
    assert data["previous_attributes"] == {"role": {"slug": "admin"}, "roles": [{"slug": "admin"}]}


async def test_people_fall_back_when_a_role_is_deleted(world: DirectoryWorld) -> None:
    ada = await world.user("ada")
    await world.group("Dispatch", [ada])
    both = named("admin", "Dispatch"), named("editor", "Dispatch")
    await rules(world, *both, mode=RoleMode.MULTIPLE)
    begin = await count(world)
    await world.services.roles.delete(world.environment, "editor", CAUSE)
    await world.services.reevaluations.complete()
    assert await updates(world, begin) == [("ada", ["admin"], ["admin", "editor"])]
    await rules(world, named("admin", "Dispatch"))
    await world.services.roles.delete(world.environment, "admin", CAUSE)
    await world.services.reevaluations.complete()
    assert await roles(world, ada) == ["member"]


async def test_the_order_of_roles_decides_who_holds_which(world: DirectoryWorld) -> None:
    ada = await world.user("ada")
    await world.group("Dispatch", [ada])
    await rules(world, named("admin", "Dispatch"), named("editor", "Dispatch"))
    assert await roles(world, ada) == ["admin"]
    await world.services.roles.order(world.environment, ["editor", "member", "admin"], CAUSE)
    await world.services.reevaluations.complete()
    assert await roles(world, ada) == ["editor"]


class TestFloors:
    """At least two admins: whoever would be the last but one stays, and somebody has to decide."""

    @pytest.fixture
    async def people(self, world: DirectoryWorld) -> list[str]:
        people = [await world.user(name) for name in ("ada", "ben", "cyd")]
        await world.group("Dispatch", people)
        await rules(world, named("admin", "Dispatch"), floors=[Floor("admin", 2)])
        return people

    async def leave(self, world: DirectoryWorld, user: str) -> None:
        groups = await world.services.product.groups(
            world.environment, EVERYTHING, user=f"directory_user_{user}"
        )
        group = groups.items[0].id.removeprefix("directory_group_")
        await patch_group(world, group, "remove", f'members[value eq "{user}"]')

    async def test_a_change_below_the_floor_is_held_and_says_so(
        self, world: DirectoryWorld, people: list[str]
    ) -> None:
        ada, ben, cyd = people
        await self.leave(world, ada)
        assert await held(world) == []
        begin = await count(world)
        await self.leave(world, ben)
        assert await updates(world, begin) == []
        [change] = await held(world)
        assert (change.directory_user_id, change.role, change.state) == (
            f"directory_user_{ben}",
            "admin",
            "pending",
        )
        [found] = await world.services.role_grants.of(world.environment, f"directory_user_{ben}")
        assert found.grant.held
        assert "a floor keeps it" in found.sentence
        assert [await roles(world, user) for user in people] == [["member"], ["admin"], ["admin"]]
        # The job looks at everybody again and holds the same once.
        await world.services.roles.order(world.environment, ["admin", "member", "editor"], CAUSE)
        await world.services.reevaluations.complete()
        assert await held(world) == [change]
        assert await roles(world, cyd) == ["admin"]

    async def test_what_is_approved_is_carried_out_once(
        self, world: DirectoryWorld, people: list[str]
    ) -> None:
        await self.leave(world, people[0])
        await self.leave(world, people[1])
        [change] = await held(world)
        begin, where = await count(world), (world.environment, world.place.directory.id)
        settled = await world.services.held_changes.approve(*where, change.id, CAUSE)
        assert settled.state == "approved"
        assert await updates(world, begin) == [("ben", ["member"], ["admin"])]
        for decide in (world.services.held_changes.approve, world.services.held_changes.ignore):
            with pytest.raises(Conflict) as refused:
                await decide(*where, change.id, CAUSE)
            assert refused.value.code == "held_change_settled"
        with pytest.raises(NotFound):
            await world.services.held_changes.approve(*where, "held_01KA0YPX7B9D1F3H5K7M9Q1S3T", CAUSE)
        assert await held(world) == []

    async def test_what_is_ignored_is_not_asked_again_while_it_lasts(
        self, world: DirectoryWorld, people: list[str]
    ) -> None:
        await self.leave(world, people[0])
        await self.leave(world, people[1])
        [change] = await held(world)
        where = world.environment, world.place.directory.id
        await world.services.held_changes.ignore(*where, change.id, CAUSE)
        await world.services.roles.order(world.environment, ["admin", "member", "editor"], CAUSE)
        await world.services.reevaluations.complete()
        assert await held(world) == []
        assert await roles(world, people[1]) == ["admin"]
        # Back by rule, then out again: that is another change.
        group = await world.group("Dispatch", [people[1]])
        assert not (await world.services.role_grants.of(*_person(world, people[1])))[0].grant.held
        await patch_group(world, group, "remove", f'members[value eq "{people[1]}"]')
        assert [one.id for one in await held(world)] != [change.id]
        assert len(await held(world, None)) == 2

    async def test_a_reason_that_goes_away_needs_no_decision(
        self, world: DirectoryWorld, people: list[str]
    ) -> None:
        await self.leave(world, people[0])
        await self.leave(world, people[1])
        assert len(await held(world)) == 1
        begin = await count(world)
        dan = await world.user("dan")
        await world.group("Dispatch", [dan])
        await world.services.reevaluations.complete()
        assert await held(world) == []
        assert [one.state for one in await held(world, None)] == ["obsolete"]
        assert (await updates(world, begin))[-1] == ("ben", ["member"], ["admin"])

    async def test_rules_without_the_floor_let_go(self, world: DirectoryWorld, people: list[str]) -> None:
        await self.leave(world, people[0])
        await self.leave(world, people[1])
        await rules(world, named("admin", "Dispatch"))
        assert await roles(world, people[1]) == ["member"]
        assert [one.state for one in await held(world, None)] == ["obsolete"]

    async def test_a_role_that_is_deleted_is_kept_by_no_floor(
        self, world: DirectoryWorld, people: list[str]
    ) -> None:
        await self.leave(world, people[0])
        await self.leave(world, people[1])
        await world.services.roles.delete(world.environment, "admin", CAUSE)
        await world.services.reevaluations.complete()
        assert [await roles(world, user) for user in people] == [["member"]] * 3
        assert [one.state for one in await held(world, None)] == ["obsolete"]

    async def test_nobody_is_kept_from_leaving(self, world: DirectoryWorld, people: list[str]) -> None:
        for user in people:
            await world.delete_user(user)
        assert await held(world) == []

    @pytest.mark.parametrize("inactive", ["keep", "delete"])
    async def test_who_loses_access_leaves_nothing_to_decide(
        self, world: DirectoryWorld, people: list[str], inactive: str
    ) -> None:
        """The held change stayed, and what came later was not asked again for its sake."""
        where = world.environment, world.place.directory.id
        await world.services.directories.update(*where, CAUSE, inactive=inactive)
        await self.leave(world, people[0])
        await self.leave(world, people[1])
        assert len(await held(world)) == 1
        await world.set_active(people[1], False)
        assert await held(world) == []
        assert [one.state for one in await held(world, None)] == ["obsolete"]


def _person(world: DirectoryWorld, user: str) -> tuple[str, str]:
    return world.environment, f"directory_user_{user}"
