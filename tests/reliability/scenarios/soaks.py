"""R26: a long run in which nothing may grow: files, threads, memory, the inbox."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from dataclasses import dataclass, field

import asyncpg
import psutil

from syncline.store.sqlite import sqlite_path
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.rig import Load, rig, summary

_NIGHT = 1800.0
_SHORT = 6.0
_PAUSE = 0.02
_SAMPLES = 60
_FILES, _THREADS, _BYTES, _INBOX = 10, 4, 50_000_000, 500


@dataclass(slots=True)
class Samples:
    """What one process used, sample after sample."""

    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    def take(self, process: psutil.Process) -> None:
        """Take one sample."""
        self.files.append(process.num_fds())
        self.threads.append(process.num_threads())
        self.memory.append(process.memory_info().rss)


@scenario(
    "R26",
    "soak: 30 min nightly, 8 h before a release (--seconds)",
    gate="fds, threads, RSS, inbox flat",
)
async def soak(context: Context) -> Result:
    """Keep a steady load and compare the last third of the samples with the second one in ten."""
    seconds = context.seconds or (_SHORT if context.is_short else _NIGHT)
    async with rig(context) as stage:
        await stage.start_usual(serves=1, workers=1)
        await stage.make_directories(2)
        await stage.subscribe()
        load = Load(stage)
        await load.prepare()
        load.start(pause=_PAUSE)
        watched = {
            f"{one.arguments[0]} {n}": psutil.Process(one.pid) for n, one in enumerate(stage.processes)
        }
        samples = {name: Samples() for name in watched}
        inbox: list[int] = []
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            await asyncio.sleep(seconds / _SAMPLES)
            await load.progress(1)
            for name, process in watched.items():
                samples[name].take(process)
            inbox.append(await _inbox(context))
        tally = await load.stop()
        problems, evidence = await stage.judge(load.tails)
        growth = {name: _growth(one) for name, one in samples.items()}
        for name, (files, threads, memory) in growth.items():
            # A process that has just begun still fills its caches, so a short run says nothing of memory.
            if files > _FILES or threads > _THREADS or (memory > _BYTES and not context.is_short):
                problems.append(f"{name} grew by {files} files, {threads} threads, {memory} bytes")
        files, threads, memory = (max(one[n] for one in growth.values()) for n in range(3))
        if max(inbox) > _INBOX:
            problems.append(f"the inbox held {max(inbox)} events")
        return Result.judged(
            f"{seconds:.0f} s, {tally.acknowledged} acknowledged; grew at most by "
            f"{files} files, {threads} threads, {memory / 1e6:.1f} MB; inbox at most {max(inbox)}",
            problems + tally.wrong,
            seconds=seconds,
            inbox_most=max(inbox),
            **summary(tally, evidence),
        )


def _growth(samples: Samples) -> tuple[int, int, int]:
    files, threads, memory = (_grown(series) for series in (samples.files, samples.threads, samples.memory))
    return files, threads, memory


def _grown(series: list[int]) -> int:
    """Return how much higher the end is than the time after the warming up, by medians."""
    tenth, third = len(series) // 10, len(series) // 3
    return int(statistics.median(series[-third:]) - statistics.median(series[tenth : tenth + third]))


async def _inbox(context: Context) -> int:
    """Return how many events wait to be sealed."""
    question = "SELECT count(*) FROM event_inbox"
    if context.engine == "sqlite":
        connection = sqlite3.connect(sqlite_path(context.database_url), timeout=30)
        try:
            return int(connection.execute(question).fetchone()[0])
        finally:
            connection.close()
    other = await asyncpg.connect(context.database_url)
    try:
        return int(await other.fetchval(question))
    finally:
        await other.close()
