"""What memberships followed from at a time: told where it is certain, and said not to be known elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from syncline.core.commands import PatchGroup
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.paging import Order, PageRequest
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from tests.support.clocks import SlowClock
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world

ALL = PageRequest(100, Order.ASC)
Told = tuple[str, bool | None, list[str], bool]


@pytest.fixture
def clock() -> SlowClock:
    return SlowClock()


@pytest.fixture
async def here(database_url: str, clock: SlowClock) -> AsyncIterator[DirectoryWorld]:
    """A directory whose view and events speak of effective memberships."""
    async with directory_world(database_url, InactiveUsers.KEEP, clock) as made:
        where = made.environment, made.place.directory.id
        await made.services.directories.update(*where, CAUSE, membership="effective")
        clock.tick()
        yield made


async def change(here: DirectoryWorld, group: str, op: str, path: str, value: Json = None) -> None:
    operation: dict[str, Json] = {"op": op, "path": path}
    if value is not None:
        operation["value"] = value
    operations = parse_operations({"Operations": [operation]}, ResourceKind.GROUP)
    await here.do(PatchGroup(group, operations))


async def enter(here: DirectoryWorld, group: str, member: str) -> None:
    await change(here, group, "add", "members", [{"value": member}])


async def leave(here: DirectoryWorld, group: str, member: str) -> None:
    await change(here, group, "remove", f'members[value eq "{member}"]')


async def known(here: DirectoryWorld, user: str, at: datetime | None = None) -> list[Told]:
    """Each group with what its membership followed from."""
    memberships = here.services.memberships
    found = await memberships.list(here.environment, f"directory_user_{user}", ALL, at)
    return [
        (one.group.name, one.direct, [step.name for step in one.path], one.path_known) for one in found.items
    ]


async def test_what_has_been_so_ever_since_is_told_with_the_names_of_then(
    here: DirectoryWorld, clock: SlowClock
) -> None:
    user = await here.user("ada")
    inner = await here.group("Inner", [user])
    outer = await here.group("Outer", [inner])
    clock.tick()
    then = clock.now
    clock.tick()
    await change(here, inner, "replace", "displayName", "Core")
    other = await here.group("Other", [user])
    await enter(here, outer, other)
    assert await known(here, user, then) == [
        ("Inner", True, ["Inner"], True),
        ("Outer", None, ["Inner", "Outer"], True),
    ]
    assert await known(here, user) == [
        ("Core", True, ["Core"], True),
        ("Outer", False, ["Core", "Outer"], True),
        ("Other", True, ["Other"], True),
    ]


async def test_a_way_that_has_ended_since_is_not_made_up(here: DirectoryWorld, clock: SlowClock) -> None:
    user = await here.user("ada")
    inner = await here.group("Inner", [user])
    outer = await here.group("Outer", [inner])
    clock.tick()
    then = clock.now
    clock.tick()
    await enter(here, outer, user)
    await leave(here, outer, inner)
    assert await known(here, user) == [("Inner", True, ["Inner"], True), ("Outer", True, ["Outer"], True)]
    assert await known(here, user, then) == [("Inner", True, ["Inner"], True), ("Outer", None, [], False)]


async def test_what_ended_and_began_anew_is_not_taken_for_what_was(
    here: DirectoryWorld, clock: SlowClock
) -> None:
    user = await here.user("ada")
    inner = await here.group("Inner", [user])
    outer = await here.group("Outer", [inner])
    clock.tick()
    then = clock.now
    for group, member in ((inner, user), (outer, inner)):
        clock.tick()
        await leave(here, group, member)
        clock.tick()
        await enter(here, group, member)
    assert await known(here, user, then) == [("Inner", None, [], False), ("Outer", None, [], False)]
    assert await known(here, user) == [
        ("Inner", True, ["Inner"], True),
        ("Outer", False, ["Inner", "Outer"], True),
    ]


async def test_a_group_that_came_into_another_later_leads_nowhere_before(
    here: DirectoryWorld, clock: SlowClock
) -> None:
    user = await here.user("ada")
    inner = await here.group("Inner", [user])
    outer = await here.group("Outer", [user])
    clock.tick()
    then = clock.now
    clock.tick()
    await enter(here, outer, inner)
    await leave(here, outer, user)
    assert await known(here, user, then) == [("Inner", True, ["Inner"], True), ("Outer", None, [], False)]


async def test_of_somebody_who_is_gone_no_way_is_known(here: DirectoryWorld, clock: SlowClock) -> None:
    user = await here.user("ada")
    await here.group("Inner", [user])
    clock.tick()
    then = clock.now
    clock.tick()
    await here.delete_user(user)
    assert await known(here, user, then) == [("Inner", None, [], False)]
