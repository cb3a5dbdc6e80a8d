"""The events that told what a person shows are found however many came since, up to a limit that is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from syncline.core import wire
from syncline.core.commands import PatchUser
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from syncline.services.announcements import Reach
from syncline.services.explain import Explain
from tests.support.directory_world import DirectoryWorld, directory_world

MANY, AT_ONCE = 2_050, 205


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[DirectoryWorld]:
    async with directory_world(database_url, InactiveUsers.KEEP) as made:
        yield made


async def patch(here: DirectoryWorld, user: str, path: str, value: str) -> None:
    operation: dict[str, Json] = {"op": "replace", "path": path, "value": value}
    await here.do(PatchUser(user, parse_operations({"Operations": [operation]}, ResourceKind.USER)))


async def explained(here: DirectoryWorld, user: str, reach: Reach | None = None) -> wire.Explanation:
    await here.services.sealer.seal_now(here.environment)
    explain = Explain(here.services.kernel, reach)
    return await explain.of_user(here.environment, f"directory_user_{user}")


def announced(found: wire.Explanation, key: str) -> wire.Announcement | None:
    [one] = [one for one in found.attributes if one.key == key]
    return one.announced


async def test_what_told_a_value_is_found_behind_thousands_of_later_events(here: DirectoryWorld) -> None:
    """Only the last 2,000 events were looked at: whatever was older seemed to have come from nowhere."""
    user = await here.user("mira", title="Engineer")
    await here.group("Dispatch", [user])
    await patch(here, user, "title", "Planner")
    for first in range(0, MANY, AT_ONCE):
        names = [f"Mira {number}" for number in range(first, first + AT_ONCE)]
        await asyncio.gather(*(patch(here, user, "name.givenName", name) for name in names))
    found = await explained(here, user)
    title, state = announced(found, "job_title"), announced(found, "state")
    assert title is not None
    assert title.event == "dsync.user.updated"
    assert state is not None
    assert state.event == "dsync.user.created"
    [membership] = found.memberships
    assert membership.announced is not None
    assert membership.announced.event == "dsync.group.user_added"
    assert found.unsearched_before is None


async def test_a_search_that_ends_early_says_from_when_on_it_has_looked(here: DirectoryWorld) -> None:
    user = await here.user("mira", title="Engineer")
    await patch(here, user, "title", "Planner")
    for number in range(7):
        await patch(here, user, "name.givenName", f"Mira {number}")
    events = (await here.rows())[-9:]
    found = await explained(here, user, Reach(at_once=3, at_most=7))
    first_name = announced(found, "first_name")
    assert first_name is not None
    assert first_name.event_id == events[-1].event_id
    assert announced(found, "job_title") is None
    assert found.unsearched_before == wire.iso(events[2].recorded_at)
    further = await explained(here, user, Reach(at_once=3, at_most=8))
    title = announced(further, "job_title")
    assert title is not None
    assert title.event_id == events[1].event_id
    assert further.unsearched_before == wire.iso(events[1].recorded_at)


@pytest.mark.parametrize("at_once", [1, 2, 9, 100])
async def test_a_search_that_reaches_the_beginning_has_left_nothing_out(
    here: DirectoryWorld, at_once: int
) -> None:
    user = await here.user("mira", title="Engineer")
    for number in range(8):
        await patch(here, user, "name.givenName", f"Mira {number}")
    found = await explained(here, user, Reach(at_once, at_most=9))
    created = announced(found, "job_title")
    assert created is not None
    assert created.event == "dsync.user.created"
    assert found.unsearched_before is None
