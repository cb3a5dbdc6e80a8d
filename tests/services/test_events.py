"""The event log as apps read it: nothing skipped, nothing twice, and clear words about lost cursors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from syncline.core.errors import BadRequest, CursorExpired, ValidationFailed
from syncline.core.events import OrganizationCreated, draft
from syncline.core.ids import Prefix, bare, make_id, new_ulid, ulid_time_ms
from syncline.core.model import Cause
from syncline.core.paging import Order
from syncline.core.wire import Organization
from syncline.services.events import EventPage, EventQuery
from syncline.services.organizations import OrganizationChanges
from syncline.store import log
from syncline.store.database import Connection
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world
from tests.support.kernels import seed

START = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[DirectoryWorld]:
    async with directory_world(database_url) as made:
        yield made


async def write(here: DirectoryWorld, *organizations: str | None, start: int = 0) -> None:
    """Put one event per entry into the log, a minute apart, each about its organization."""

    def work(connection: Connection) -> None:
        for n, organization in enumerate(organizations, start):
            body = Organization(
                id=f"org_{n}",
                name="N",
                domains=[],
                metadata={},
                external_id=None,
                created_at="",
                updated_at="",
            )
            event = draft(
                OrganizationCreated(body),
                environment_id=here.environment,
                organization_id=organization,
                recorded_at=START + timedelta(minutes=n),
            )
            log.append(connection, [event], Cause("request_1"))

    await here.services.kernel.database.write(work)
    await here.services.sealer.seal_now(here.environment)


async def read(here: DirectoryWorld, **query: Any) -> EventPage:
    return await here.services.events.list(here.environment, EventQuery(**query))


def numbers(page: EventPage) -> list[int]:
    """Which of the events written by `write` are on a page."""
    return [int(json.loads(item)["data"]["id"].removeprefix("org_")) for item in page.items]


def ids(page: EventPage) -> list[str]:
    return [json.loads(item)["id"] for item in page.items]


async def trim(here: DirectoryWorld, count: int) -> None:
    future = datetime.now(UTC) + timedelta(days=1)
    await here.services.kernel.database.write(
        lambda connection: log.trim(connection, here.environment, future, count)
    )


async def test_an_event_says_who_caused_it_and_where_it_stands(here: DirectoryWorld) -> None:
    made = await here.services.organizations.create(
        here.environment, OrganizationChanges(name="Fabrikam"), CAUSE
    )
    await here.user("ada")
    await here.services.sealer.seal_now(here.environment)
    first, second = (json.loads(item) for item in (await read(here)).items)
    assert (first["object"], first["event"], first["data"]["id"]) == (
        "event",
        "organization.created",
        made.id,
    )
    actor = {"id": "key_7", "source": "api", "name": "tests"}
    assert first["context"] == {"actor": actor, "sequence": 1}
    assert second["context"] == {"sequence": 2, "directory_sequence": 1}
    assert second["created_at"] == second["data"]["created_at"]


async def test_the_stored_body_comes_out_byte_for_byte(here: DirectoryWorld) -> None:
    await here.user("ada", displayName="\u2028 é / \\ \b", title="10\t€")
    [row] = await here.rows()
    [item] = (await read(here)).items
    assert f'"data":{row.body},"created_at"'.encode() in item


async def test_oldest_first_until_the_head_where_after_is_null(here: DirectoryWorld) -> None:
    await write(here, *["org_a"] * 5)
    first = await read(here, limit=2)
    assert numbers(first) == [0, 1]
    assert (first.before, first.after, first.cursor) == (None, ids(first)[1], ids(first)[1])
    middle = await read(here, limit=2, after=first.after)
    assert (numbers(middle), middle.before) == ([2, 3], ids(middle)[0])
    last = await read(here, limit=2, after=middle.after)
    assert (numbers(last), last.after, last.cursor) == ([4], None, ids(last)[0])
    head = await read(here, after=last.cursor)
    assert (numbers(head), head.before, head.after, head.cursor) == ([], None, None, last.cursor)
    await write(here, "org_a", start=5)
    assert numbers(await read(here, after=head.cursor)) == [5]


async def test_an_empty_log_has_no_cursor_to_give(here: DirectoryWorld) -> None:
    assert await read(here) == EventPage([], None, None, None)


async def test_newest_first_and_its_mirror(here: DirectoryWorld) -> None:
    await write(here, *["org_a"] * 5)
    first = await read(here, order=Order.DESC, limit=2)
    assert (numbers(first), first.before, first.after) == ([4, 3], None, ids(first)[1])
    second = await read(here, order=Order.DESC, limit=2, after=first.after)
    assert (numbers(second), second.before, second.after) == ([2, 1], ids(second)[0], ids(second)[1])
    back = await read(here, order=Order.DESC, limit=1, before=second.before)
    assert (numbers(back), back.before) == ([3], ids(back)[0])
    normal = await read(here, order=Order.NORMAL, limit=2, before=first.after)
    assert (ids(normal), normal.before, normal.after) == (ids(second), second.after, second.before)


async def test_before_gives_the_nearest_and_both_cursors_a_window(here: DirectoryWorld) -> None:
    await write(here, *["org_a"] * 6)
    every = ids(await read(here))
    page = await read(here, before=every[4], limit=2)
    assert (numbers(page), page.before, page.after) == ([2, 3], every[2], every[3])
    page = await read(here, before=every[4], after=every[1])
    assert (numbers(page), page.after, page.cursor) == ([2, 3], None, every[3])
    page = await read(here, before=every[2], after=every[4])
    assert (numbers(page), page.after) == ([], None)
    assert numbers(await read(here, before=every[0])) == []


async def test_a_filter_finds_the_next_match_however_far_ahead(here: DirectoryWorld) -> None:
    await write(here, "org_a", *["org_b"] * 250, "org_a", *["org_b"] * 5)
    first = await read(here, organization_id="org_a", limit=1)
    assert (numbers(first), first.after) == ([0], ids(first)[0])
    second = await read(here, organization_id="org_a", limit=1, after=first.after)
    assert (numbers(second), second.after) == ([251], None)
    newest = ids(await read(here, order=Order.DESC, limit=1))[0]
    assert second.cursor == newest
    assert (await read(here, organization_id="org_a", after=second.cursor)).items == []


async def test_a_consumer_of_a_rare_type_goes_on_from_the_last_examined_event(here: DirectoryWorld) -> None:
    await write(here, *["org_a"] * 3)
    page = await read(here, types=["dsync.deleted"])
    assert (page.items, page.after) == ([], None)
    assert page.cursor == ids(await read(here))[-1]
    await here.services.directories.delete(here.environment, here.place.directory.id, CAUSE)
    await here.services.sealer.seal_now(here.environment)
    [found] = (await read(here, types=["dsync.deleted"], after=page.cursor)).items
    assert json.loads(found)["event"] == "dsync.deleted"


async def test_types_of_the_vendor_match_nothing_and_unknown_ones_are_refused(here: DirectoryWorld) -> None:
    await write(here, "org_a")
    assert (await read(here, types=["user.created"])).items == []
    assert numbers(await read(here, types=["user.created", "organization.created"])) == [0]
    with pytest.raises(ValidationFailed) as refused:
        await read(here, types=["organization.created", "organisation.created"])
    assert [error.code for error in refused.value.errors] == ["events_unknown"]


async def test_a_range_starts_inclusive_and_ends_exclusive(here: DirectoryWorld) -> None:
    await write(here, *["org_a"] * 5)
    every = ids(await read(here))
    start, end = START + timedelta(minutes=1), START + timedelta(minutes=4)
    page = await read(here, range_start=start, range_end=end, limit=2)
    assert (numbers(page), page.before) == ([1, 2], None)
    page = await read(here, range_start=start, range_end=end, limit=2, after=page.after)
    assert (numbers(page), page.after) == ([3], None)
    assert numbers(await read(here, range_start=start, after=every[3])) == [4]
    assert numbers(await read(here, range_end=START)) == []


async def test_events_without_an_organization_are_left_out_under_one(here: DirectoryWorld) -> None:
    await write(here, None, "org_a")
    assert numbers(await read(here, organization_id="org_a")) == [1]
    assert numbers(await read(here, organization_id="org_b")) == []
    assert (await read(here, organization_id="a\0b")).items == []


@pytest.mark.parametrize("name", ["after", "before"])
async def test_a_cursor_that_never_was_is_a_bad_request(here: DirectoryWorld, name: str) -> None:
    other = await seed(here.services.kernel)
    await write(here, "org_a")
    await here.services.organizations.create(other.environment_id, OrganizationChanges(name="Theirs"), CAUSE)
    await here.services.sealer.seal_now(other.environment_id)
    [theirs] = (await here.services.events.list(other.environment_id, EventQuery())).items
    never = make_id(Prefix.EVENT, new_ulid(ulid_time_ms(bare(json.loads(theirs)["id"])), b"0123456789"))
    messages = set()
    for cursor in (json.loads(theirs)["id"], never, "event_1", "nonsense", "org_" + bare(never), "\0"):
        with pytest.raises(BadRequest) as refused:
            await read(here, **{name: cursor})
        messages.add((refused.value.code, refused.value.message))
    assert len(messages) == 1


async def test_a_cursor_behind_retention_names_the_oldest_event(here: DirectoryWorld) -> None:
    await write(here, *["org_a"] * 5)
    every = ids(await read(here))
    await trim(here, 3)
    assert numbers(await read(here)) == [3, 4]
    for cursor in every[:3]:
        with pytest.raises(CursorExpired) as refused:
            await read(here, after=cursor)
        assert refused.value.oldest_id == every[3]
    assert numbers(await read(here, after=every[3])) == [4]
    ancient = make_id(Prefix.EVENT, new_ulid(1, b"0123456789"))
    with pytest.raises(CursorExpired):
        await read(here, after=ancient)


async def test_the_newest_event_outlives_its_retention_so_that_a_reader_at_the_end_stays_there(
    here: DirectoryWorld,
) -> None:
    await write(here, *["org_a"] * 2)
    every = ids(await read(here))
    await trim(here, 2)
    assert numbers(await read(here)) == [1]
    assert (await read(here, after=every[1])).items == []
    with pytest.raises(CursorExpired) as refused:
        await read(here, after=every[0])
    assert refused.value.oldest_id == every[1]
    await write(here, "org_a", start=2)
    assert numbers(await read(here, after=every[1])) == [2]


async def test_a_reader_that_polls_while_many_write_sees_everything_once_and_in_order(
    here: DirectoryWorld,
) -> None:
    stop = asyncio.Event()
    sealing = asyncio.create_task(here.services.sealer.run(stop))
    writing = asyncio.gather(*(here.user(f"user{n}") for n in range(120)))
    seen: list[str] = []
    cursor: str | None = None
    while len(seen) < 120:
        page = await read(here, limit=7, after=cursor)
        seen += ids(page)
        cursor = page.cursor or cursor
        await asyncio.sleep(0)
    await writing
    stop.set()
    await sealing
    assert seen == await _all_ids(here)
    assert len(set(seen)) == 120


async def _all_ids(here: DirectoryWorld) -> Sequence[str]:
    return [row.event_id for row in await here.rows()]


async def test_a_cursor_older_than_a_log_that_lost_nothing_is_a_bad_request(here: DirectoryWorld) -> None:
    """It was called expired, although retention had removed nothing: a cursor of another database."""
    await write(here, "org_a")
    old = make_id(Prefix.EVENT, new_ulid(1_700_000_000_000, b"0123456789"))
    with pytest.raises(BadRequest, match="not the id of an event"):
        await read(here, after=old)
