"""The product view: who is in it, what lists hold, and what foreign eyes see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from syncline.core import wire
from syncline.core.commands import DeleteGroup
from syncline.core.errors import NotFound, ValidationFailed
from syncline.core.model import InactiveUsers
from syncline.core.paging import Order, Page, PageRequest
from syncline.services.product import UserQuery
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world
from tests.support.kernels import Seeded, seed

NOBODY = "01KA0YPX7B9D1F3H5K7M9Q1S3T"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[DirectoryWorld]:
    async with directory_world(database_url) as made:
        yield made


async def users(here: DirectoryWorld, page: PageRequest | None = None, **query: str | None) -> list[str]:
    """Names of the people on a page, first to last."""
    found = await here.services.product.users(here.environment, UserQuery(**query), page or ascending())
    return [str(user.username) for user in found.items]


async def groups(here: DirectoryWorld, page: PageRequest | None = None, **query: str) -> list[str]:
    directory, user = query.get("directory"), query.get("user")
    found = await here.services.product.groups(
        here.environment, page or ascending(), directory=directory, user=user
    )
    return [group.name for group in found.items]


def ascending(limit: int = 100) -> PageRequest:
    return PageRequest(limit, Order.ASC)


def shown(scim_id: str) -> str:
    return f"directory_user_{scim_id}"


def shown_group(scim_id: str) -> str:
    return f"directory_group_{scim_id}"


async def test_a_person_with_groups(here: DirectoryWorld) -> None:
    user = await here.user(
        "mira@northwind.example", externalId="E1", title="Planner", name={"givenName": "Mira"}
    )
    first, second = await here.group("Dispatch", [user]), await here.group("Planning", [user])
    await here.group("Empty")
    found = await here.services.product.user(here.environment, shown(user))
    assert isinstance(found.groups, list)
    assert [group.id for group in found.groups] == [shown_group(first), shown_group(second)]
    assert (found.idp_id, found.first_name, found.job_title) == ("E1", "Mira", "Planner")
    assert found.organization_id == here.place.organization_id
    [listed] = (await here.services.product.users(here.environment, UserQuery(), PageRequest())).items
    assert listed == found
    one = await here.services.product.group(here.environment, shown_group(first))
    assert (one.name, one.idp_id, one.directory_id) == ("Dispatch", "Dispatch", here.place.directory.id)


async def test_a_person_without_groups_has_an_empty_list(here: DirectoryWorld) -> None:
    user = await here.user("ada")
    assert (await here.services.product.user(here.environment, shown(user))).groups == []
    group = await here.group("Dispatch", [user])
    await here.do(DeleteGroup(group))
    assert (await here.services.product.user(here.environment, shown(user))).groups == []
    with pytest.raises(NotFound):
        await here.services.product.group(here.environment, shown_group(group))


async def test_filters_of_people_and_their_intersections(here: DirectoryWorld) -> None:
    other = await seed(here.services.kernel, environment_id=here.environment)
    ada = await here.user("ada", externalId="E1", emails=[{"value": "Ada@northwind.example"}])
    await here.user("ben", externalId="e1")
    eve = await here.user("eve", at=other, externalId="E1")
    group = shown_group(await here.group("Dispatch", [ada]))
    there = shown_group(await here.group("Theirs", [eve], at=other))
    directory = here.place.directory.id
    assert await users(here) == ["ada", "ben", "eve"]
    assert await users(here, directory=directory) == ["ada", "ben"]
    assert await users(here, group=group) == ["ada"]
    assert await users(here, directory=directory, group=group) == ["ada"]
    assert await users(here, directory=directory, group=there) == []
    assert await users(here, directory=other.directory.id, group=there) == ["eve"]
    assert await users(here, directory=directory, idp_id="E1") == ["ada"]
    assert await users(here, directory=directory, idp_id="E") == []
    assert await users(here, directory=directory, email="aDA@NORTHWIND.example") == ["ada"]
    assert await users(here, directory=directory, email="ada@northwind.example", idp_id="e1") == []
    assert await users(here, directory=directory, email="a\0b") == []


async def test_filters_of_groups_and_their_intersections(here: DirectoryWorld) -> None:
    other = await seed(here.services.kernel, environment_id=here.environment)
    ada = await here.user("ada")
    eve = await here.user("eve", at=other)
    await here.group("Dispatch", [ada])
    await here.group("Empty")
    await here.group("Theirs", [eve], at=other)
    directory = here.place.directory.id
    assert await groups(here) == ["Dispatch", "Empty", "Theirs"]
    assert await groups(here, directory=directory) == ["Dispatch", "Empty"]
    assert await groups(here, user=shown(ada)) == ["Dispatch"]
    assert await groups(here, directory=directory, user=shown(ada)) == ["Dispatch"]
    assert await groups(here, directory=directory, user=shown(eve)) == []


@pytest.mark.parametrize("query", [{"email": "ada@northwind.example"}, {"idp_id": "E1", "group": "x"}])
async def test_looking_for_one_person_needs_a_directory(here: DirectoryWorld, query: dict[str, str]) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await here.services.product.users(here.environment, UserQuery(**query), PageRequest())
    assert [error.code for error in refused.value.errors] == ["directory_required"]


async def test_hidden_and_deleted_people_are_as_if_they_never_existed(here: DirectoryWorld) -> None:
    ada, ben, cyd = [await here.user(name) for name in ("ada", "ben", "cyd")]
    group = shown_group(await here.group("Dispatch", [ada, ben, cyd]))
    await here.set_active(ada, False)
    await here.delete_user(ben)
    assert await users(here) == await users(here, group=group) == ["cyd"]
    for gone in (ada, ben, NOBODY):
        for attempt in (
            here.services.product.user(here.environment, shown(gone)),
            here.services.product.groups(here.environment, PageRequest(), user=shown(gone)),
        ):
            with pytest.raises(NotFound) as refused:
                await attempt
            assert refused.value.message == f"Directory user not found: '{shown(gone)}'."


async def test_who_comes_back_has_a_new_id_and_the_old_one_is_gone(here: DirectoryWorld) -> None:
    ada = await here.user("ada")
    group = shown_group(await here.group("Dispatch", [ada]))
    await here.set_active(ada, False)
    await here.set_active(ada, True)
    [back] = (
        await here.services.product.users(here.environment, UserQuery(group=group), PageRequest())
    ).items
    assert back.id != shown(ada)
    assert isinstance(back.groups, list)
    assert [held.id for held in back.groups] == [group]
    with pytest.raises(NotFound):
        await here.services.product.user(here.environment, shown(ada))
    assert await groups(here, user=back.id) == ["Dispatch"]


async def test_kept_inactive_people_stay_in_the_view(database_url: str) -> None:
    async with directory_world(database_url, InactiveUsers.KEEP) as here:
        ada = await here.user("ada")
        await here.set_active(ada, False)
        assert (await here.services.product.user(here.environment, shown(ada))).state == "inactive"
        assert await users(here) == ["ada"]


async def walk(here: DirectoryWorld, order: Order, **query: str) -> list[str]:
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page: Page[wire.DirectoryUser] = await here.services.product.users(
            here.environment, UserQuery(**query), PageRequest(3, order, after=cursor)
        )
        seen += [str(user.username) for user in page.items]
        if page.after is None:
            return seen
        cursor = page.after
        # A walk goes on behind a person who has left.
        await here.delete_user(cursor.removeprefix("directory_user_"))


@pytest.mark.parametrize("order", [Order.ASC, Order.DESC])
@pytest.mark.parametrize("narrowed", ["", "directory", "group"])
async def test_a_walk_survives_the_deletion_of_its_cursor(
    here: DirectoryWorld, order: Order, narrowed: str
) -> None:
    names = [f"user{n:02}" for n in range(11)]
    ids = [await here.user(name) for name in names]
    where = {"directory": here.place.directory.id, "group": shown_group(await here.group("All", ids))}
    query = {narrowed: where[narrowed]} if narrowed else {}
    expected = names if order is Order.ASC else names[::-1]
    assert await walk(here, order, **query) == expected
    left = {name for n, name in enumerate(expected) if n not in (2, 5, 8)}
    assert await users(here) == sorted(left)


async def test_both_cursors_bound_a_window_of_groups(here: DirectoryWorld) -> None:
    ids = [shown_group(await here.group(f"G{n}")) for n in range(6)]
    assert await groups(here, PageRequest(10, Order.ASC, after=ids[0], before=ids[4])) == ["G1", "G2", "G3"]
    assert await groups(here, PageRequest(2, Order.ASC, before=ids[4])) == ["G2", "G3"]
    assert await groups(here, PageRequest(2, Order.DESC, before=ids[1])) == ["G3", "G2"]
    page = await here.services.product.groups(here.environment, PageRequest(2, Order.ASC, before=ids[4]))
    assert (page.before, page.after) == (ids[2], ids[3])


@pytest.mark.parametrize("cursor", ["nonsense", f"directory_{NOBODY}", f"directory_user_{NOBODY}x", "\0"])
async def test_a_cursor_of_another_kind_is_refused(here: DirectoryWorld, cursor: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await users(here, PageRequest(after=cursor))
    assert [error.code for error in refused.value.errors] == ["after_invalid"]
    with pytest.raises(ValidationFailed):
        await groups(here, PageRequest(before=cursor))


async def test_other_environments_see_nothing(here: DirectoryWorld) -> None:
    stranger: Seeded = await seed(here.services.kernel)
    ada = await here.user("ada", emails=[{"value": "ada@northwind.example"}])
    group = await here.group("Dispatch", [ada])
    product, env = here.services.product, stranger.environment_id
    directory = here.place.directory.id
    assert (await product.users(env, UserQuery(), PageRequest())).items == []
    assert (await product.groups(env, PageRequest())).items == []
    asked: tuple[tuple[Callable[[str], Awaitable[object]], str, str], ...] = (
        (lambda id_: product.user(env, id_), shown(ada), shown(NOBODY)),
        (lambda id_: product.group(env, id_), shown_group(group), shown_group(NOBODY)),
        (
            lambda id_: product.users(env, UserQuery(directory=id_), PageRequest()),
            directory,
            f"directory_{NOBODY}",
        ),
    )
    for ask, foreign, never in asked:
        messages = set()
        for id_ in (foreign, never):
            with pytest.raises(NotFound) as refused:
                await ask(id_)
            messages.add(refused.value.message.replace(id_, "ID"))
        assert len(messages) == 1
    for attempt in (
        product.users(env, UserQuery(group=shown_group(group)), PageRequest()),
        product.groups(env, PageRequest(), user=shown(ada)),
        product.groups(env, PageRequest(), directory=directory),
        product.users(
            env, UserQuery(directory=stranger.directory.id, group=shown_group(group)), PageRequest()
        ),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_a_deleted_directory_takes_its_people_out_of_every_list(here: DirectoryWorld) -> None:
    other = await seed(here.services.kernel, environment_id=here.environment)
    for n in range(4):
        await here.user(f"ours{n}")
        await here.user(f"theirs{n}", at=other)
        await here.group(f"G{n}")
    await here.services.directories.delete(here.environment, here.place.directory.id, CAUSE)
    assert await users(here) == [f"theirs{n}" for n in range(4)]
    assert await groups(here) == []
