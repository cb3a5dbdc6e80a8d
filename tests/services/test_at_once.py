"""A batch in one statement on PostgreSQL: all of it happens or nothing, whatever others do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import update

from syncline.core.commands import Command, CreateUser, DeleteUser, PatchGroup
from syncline.core.events import OrganizationDeleted, draft
from syncline.core.json import Json
from syncline.core.model import Cause
from syncline.core.role_conditions import Condition, ConditionKind
from syncline.core.roles import Precedence, RoleMode, RoleRule
from syncline.core.scim.errors import ScimError
from syncline.core.scim.normalize import normalize_user
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from syncline.core.wire import Organization
from syncline.services.batch import AtOnce, Request, run_at_once
from syncline.services.container import Services
from syncline.services.role_rule_shapes import RuleSetInput
from syncline.services.role_shapes import RoleInput
from syncline.store import at_once, log
from syncline.store import tables as t
from syncline.store.at_once import Known
from syncline.store.database import Connection
from tests.support.databases import PostgresDatabases
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world
from tests.support.kernels import kernel

SCIM = Cause("request_scim")


@pytest.fixture
def postgres_database(postgres_databases: PostgresDatabases) -> Iterator[str]:
    with postgres_databases.migrated() as url:
        yield url


async def known(world: DirectoryWorld) -> Known:
    directory_id = world.place.directory.id
    # The first sealing makes the log.
    await world.rows()
    found = await world.services.kernel.database.read(
        lambda connection: at_once.read_known(connection, directory_id)
    )
    assert found is not None
    return found


async def attempt(world: DirectoryWorld, command: Command, seen: Known) -> AtOnce | None:
    kernel_ = world.services.kernel
    request = Request(world.place.directory.scope, command, SCIM)

    def work(connection: Connection) -> AtOnce | None:
        return run_at_once(kernel_, connection, [request], seen)

    return await kernel_.database.at_once(work)


def joining(group: str, *people: str) -> PatchGroup:
    value: list[Json] = [{"value": id_} for id_ in people]
    body: dict[str, Json] = {"Operations": [{"op": "add", "path": "members", "value": value}]}
    return PatchGroup(group, parse_operations(body, ResourceKind.GROUP))


def leaving(group: str, person: str) -> PatchGroup:
    body: dict[str, Json] = {"Operations": [{"op": "remove", "path": f'members[value eq "{person}"]'}]}
    return PatchGroup(group, parse_operations(body, ResourceKind.GROUP))


async def test_a_batch_is_written_with_its_events_in_place(postgres_database: str) -> None:
    async with directory_world(postgres_database) as world:
        person, group = await world.user("mara@northwind.example"), await world.group("Kiln")
        done = await attempt(world, joining(group, person), await known(world))
        assert done is not None
        assert done.sealed is not None
        rows = await world.rows()
        assert rows[-1].type == "dsync.group.user_added"
        assert [row.position for row in rows] == list(range(1, len(rows) + 1))
        assert rows[-1].position == done.sealed.position
        assert [row.directory_sequence for row in rows] == list(range(1, len(rows) + 1))
        # What it left is what the next one may build on without reading it again.
        assert await attempt(world, leaving(group, person), done.known) is not None


async def test_a_directory_that_changed_meanwhile_is_left_alone(postgres_database: str) -> None:
    async with directory_world(postgres_database) as world:
        person, group = await world.user("mara@northwind.example"), await world.group("Kiln")
        seen = await known(world)
        await world.do(DeleteUser(person))
        before = len(await world.rows())
        assert await attempt(world, joining(group, person), seen) is None
        assert len(await world.rows()) == before


async def test_nothing_is_decided_on_rows_that_changed_even_if_nothing_is_written(
    postgres_database: str,
) -> None:
    async with directory_world(postgres_database) as world:
        person, group = await world.user("mara@northwind.example"), await world.group("Kiln")
        await world.do(joining(group, person))
        seen = await known(world)
        await world.user("ivo@northwind.example")
        assert await attempt(world, joining(group, person), seen) is None


async def admins_are(world: DirectoryWorld, group_name: str) -> None:
    """Put one rule in force: members of a group of this name are admins."""
    condition = Condition(ConditionKind.GROUP_NAME, "", "equals", group_name)
    given = RuleSetInput(
        RoleMode.SINGLE, Precedence.ROLE_PRIORITY, "member", [RoleRule("", condition, "admin")], ()
    )
    await world.services.role_rules.replace(world.environment, world.place.directory.id, given, CAUSE)
    await world.services.reevaluations.complete()


async def roles(world: DirectoryWorld, person: str) -> list[str]:
    found = await world.services.role_grants.of(world.environment, f"directory_user_{person}")
    return [one.grant.role for one in found]


async def test_nobody_is_evaluated_by_rules_that_are_in_force_no_longer(postgres_database: str) -> None:
    async with directory_world(postgres_database) as world:
        await world.services.roles.create(world.environment, RoleInput("Admin", slug="admin"), CAUSE)
        person, group = await world.user("mara@northwind.example"), await world.group("Kiln")
        await admins_are(world, "Kiln")
        seen = await known(world)
        await admins_are(world, "Glaze")
        assert await attempt(world, joining(group, person), seen) is None
        await world.do(joining(group, person))
        assert await roles(world, person) == ["member"]


async def test_people_under_rules_are_written_in_one_statement(postgres_database: str) -> None:
    async with directory_world(postgres_database) as world:
        await world.services.roles.create(world.environment, RoleInput("Admin", slug="admin"), CAUSE)
        person, group = await world.user("mara@northwind.example"), await world.group("Kiln")
        await admins_are(world, "Kiln")
        assert await attempt(world, joining(group, person), await known(world)) is not None
        assert await roles(world, person) == ["admin"]


async def test_a_group_that_another_process_renamed_gives_no_role_by_its_old_name(
    postgres_database: str,
) -> None:
    async with directory_world(postgres_database) as world:
        await world.services.roles.create(world.environment, RoleInput("Admin", slug="admin"), CAUSE)
        person, group = await world.user("mara@northwind.example"), await world.group("Kiln")
        await admins_are(world, "Kiln")
        seen = await known(world)
        async with kernel(postgres_database) as other_kernel:
            other = Services(other_kernel)
            await other.writer.start()
            renaming: dict[str, Json] = {"op": "replace", "path": "displayName", "value": "Glaze"}
            renamed = PatchGroup(group, parse_operations({"Operations": [renaming]}, ResourceKind.GROUP))
            await other.writer.submit(world.place.directory.scope, renamed, SCIM)
            await other.close()
        assert await attempt(world, joining(group, person), seen) is None
        await world.do(joining(group, person))
        assert await roles(world, person) == ["member"]


async def test_a_deleted_directory_takes_no_batch(postgres_database: str) -> None:
    async with directory_world(postgres_database) as world:
        await world.user("mara@northwind.example")
        seen = await known(world)
        await world.services.directories.delete(world.environment, world.place.directory.id, CAUSE)
        late = CreateUser(normalize_user({"userName": "ivo@northwind.example"}))
        assert await attempt(world, late, seen) is None
        assert (await world.types())[-1] == "dsync.deleted"


async def test_events_that_wait_in_the_inbox_come_first(postgres_database: str) -> None:
    async with directory_world(postgres_database) as world:
        await world.user("mara@northwind.example")
        seen = await known(world)
        organization = Organization(
            id="org_01KA0Z3W8M6Q4T2R9X7V5B3N1A",
            name="Northwind",
            domains=[],
            external_id=None,
            metadata={},
            created_at="2026-01-15T12:00:00.000Z",
            updated_at="2026-01-15T12:00:00.000Z",
        )
        event = draft(
            OrganizationDeleted(organization),
            environment_id=world.environment,
            recorded_at=world.services.kernel.clock(),
        )
        await world.services.kernel.database.write(lambda connection: log.append(connection, [event], CAUSE))
        late = CreateUser(normalize_user({"userName": "ivo@northwind.example"}))
        assert await attempt(world, late, seen) is None
        await world.user("ivo@northwind.example")
        assert (await world.types())[-2:] == ["organization.deleted", "dsync.user.created"]


async def test_an_id_that_another_clock_made_later_is_never_undercut(postgres_database: str) -> None:
    async with directory_world(postgres_database) as world:
        await world.user("mara@northwind.example")
        seen = await known(world)
        behind = replace(seen, last_event_ms=0)

        def jump(connection: Connection) -> None:
            connection.execute(update(t.log_heads).values(last_event_ms=10**13))

        await world.services.kernel.database.write(jump)
        late = CreateUser(normalize_user({"userName": "ivo@northwind.example"}))
        assert await attempt(world, late, behind) is None
        await world.user("ivo@northwind.example")
        ids = [row.event_id for row in await world.rows()]
        assert ids == sorted(ids)


async def test_a_name_taken_twice_at_the_same_time_is_one_person(postgres_database: str) -> None:
    async with directory_world(postgres_database) as world, kernel(postgres_database) as other_kernel:
        other = Services(other_kernel)
        await other.writer.start()
        names = [f"person.{n}@northwind.example" for n in range(30)]
        scope = world.place.directory.scope

        async def create(services: Services, name: str) -> bool:
            try:
                await services.writer.submit(scope, CreateUser(normalize_user({"userName": name})), SCIM)
            except ScimError as refused:
                return refused.status != 409
            return True

        made = await asyncio.gather(
            *(create(services, name) for name in names for services in (world.services, other))
        )
        assert sum(made) == len(names)
        assert (await world.types()).count("dsync.user.created") == len(names)
        await other.close()


async def test_two_processes_on_one_group_lose_nothing(postgres_database: str) -> None:
    async with directory_world(postgres_database) as world, kernel(postgres_database) as other_kernel:
        other = Services(other_kernel)
        await other.writer.start()
        people = [await world.user(f"person.{n}@northwind.example") for n in range(24)]
        group = await world.group("Kiln", people[:8])
        scope = world.place.directory.scope

        async def come_and_go(services: Services, person: str) -> None:
            for _ in range(4):
                await services.writer.submit(scope, joining(group, person), SCIM)
                await services.writer.submit(scope, leaving(group, person), SCIM)
            await services.writer.submit(scope, joining(group, person), SCIM)

        await asyncio.gather(
            *(come_and_go((world.services, other)[n % 2], person) for n, person in enumerate(people))
        )
        shown = await world.services.resources.group(scope, group)
        assert shown is not None
        assert shown.members is not None
        assert {member.id for member in shown.members} == set(people)
        await other.close()

        rows = await world.rows()
        assert [row.position for row in rows] == list(range(1, len(rows) + 1))
        assert [row.directory_sequence for row in rows] == list(range(1, len(rows) + 1))
        inside: dict[str, bool] = {}
        for row in rows:
            if row.type.startswith("dsync.group.user_"):
                joined = row.type.endswith("added")
                assert inside.get(row.user_id, False) is not joined, "a change was announced twice or lost"
                inside[row.user_id] = joined
        assert len(inside) == len(people)
        assert all(inside.values())
