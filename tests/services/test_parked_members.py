"""Members whom nobody knew when a group named them: in the group from the moment somebody has the id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from syncline.core.commands import (
    Command,
    CreateGroup,
    DeleteGroup,
    DeleteUser,
    PatchGroup,
    PatchUser,
    ReplaceGroup,
)
from syncline.core.import_commands import ImportUser
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.scim.normalize import normalize_group, normalize_user
from syncline.core.scim.resource import GroupView, UserView
from syncline.services.import_records import ImportOptions, ImportRecords
from syncline.services.import_results import RecordResult
from syncline.store import tables as t
from tests.services.test_access import add_roles, by_group, follow_effective, rule
from tests.services.test_apply import CAUSE, World, add_members, remove_member, set_active, world
from tests.support.kernels import seed

MIRA, ROHAN, OUTER = "01KA0YPX7B9D1F3H5K7M9Q1S3T", "5d0f5d3e-8f0a", "01KA0YQ2C4E6G8J0M2P4R6T8V2"
TOLD = ImportOptions(announced=True)


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[World]:
    async with world(database_url, InactiveUsers.KEEP) as made:
        yield made


def person(here: World, id_: str, name: str, **more: Json) -> dict[str, Any]:
    resource: dict[str, Json] = {"userName": name, "active": True}
    return {
        "type": "user",
        "id": id_,
        "directory_id": here.place.directory.id,
        "resource": resource | more,
    }


def team(here: World, id_: str, name: str) -> dict[str, Any]:
    return person(here, id_, name) | {"type": "group", "resource": {"displayName": name}}


def created(name: str, *ids: str) -> Command:
    return CreateGroup(normalize_group({"displayName": name, "members": [{"value": id_} for id_ in ids]}))


async def import_(here: World, *records: Any, options: ImportOptions = TOLD) -> list[RecordResult]:
    taken = ImportRecords(here.kernel, here.writer)
    return await taken.take_in(here.place.environment_id, list(records), options, CAUSE)


async def waiting(here: World) -> list[str]:
    """Return the ids that still wait, of every directory."""
    statement = select(t.pending_memberships.c.member_id).order_by(t.pending_memberships.c.member_id)
    return await here.kernel.database.read(lambda connection: list(connection.execute(statement).scalars()))


async def told(here: World, since: int = 0) -> list[tuple[str, str]]:
    """Return the events about people from a number on, each with the person's user name."""
    found = []
    for name, data in (await here.events())[since:]:
        about = data.get("user", data)
        if "username" in about:
            found.append((name.removeprefix("dsync."), about["username"]))
    return found


async def members(here: World, group_id: str) -> list[str]:
    """Return the members of a group as the provider reads them back."""
    applied = await here.do(PatchGroup(group_id, add_members()))
    assert isinstance(applied.view, GroupView)
    assert applied.view.members is not None
    return sorted(member.id for member in applied.view.members)


async def test_they_begin_with_the_people_whom_an_import_brings(here: World) -> None:
    group = await here.group("Dispatch", [MIRA, ROHAN])
    version = group.version
    assert await waiting(here) == [MIRA, ROHAN]
    mira, rohan = await import_(here, person(here, MIRA, "mira"), person(here, ROHAN, "rohan"))
    assert await told(here) == [
        ("user.created", "mira"),
        ("group.user_added", "mira"),
        ("user.created", "rohan"),
        ("group.user_added", "rohan"),
    ]
    ids = [str(one.id).removeprefix("directory_user_") for one in (mira, rohan)]
    assert (await members(here, group.id), ids[0]) == (sorted(ids), MIRA)
    assert await waiting(here) == []
    # Once: neither naming them again nor importing them again says it a second time.
    again = await here.do(PatchGroup(group.id, add_members(*ids)))
    assert isinstance(again.view, GroupView)
    assert again.view.version == version + 2
    await import_(here, person(here, MIRA, "mira"), person(here, ROHAN, "rohan"))
    await here.do(PatchGroup(group.id, remove_member(MIRA)))
    assert (await told(here))[4:] == [("group.user_removed", "mira")]


async def test_whoever_was_deleted_again_is_waited_for_and_not_brought_back(here: World) -> None:
    group = await here.group("Dispatch", [MIRA])
    await import_(here, person(here, MIRA, "mira"))
    await here.do(DeleteUser(MIRA))
    await here.do(PatchGroup(group.id, add_members(MIRA)))
    [again] = await import_(here, person(here, MIRA, "mira"))
    assert (again.outcome, again.code) == ("skipped", "deleted")
    assert (await waiting(here), await members(here, group.id)) == ([MIRA], [])
    assert await told(here) == [
        ("user.created", "mira"),
        ("group.user_added", "mira"),
        ("group.user_removed", "mira"),
        ("user.deleted", "mira"),
    ]


async def test_a_silent_import_tells_of_them_all_the_same_and_of_the_roles_they_give(here: World) -> None:
    """The application knows the person from before, and not what the provider has said here since."""
    await here.kernel.database.write(lambda connection: add_roles(connection, here))
    group = await here.group("Dispatch", [MIRA])
    await rule(here, by_group(1, f"directory_group_{group.id}", "admin"))
    before = len(await here.events())
    await import_(here, person(here, MIRA, "mira"), options=ImportOptions())
    assert await told(here, before) == [("group.user_added", "mira"), ("user.updated", "mira")]
    [_, (_, updated)] = (await here.events())[before:]
    assert (updated["role"], updated["previous_attributes"]["role"]) == (
        {"slug": "admin"},
        {"slug": "member"},
    )


async def test_what_was_taken_back_meanwhile_does_not_begin(here: World) -> None:
    """By a removal, by a list without them, or with the group; nor does it in another directory."""
    removed, replaced, gone = [await here.group(name, [MIRA]) for name in ("Removed", "Replaced", "Gone")]
    other = await seed(here.kernel, environment_id=here.place.environment_id)
    elsewhere = await here.writer.submit(
        other.directory.scope, created("Elsewhere", MIRA), CAUSE, members=False
    )
    assert elsewhere.decision.parked == 1
    await here.do(PatchGroup(removed.id, remove_member(MIRA)))
    await here.do(ReplaceGroup(replaced.id, normalize_group({"displayName": "Replaced"})))
    # In one transaction with a last naming, so that nothing is left behind either.
    await asyncio.gather(
        here.do(PatchGroup(gone.id, add_members(ROHAN))),
        here.do(DeleteGroup(gone.id)),
        return_exceptions=True,
    )
    assert await waiting(here) == [MIRA]
    await import_(here, person(here, MIRA, "mira"), person(here, ROHAN, "rohan"))
    assert await told(here) == [("user.created", "mira"), ("user.created", "rohan")]
    assert await waiting(here) == [MIRA]


async def test_they_begin_however_the_commands_meet(here: World) -> None:
    """A person appears in one batch with the groups that name them, before and after."""
    groups = [await here.group(f"Team {number}") for number in range(4)]
    arrival = ImportUser(
        MIRA,
        f"directory_user_{MIRA}",
        normalize_user({"userName": "mira"}),
        here.kernel.clock(),
        announced=True,
        alias=ROHAN,
    )
    first, *_ = await asyncio.gather(
        here.do(PatchGroup(groups[0].id, add_members(MIRA))),
        here.do(PatchGroup(groups[1].id, add_members(ROHAN, MIRA))),
        here.writer.submit(here.place.directory.scope, arrival, CAUSE),
        # Read before the id of the other service was known, and carried out after.
        here.do(PatchGroup(groups[2].id, add_members(ROHAN))),
        here.do(PatchGroup(groups[3].id, add_members(ROHAN, MIRA))),
    )
    assert first.decision.changed
    assert await waiting(here) == []
    added = [("group.user_added", "mira")] * 4
    assert await told(here) == [("user.created", "mira"), *added]
    assert [await members(here, group.id) for group in groups] == [[MIRA]] * 4


async def test_who_gets_the_id_of_another_service_later_is_in_the_groups_that_named_it(here: World) -> None:
    await import_(here, person(here, MIRA, "mira"))
    group = await here.group("Dispatch", [ROHAN])
    before = len(await here.events())
    [named] = await import_(here, person(here, MIRA, "mira") | {"scim_id": ROHAN})
    assert (named.outcome, await told(here, before)) == ("unchanged", [("group.user_added", "mira")])
    assert await members(here, group.id) == [MIRA]
    # Whoever has such an id keeps it.
    later = await here.group("Later", ["another-id"])
    await import_(here, person(here, MIRA, "mira") | {"scim_id": "another-id"})
    assert (await members(here, later.id), await waiting(here)) == ([], ["another-id"])


async def test_a_group_that_waited_is_inside_and_brings_its_people(here: World) -> None:
    """Nested groups count: whoever is in the inner group is a member of the outer one from then on."""
    await follow_effective(here)
    await here.kernel.database.write(lambda connection: add_roles(connection, here))
    inner = "01KA0YQ2C4E6G8J0M2P4R6T8V3"
    outer = await here.group("Company", [inner])
    await rule(here, by_group(1, f"directory_group_{outer.id}", "editor"))
    await import_(here, team(here, inner, "Dispatch"), person(here, MIRA, "mira"))
    assert await members(here, outer.id) == [inner]
    before = len(await here.events())
    membership = {
        "type": "membership",
        "directory_id": here.place.directory.id,
        "group_id": inner,
        "user_ids": [MIRA],
    }
    await import_(here, membership)
    found = [(name, data.get("group", {}).get("name")) for name, data in (await here.events())[before:]]
    assert sorted(found[:2]) == [
        ("dsync.group.user_added", "Company"),
        ("dsync.group.user_added", "Dispatch"),
    ]
    assert found[2:] == [("dsync.user.updated", None)]
    # Inside of each other: everybody of one is in the other, and nothing is said twice.
    circle = membership | {"user_ids": [], "group_id": inner, "member_group_ids": [outer.id]}
    [taken] = await import_(here, circle)
    assert (taken.outcome, taken.code) == ("created", None)
    assert await members(here, inner) == sorted([outer.id, MIRA])
    assert len(await here.events()) == before + 3
    [again] = await import_(here, circle)
    assert again.outcome == "unchanged"


async def test_a_member_who_is_not_shown_begins_without_a_word(database_url: str) -> None:
    """Where inactive people are deleted from the view, they are announced in their groups on their return."""
    async with world(database_url) as here:
        group = await here.group("Dispatch", [MIRA])
        await import_(here, person(here, MIRA, "mira", active=False))
        assert (await told(here), await members(here, group.id)) == ([], [MIRA])
        back = await here.do(PatchUser(MIRA, set_active(True)))
        assert isinstance(back.view, UserView)
        assert [held.id for held in back.view.groups] == [group.id]
        assert await told(here) == [("user.created", "mira"), ("group.user_added", "mira")]
