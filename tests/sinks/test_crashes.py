"""A worker that dies between the publishing of a batch and the writing of its cursor."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from syncline import faults
from tests.support.deliveries import Stage
from tests.support.programs import ended, program
from tests.support.sink_program import short_leased
from tests.support.sinks import caught_up, file_of, ids_in, make_sink, publishing

A, B, C = (f"directory_01KA0YQ2C4E6G8J0M2P4R6T8V{letter}" for letter in "ABC")


async def publish_until_death(database_url: str, plan: str) -> int:
    """Run what a worker runs for sinks with a fault plan in a process of its own; return its exit status."""
    async with program("tests.support.sink_program", database_url, plan) as running:
        return await ended(running)


async def test_a_worker_that_dies_before_its_cursor_is_written_repeats_that_batch_and_nothing_else(
    stage: Stage, tmp_path: Path, database_url: str
) -> None:
    await make_sink(stage, file_of(tmp_path))
    ids = await stage.emit(*[A, B, C] * 8)

    assert await publish_until_death(database_url, "sink.after_publish=exit@2") == faults.EXIT_STATUS
    async with publishing(stage.kernel, short_leased()):
        await caught_up(stage)

    found = ids_in(tmp_path)
    assert list(dict.fromkeys(found)) == ids
    assert [id_ for id_, count in Counter(found).items() if count > 1] == ids[5:10]
