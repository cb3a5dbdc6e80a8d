"""Groups inside of groups: what lists show of them, why somebody is a member, and another choice of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from syncline.core import wire
from syncline.core.commands import DeleteGroup, PatchGroup
from syncline.core.errors import NotFound, ValidationFailed
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.paging import Order, PageRequest
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from syncline.services.product import UserQuery
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world
from tests.support.kernels import seed

ALL = PageRequest(100, Order.ASC)


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[DirectoryWorld]:
    async with directory_world(database_url) as made:
        yield made


async def nest(here: DirectoryWorld, parent: str, child: str) -> None:
    """Let the provider put a group into a group."""
    operation: dict[str, Json] = {"op": "add", "path": "members", "value": [{"value": child}]}
    await here.do(PatchGroup(parent, parse_operations({"Operations": [operation]}, ResourceKind.GROUP)))


async def choose(here: DirectoryWorld, membership: str) -> None:
    await here.services.directories.update(
        here.environment, here.place.directory.id, CAUSE, membership=membership
    )


async def members(here: DirectoryWorld, group: str) -> list[str]:
    query = UserQuery(group=f"directory_group_{group}")
    found = await here.services.product.users(here.environment, query, ALL)
    return [str(user.username) for user in found.items]


async def groups(here: DirectoryWorld, user: str) -> list[str]:
    found = await here.services.product.groups(here.environment, ALL, user=f"directory_user_{user}")
    return [group.name for group in found.items]


async def read(here: DirectoryWorld, user: str) -> list[str]:
    found = await here.services.product.user(here.environment, f"directory_user_{user}")
    assert isinstance(found.groups, list)
    return [group.name for group in found.groups]


async def evidence(
    here: DirectoryWorld, user: str, page: PageRequest = ALL
) -> list[tuple[str, bool | None, bool, list[str]]]:
    found = await here.services.memberships.list(here.environment, f"directory_user_{user}", page)
    return [told(one) for one in found.items]


def told(one: wire.DirectoryMembership) -> tuple[str, bool | None, bool, list[str]]:
    return one.group.name, one.direct, one.shown, [step.name for step in one.path]


async def pyramid(here: DirectoryWorld) -> tuple[dict[str, str], dict[str, str]]:
    """Company holds Sales and Dispatch, Sales holds Inside Sales; ada is in the lowest, ben in two."""
    people = {name: await here.user(name) for name in ("ada", "ben", "cyd")}
    made = {
        "Company": await here.group("Company", [people["ben"]]),
        "Sales": await here.group("Sales"),
        "Inside": await here.group("Inside", [people["ada"]]),
        "Dispatch": await here.group("Dispatch", [people["ben"]]),
    }
    for parent, child in (("Company", "Sales"), ("Sales", "Inside"), ("Company", "Dispatch")):
        await nest(here, made[parent], made[child])
    return people, made


async def test_a_directory_shows_direct_members_until_it_is_told_otherwise(here: DirectoryWorld) -> None:
    people, made = await pyramid(here)
    assert await members(here, made["Company"]) == ["ben"]
    assert await groups(here, people["ada"]) == await read(here, people["ada"]) == ["Inside"]
    await choose(here, "effective")
    assert await members(here, made["Company"]) == ["ada", "ben"]
    assert await members(here, made["Sales"]) == ["ada"]
    assert await members(here, made["Dispatch"]) == ["ben"]
    assert await groups(here, people["ada"]) == await read(here, people["ada"])
    assert await read(here, people["ada"]) == ["Company", "Sales", "Inside"]
    assert await groups(here, people["ben"]) == ["Company", "Dispatch"]
    assert await groups(here, people["cyd"]) == await read(here, people["cyd"]) == []


async def test_what_the_provider_reads_stays_direct(here: DirectoryWorld) -> None:
    people, _ = await pyramid(here)
    await choose(here, "effective")
    view = await here.services.resources.user(here.place.directory.scope, people["ada"])
    assert view is not None
    assert [held.display for held in view.groups] == ["Inside"]


async def test_groups_that_contain_each_other_have_the_same_members(here: DirectoryWorld) -> None:
    ada, ben = await here.user("ada"), await here.user("ben")
    one, two, three = (
        await here.group("One", [ada]),
        await here.group("Two"),
        await here.group("Three", [ben]),
    )
    for parent, child in ((one, two), (two, three), (three, one), (two, two)):
        await nest(here, parent, child)
    await choose(here, "effective")
    for group in (one, two, three):
        assert await members(here, group) == ["ada", "ben"]
    assert await groups(here, ada) == ["One", "Two", "Three"]
    assert await evidence(here, ada) == [
        ("One", True, True, ["One"]),
        ("Two", False, True, ["One", "Three", "Two"]),
        ("Three", False, True, ["One", "Three"]),
    ]


async def test_the_way_to_a_group_is_evidence_whatever_is_shown(here: DirectoryWorld) -> None:
    people, _ = await pyramid(here)
    expected = [
        ("Company", False, False, ["Inside", "Sales", "Company"]),
        ("Sales", False, False, ["Inside", "Sales"]),
        ("Inside", True, True, ["Inside"]),
    ]
    assert await evidence(here, people["ada"]) == expected
    await choose(here, "effective")
    assert await evidence(here, people["ada"]) == [
        (name, direct, True, way) for name, direct, _, way in expected
    ]
    # Direct and through another group as well: the shorter way is told.
    assert await evidence(here, people["ben"]) == [
        ("Company", True, True, ["Company"]),
        ("Dispatch", True, True, ["Dispatch"]),
    ]
    assert await evidence(here, people["cyd"]) == []


async def test_evidence_comes_in_pages(here: DirectoryWorld) -> None:
    people, made = await pyramid(here)
    listed = here.services.memberships.list
    user = f"directory_user_{people['ada']}"
    first = await listed(here.environment, user, PageRequest(2, Order.ASC))
    assert [told(one)[0] for one in first.items] == ["Company", "Sales"]
    assert first.after == f"directory_group_{made['Sales']}"
    rest = await listed(here.environment, user, PageRequest(2, Order.ASC, after=first.after))
    # The groups on the way are named even where they are on another page.
    assert [told(one)[3] for one in rest.items] == [["Inside"]]
    assert [step.id for step in first.items[0].path] == [
        f"directory_group_{made[name]}" for name in ("Inside", "Sales", "Company")
    ]
    assert rest.after is None
    with pytest.raises(ValidationFailed):
        await listed(here.environment, user, PageRequest(after="directory_user_1"))


async def test_a_group_that_is_gone_leads_nowhere(here: DirectoryWorld) -> None:
    people, made = await pyramid(here)
    await choose(here, "effective")
    await here.do(DeleteGroup(made["Sales"]))
    assert await groups(here, people["ada"]) == await read(here, people["ada"]) == ["Inside"]
    assert await members(here, made["Company"]) == ["ben"]
    assert await evidence(here, people["ada"]) == [("Inside", True, True, ["Inside"])]


async def test_evidence_about_somebody_who_is_not_shown_is_refused(here: DirectoryWorld) -> None:
    stranger = await seed(here.services.kernel)
    people, _ = await pyramid(here)
    await here.set_active(people["ada"], False)
    for environment, user in (
        (here.environment, people["ada"]),
        (stranger.environment_id, people["ben"]),
        (here.environment, "nonsense"),
    ):
        with pytest.raises(NotFound):
            await here.services.memberships.list(environment, f"directory_user_{user}", ALL)


async def test_a_switch_tells_what_begins_to_be_shown_and_what_ceases(here: DirectoryWorld) -> None:
    people, _ = await pyramid(here)
    await here.set_active(people["ben"], False)
    eve = await here.user("eve")
    await here.group("Inner", [eve])
    before = await here.services.product.user(here.environment, f"directory_user_{people['ada']}")
    known = len(await here.types())
    await choose(here, "effective")
    began = (await here.told())[known:]
    assert [(name, data["user"]["username"], data["group"]["name"]) for name, data in began] == [
        ("dsync.group.user_added", "ada", "Company"),
        ("dsync.group.user_added", "ada", "Sales"),
    ]
    after = await here.services.product.user(here.environment, f"directory_user_{people['ada']}")
    assert began[0][1]["user"]["updated_at"] == after.updated_at > before.updated_at
    assert (await here.rows())[-1].actor == '{"id":"key_7","source":"api","name":"tests"}'
    await choose(here, "effective")
    assert len(await here.types()) == known + 2
    await choose(here, "direct")
    ended = (await here.told())[known + 2 :]
    assert [(name, data["user"]["username"], data["group"]["name"]) for name, data in ended] == [
        ("dsync.group.user_removed", "ada", "Company"),
        ("dsync.group.user_removed", "ada", "Sales"),
    ]
    assert await groups(here, people["ada"]) == ["Inside"]


async def test_a_switch_of_many_people_tells_each_membership_once_by_person(here: DirectoryWorld) -> None:
    ids = sorted([await here.user(f"user{n:03}") for n in range(12)])
    child, parent = await here.group("Child", ids), await here.group("Parent", ids[:3])
    await nest(here, parent, child)
    known = len(await here.types())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("syncline.services.membership_switch._CHUNK", 5)
        await choose(here, "effective")
    began = (await here.told())[known:]
    assert [data["user"]["id"] for _, data in began] == [f"directory_user_{id_}" for id_ in ids[3:]]
    assert {data["group"]["name"] for _, data in began} == {"Parent"}


async def test_memberships_and_policy_may_change_at_once(database_url: str) -> None:
    async with directory_world(database_url, InactiveUsers.KEEP) as here:
        people, _ = await pyramid(here)
        await here.set_active(people["ada"], False)
        known = len(await here.types())
        await here.services.directories.update(
            here.environment, here.place.directory.id, CAUSE, inactive="delete", membership="effective"
        )
        names = [
            (name, data["group"]["name"] if "group" in data else data["username"])
            for name, data in (await here.told())[known:]
        ]
        assert names == [
            ("dsync.group.user_added", "Company"),
            ("dsync.group.user_added", "Sales"),
            ("dsync.group.user_removed", "Company"),
            ("dsync.group.user_removed", "Sales"),
            ("dsync.group.user_removed", "Inside"),
            ("dsync.user.deleted", "ada"),
        ]


async def test_a_directory_can_be_made_with_effective_memberships(here: DirectoryWorld) -> None:
    create = here.services.directories.create
    place = (here.environment, here.place.organization_id, "People", "generic scim v2.0", CAUSE)
    assert (await create(*place)).membership == "direct"
    assert (await create(*place, membership="effective")).membership == "effective"
    with pytest.raises(ValidationFailed) as refused:
        await create(*place, membership="nested")
    assert [error.code for error in refused.value.errors] == ["membership_invalid"]
    with pytest.raises(ValidationFailed):
        await choose(here, "")
