"""Answers with all members of a group, whoever changed the group before: never a list of another state."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from syncline.core.commands import Command, CreateGroup, CreateUser, DeleteUser, PatchGroup, ReplaceGroup
from syncline.core.json import Json
from syncline.core.model import Cause, Scope
from syncline.core.scim.normalize import normalize_group, normalize_user
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.resource import GroupView, UserView
from syncline.core.scim.schema import ResourceKind
from syncline.services.apply import Writer
from syncline.services.resources import Resources
from tests.support.kernels import kernel, seed

CAUSE = Cause("request_test")


@dataclass(slots=True)
class Processes:
    """Writers of as many processes over one directory, and a reader that keeps nothing."""

    writers: list[Writer]
    reader: Resources
    scope: Scope

    async def view(self, command: Command, at: int = 0) -> UserView | GroupView | None:
        return (await self.writers[at].submit(self.scope, command, CAUSE)).view

    async def person(self, name: str) -> str:
        view = await self.view(CreateUser(normalize_user({"userName": name})))
        assert view is not None
        return view.id

    async def group(self, name: str, *members: str, at: int = 0) -> GroupView:
        body: dict[str, Json] = {"displayName": name, "members": [{"value": id_} for id_ in members]}
        view = await self.view(CreateGroup(normalize_group(body)), at)
        assert isinstance(view, GroupView)
        return view

    async def read(self, group_id: str) -> list[str]:
        view = await self.reader.group(self.scope, group_id)
        assert view is not None
        return shown(view)


@asynccontextmanager
async def processes(database_url: str, count: int) -> AsyncIterator[Processes]:
    async with AsyncExitStack() as stack:
        kernels = [await stack.enter_async_context(kernel(database_url)) for _ in range(count)]
        scope = (await seed(kernels[0])).directory.scope
        writers = [Writer(each) for each in kernels]
        for writer in writers:
            await writer.start()
            stack.push_async_callback(writer.close)
        yield Processes(writers, Resources(kernels[0]), scope)


def shown(view: object) -> list[str]:
    assert isinstance(view, GroupView)
    assert view.members is not None
    return [f"{member.type} {member.id}" for member in view.members]


def change(group_id: str, op: str, *ids: str) -> PatchGroup:
    value: list[Json] = [{"value": id_} for id_ in ids]
    body: dict[str, Json] = {"Operations": [{"op": op, "path": "members", "value": value}]}
    return PatchGroup(group_id, parse_operations(body, ResourceKind.GROUP))


async def test_every_answer_shows_the_members_that_a_reader_finds(database_url: str) -> None:
    """Two processes change a group in turns, so that what either remembers is old half of the time."""
    pick = random.Random(17)
    async with processes(database_url, 2) as here:
        people = [await here.person(f"person{n}@northwind.example") for n in range(12)]
        nested = (await here.group("Nested")).id
        group = (await here.group("Kiln", people[0])).id
        for _ in range(40):
            some = pick.sample([*people, nested], pick.randint(1, 3))
            asked: Command = change(group, pick.choice(("add", "remove")), *some)
            if pick.random() < 0.15:
                members: list[Json] = [{"value": id_} for id_ in some]
                asked = ReplaceGroup(group, normalize_group({"displayName": "Kiln", "members": members}))
            answer = await here.view(asked, pick.randrange(2))
            assert shown(answer) == await here.read(group)


async def test_a_person_whom_another_process_deleted_is_no_member_in_the_next_answer(
    database_url: str,
) -> None:
    async with processes(database_url, 2) as here:
        leaving, staying, joining = [await here.person(f"{name}@northwind.example") for name in "abc"]
        group = (await here.group("Kiln", leaving, staying)).id
        await here.view(DeleteUser(leaving), 1)
        answer = await here.view(change(group, "add", joining))
        assert shown(answer) == [f"User {id_}" for id_ in sorted((staying, joining))]


async def test_more_groups_than_are_remembered_are_answered_all_the_same(database_url: str) -> None:
    async with processes(database_url, 1) as here:
        first, second = [await here.person(f"{name}@northwind.example") for name in "ab"]
        groups = [(await here.group(f"Team {n}", first)).id for n in range(40)]
        for group in groups:
            assert shown(await here.view(change(group, "add", second))) == await here.read(group)
