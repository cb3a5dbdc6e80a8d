"""The shared fixtures give what they promise, since every other test builds on them."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from syncline.store.migrate import current_revision, head_revision
from tests.support import processes
from tests.support.order import LONG, long_first
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


def test_a_forked_command_ends_and_prints_as_one_that_starts_from_nothing(tmp_path: Path) -> None:
    forked, whole = (command(tmp_path, "nonsense") for command in (processes.run, processes.run_whole))
    assert forked.returncode == whole.returncode == 2
    assert (forked.stdout, forked.stderr) == (whole.stdout, whole.stderr)
    assert "No such command 'nonsense'" in forked.stderr


@dataclass(frozen=True)
class Item:
    nodeid: str


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_each_process_begins_with_its_share_of_the_long_tests_and_none_is_lost(count: int) -> None:
    short = [Item(f"tests/short.py::test[{n}]") for n in range(36)]
    long = [Item(f"{path}::test[{n}]") for path in LONG[:3] for n in range(4)]
    ordered = long_first([*short[:10], *long, *short[10:]], count)
    assert sorted(item.nodeid for item in ordered) == sorted(item.nodeid for item in [*short, *long])
    assert [item for item in ordered if item in short] == short
    part = len(ordered) // count
    for begun in range(0, part * count, part):
        share = ordered[begun : begun + len(long) // count]
        assert all(item in long for item in share)


def test_every_file_of_long_tests_is_there() -> None:
    assert [path for path in LONG if not (Path(__file__).parents[2] / path).is_file()] == []
