"""The shared fixtures give what they promise, since every other test builds on them."""

from __future__ import annotations

import asyncio
import sqlite3

import asyncpg
import pytest

from syncline.store.migrate import current_revision, head_revision
from tests.support.waiting import wait_until, wait_until_sync


async def run(database_url: str, statement: str) -> None:
    if database_url.startswith("sqlite:///"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as file:
            file.execute(statement)
        return
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_database_has_the_newest_schema(database_url: str) -> None:
    assert await asyncio.to_thread(current_revision, database_url) == head_revision()


async def test_an_empty_database_has_no_schema(empty_database_url: str) -> None:
    assert await asyncio.to_thread(current_revision, empty_database_url) is None


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_no_test_sees_the_database_of_another(database_url: str, turn: str) -> None:
    await run(database_url, "CREATE TABLE left_behind (id integer)")


async def test_waiting_ends_with_the_first_true_answer() -> None:
    answers = iter([0, None, "there"])
    assert await wait_until(lambda: next(answers)) == "there"


async def test_waiting_asks_coroutines_too() -> None:
    async def answer() -> int:
        return 7

    assert await wait_until(answer) == 7


async def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(AssertionError, match=r"a sign of life \(last answer: \[\]\)"):
        await wait_until(list, deadline=0.01, reason="a sign of life")


def test_waiting_without_a_loop_does_the_same() -> None:
    answers = iter([0, 3])
    assert wait_until_sync(lambda: next(answers)) == 3
    with pytest.raises(AssertionError, match="in vain for: list"):
        wait_until_sync(list, deadline=0.01)
