"""Groups may contain each other in any way: SQL, the walk in memory and every way that is told agree."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from syncline.core.nesting import Graph, closure, path, turned
from syncline.services.kernel import Kernel
from syncline.store import nested_groups as nested
from tests.support.kernels import kernel
from tests.support.scim_rows import Contents, Link, Stored, store

FIRST = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)
MOST_GROUPS, MOST_PEOPLE = 7, 3
many = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
async def parts(database_url: str) -> AsyncIterator[Kernel]:
    async with kernel(database_url) as made:
        yield made


@st.composite
def directories(draw: st.DrawFn) -> Contents:
    groups, people = draw(st.integers(1, MOST_GROUPS)), draw(st.integers(1, MOST_PEOPLE))
    group, user = st.integers(0, groups - 1), st.integers(0, people - 1)
    return Contents(
        [({"userName": f"user{number}"}, FIRST) for number in range(people)],
        [({"displayName": f"Group {number}"}, FIRST) for number in range(groups)],
        draw(st.frozensets(st.tuples(group, user), max_size=6)),
        draw(st.frozensets(st.tuples(group, group), max_size=14)),
    )


def containing(contents: Contents, at: Stored) -> Graph:
    """Every group with those that contain it."""
    found: dict[str, set[str]] = {}
    for group, child in contents.nested:
        found.setdefault(at.groups[child].id, set()).add(at.groups[group].id)
    return found


def reachable(links: Collection[Link], start: Collection[int]) -> set[int]:
    """Follow links (group, child) upwards until nothing is new."""
    found = set(start)
    while new := {group for group, child in links if child in found} - found:
        found |= new
    return found


@many
@given(contents=directories())
async def test_sql_finds_the_members_and_groups_that_a_walk_finds(parts: Kernel, contents: Contents) -> None:
    at = await store(parts, contents)
    up = containing(contents, at)
    direct = [
        {at.groups[group].id for group, member in contents.people if member == number}
        for number in range(len(at.users))
    ]

    def compare(connection: Connection) -> None:
        def ids(statement: Any) -> list[str]:
            return list(connection.execute(statement).scalars())

        assert nested.edges(connection, at.scope) == up
        for group in at.groups:
            assert sorted(ids(nested.groups_within(at.scope, group.id))) == sorted(
                closure([group.id], turned(up))
            )
        asked = {
            "environment": at.scope.environment_id,
            "directories": [at.scope.directory_id],
            "users": [user.id for user in at.users],
        }
        rows = [(row.member_id, row.id) for row in connection.execute(nested.effective_groups_of, asked)]
        assert sorted(rows) == sorted(
            (user.id, group)
            for user, held in zip(at.users, direct, strict=True)
            for group in closure(held, up)
        )
        for number, user in enumerate(at.users):
            around = closure(direct[number], up)
            assert sorted(ids(nested.groups_around(at.scope, user.id))) == sorted(around)
            edges = nested.edges_around(connection, at.scope, user.id)
            assert edges == {child: groups for child, groups in up.items() if child in around}
            for group_id in around:
                assert path(direct[number], group_id, edges) == path(direct[number], group_id, up)

    await parts.database.read(compare)


@given(contents=directories())
@settings(max_examples=200)
def test_a_way_is_told_exactly_where_there_is_one_and_none_is_shorter(contents: Contents) -> None:
    up: dict[str, set[str]] = {}
    for group, child in contents.nested:
        up.setdefault(str(child), set()).add(str(group))
    direct = {group for group, member in contents.people if member == 0}
    around = reachable(contents.nested, direct)
    assert closure(map(str, direct), up) == {str(number) for number in around}
    distance = dict.fromkeys(direct, 1)
    for step in range(2, len(contents.groups) + 1):
        for group, child in contents.nested:
            if distance.get(child) == step - 1:
                distance.setdefault(group, step)
    for number in range(len(contents.groups)):
        way = path(map(str, direct), str(number), up)
        assert bool(way) == (number in around)
        if way:
            assert len(way) == distance[number]
            assert way[0] in set(map(str, direct))
            assert way[-1] == str(number)
            assert all(upper in up[lower] for lower, upper in pairwise(way))
