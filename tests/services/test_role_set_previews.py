"""Previews of deletions and orders of roles: what they count, where they stop, and what floors do with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from syncline.core.errors import Conflict, NotFound, ValidationFailed
from syncline.core.paging import PageRequest
from syncline.core.role_conditions import Condition, ConditionKind
from syncline.core.roles import Floor, Precedence, RoleMode, RoleRule
from syncline.services.role_rule_shapes import RuleSetInput
from syncline.services.role_set_previews import RoleSetPreviews
from syncline.services.role_shapes import RoleInput
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world
from tests.support.kernels import Seeded, seed


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[DirectoryWorld]:
    async with directory_world(database_url) as made:
        for slug in ("admin", "editor"):
            await made.services.roles.create(made.environment, RoleInput(slug.title(), slug=slug), CAUSE)
        yield made


def named(role: str, group: str) -> RoleRule:
    return RoleRule("", Condition(ConditionKind.GROUP_NAME, "", "equals", group), role)


async def put(
    world: DirectoryWorld, *rules: RoleRule, at: Seeded | None = None, floors: Sequence[Floor] = ()
) -> None:
    directory = (at or world.place).directory
    wanted = RuleSetInput(RoleMode.SINGLE, Precedence.ROLE_PRIORITY, "member", list(rules), floors)
    await world.services.role_rules.replace(world.environment, directory.id, wanted, CAUSE)
    await world.services.reevaluations.complete()


async def people(world: DirectoryWorld, place: Seeded, names: Sequence[str], group: str) -> list[str]:
    made = [await world.user(f"{name}@x.example", place, title="Planner") for name in names]
    await world.group(group, made, place)
    return made


async def test_every_directory_that_is_concerned_is_counted_up_to_a_limit(world: DirectoryWorld) -> None:
    places = [world.place]
    places += [await seed(world.services.kernel, environment_id=world.environment) for _ in range(3)]
    for number, place in enumerate(places):
        await people(world, place, [f"p{n}" for n in range(number + 2)], "Dispatch")
        await put(world, named("admin" if number else "editor", "Dispatch"), at=place)
    found = await world.services.role_set_previews.of_deletion(world.environment, "admin")
    assert (found.concerned, found.counted, found.touched, found.is_complete) == (3, 3, 3, True)
    assert (found.total, found.changed) == (12, 12)
    assert [one.directory.id for one in found.directories] == [
        place.directory.id for place in reversed(places[1:])
    ]
    assert found.summary == "12 gain Member, 12 lose Admin, 0 Admins left in 3 directories"
    assert [one.code for one in found.warnings] == ["large_change", "role_without_holders"]
    few = RoleSetPreviews(world.services.kernel, people_at_most=4)
    part = await few.of_deletion(world.environment, "admin")
    assert (part.concerned, part.counted, part.total, part.is_complete) == (3, 2, 7, False)
    assert part.warnings[-1].code == "not_all_counted"
    assert part.warnings[-1].message == "Only the people of 2 of 3 directories were evaluated."


async def test_more_directories_than_are_listed_are_counted(world: DirectoryWorld) -> None:
    for _ in range(21):
        place = await seed(world.services.kernel, environment_id=world.environment)
        await people(world, place, ["ada"], "Dispatch")
        await put(world, named("admin", "Dispatch"), at=place)
    found = await world.services.role_set_previews.of_deletion(world.environment, "admin")
    assert (found.touched, len(found.directories), found.roles[0].lose) == (21, 20, 21)
    assert found.roles[0].emptied == 21


async def test_rules_that_were_taken_out_of_use_concern_nobody(world: DirectoryWorld) -> None:
    await people(world, world.place, ["ada"], "Dispatch")
    await put(world, named("admin", "Dispatch"))
    await world.services.role_rules.clear(world.environment, world.place.directory.id, CAUSE)
    await world.services.reevaluations.complete()
    found = await world.services.role_set_previews.of_deletion(world.environment, "admin")
    assert (found.concerned, found.summary) == (0, "nobody's roles change")


async def test_a_floor_is_told_and_holds_where_another_order_takes_a_role(world: DirectoryWorld) -> None:
    ada, ben, cyd = await people(world, world.place, ["ada", "ben", "cyd"], "Dispatch")
    await world.group("Planning", [ada, ben])
    rules = [named("admin", "Dispatch"), named("editor", "Planning")]
    await put(world, *rules, floors=[Floor("admin", 2)])
    order = ["editor", "admin", "member"]
    found = await world.services.role_set_previews.of_order(world.environment, order, "ada@x.example")
    editor, admin, _ = found.roles
    assert (editor.gain, admin.lose, admin.held, admin.emptied) == (2, 2, 1, 0)
    assert found.person is not None
    assert (found.person.gains, found.person.loses) == (["editor"], ["admin"])
    assert [(one.code, one.role) for one in found.warnings] == [
        ("large_change", None),
        ("floor_holds", "admin"),
        ("person_loses_access", "admin"),
    ]
    await world.services.roles.order(world.environment, order, CAUSE)
    await world.services.reevaluations.complete()
    held = []
    for user in (ada, ben, cyd):
        [one] = await world.services.role_grants.of(world.environment, f"directory_user_{user}")
        held.append((one.grant.role, one.grant.held))
    assert sorted(held) == [("admin", False), ("admin", True), ("editor", False)]


async def test_roles_of_single_organizations_are_counted_together(world: DirectoryWorld) -> None:
    for _ in range(2):
        place = await seed(world.services.kernel, environment_id=world.environment)
        own = RoleInput("Lead", slug="org-lead")
        await world.services.roles.create(world.environment, own, CAUSE, place.organization_id)
        await people(world, place, ["ada", "ben"], "Dispatch")
        await put(world, named("editor", "Dispatch"), named("org-lead", "Dispatch"), at=place)
    found = await world.services.role_set_previews.of_deletion(world.environment, "editor")
    assert (found.own_gain, found.own_lose) == (4, 0)
    assert found.summary == (
        "4 lose Editor, 4 gain a role of their organization, 0 Editors left in 2 directories"
    )
    assert [one.role for one in found.directories[0].impact.roles if one.gain] == ["org-lead"]


async def test_an_order_of_one_organization_looks_at_nobody_else(world: DirectoryWorld) -> None:
    places = [world.place, await seed(world.services.kernel, environment_id=world.environment)]
    for place in places:
        own = RoleInput("Lead", slug="org-lead")
        await world.services.roles.create(world.environment, own, CAUSE, place.organization_id)
        await people(world, place, ["ada"], "Dispatch")
        await put(world, named("editor", "Dispatch"), named("org-lead", "Dispatch"), at=place)
    previews, organization = world.services.role_set_previews, places[1].organization_id
    order = ["org-lead", "admin", "editor", "member"]
    found = await previews.of_order(world.environment, order, "ada@x.example", organization)
    assert (found.concerned, found.total, found.changed) == (1, 1, 1)
    assert [one.role for one in found.roles] == order
    assert found.person is not None
    assert found.person.after == ["org-lead"]
    with pytest.raises(ValidationFailed) as refused:
        await previews.of_order(world.environment, ["editor", "admin", "member"], "ada@x.example")
    assert [one.code for one in refused.value.errors] == ["person_ambiguous"]
    elsewhere = await previews.of_order(world.environment, ["admin", "member", "editor"], None)
    assert elsewhere.total == 2


async def test_what_a_deletion_refuses_its_preview_refuses(world: DirectoryWorld) -> None:
    previews, organization = world.services.role_set_previews, world.place.organization_id
    await put(world, named("admin", "Dispatch"))
    own = RoleInput("Lead", slug="org-lead")
    await world.services.roles.create(world.environment, own, CAUSE, organization)
    with pytest.raises(Conflict) as refused:
        await previews.of_deletion(world.environment, "member")
    assert refused.value.code == "role_is_default"
    free = await previews.of_deletion(world.environment, "org-lead", organization_id=organization)
    assert (free.concerned, free.summary) == (0, "nobody's roles change")
    await put(world, named("org-lead", "Dispatch"))
    with pytest.raises(Conflict) as refused:
        await previews.of_deletion(world.environment, "org-lead", organization_id=organization)
    assert refused.value.code == "role_has_group_role_mappings"
    with pytest.raises(NotFound):
        await previews.of_deletion(world.environment, "nobody")
    with pytest.raises(ValidationFailed):
        await previews.of_order(world.environment, ["admin"])


async def test_a_role_that_goes_lets_go_of_nobody_elsewhere(world: DirectoryWorld) -> None:
    """The change that a floor of one customer held was settled when another customer deleted a role."""
    other = await seed(world.services.kernel, environment_id=world.environment)
    for place in (world.place, other):
        own = RoleInput("Lead", slug="org-lead")
        await world.services.roles.create(world.environment, own, CAUSE, place.organization_id)
    [ada] = await people(world, world.place, ["ada"], "Dispatch")
    await put(world, named("org-lead", "Dispatch"), floors=[Floor("org-lead", 1)])
    await put(world, named("org-lead", "Nobody"), floors=[Floor("org-lead", 1)])
    where = world.environment, world.place.directory.id
    before = await world.services.held_changes.list(*where, "pending", PageRequest(10))
    assert [one.directory_user_id for one in before.items] == [f"directory_user_{ada}"]
    await world.services.roles.delete(world.environment, "org-lead", CAUSE, other.organization_id)
    after = await world.services.held_changes.list(*where, "pending", PageRequest(10))
    assert after.items == before.items


async def test_who_holds_a_role_by_rule_later_on_lets_those_go_whom_a_floor_kept_before(
    world: DirectoryWorld,
) -> None:
    """Those who lost the role were evaluated first and kept it; nobody looked at them again."""
    ada, ben, cyd, dan = [await world.user(name) for name in ("ada", "ben", "cyd", "dan")]
    await world.group("Old", [ada, ben])
    await world.group("New", [cyd, dan])
    floors = [Floor("admin", 2)]
    await put(world, named("admin", "Old"), floors=floors)
    wanted = RuleSetInput(
        RoleMode.SINGLE, Precedence.ROLE_PRIORITY, "member", [named("admin", "New")], floors
    )
    where = world.environment, world.place.directory.id
    found = await world.services.role_previews.of(*where, wanted)
    admin = found.impact.roles[0]
    assert (admin.gain, admin.lose, admin.held) == (2, 2, 0)
    await put(world, named("admin", "New"), floors=floors)
    for user, role in ((ada, "member"), (ben, "member"), (cyd, "admin"), (dan, "admin")):
        [held] = await world.services.role_grants.of(world.environment, f"directory_user_{user}")
        assert (held.grant.role, held.grant.held) == (role, False)
