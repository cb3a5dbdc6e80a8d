"""Directories: made with a token, changed with every consequence at once, deleted without a trace behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from syncline.core.commands import CreateUser
from syncline.core.errors import NotFound, ValidationFailed
from syncline.core.ids import bare
from syncline.core.model import InactiveUsers
from syncline.core.paging import Order, PageRequest
from syncline.core.scim.errors import ScimError
from syncline.core.scim.normalize import normalize_user
from syncline.services.directories import DirectoryFilter, ManagedDirectory
from syncline.services.organizations import DomainData, OrganizationChanges
from syncline.services.product import UserQuery
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world
from tests.support.kernels import BASE_URL, seed

NOBODY = "directory_01KA0YPX7B9D1F3H5K7M9Q1S3T"
TYPE = "generic scim v2.0"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[DirectoryWorld]:
    async with directory_world(database_url) as made:
        yield made


@asynccontextmanager
async def policy(database_url: str, first: InactiveUsers) -> AsyncIterator[DirectoryWorld]:
    """A directory with two active people, one inactive, all in one group, and the log up to there."""
    async with directory_world(database_url, first) as made:
        ids = [await made.user(name) for name in ("ada", "ben", "cyd")]
        await made.group("Dispatch", ids)
        await made.set_active(ids[1], False)
        yield made


async def create(world: DirectoryWorld, name: str = "People", **more: str) -> ManagedDirectory:
    return await world.services.directories.create(
        world.environment, world.place.organization_id, name, TYPE, CAUSE, **more
    )


async def test_a_new_directory_validates_and_has_one_token(here: DirectoryWorld) -> None:
    made = await create(here, "  People ")
    assert (made.directory.name, made.directory.state, made.directory.type) == ("People", "validating", TYPE)
    assert made.scim is not None
    assert made.scim.endpoint == f"{BASE_URL}/scim/v2/{bare(made.directory.id)}"
    assert made.scim.endpoint_v1 == f"{BASE_URL}/scim/v1/{bare(made.directory.id)}"
    assert made.bearer_token is not None
    found = await here.services.scim_access.authenticate(
        bare(made.directory.id), f"Bearer {made.bearer_token}", CAUSE
    )
    assert found.id == made.directory.id
    told = await here.told()
    assert told[0][0] == "dsync.token.created"
    assert told[0][1]["token_suffix"] == made.bearer_token[-4:]
    assert made.bearer_token not in str(told)


async def test_the_environment_decides_about_inactive_people_unless_told_otherwise(
    here: DirectoryWorld,
) -> None:
    assert (await create(here)).inactive_users is InactiveUsers.DELETE
    assert (await create(here, inactive="keep")).inactive_users is InactiveUsers.KEEP


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": "  "}, "name_required"),
        ({"name": "x" * 256}, "name_too_long"),
        ({"type_": "carrier pigeon"}, "type_unknown"),
        ({"type_": "workday"}, "type_unsupported"),
        ({"inactive": "archive"}, "inactive_users_invalid"),
    ],
)
async def test_a_wrong_value_is_named_and_nothing_is_made(
    here: DirectoryWorld, given: dict[str, str], code: str
) -> None:
    wanted = {"name": "People", "type_": TYPE} | given
    with pytest.raises(ValidationFailed) as refused:
        await here.services.directories.create(
            here.environment, here.place.organization_id, cause=CAUSE, **wanted
        )
    assert [error.code for error in refused.value.errors] == [code]
    assert await here.rows() == []


async def test_an_organization_that_is_not_there_gets_no_directory(here: DirectoryWorld) -> None:
    other = await seed(here.services.kernel)
    await here.services.organizations.delete(here.environment, here.place.organization_id, CAUSE)
    for organization in (here.place.organization_id, other.organization_id, "org_1", "nonsense\0"):
        with pytest.raises(NotFound):
            await here.services.directories.create(here.environment, organization, "People", TYPE, CAUSE)


async def test_a_directory_shows_its_size_and_the_organizations_first_domain(here: DirectoryWorld) -> None:
    directories = here.services.directories
    here_id = here.place.directory.id
    before = await directories.get(here.environment, here_id)
    assert not before.domain
    domains = [DomainData("b.example"), DomainData("a.example")]
    await here.services.organizations.update(
        here.environment, here.place.organization_id, OrganizationChanges(domains=domains), CAUSE
    )
    ada, ben = await here.user("ada"), await here.user("ben")
    await here.group("Dispatch", [ada, ben])
    await here.set_active(ben, False)
    shown = await directories.get(here.environment, here_id)
    assert shown.domain == "b.example"
    assert shown.metadata
    assert (shown.metadata.users.active, shown.metadata.users.inactive, shown.metadata.groups) == (1, 0, 1)
    await directories.update(here.environment, here_id, CAUSE, inactive="keep")
    shown = await directories.get(here.environment, here_id)
    assert shown.metadata
    assert (shown.metadata.users.active, shown.metadata.users.inactive) == (1, 1)


async def test_filters_of_the_list(here: DirectoryWorld) -> None:
    directories = here.services.directories
    organization = await here.services.organizations.create(
        here.environment,
        OrganizationChanges(name="Fabrikam", domains=[DomainData("fabrikam.example")]),
        CAUSE,
    )
    made = await directories.create(here.environment, organization.id, "Große 100%_Leute", TYPE, CAUSE)
    one = [made.directory.id]

    async def found(**wanted: str) -> list[str]:
        page = await directories.list(here.environment, DirectoryFilter(**wanted), PageRequest())
        return [directory.id for directory in page.items]

    assert await found() == [*one, here.place.directory.id]
    assert await found(organization_id=organization.id) == one
    assert await found(organization_id="org_01KA0YPX7B9D1F3H5K7M9Q1S3T") == []
    assert await found(search="GROSSE") == one
    assert await found(search="0%_") == one
    assert await found(search="1%L") == []
    assert await found(domain="fabrikam.example") == one
    assert await found(search="a\0b") == []


async def test_the_list_goes_on_from_a_directory_that_is_gone(here: DirectoryWorld) -> None:
    directories = here.services.directories
    made = [(await create(here, f"No {n}")).directory.id for n in range(4)]
    await directories.delete(here.environment, made[1], CAUSE)
    page = await directories.list(
        here.environment, DirectoryFilter(), PageRequest(1, Order.ASC, after=made[1])
    )
    assert ([one.id for one in page.items], page.before, page.after) == ([made[2]], made[2], made[2])


async def test_a_new_name_changes_nothing_else_and_tells_nobody(here: DirectoryWorld) -> None:
    directories = here.services.directories
    before = await create(here)
    known = await here.types()
    changed = await directories.update(here.environment, before.directory.id, CAUSE, name=" New ")
    assert changed.directory.name == "New"
    assert changed.bearer_token is None
    assert changed.scim == before.scim
    again = await directories.update(here.environment, before.directory.id, CAUSE, name="New")
    assert again.directory.updated_at == changed.directory.updated_at
    assert await here.types() == known


async def test_keeping_inactive_people_brings_them_back_under_new_ids(database_url: str) -> None:
    async with policy(database_url, InactiveUsers.DELETE) as here:
        gone = next(data for name, data in await here.told() if name == "dsync.user.deleted")
        known = len(await here.types())
        await here.services.directories.update(
            here.environment, here.place.directory.id, CAUSE, inactive="keep"
        )
        told = (await here.told())[known:]
        assert [name for name, _ in told] == ["dsync.user.created", "dsync.group.user_added"]
        back = told[0][1]
        assert (back["state"], back["username"]) == ("inactive", "ben")
        assert back["id"] != gone["id"]
        assert told[1][1]["user"]["id"] == back["id"]
        assert told[1][1]["group"]["name"] == "Dispatch"
        shown = await here.services.product.user(here.environment, back["id"])
        assert shown.state == "inactive"
        with pytest.raises(NotFound):
            await here.services.product.user(here.environment, gone["id"])


async def test_deleting_inactive_people_ends_their_memberships_first(database_url: str) -> None:
    async with policy(database_url, InactiveUsers.KEEP) as here:
        known = len(await here.types())
        update = here.services.directories.update
        await update(here.environment, here.place.directory.id, CAUSE, inactive="delete")
        told = (await here.told())[known:]
        assert [name for name, _ in told] == ["dsync.group.user_removed", "dsync.user.deleted"]
        assert told[1][1]["username"] == "ben"
        assert told[1][1]["state"] == "inactive"
        await update(here.environment, here.place.directory.id, CAUSE, inactive="delete")
        assert len(await here.types()) == known + 2
        page = await here.services.product.users(here.environment, UserQuery(), PageRequest())
        assert sorted(str(user.username) for user in page.items) == ["ada", "cyd"]


async def test_a_change_of_policy_and_back_settles_hundreds_of_people_once_each(database_url: str) -> None:
    async with directory_world(database_url, InactiveUsers.KEEP) as here:
        names = [f"user{n:04}" for n in range(1_100)]
        await asyncio.gather(
            *(here.do(CreateUser(normalize_user({"userName": name, "active": False}))) for name in names)
        )
        for inactive, expected in (("delete", "dsync.user.deleted"), ("keep", "dsync.user.created")):
            known = len(await here.types())
            await here.services.directories.update(
                here.environment, here.place.directory.id, CAUSE, inactive=inactive
            )
            told = (await here.told())[known:]
            assert {name for name, _ in told} == {expected}
            assert sorted(data["username"] for _, data in told) == names
        page = await here.services.directories.get(here.environment, here.place.directory.id)
        assert page.metadata
        assert page.metadata.users.inactive == len(names)


async def test_a_provider_that_pushes_during_a_change_of_policy_leaves_nobody_in_between(
    database_url: str,
) -> None:
    async with directory_world(database_url, InactiveUsers.KEEP) as here:
        ids = [await here.user(f"user{n}") for n in range(20)]
        await asyncio.gather(
            *(here.set_active(id_, False) for id_ in ids[:10]),
            here.services.directories.update(
                here.environment, here.place.directory.id, CAUSE, inactive="delete"
            ),
            *(here.set_active(id_, False) for id_ in ids[10:]),
        )
        types = await here.types()
        assert types.count("dsync.user.deleted") == 20
        page = await here.services.product.users(here.environment, UserQuery(), PageRequest())
        assert page.items == []


async def test_deleting_a_directory_tells_one_event_and_ends_everything(here: DirectoryWorld) -> None:
    services, directory = here.services, here.place.directory
    user = await here.user("ada")
    group = await here.group("Dispatch", [user])
    token = await services.tokens.create(here.environment, directory.id, CAUSE)
    known = len(await here.types())
    await services.directories.delete(here.environment, directory.id, CAUSE)
    [(name, data)] = (await here.told())[known:]
    assert (name, data["id"], data["state"]) == ("dsync.deleted", directory.id, "deleting")
    assert "external_key" not in data
    assert (await here.rows())[-1].actor == '{"id":"key_7","source":"api","name":"tests"}'
    with pytest.raises(ScimError) as refused:
        await services.scim_access.authenticate(bare(directory.id), f"Bearer {token.secret}", CAUSE)
    assert refused.value.status == 401
    with pytest.raises(ScimError) as refused:
        await here.user("ben")
    assert refused.value.status == 401
    for attempt in (
        services.directories.get(here.environment, directory.id),
        services.directories.update(here.environment, directory.id, CAUSE, name="x"),
        services.directories.delete(here.environment, directory.id, CAUSE),
        services.tokens.create(here.environment, directory.id, CAUSE),
        services.tokens.list(here.environment, directory.id, PageRequest()),
        services.product.user(here.environment, f"directory_user_{user}"),
        services.product.group(here.environment, f"directory_group_{group}"),
        services.product.users(here.environment, UserQuery(directory=directory.id), PageRequest()),
    ):
        with pytest.raises(NotFound):
            await attempt
    everybody = await services.product.users(here.environment, UserQuery(), PageRequest())
    assert everybody.items == []
    assert len(await here.types()) == known + 1


async def test_two_deletions_at_once_tell_one_event(here: DirectoryWorld) -> None:
    delete = here.services.directories.delete
    ended = await asyncio.gather(
        *(delete(here.environment, here.place.directory.id, CAUSE) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(end).__name__ for end in ended) == ["NoneType", "NotFound", "NotFound", "NotFound"]
    assert await here.types() == ["dsync.deleted"]


async def test_a_pushed_directory_cannot_be_pulled(here: DirectoryWorld) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await here.services.directories.request_pull(here.environment, here.place.directory.id)
    assert refused.value.code == "directory_sync_unsupported"
    with pytest.raises(NotFound):
        await here.services.directories.request_pull(here.environment, NOBODY)


async def test_another_environments_directory_is_as_if_it_never_was(here: DirectoryWorld) -> None:
    other = await seed(here.services.kernel)
    directories = here.services.directories
    messages = set()
    for directory in (other.directory.id, NOBODY, "directory_1", "x\0"):
        for attempt in (
            directories.get(here.environment, directory),
            directories.update(here.environment, directory, CAUSE, name="x", inactive="keep"),
            directories.delete(here.environment, directory, CAUSE),
        ):
            with pytest.raises(NotFound) as refused:
                await attempt
            messages.add(refused.value.message.replace(directory, "ID"))
    assert messages == {"Directory not found: 'ID'."}
    shown = await directories.get(other.environment_id, other.directory.id)
    assert shown.name == "Northwind"
