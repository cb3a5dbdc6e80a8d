"""What leads from a person, a group or a moment to events: no question about the past reads the whole log."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, text, update

from syncline.core.commands import PatchUser
from syncline.core.ids import Prefix, make_id, new_ulid
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.paging import Order, PageRequest
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from syncline.services.product import UserQuery
from syncline.store import tables as t
from tests.support.clocks import SlowClock
from tests.support.directory_world import DirectoryWorld, directory_world

OTHERS = 12_000
"""How many events of other people and groups are in the log."""
FEW = 100
"""How many events a statement may look at on PostgreSQL: next to none of those of others."""
# What an index of the log has to be entered with on SQLite: then somebody's events are read, or a few types
# since a moment.
BY_KEY = re.compile(
    r"SEARCH event_log USING (COVERING )?INDEX \S+ \("
    r"((user|group)_id=\?|environment_id=\? AND (type=\? AND position>\?|position=\?|event_id[<>=]))"
)


@dataclass
class Seen:
    """The statements that read the log: each with how it did that, and how many events it looked at."""

    statements: list[tuple[str, str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """A directory with two people and a group, whose log is full of others."""

    world: DirectoryWorld
    then: datetime
    ada: str
    ben: str
    group: str


def _others(environment: str, directory: str, last: int, since: datetime) -> list[dict[str, Any]]:
    """Return events of others behind a position: people made, and put into groups."""
    rows = []
    for number in range(1, OTHERS + 1):
        moment = since + timedelta(milliseconds=number)
        user = make_id(Prefix.DIRECTORY_USER, new_ulid(number % 4_000, bytes(10)))
        joined = number > OTHERS // 2
        rows.append(
            {
                "environment_id": environment,
                "position": last + number,
                "event_id": make_id(Prefix.EVENT, new_ulid(int(moment.timestamp() * 1000), bytes(10))),
                "directory_id": directory,
                "directory_sequence": last + number,
                "type": "dsync.group.user_added" if joined else "dsync.user.created",
                "user_id": user,
                "group_id": make_id(Prefix.DIRECTORY_GROUP, new_ulid(number % 9, bytes(10)))
                if joined
                else None,
                "cause": "request_others",
                "body": "{}",
                "recorded_at": moment,
                "sealed_at": moment,
            }
        )
    return rows


async def _fill(world: DirectoryWorld, since: datetime) -> None:
    directory = world.place.directory.id
    last = (await world.rows())[-1].position

    def work(connection: Connection) -> None:
        connection.execute(insert(t.event_log), _others(world.environment, directory, last, since))
        connection.execute(update(t.log_heads).values(position=last + OTHERS))
        connection.execute(update(t.log_heads).values(last_event_ms=int(since.timestamp() * 1000) + OTHERS))
        connection.execute(update(t.directory_heads).values(sequence=last + OTHERS))
        connection.execute(text("ANALYZE event_log"))

    await world.services.kernel.database.write(work)


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Place]:
    clock = SlowClock()
    async with directory_world(database_url, InactiveUsers.DELETE, clock) as world:
        clock.tick()
        ada, ben = await world.user("ada", title="Pilot"), await world.user("ben")
        group = await world.group("Staff", [ada, ben])
        await world.rows()
        clock.tick()
        then = clock.now - timedelta(milliseconds=500)
        clock.now += timedelta(minutes=2)
        await _fill(world, clock.now)
        clock.now += timedelta(minutes=2)
        change: dict[str, Json] = {"op": "replace", "path": "title", "value": "Planner"}
        await world.do(PatchUser(ada, parse_operations({"Operations": [change]}, ResourceKind.USER)))
        await world.set_active(ben, False)
        await world.rows()
        yield Place(world, then, ada, ben, group)


@contextmanager
def watched(seen: Seen) -> Iterator[None]:
    """Ask the database how it carries out each query of the log that is made meanwhile."""

    def before(connection: Connection, _: Any, statement: str, given: Any, *__: Any) -> None:
        if "event_log" in statement and statement.lstrip()[:6].upper() in ("SELECT", "WITH E"):
            seen.statements.append((statement, *_way(connection, statement, given)))

    event.listen(Engine, "before_cursor_execute", before)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", before)


def _way(connection: Connection, statement: str, given: Any) -> tuple[str, int]:
    raw = connection.connection.cursor()
    if connection.dialect.name == "sqlite":
        raw.execute(f"EXPLAIN QUERY PLAN {statement}", given)
        plans = [str(row[3]) for row in raw.fetchall() if "event_log" in str(row[3])]
        return "; ".join(plans), 0 if all(map(BY_KEY.match, plans)) else OTHERS
    raw.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given)
    found = raw.fetchall()[0][0]
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    nodes = [node for node in _nodes(plan) if node.get("Relation Name") == "event_log"]
    return json.dumps(nodes), sum(map(_looked_at, nodes))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {key: value for key, value in plan.items() if key != "Plans"}
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _looked_at(node: dict[str, Any]) -> int:
    removed = (node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
    return int((node["Actual Rows"] + sum(removed)) * node["Actual Loops"])


async def test_no_question_about_the_past_reads_the_whole_log(here: Place) -> None:
    """History, explanations and points in time went through the log of the environment for each person."""
    services, environment = here.world.services, here.world.environment
    directory = here.world.place.directory.id
    ada, ben, group = (
        f"directory_user_{here.ada}",
        f"directory_user_{here.ben}",
        f"directory_group_{here.group}",
    )
    seen = Seen()
    with watched(seen):
        of_ada = (await services.history.of_user(environment, ada, PageRequest(2, Order.ASC))).page
        kinds = [one.kind for one in of_ada.items]
        assert kinds == ["created", "joined"]
        for page, wanted in (
            (PageRequest(2, Order.ASC, after=of_ada.after), ["updated"]),
            (PageRequest(2, Order.DESC), ["updated", "joined"]),
            (PageRequest(1, Order.DESC, before=of_ada.items[0].id), ["joined"]),
            (PageRequest(9, Order.ASC), ["created", "joined", "updated"]),
        ):
            assert [
                one.kind for one in (await services.history.of_user(environment, ada, page)).page.items
            ] == wanted
        of_group = (await services.history.of_group(environment, group, PageRequest(9, Order.ASC))).page
        assert [one.kind for one in of_group.items] == ["created", "joined", "joined", "left"]
        # Ben has left, so only the log knows them.
        of_ben = await services.history.of_user(environment, ben, PageRequest(9), field="groups")
        assert [one.kind for one in of_ben.page.items] == ["left", "joined"]
        explained = await services.explain.of_user(environment, ada)
        assert {one.key: one.value for one in explained.attributes}["job_title"] == "Planner"
        assert explained.memberships[0].announced is not None
        product = services.product
        assert (await product.user(environment, ada, here.then)).job_title == "Pilot"
        assert (await product.user(environment, ben, here.then)).state == "active"
        assert (await product.group(environment, group, here.then)).name == "Staff"
        for query in (
            UserQuery(),
            UserQuery(directory=directory),
            UserQuery(group=group),
        ):
            found = await product.users(environment, query, PageRequest(9, Order.ASC), here.then)
            assert [one.id for one in found.items] == [ada, ben]
        named = UserQuery(
            directory=directory, idp_id=(await product.user(environment, ben, here.then)).idp_id
        )
        found = await product.users(environment, named, PageRequest(9, Order.ASC), here.then)
        assert [one.id for one in found.items] == [ben]
        for more in ({}, {"directory": directory}, {"user": ben}):
            groups = await product.groups(environment, PageRequest(9, Order.ASC), at=here.then, **more)
            assert [one.id for one in groups.items] == [group]
    assert len(seen.statements) > 20
    wide = [(way, statement) for statement, way, looked_at in seen.statements if looked_at > FEW]
    assert wide == []
