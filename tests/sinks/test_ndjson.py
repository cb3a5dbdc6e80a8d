"""Events in a file: on the disk before the cursor moves, whole lines only, one writer at a time."""

from __future__ import annotations

import fcntl
from pathlib import Path

import msgspec
import pytest

from syncline.net.sinks.ndjson import NdjsonConfig
from tests.support.databases import SqliteDatabases
from tests.support.deliveries import Stage
from tests.support.sinks import caught_up, file_of, ids_in, lines, make_sink, publishing, shown
from tests.support.waiting import wait_until

A, B, C = (f"directory_01KA0YQ2C4E6G8J0M2P4R6T8V{letter}" for letter in "ABC")


@pytest.fixture
def database_url(sqlite_databases: SqliteDatabases, tmp_path: Path) -> str:
    """One kind of database: these tests are about the file."""
    return sqlite_databases.migrated(tmp_path)


async def test_a_file_holds_the_log_one_event_a_line(stage: Stage, tmp_path: Path) -> None:
    ids = await stage.emit(A, B, A)
    async with publishing(stage.kernel):
        await make_sink(stage, file_of(tmp_path))
        await caught_up(stage)
        ids += await stage.emit(C)
        sink = await caught_up(stage)
    assert ids_in(tmp_path) == ids
    assert [event["data"]["name"] for event in lines(tmp_path)] == ["Staff / Küche"] * 4  # type: ignore[index]
    assert sink.published == 4


async def test_a_last_line_that_a_crash_cut_off_is_mended(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    ids = await stage.emit(A, A)
    async with publishing(stage.kernel):
        await make_sink(stage, file_of(tmp_path))
        await caught_up(stage)
    whole = file.read_bytes().splitlines()[0]
    for tail in (whole[:100], whole[:30] + b"\x00" * 70_000, b"\x00" * 10, whole):
        file.write_bytes(file.read_bytes() + tail)
        async with publishing(stage.kernel):
            ids += await stage.emit(B)
            await caught_up(stage)
        assert ids_in(tmp_path) == ids


async def test_a_file_of_somebody_else_is_left_alone(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("127.0.0.1 localhost")
    await stage.emit(A)
    async with publishing(stage.kernel):
        await make_sink(stage, file_of(tmp_path))
        await wait_until(lambda: _error(stage))
    assert "does not end with an event" in str(await _error(stage))
    assert file.read_text() == "127.0.0.1 localhost"


async def _error(stage: Stage) -> str | None:
    return (await shown(stage)).last_error


async def test_a_file_that_another_process_appends_to_is_waited_for(stage: Stage, tmp_path: Path) -> None:
    ids = await stage.emit(A)
    with (tmp_path / "events.ndjson").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        async with publishing(stage.kernel):
            await make_sink(stage, file_of(tmp_path))
            await wait_until(lambda: _error(stage))
            assert "another process appends to it" in str(await _error(stage))
            fcntl.flock(other, fcntl.LOCK_UN)
            await caught_up(stage)
    assert ids_in(tmp_path) == ids


async def test_a_rotated_file_is_followed_by_a_new_one(stage: Stage, tmp_path: Path) -> None:
    ids = await stage.emit(A)
    async with publishing(stage.kernel):
        await make_sink(stage, file_of(tmp_path))
        await caught_up(stage)
        (tmp_path / "events.ndjson").rename(tmp_path / "events.1")
        more = await stage.emit(A)
        await caught_up(stage)
    assert ids_in(tmp_path) == more
    (tmp_path / "events.1").rename(tmp_path / "events.ndjson")
    assert ids_in(tmp_path) == ids


async def test_a_folder_that_is_not_there_is_a_failure_that_heals(stage: Stage, tmp_path: Path) -> None:
    ids = await stage.emit(A)
    folder = tmp_path / "later"
    async with publishing(stage.kernel):
        await make_sink(stage, file_of(folder))
        await wait_until(lambda: _error(stage))
        assert "No such file or directory" in str(await _error(stage))
        folder.mkdir()
        await caught_up(stage)
    assert ids_in(folder) == ids


async def test_standard_output_gets_whole_lines(
    stage: Stage, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    ids = await stage.emit(A, B)
    async with publishing(stage.kernel):
        await make_sink(stage, NdjsonConfig("-"))
        await caught_up(stage)
    # Tests log to standard output as well; a process of Syncline logs to standard error.
    printed = [line for line in capfdbinary.readouterr().out.splitlines() if line.startswith(b"{")]
    assert [msgspec.json.decode(line)["id"] for line in printed] == ids
