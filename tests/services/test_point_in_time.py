"""The product view as of a moment: who was there, what they were like, and what they were members of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, select

from syncline.core import wire
from syncline.core.commands import DeleteGroup, PatchUser, ReplaceGroup
from syncline.core.errors import NotFound, ValidationFailed
from syncline.core.json import Json
from syncline.core.model import Cause, InactiveUsers, Membership
from syncline.core.paging import Order, PageRequest
from syncline.core.scim.normalize import normalize_group
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from syncline.services.product import UserQuery
from syncline.services.retention import Retention
from syncline.store import log, tables
from tests.support.clocks import SlowClock
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world
from tests.support.kernels import seed


@dataclass(frozen=True)
class Past:
    """A world whose time passes when it is told to, and its view as of a moment."""

    world: DirectoryWorld
    clock: SlowClock

    def passes(self) -> datetime:
        """Let a second pass; return a moment at which all that was done is over."""
        self.clock.tick()
        return self.clock.now - timedelta(milliseconds=500)

    async def users(self, at: datetime | None, **query: str) -> list[wire.DirectoryUser]:
        asked = PageRequest(100, Order.ASC)
        product = self.world.services.product
        return list((await product.users(self.world.environment, UserQuery(**query), asked, at)).items)

    async def names(self, at: datetime | None, **query: str) -> list[str]:
        return [str(user.username) for user in await self.users(at, **query)]

    async def user(self, id_: str, at: datetime | None = None) -> wire.DirectoryUser:
        return await self.world.services.product.user(self.world.environment, shown(id_), at)

    async def groups(self, at: datetime | None, **query: str) -> list[str]:
        asked = PageRequest(100, Order.ASC)
        product = self.world.services.product
        found = await product.groups(self.world.environment, asked, at=at, **query)
        return [group.name for group in found.items]

    async def patch(self, id_: str, **values: Json) -> None:
        """Let the provider change several attributes in one request."""
        operations: list[Json] = [
            {"op": "replace", "path": path, "value": value} for path, value in values.items()
        ]
        await self.world.do(PatchUser(id_, parse_operations({"Operations": operations}, ResourceKind.USER)))

    async def seal(self) -> None:
        """Let the log take what was committed."""
        await self.world.services.sealer.seal_now(self.world.environment)

    async def forget(self, before: datetime) -> None:
        """Let retention remove what was recorded before a moment."""
        await self.seal()
        await self.world.services.kernel.database.write(
            lambda connection: log.trim(connection, self.world.environment, before, 1_000)
        )


@asynccontextmanager
async def past(database_url: str, policy: InactiveUsers = InactiveUsers.DELETE) -> AsyncIterator[Past]:
    clock = SlowClock()
    async with directory_world(database_url, policy, clock) as world:
        clock.tick()
        yield Past(world, clock)


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Past]:
    async with past(database_url) as made:
        yield made


def shown(scim_id: str) -> str:
    return scim_id if scim_id.startswith("directory_") else f"directory_user_{scim_id}"


def held(user: wire.DirectoryUser) -> list[str]:
    assert isinstance(user.groups, list)
    return [group.name for group in user.groups]


async def test_memberships_that_ended_with_their_group(here: Past) -> None:
    """Nothing in the log says that they ended, and still they held before."""
    ada, ben = await here.world.user("ada"), await here.world.user("ben")
    group = await here.world.group("Staff", [ada, ben])
    with_group = here.passes()
    await here.world.do(DeleteGroup(group))
    without = here.passes()
    await here.world.delete_user(ben)
    here.passes()
    id_ = f"directory_group_{group}"
    assert await here.names(with_group, group=id_) == ["ada", "ben"]
    assert [held(user) for user in await here.users(with_group)] == [["Staff"], ["Staff"]]
    assert await here.groups(with_group) == ["Staff"]
    assert await here.groups(with_group, user=shown(ben)) == ["Staff"]
    assert await here.names(without) == ["ada", "ben"]
    assert [held(user) for user in await here.users(without)] == [[], []]
    for question in (here.users(without, group=id_), here.users(None, group=id_)):
        with pytest.raises(NotFound):
            await question


async def test_who_came_back_was_a_member_under_the_id_of_that_stay(here: Past) -> None:
    ada = await here.world.user("ada")
    group = await here.world.group("Staff", [ada])
    first = here.passes()
    await here.world.set_active(ada, False)
    hidden = here.passes()
    await here.world.set_active(ada, True)
    second = here.passes()
    await here.world.do(DeleteGroup(group))
    here.passes()
    await here.world.delete_user(ada)
    here.passes()
    [before], [after] = await here.users(first), await here.users(second)
    assert (before.id, before.state, held(before)) == (shown(ada), "active", ["Staff"])
    assert (after.id != before.id, held(after)) == (True, ["Staff"])
    assert await here.users(hidden) == []
    assert [user.id for user in await here.users(second, group=f"directory_group_{group}")] == [after.id]


async def test_attributes_before_the_request_that_changed_them_and_ended_a_stay(here: Past) -> None:
    ada = await here.world.user("ada", title="Pilot")
    then = here.passes()
    await here.patch(ada, title="Planner", active=False)
    here.passes()
    found = await here.user(ada, then)
    assert (found.job_title, found.state) == ("Pilot", "active")


async def test_what_a_departure_hides_is_known_without_older_events(here: Past) -> None:
    """The event shows what the last request made of somebody; when it was the oldest, so did their past."""
    ada = await here.world.user("ada", title="Pilot", externalId="E1")
    ben = await here.world.user("ben", title="Pilot")
    await here.world.group("Staff", [ada])
    await here.seal()
    then = here.passes()
    await here.patch(ada, title="Planner", externalId="E2", active=False)
    await here.world.set_active(ben, False)
    await here.world.set_active(ada, True)
    late = here.passes()
    await here.patch(ada, title="Lead", active=False)
    here.passes()
    await here.forget(then)
    found = await here.users(then)
    assert [(user.job_title, user.idp_id, user.state) for user in found] == [
        ("Pilot", "E1", "active"),
        ("Pilot", ben, "active"),
    ]
    assert [held(user) for user in found] == [["Staff"], []]
    assert [(user.job_title, user.idp_id) for user in await here.users(late)] == [("Planner", "E2")]
    where = {"directory": here.world.place.directory.id}
    assert await here.names(then, **where, idp_id="E1") == ["ada"]
    assert await here.names(then, **where, idp_id="E2") == []


async def test_an_erased_person_left_nothing_of_before_their_departure(here: Past) -> None:
    ada = await here.world.user("ada", title="Pilot")
    await here.seal()
    then = here.passes()
    await here.patch(ada, title="Planner", active=False)
    here.passes()
    assert (await here.user(ada, then)).job_title == "Pilot"
    await here.world.services.erasures.erase(
        here.world.environment, shown(ada), Cause("request_erase"), delete=True
    )
    kept = await here.world.services.kernel.database.read(
        lambda connection: list(connection.execute(select(tables.past_people)))
    )
    assert kept == []
    with pytest.raises(NotFound):
        await here.user(ada, then)


async def test_somebody_inactive_who_was_deleted_with_a_membership_at_once(database_url: str) -> None:
    """The deletion looked as if the provider had just called them inactive, and showed them active before."""
    async with past(database_url, InactiveUsers.KEEP) as here:
        ada = await here.world.user("ada")
        await here.world.set_active(ada, False)
        group = await here.world.group("Staff", [ada])
        await here.seal()
        then = here.passes()
        scope = here.world.place.directory.scope
        await here.world.services.writer.submit(
            scope, ReplaceGroup(group, normalize_group({"displayName": "Staff"})), Cause("request_before")
        )
        await here.world.delete_user(ada)
        here.passes()
        await here.forget(then)
        assert [(user.state, held(user)) for user in await here.users(then)] == [("inactive", ["Staff"])]


async def test_inactive_people_of_another_policy_were_inactive(database_url: str) -> None:
    """The event of their leaving came from the API, so it does not mean that they were active before."""
    async with past(database_url, InactiveUsers.KEEP) as here:
        ada = await here.world.user("ada")
        await here.world.set_active(ada, False)
        await here.seal()
        then = here.passes()
        directory = here.world.place.directory.id
        services = here.world.services
        await services.directories.update(here.world.environment, directory, CAUSE, inactive="delete")
        here.passes()
        # Not sealed yet: what was committed is over all the same.
        assert await here.names(None) == []
        assert (await here.user(ada, then)).state == "inactive"
        await here.forget(then)
        assert (await here.user(ada, then)).state == "inactive"


async def test_filters_look_at_what_was_then(here: Past) -> None:
    ada = await here.world.user("ada", externalId="E1", emails=[{"value": "Ada@northwind.example"}])
    group = await here.world.group("Staff", [ada])
    cyd = await here.world.user("cyd")
    then = here.passes()
    await here.patch(cyd, title="Pilot")
    await here.patch(ada, externalId="E2", emails=[{"value": "other@northwind.example"}])
    ben = await here.world.user("ben", externalId="E1", emails=[{"value": "ada@northwind.example"}])
    await here.world.group("Night", [ben])
    here.passes()
    where = {"directory": here.world.place.directory.id}
    assert await here.names(then, **where, idp_id="E1") == ["ada"]
    assert await here.names(then, **where, email="aDA@northwind.example") == ["ada"]
    assert await here.names(then, **where, idp_id="E2") == []
    assert await here.names(then, **where, email="other@northwind.example") == []
    assert await here.names(None, **where, idp_id="E1") == ["ben"]
    assert await here.names(then, **where, group=f"directory_group_{group}") == ["ada"]
    assert await here.groups(then, **where) == ["Staff"]
    assert await here.groups(then, **where, user=shown(ada)) == ["Staff"]
    with pytest.raises(NotFound):
        await here.groups(then, user=shown(ben))


async def test_pages_hold_everybody_once_in_both_orders(here: Past) -> None:
    names = [f"user{n:02}" for n in range(9)]
    ids = [await here.world.user(name) for name in names]
    for n in range(5):
        await here.world.group(f"G{n}")
    then = here.passes()
    for id_ in ids[1::2]:
        await here.world.delete_user(id_)
    await here.patch(ids[4], title="Pilot")
    await here.world.user("late")
    here.passes()
    product, environment = here.world.services.product, here.world.environment
    for order in (Order.ASC, Order.DESC):
        seen: list[str] = []
        page = await product.users(environment, UserQuery(), PageRequest(2, order), then)
        while True:
            seen += [str(user.username) for user in page.items]
            if page.after is None:
                break
            page = await product.users(
                environment, UserQuery(), PageRequest(2, order, after=page.after), then
            )
        assert seen == (names if order is Order.ASC else names[::-1])
        back = await product.users(environment, UserQuery(), PageRequest(2, order, before=page.before), then)
        assert [str(user.username) for user in back.items] == seen[-3:-1]
        assert (back.before, back.after) == (back.items[0].id, back.items[-1].id)


async def test_what_retention_has_removed_is_refused_and_the_rest_is_told(here: Past) -> None:
    ada = await here.world.user("ada", title="Pilot")
    await here.seal()
    early = here.passes()
    await here.patch(ada, title="Planner")
    kept = here.passes()
    await here.patch(ada, title="Lead")
    await here.world.user("ben")
    here.passes()
    await here.forget(kept)
    assert (await here.user(ada, kept)).job_title == "Planner"
    with pytest.raises(ValidationFailed) as refused:
        await here.user(ada, early)
    assert refused.value.code == "at_out_of_retention"
    assert [error.code for error in refused.value.errors] == ["at_invalid"]
    assert await here.names(kept) == ["ada"]


async def test_what_is_kept_beside_the_log_goes_when_events_do(here: Past) -> None:
    ada = await here.world.user("ada", title="Pilot")
    group = await here.world.group("Staff", [ada])
    await here.world.do(DeleteGroup(group))
    await here.patch(ada, title="Planner", active=False)
    kernel = here.world.services.kernel

    def kept(connection: Connection) -> list[int]:
        beside = (tables.past_memberships, tables.past_people)
        return [len(connection.execute(select(table)).all()) for table in beside]

    assert await kernel.database.read(kept) == [1, 1]
    await Retention(kernel).run_once()
    assert await kernel.database.read(kept) == [1, 1]
    here.clock.now += kernel.retention + timedelta(days=1)
    await Retention(kernel).run_once()
    assert await kernel.database.read(kept) == [0, 0]


async def test_members_through_other_groups_where_the_directory_shows_them(here: Past) -> None:
    services, environment = here.world.services, here.world.environment
    directory = here.world.place.directory.id
    await services.directories.update(environment, directory, CAUSE, membership=Membership.EFFECTIVE)
    ada = await here.world.user("ada")
    inner = await here.world.group("Inner", [ada])
    outer = await here.world.group("Outer", [inner])
    then = here.passes()
    await here.world.do(DeleteGroup(outer))
    here.passes()
    assert held(await here.user(ada, then)) == ["Inner", "Outer"]
    assert await here.names(then, group=f"directory_group_{outer}") == ["ada"]
    assert held(await here.user(ada)) == ["Inner"]


async def test_erased_people_were_never_there(here: Past) -> None:
    ada, ben = await here.world.user("ada"), await here.world.user("ben")
    await here.world.group("Staff", [ada, ben])
    then = here.passes()
    await here.world.services.erasures.erase(
        here.world.environment, shown(ada), Cause("request_erase"), delete=True
    )
    here.passes()
    assert await here.names(then) == ["ben"]
    with pytest.raises(NotFound):
        await here.user(ada, then)


async def test_other_environments_and_deleted_directories_show_nothing(here: Past) -> None:
    other = await seed(here.world.services.kernel)
    here.clock.tick()
    ada = await here.world.user("ada")
    group = await here.world.group("Staff", [ada])
    then = here.passes()
    product = here.world.services.product
    for question in (
        product.user(other.environment_id, shown(ada), then),
        product.group(other.environment_id, f"directory_group_{group}", then),
        product.users(other.environment_id, UserQuery(group=f"directory_group_{group}"), PageRequest(), then),
    ):
        with pytest.raises(NotFound):
            await question
    assert (await product.users(other.environment_id, UserQuery(), PageRequest(), then)).items == []
    await here.patch(ada, title="Pilot")
    await here.world.services.directories.delete(here.world.environment, here.world.place.directory.id, CAUSE)
    here.passes()
    assert await here.names(then) == await here.groups(then) == []
    with pytest.raises(NotFound):
        await here.user(ada, then)
