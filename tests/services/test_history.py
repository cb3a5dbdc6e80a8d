"""Histories: who brought changes about, what retention has taken, and whose they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest

from syncline.core import wire
from syncline.core.errors import NotFound
from syncline.core.model import InactiveUsers
from syncline.core.paging import Order, PageRequest
from syncline.core.role_conditions import Condition, ConditionKind
from syncline.core.roles import Precedence, RoleMode, RoleRule
from syncline.services.history import Told
from syncline.services.role_rule_shapes import RuleSetInput
from syncline.store import log
from tests.support.clocks import SlowClock
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world
from tests.support.kernels import seed

ALL = PageRequest(100, Order.ASC)


@pytest.fixture
def clock() -> SlowClock:
    return SlowClock()


@pytest.fixture
async def here(database_url: str, clock: SlowClock) -> AsyncIterator[DirectoryWorld]:
    async with directory_world(database_url, InactiveUsers.KEEP, clock) as made:
        clock.tick()
        yield made


async def told(here: DirectoryWorld, user: str, page: PageRequest = ALL) -> Told:
    await here.services.sealer.seal_now(here.environment)
    return await here.services.history.of_user(here.environment, f"directory_user_{user}", page)


async def test_a_changed_rule_is_named_as_what_changed_people(here: DirectoryWorld) -> None:
    user = await here.user("mira", title="Planner")
    rule = RoleRule("", Condition(ConditionKind.ATTRIBUTE, "job_title", "equals", "Planner"), "member")
    wanted = RuleSetInput(RoleMode.SINGLE, Precedence.ROLE_PRIORITY, "member", [rule], ())
    await here.services.role_rules.replace(here.environment, here.place.directory.id, wanted, CAUSE)
    await here.services.reevaluations.complete()
    created, updated = (await told(here, user)).page.items
    assert created.actor == wire.HistoryActor(kind="provider", id=None, name=None)
    assert updated.actor == wire.HistoryActor(kind="role_rules", id=CAUSE.actor_id, name=CAUSE.actor_name)
    assert updated.cause == wire.HistoryCause(kind="request", id=CAUSE.id)
    assert updated.text == 'roles: (nothing) → ["member"]'


async def test_a_call_of_the_api_is_named_as_one(here: DirectoryWorld) -> None:
    user = await here.user("mira")
    await here.set_active(user, False)
    await here.services.directories.update(
        here.environment, here.place.directory.id, CAUSE, inactive=InactiveUsers.DELETE
    )
    left = (await told(here, user)).page.items[-1]
    assert (left.kind, left.actor.kind, left.actor.id) == ("deleted", "api_key", CAUSE.actor_id)


async def test_what_retention_took_is_said_and_the_rest_is_told(
    here: DirectoryWorld, clock: SlowClock
) -> None:
    user = await here.user("mira")
    await here.rows()
    clock.tick()
    await here.set_active(user, False)
    page = await told(here, user)
    assert page.truncated_before is None
    cursor = page.page.items[0].id
    trim = partial(log.trim, environment_id=here.environment, recorded_before=clock.now, limit=100)
    assert await here.services.kernel.database.write(trim) == 1
    clock.tick()
    younger = await here.user("ben")
    page = await told(here, user)
    assert [one.kind for one in page.page.items] == ["updated"]
    assert page.truncated_before is not None
    assert (await told(here, younger)).truncated_before is None
    # The event that a cursor names may be gone: what comes after it is still told.
    assert [
        one.kind for one in (await told(here, user, PageRequest(100, Order.ASC, after=cursor))).page.items
    ] == ["updated"]
    assert (await told(here, user, PageRequest(100, Order.ASC, before=cursor))).page.items == []


async def test_another_environment_knows_nobody(here: DirectoryWorld) -> None:
    stranger = await seed(here.services.kernel)
    user, group = await here.user("mira"), await here.group("Staff")
    await here.rows()
    history = here.services.history
    for question in (
        history.of_user(stranger.environment_id, f"directory_user_{user}", ALL),
        history.of_group(stranger.environment_id, f"directory_group_{group}", ALL),
    ):
        with pytest.raises(NotFound):
            await question
