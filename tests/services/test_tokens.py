"""Bearer tokens of directories: shown once, several at a time, ended for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from syncline.core.errors import NotFound, ValidationFailed
from syncline.core.ids import bare
from syncline.core.paging import Order, PageRequest
from syncline.core.scim.errors import ScimError
from syncline.services.scim_access import ScimAccess
from syncline.services.tokens import BearerTokens, NewToken
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world
from tests.support.kernels import seed

NOBODY = "directory_token_01KA0YPX7B9D1F3H5K7M9Q1S3T"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[DirectoryWorld]:
    async with directory_world(database_url) as made:
        yield made


async def make(here: DirectoryWorld, label: str | None = None) -> NewToken:
    return await here.services.tokens.create(here.environment, here.place.directory.id, CAUSE, label=label)


async def opens(here: DirectoryWorld, secret: str, *, later: timedelta = timedelta()) -> bool:
    access = ScimAccess(replace(here.services.kernel, clock=lambda: datetime.now(UTC) + later))
    try:
        await access.authenticate(bare(here.place.directory.id), f"Bearer {secret}", CAUSE)
    except ScimError:
        return False
    await access.flush()
    return True


async def ids(here: DirectoryWorld, page: PageRequest | None = None) -> list[str]:
    found = await here.services.tokens.list(here.environment, here.place.directory.id, page or PageRequest())
    return [token.id for token in found.items]


async def test_a_token_opens_its_directory_and_is_never_seen_again(here: DirectoryWorld) -> None:
    made = await make(here, "first")
    assert made.secret.startswith("scim_")
    assert len(made.secret) == len("scim_") + 43
    assert await opens(here, made.secret)
    [shown] = (
        await here.services.tokens.list(here.environment, here.place.directory.id, PageRequest())
    ).items
    assert (shown.label, shown.suffix) == ("first", made.secret[-4:])
    assert made.secret not in repr(shown)
    [(name, data)] = await here.told()
    assert name == "dsync.token.created"
    assert data == {
        "object": "directory_token",
        "id": made.token.id,
        "directory_id": here.place.directory.id,
        "organization_id": here.place.organization_id,
        "token_suffix": made.secret[-4:],
        "created_at": data["created_at"],
    }


async def test_several_tokens_live_side_by_side_and_are_listed_page_by_page(here: DirectoryWorld) -> None:
    made = [await make(here) for _ in range(3)]
    assert [await opens(here, one.secret) for one in made] == [True] * 3
    assert await ids(here) == [one.token.id for one in reversed(made)]
    assert await ids(here, PageRequest(2, Order.ASC, after=made[0].token.id)) == [
        one.token.id for one in made[1:]
    ]
    with pytest.raises(ValidationFailed):
        await ids(here, PageRequest(after="nonsense"))


async def test_the_list_tells_when_a_token_was_last_used(here: DirectoryWorld) -> None:
    used, idle = await make(here), await make(here)
    begun = datetime.now(UTC) - timedelta(milliseconds=1)
    assert await opens(here, used.secret)
    found = await here.services.tokens.list(here.environment, here.place.directory.id, PageRequest())
    last = {token.id: token.last_used_at for token in found.items}
    assert last[idle.token.id] is None
    assert (last[used.token.id] or begun - timedelta(days=1)) >= begun


async def test_a_revoked_token_is_refused_at_once_and_told_once(here: DirectoryWorld) -> None:
    one, other = await make(here), await make(here)
    revoke = here.services.tokens.revoke
    await revoke(here.environment, here.place.directory.id, one.token.id, CAUSE)
    assert not await opens(here, one.secret)
    assert await opens(here, other.secret)
    assert await ids(here) == [other.token.id]
    with pytest.raises(NotFound):
        await revoke(here.environment, here.place.directory.id, one.token.id, CAUSE)
    told = await here.told()
    assert [name for name, _ in told].count("dsync.token.revoked") == 1
    assert told[-1][1]["id"] == one.token.id


async def test_a_token_ends_when_it_was_said_to(here: DirectoryWorld) -> None:
    made = await here.services.tokens.create(
        here.environment,
        here.place.directory.id,
        CAUSE,
        expires_at=datetime.now(UTC) + timedelta(minutes=5),
    )
    assert await opens(here, made.secret)
    assert not await opens(here, made.secret, later=timedelta(minutes=6))
    assert await ids(here) == [made.token.id]


async def test_rotation_lets_both_tokens_open_until_the_overlap_ends(here: DirectoryWorld) -> None:
    old = await make(here, "provider")
    new = await here.services.tokens.rotate(
        here.environment, here.place.directory.id, old.token.id, CAUSE, overlap=timedelta(hours=1)
    )
    assert new.token.label == "provider"
    assert await opens(here, old.secret)
    assert await opens(here, new.secret)
    assert not await opens(here, old.secret, later=timedelta(hours=1, seconds=1))
    assert await opens(here, new.secret, later=timedelta(hours=1, seconds=1))
    assert await here.types() == ["dsync.token.created"] * 2


async def test_rotation_without_overlap_revokes_the_old_token(here: DirectoryWorld) -> None:
    old = await make(here)
    new = await here.services.tokens.rotate(
        here.environment, here.place.directory.id, old.token.id, CAUSE, overlap=timedelta()
    )
    assert not await opens(here, old.secret)
    assert await opens(here, new.secret)
    assert await here.types() == ["dsync.token.created", "dsync.token.created", "dsync.token.revoked"]


async def test_rotation_never_puts_an_end_off(here: DirectoryWorld) -> None:
    end = datetime.now(UTC) + timedelta(minutes=5)
    old = await here.services.tokens.create(here.environment, here.place.directory.id, CAUSE, expires_at=end)
    await here.services.tokens.rotate(here.environment, here.place.directory.id, old.token.id, CAUSE)
    assert not await opens(here, old.secret, later=timedelta(minutes=6))


async def test_wrong_wishes_are_refused_and_change_nothing(here: DirectoryWorld) -> None:
    tokens, directory = here.services.tokens, here.place.directory.id
    made = await make(here)
    known = await here.types()
    for attempt, code in (
        (tokens.create(here.environment, directory, CAUSE, label="x" * 256), "label_too_long"),
        (
            tokens.create(here.environment, directory, CAUSE, expires_at=datetime.now(UTC)),
            "expires_at_invalid",
        ),
        (
            tokens.rotate(here.environment, directory, made.token.id, CAUSE, overlap=timedelta(seconds=-1)),
            "overlap_seconds_invalid",
        ),
        (
            tokens.rotate(here.environment, directory, made.token.id, CAUSE, overlap=timedelta(days=31)),
            "overlap_seconds_invalid",
        ),
    ):
        with pytest.raises(ValidationFailed) as refused:
            await attempt
        assert [error.code for error in refused.value.errors] == [code]
    assert await here.types() == known
    assert await ids(here) == [made.token.id]


async def test_the_tokens_of_others_never_existed(here: DirectoryWorld) -> None:
    tokens: BearerTokens = here.services.tokens
    sibling = await seed(here.services.kernel, environment_id=here.environment)
    stranger = await seed(here.services.kernel)
    theirs = [
        await tokens.create(place.environment_id, place.directory.id, CAUSE) for place in (sibling, stranger)
    ]
    assert not await opens(here, theirs[0].secret)
    for token_id in (*(one.token.id for one in theirs), NOBODY, "x\0"):
        for attempt in (
            tokens.revoke(here.environment, here.place.directory.id, token_id, CAUSE),
            tokens.rotate(here.environment, here.place.directory.id, token_id, CAUSE),
        ):
            with pytest.raises(NotFound) as refused:
                await attempt
            assert refused.value.message == f"Directory token not found: '{token_id}'."
    for directory in (stranger.directory.id, "directory_01KA0YPX7B9D1F3H5K7M9Q1S3T"):
        with pytest.raises(NotFound):
            await tokens.revoke(here.environment, directory, theirs[1].token.id, CAUSE)
    assert await ids(here) == []
