"""How often the database is asked whether endpoints were changed, and what an owner may rely on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from syncline.services.delivery_changes import TRUST, Changes
from syncline.services.endpoints import EndpointChanges, Endpoints
from syncline.store.database import DatabaseUnavailable
from tests.support.deliveries import CAUSE, QUICK, Stage, dispatching
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until

MADE = datetime(2026, 1, 15, tzinfo=UTC)
CHANGED = MADE + timedelta(seconds=1)
ENDPOINTS = [f"we_{number}" for number in range(5)]


@dataclass
class Table:
    """Endpoints as a database has them: it takes as long as a test wants."""

    rows: dict[str, datetime] = field(default_factory=lambda: dict.fromkeys(ENDPOINTS, MADE))
    seconds: float = 0.0
    now: float = 100.0
    asked: list[Sequence[str]] = field(default_factory=list)
    fails: bool = False

    async def load(self, endpoint_ids: Sequence[str]) -> Mapping[str, datetime]:
        self.asked.append(endpoint_ids)
        found = dict(self.rows)
        await asyncio.sleep(0)
        self.now += self.seconds
        if self.fails:
            raise DatabaseUnavailable("away")
        return found

    def changes(self) -> Changes:
        made = Changes(self.load, lambda: self.now, in_place=False)
        for endpoint_id in ENDPOINTS:
            made.watch(endpoint_id, MADE, self.now - 1)
        return made


async def test_one_question_serves_all_turns_and_is_repeated_when_it_is_old() -> None:
    table = Table()
    changes = table.changes()
    assert await asyncio.gather(*map(changes.ask, ENDPOINTS)) == [MADE] * 5
    table.rows[ENDPOINTS[0]] = CHANGED
    del table.rows[ENDPOINTS[1]]
    table.now += TRUST / 2
    assert await changes.ask(ENDPOINTS[0]) == MADE
    assert len(table.asked) == 1

    table.now += TRUST / 2
    assert changes.recent(ENDPOINTS[0]) is None
    assert [await changes.ask(endpoint_id) for endpoint_id in ENDPOINTS] == [CHANGED, None, MADE, MADE, MADE]
    assert len(table.asked) == 2


async def test_an_answer_that_took_long_is_used_by_those_who_waited_and_by_nobody_else() -> None:
    """Whoever asked while a question was under way that began before waited for one that was answered."""
    table = Table(seconds=TRUST * 10)
    changes = table.changes()
    first = asyncio.create_task(changes.ask(ENDPOINTS[0]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    table.now += TRUST / 4
    table.rows[ENDPOINTS[1]] = CHANGED
    later = [asyncio.create_task(changes.ask(endpoint_id)) for endpoint_id in ENDPOINTS[1:]]
    async with asyncio.timeout(10):
        assert await first == MADE
        assert await asyncio.gather(*later) == [CHANGED, MADE, MADE, MADE]
    assert len(table.asked) == 2


async def test_a_database_that_is_away_is_told_to_all_who_asked_and_asked_again() -> None:
    table = Table(fails=True)
    changes = table.changes()
    answers = await asyncio.gather(*map(changes.ask, ENDPOINTS), return_exceptions=True)
    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 5
    table.fails = False
    assert await changes.ask(ENDPOINTS[0]) == MADE


@pytest.mark.parametrize("act", ["pause", "delete", "move"])
async def test_from_the_moment_an_owner_is_told_of_a_change_it_holds(
    stage: Stage, hooks: Receiver, act: str
) -> None:
    """Nothing but the look before requests ends this turn: it does not save, and has much to send."""
    endpoint = await stage.endpoint(hooks.url())
    endpoints = Endpoints(stage.kernel)
    ids = await stage.emit(*["directory_A"] * 400)
    settings = replace(QUICK, save_events=1_000, save_seconds=1_000.0, turn_seconds=1_000.0)
    async with dispatching(stage.kernel, settings) as dispatcher:
        await wait_until(lambda: len(hooks.received) > 5)
        if act == "delete":
            await endpoints.delete(stage.environment_id, endpoint.id, CAUSE)
        else:
            moved = hooks.url("/moved") if act == "move" else None
            changes = EndpointChanges(endpoint_url=moved, state=None if moved else "paused")
            await endpoints.update(stage.environment_id, endpoint.id, changes, CAUSE)
        told = len(hooks.at("/hook"))
        if act == "move":
            await stage.settled(endpoint)
            assert [*hooks.ids(), *hooks.ids("/moved")] == ids
        await wait_until(lambda: not dispatcher.turns_under_way)
    # One request may have been under way in that moment.
    assert told <= len(hooks.at("/hook")) <= told + 1 < len(ids)
