"""What was deleted long ago goes for good, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection, func, select, update

from syncline.core.commands import DeleteGroup
from syncline.services.kernel import Keep
from syncline.services.retention import Retention
from syncline.store import tables as t
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world
from tests.support.kernels import seed

TABLES = (
    "directory_users",
    "directory_groups",
    "memberships",
    "bearer_tokens",
    "directories",
    "organizations",
)


async def counts(world: DirectoryWorld) -> dict[str, int]:
    def work(connection: Connection) -> dict[str, int]:
        return {
            name: connection.execute(select(func.count()).select_from(t.metadata.tables[name])).scalar_one()
            for name in TABLES
        }

    return await world.services.kernel.database.read(work)


async def test_people_and_groups_are_purged_after_their_time(database_url: str) -> None:
    async with directory_world(database_url) as world:
        people = [await world.user(f"user{n}") for n in range(4)]
        group = await world.group("Dispatch", people)
        await world.group("Planning", people)
        await world.delete_user(people[0])
        await world.do(DeleteGroup(group))
        kernel = world.services.kernel
        assert await Retention(kernel).run_once() == 0
        later = replace(kernel, keep=Keep(deleted=timedelta(seconds=-1)))
        assert await Retention(later).run_once() == 2
        left = await counts(world)
        assert (left["directory_users"], left["directory_groups"], left["memberships"]) == (3, 1, 3)
        assert await Retention(later).run_once() == 0


async def test_a_deleted_directory_goes_with_everything_in_it(database_url: str) -> None:
    async with directory_world(database_url) as world:
        kernel, services = world.services.kernel, world.services
        other = await seed(kernel, environment_id=world.environment)
        for place in (world.place, other):
            await world.group("Dispatch", [await world.user(f"user{n}", place) for n in range(3)], place)
            await services.tokens.create(world.environment, place.directory.id, CAUSE)
        events = await world.types()
        await services.organizations.delete(world.environment, world.place.organization_id, CAUSE)
        later = replace(kernel, keep=Keep(deleted=timedelta(seconds=-1)))
        assert await Retention(later).run_once() > 8
        assert await counts(world) == {
            "directory_users": 3,
            "directory_groups": 1,
            "memberships": 3,
            "bearer_tokens": 1,
            "directories": 1,
            "organizations": 1,
        }
        assert (await world.types())[: len(events)] == events
        await world.user("somebody new", other)


async def test_an_organization_stays_while_a_directory_of_it_does(database_url: str) -> None:
    async with directory_world(database_url) as world:
        kernel = world.services.kernel
        long_ago = kernel.clock() - timedelta(days=99)

        def forget(connection: Connection) -> None:
            connection.execute(update(t.organizations).values(deleted_at=long_ago))

        await kernel.database.write(forget)
        assert await Retention(kernel).run_once() == 0
        assert (await counts(world))["organizations"] == 1
