"""Whatever happened to nested groups since: a way that is told of the past was there then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncline.core.commands import PatchGroup
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.paging import Order, PageRequest
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from tests.support.clocks import SlowClock
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world

ALL = PageRequest(100, Order.ASC)
# The person and three groups, by number; a pair says which is a member of which group.
PAIRS = st.tuples(st.integers(0, 3), st.integers(1, 3)).filter(lambda pair: pair[0] != pair[1])
Pairs = frozenset[tuple[int, int]]
Run = Callable[[Awaitable[Any]], Any]


def is_way(way: list[int], pairs: Pairs) -> bool:
    """Whether a way leads from the person through groups, each inside of the next."""
    return all(pair in pairs for pair in zip([0, *way], way, strict=False))


async def move(world: DirectoryWorld, group: str, member: str, *, joins: bool) -> None:
    operation: dict[str, Json] = {"op": "remove", "path": f'members[value eq "{member}"]'}
    if joins:
        operation = {"op": "add", "path": "members", "value": [{"value": member}]}
    await world.do(PatchGroup(group, parse_operations({"Operations": [operation]}, ResourceKind.GROUP)))


def replay(run: Run, world: DirectoryWorld, clock: SlowClock, moves: list[tuple[int, int]]) -> None:
    user = run(world.user(f"ada {clock.now}"))
    names = ["One", "Two", "Three"]
    ids = [user, *(run(world.group(name)) for name in names)]
    pairs: Pairs = frozenset()
    past: list[tuple[datetime, Pairs]] = []
    for member, group in moves:
        clock.tick()
        joins = (member, group) not in pairs
        run(move(world, ids[group], ids[member], joins=joins))
        pairs = pairs ^ {(member, group)}
        past.append((clock.now, pairs))
    clock.tick()
    for at, then in past:
        memberships = world.services.memberships
        found = run(memberships.list(world.environment, f"directory_user_{user}", ALL, at))
        for one in found.items:
            way = [ids.index(step.id.removeprefix("directory_group_")) for step in one.path]
            group = names.index(one.group.name) + 1
            assert one.path_known == bool(way)
            assert not way or (is_way(way, then) and way[-1] == group)
            assert one.direct is None or (0, group) in then
            if then <= pairs and all(then <= later for moment, later in past if moment > at):
                assert one.path_known
                assert (one.direct is True) == ((0, group) in then)


def test_a_way_of_the_past_was_there_then(database_url: str) -> None:
    clock = SlowClock()
    with asyncio.Runner() as runner:
        run: Run = runner.run  # type: ignore[assignment]
        opened = directory_world(database_url, InactiveUsers.KEEP, clock)
        world: DirectoryWorld = run(opened.__aenter__())
        try:
            place = world.environment, world.place.directory.id
            run(world.services.directories.update(*place, CAUSE, membership="effective"))

            @settings(
                max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
            )
            @given(st.lists(PAIRS, min_size=1, max_size=8))
            def alike(moves: list[tuple[int, int]]) -> None:
                replay(run, world, clock, moves)

            alike()
        finally:
            run(opened.__aexit__(None, None, None))
