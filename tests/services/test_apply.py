"""The writer on both engines: what is acknowledged is in the tables and in the log, and nothing else is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from syncline.core.commands import (
    Command,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DeleteUser,
    PatchGroup,
    PatchUser,
    ReplaceGroup,
    ReplaceUser,
)
from syncline.core.errors import Overloaded
from syncline.core.json import Json
from syncline.core.model import Cause, InactiveUsers
from syncline.core.scim.errors import ScimError
from syncline.core.scim.normalize import normalize_group, normalize_user
from syncline.core.scim.patch import PatchRequest, parse_operations
from syncline.core.scim.resource import GroupView, UserView
from syncline.core.scim.schema import ResourceKind
from syncline.services import apply
from syncline.services.apply import Applied, Writer
from syncline.services.kernel import Kernel
from syncline.services.sealing import Sealer
from syncline.store import log
from syncline.store import tables as t
from tests.support.kernels import Seeded, kernel, seed

CAUSE = Cause("request_test")


@dataclass(slots=True)
class World:
    """A writer over one directory."""

    kernel: Kernel
    writer: Writer
    place: Seeded

    async def do(self, command: Command, *, at: Seeded | None = None) -> Applied:
        return await self.writer.submit((at or self.place).directory.scope, command, CAUSE)

    async def user(self, user_name: str, **more: Json) -> UserView:
        applied = await self.do(CreateUser(normalize_user({"userName": user_name, **more})))
        assert isinstance(applied.view, UserView)
        return applied.view

    async def group(self, name: str, members: Sequence[str] = ()) -> GroupView:
        body: dict[str, Json] = {"displayName": name, "members": [{"value": id_} for id_ in members]}
        applied = await self.do(CreateGroup(normalize_group(body)))
        assert isinstance(applied.view, GroupView)
        return applied.view

    async def events(self, at: Seeded | None = None) -> list[tuple[str, dict[str, Any]]]:
        """Everything in the log of the environment, as (type, data)."""
        environment = (at or self.place).environment_id
        await Sealer(self.kernel).seal_now(environment)
        rows = await self.kernel.database.read(
            lambda connection: log.read(connection, environment, log.LogFilter(), 100_000)
        )
        return [(row.type, json.loads(row.body)) for row in rows]

    async def types(self) -> list[str]:
        return [name for name, _ in await self.events()]


@asynccontextmanager
async def world(database_url: str, policy: InactiveUsers = InactiveUsers.DELETE) -> AsyncIterator[World]:
    async with kernel(database_url) as parts:
        writer = Writer(parts)
        await writer.start()
        yield World(parts, writer, await seed(parts, inactive_users=policy))
        await writer.close()


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[World]:
    async with world(database_url) as made:
        yield made


@pytest.fixture
async def keeping(database_url: str) -> AsyncIterator[World]:
    async with world(database_url, InactiveUsers.KEEP) as made:
        yield made


def patch(kind: ResourceKind, *operations: dict[str, Json]) -> PatchRequest:
    body: dict[str, Json] = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": list(operations),
    }
    return parse_operations(body, kind)


def set_active(value: bool) -> PatchRequest:
    return patch(ResourceKind.USER, {"op": "replace", "path": "active", "value": value})


def add_members(*ids: str) -> PatchRequest:
    return patch(
        ResourceKind.GROUP, {"op": "add", "path": "members", "value": [{"value": id_} for id_ in ids]}
    )


def remove_member(id_: str) -> PatchRequest:
    return patch(ResourceKind.GROUP, {"op": "remove", "path": f'members[value eq "{id_}"]'})


async def test_a_created_person_is_answered_and_announced_once(here: World) -> None:
    view = await here.user("mira@northwind.example", name={"givenName": "Mira"})
    assert view.document["userName"] == "mira@northwind.example"
    [(name, data)] = await here.events()
    assert name == "dsync.user.created"
    assert data["id"] == f"directory_user_{view.id}"
    assert data["first_name"] == "Mira"
    assert data["state"] == "active"


async def test_the_same_state_again_writes_nothing(here: World) -> None:
    view = await here.user("mira@northwind.example", title="Planner")
    body: dict[str, Json] = {"userName": "mira@northwind.example", "title": "Planner"}
    again = await here.do(ReplaceUser(view.id, normalize_user(body)))
    assert isinstance(again.view, UserView)
    assert again.view.version == view.version
    assert await here.types() == ["dsync.user.created"]


async def test_a_changed_attribute_is_announced_with_its_old_value(here: World) -> None:
    view = await here.user("mira@northwind.example", title="Intern")
    request = patch(ResourceKind.USER, {"op": "replace", "path": "title", "value": "Planner"})
    await here.do(PatchUser(view.id, request))
    name, data = (await here.events())[-1]
    assert name == "dsync.user.updated"
    assert data["job_title"] == "Planner"
    assert data["previous_attributes"]["job_title"] == "Intern"


async def test_leaving_and_coming_back_where_inactive_people_are_deleted(here: World) -> None:
    view = await here.user("mira@northwind.example")
    group = await here.group("Dispatch", [view.id])
    await here.do(PatchUser(view.id, set_active(False)))
    await here.do(PatchUser(view.id, set_active(True)))

    events = await here.events()
    assert [name for name, _ in events] == [
        "dsync.user.created",
        "dsync.group.created",
        "dsync.group.user_added",
        "dsync.group.user_removed",
        "dsync.user.deleted",
        "dsync.user.created",
        "dsync.group.user_added",
    ]
    gone, back = events[4][1], events[5][1]
    assert gone["id"] == f"directory_user_{view.id}"
    assert gone["state"] == "inactive"
    assert back["id"] != gone["id"]
    assert back["state"] == "active"
    assert events[6][1]["user"]["id"] == back["id"]
    assert events[6][1]["group"]["id"] == f"directory_group_{group.id}"


async def test_leaving_and_coming_back_where_inactive_people_are_kept(keeping: World) -> None:
    view = await keeping.user("mira@northwind.example")
    await keeping.group("Dispatch", [view.id])
    await keeping.do(PatchUser(view.id, set_active(False)))
    await keeping.do(PatchUser(view.id, set_active(True)))
    events = await keeping.events()
    assert [name for name, _ in events][3:] == ["dsync.user.updated", "dsync.user.updated"]
    assert [data["state"] for _, data in events[3:]] == ["inactive", "active"]
    assert {data["id"] for _, data in events[3:]} == {f"directory_user_{view.id}"}


async def test_deleting_a_person_ends_every_membership_first(here: World) -> None:
    view = await here.user("mira@northwind.example")
    for name in ("Dispatch", "Planning"):
        await here.group(name, [view.id])
    await here.do(DeleteUser(view.id))
    assert (await here.types())[-3:] == [
        "dsync.group.user_removed",
        "dsync.group.user_removed",
        "dsync.user.deleted",
    ]
    with pytest.raises(ScimError) as refused:
        await here.do(PatchUser(view.id, set_active(True)))
    assert refused.value.status == 404
    again = await here.user("mira@northwind.example")
    assert again.id != view.id


async def test_deleting_a_group_is_one_event(here: World) -> None:
    people = [(await here.user(f"user{n}@northwind.example")).id for n in range(3)]
    group = await here.group("Dispatch", people)
    await here.do(DeleteGroup(group.id))
    assert (await here.types())[-1] == "dsync.group.deleted"
    assert (await here.types()).count("dsync.group.user_removed") == 0
    updated = await here.do(PatchUser(people[0], set_active(True)))
    assert isinstance(updated.view, UserView)
    assert updated.view.groups == ()


async def test_members_are_sets_and_only_the_difference_is_announced(here: World) -> None:
    people = [(await here.user(f"user{n}@northwind.example")).id for n in range(4)]
    group = await here.group("Dispatch", people[:2])
    await here.do(PatchGroup(group.id, add_members(*people[:3])))
    await here.do(PatchGroup(group.id, add_members(*people[:3])))
    await here.do(PatchGroup(group.id, remove_member(people[0])))
    await here.do(PatchGroup(group.id, remove_member(people[0])))
    body: dict[str, Json] = {"displayName": "Dispatch", "members": [{"value": id_} for id_ in people[2:]]}
    applied = await here.do(ReplaceGroup(group.id, normalize_group(body)))

    assert isinstance(applied.view, GroupView)
    assert applied.view.members is not None
    assert [member.id for member in applied.view.members] == people[2:]
    memberships = [
        (name.rsplit("_", 1)[-1], data["user"]["id"].removeprefix("directory_user_"))
        for name, data in await here.events()
        if "user_" in name
    ]
    assert memberships == [
        ("added", people[0]),
        ("added", people[1]),
        ("added", people[2]),
        ("removed", people[0]),
        ("removed", people[1]),
        ("added", people[3]),
    ]


async def test_unknown_members_are_parked_and_known_ones_applied(here: World) -> None:
    person = (await here.user("mira@northwind.example")).id
    stranger = "01KA0YPX7B9D1F3H5K7M9Q1S3T"
    group = await here.group("Dispatch", [person, stranger, "no id at all " * 400])
    assert group.members is not None
    assert [member.id for member in group.members] == [person]
    assert (await here.types()).count("dsync.group.user_added") == 1
    applied = await here.do(PatchGroup(group.id, remove_member(stranger)))
    assert isinstance(applied.view, GroupView)
    assert (await here.types()).count("dsync.group.user_removed") == 0


async def test_a_group_in_a_group_is_an_edge_without_events_for_people(here: World) -> None:
    person = (await here.user("mira@northwind.example")).id
    child = await here.group("Dispatch Night", [person])
    parent = await here.group("Dispatch", [child.id])
    assert parent.members is not None
    assert [(member.id, member.type) for member in parent.members] == [(child.id, "Group")]
    assert (await here.types()).count("dsync.group.user_added") == 1
    await here.do(DeleteGroup(child.id))
    applied = await here.do(PatchGroup(parent.id, add_members(person)))
    assert isinstance(applied.view, GroupView)
    assert applied.view.members is not None
    assert [member.id for member in applied.view.members] == [person]


async def test_one_user_name_has_one_holder_however_many_ask_at_once(here: World) -> None:
    spellings = ["Mira@Northwind.example", "mira@northwind.example", "MIRA@NORTHWIND.EXAMPLE"] * 5
    results = await asyncio.gather(*(here.user(name) for name in spellings), return_exceptions=True)
    refused = [result for result in results if isinstance(result, ScimError)]
    assert len(results) - len(refused) == 1
    assert {(error.status, error.scim_type) for error in refused} == {(409, "uniqueness")}
    assert await here.types() == ["dsync.user.created"]


async def test_a_refused_command_does_not_hurt_its_neighbours(here: World) -> None:
    await here.user("taken@northwind.example")

    async def attempt(n: int) -> int:
        try:
            if n % 3 == 0:
                await here.user("taken@northwind.example")
            elif n % 3 == 1:
                await here.do(DeleteUser("01KA0YPX7B9D1F3H5K7M9Q1S3T"))
            else:
                await here.user(f"user{n}@northwind.example")
        except ScimError as error:
            return error.status
        return 201

    statuses = await asyncio.gather(*(attempt(n) for n in range(30)))
    assert [statuses.count(status) for status in (201, 404, 409)] == [10, 10, 10]
    assert len(await here.types()) == 11


async def test_a_command_that_spoils_its_transaction_fails_alone(here: World, database_url: str) -> None:
    # A row that only the unique index knows: written behind the writer's back while it decides.
    holder = await here.user("first@northwind.example")

    def steal(connection: Connection) -> None:
        connection.execute(
            update(t.directory_users)
            .where(t.directory_users.c.id == holder.id)
            .values(directory_id=here.place.directory.id, user_name_key="stolen@northwind.example")
        )

    await here.kernel.database.write(steal)
    # The holder's document still says first@…: the decision about it reads another key than the index has.
    rename: PatchRequest = patch(
        ResourceKind.USER, {"op": "replace", "path": "userName", "value": "stolen@northwind.example"}
    )
    other = await here.user("other@northwind.example")
    results = await asyncio.gather(
        here.user("second@northwind.example"),
        here.do(PatchUser(other.id, rename)),
        here.user("third@northwind.example"),
        return_exceptions=True,
    )
    assert isinstance(results[0], UserView)
    assert isinstance(results[1], ScimError)
    assert results[1].status == 409
    assert isinstance(results[2], UserView)


async def test_directories_written_at_once_never_cross(here: World) -> None:
    there = await seed(here.kernel)
    places = (here.place, there)

    async def provision(place: Seeded, n: int) -> None:
        body: dict[str, Json] = {"userName": f"user{n}@northwind.example", "nickName": place.directory.id}
        applied = await here.do(CreateUser(normalize_user(body)), at=place)
        assert isinstance(applied.view, UserView)
        group = await here.do(
            CreateGroup(normalize_group({"displayName": f"G{n}", "members": [applied.view.id]})), at=place
        )
        assert isinstance(group.view, GroupView)
        foreign = there if place is here.place else here.place
        with pytest.raises(ScimError) as refused:
            await here.do(DeleteUser(applied.view.id), at=foreign)
        assert refused.value.status == 404

    await asyncio.gather(*(provision(place, n) for n in range(20) for place in places))
    for place in places:
        events = await here.events(place)
        assert len(events) == 60
        users = [data for name, data in events if name == "dsync.user.created"]
        assert {user["directory_id"] for user in users} == {place.directory.id}
        assert {user["organization_id"] for user in users} == {place.organization_id}


async def test_a_deleted_directory_is_unauthorized(here: World) -> None:
    now = here.kernel.clock()
    await here.kernel.database.write(
        lambda connection: connection.execute(update(t.directories).values(deleted_at=now))
    )
    with pytest.raises(ScimError) as refused:
        await here.user("mira@northwind.example")
    assert refused.value.status == 401
    assert await here.types() == []


async def test_the_scope_of_another_environment_is_unauthorized(here: World) -> None:
    there = await seed(here.kernel)
    crossed = type(here.place.directory.scope)(there.environment_id, here.place.directory.id)
    with pytest.raises(ScimError) as refused:
        await here.writer.submit(crossed, CreateUser(normalize_user({"userName": "x"})), CAUSE)
    assert refused.value.status == 401


async def test_a_full_queue_refuses_and_nothing_acknowledged_is_lost(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "CAPACITY", 50)
    results = await asyncio.gather(
        *(here.user(f"user{n}@northwind.example") for n in range(300)), return_exceptions=True
    )
    made = [result for result in results if isinstance(result, UserView)]
    refused = [result for result in results if isinstance(result, Overloaded)]
    assert len(made) + len(refused) == 300
    assert len(made) >= 50
    assert refused
    created = [data["id"] for _, data in await here.events()]
    assert sorted(created) == sorted(f"directory_user_{view.id}" for view in made)


async def test_what_is_queued_at_the_end_is_finished(database_url: str) -> None:
    async with kernel(database_url) as parts:
        writer = Writer(parts)
        await writer.start()
        place = await seed(parts)
        pending = [
            asyncio.create_task(
                writer.submit(place.directory.scope, CreateUser(normalize_user({"userName": f"u{n}"})), CAUSE)
            )
            for n in range(50)
        ]
        await asyncio.sleep(0)
        await writer.close()
        assert all(isinstance(applied.view, UserView) for applied in await asyncio.gather(*pending))
        with pytest.raises(Overloaded):
            await writer.submit(
                place.directory.scope, CreateUser(normalize_user({"userName": "late"})), CAUSE
            )


async def test_a_change_of_one_member_costs_the_same_in_a_large_group(
    here: World, statements: Callable[[], int]
) -> None:
    now = here.kernel.clock()
    scope = here.place.directory.scope
    group = await here.group("Everybody")
    person = (await here.user("mira@northwind.example")).id

    def fill(connection: Connection) -> None:
        rows = [
            {
                "environment_id": scope.environment_id,
                "directory_id": scope.directory_id,
                "group_id": group.id,
                "user_id": f"{n:026d}",
                "created_at": now,
            }
            for n in range(20_000)
        ]
        connection.execute(insert(t.memberships), rows)
        connection.execute(update(t.directory_groups).values(member_count=20_000))

    small = statements()
    await here.do(PatchGroup(group.id, add_members(person)))
    small = statements() - small
    await here.do(PatchGroup(group.id, remove_member(person)))
    await here.kernel.database.write(fill)
    large = statements()
    applied = await here.do(PatchGroup(group.id, add_members(person)))
    assert statements() - large <= small
    assert isinstance(applied.view, GroupView)
    assert applied.view.members is None
    assert applied.decision.group is not None
    assert applied.decision.group.member_count == 20_001


@pytest.fixture
def statements() -> Any:
    """Count the statements that SQLAlchemy sends, on any engine."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    count = 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1

    event.listen(Engine, "after_cursor_execute", counted)
    yield lambda: count
    event.remove(Engine, "after_cursor_execute", counted)


async def test_a_version_names_one_state_also_inside_a_batch(database_url: str) -> None:
    """A group was deleted and its member written in one batch: two states of the person had one version."""
    async with world(database_url) as here:
        person = await here.user("mara@northwind.example")
        teams = [await here.group(name, [person.id]) for name in ("Kiln", "Glaze")]
        seen = await here.do(PatchUser(person.id, parse_operations({"Operations": []}, ResourceKind.USER)))
        assert isinstance(seen.view, UserView)
        unchanged = PatchUser(person.id, parse_operations({"Operations": []}, ResourceKind.USER))
        answers = await asyncio.gather(
            here.do(DeleteGroup(teams[0].id)),
            here.do(unchanged),
            here.do(DeleteGroup(teams[1].id)),
            here.do(unchanged),
        )
        states = [seen.view, answers[1].view, answers[3].view]
        known: dict[int, int] = {}
        for view in states:
            assert isinstance(view, UserView)
            assert known.setdefault(view.version, len(view.groups)) == len(view.groups)
        last = await here.do(unchanged)
        assert isinstance(last.view, UserView)
        assert last.view.groups == ()
        assert known.setdefault(last.view.version, 0) == 0
