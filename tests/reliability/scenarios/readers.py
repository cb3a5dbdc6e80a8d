"""R9 and R10: readers see a prefix of the log however long somebody's transaction stays open."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import asyncpg

from tests.reliability.journals import Outcome
from tests.reliability.load import Directory
from tests.reliability.oracle import LogEntry, Subscription
from tests.reliability.outsider import Outsider
from tests.reliability.reading import Reader
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.replay import group_register
from tests.reliability.rig import EVERYTHING, Load, Rig, rig, summary

_LAG = 0.2


@scenario(
    "R9",
    "12 writers, lingering transactions, three tails with different filters",
    gate="skipped 0, relist = tail, 0 inversions",
)
async def tail(context: Context) -> Result:
    """Compare what three readers saw meanwhile with what the log holds afterwards."""
    steps = context.pick(short=12, full=400)
    tails = (
        EVERYTHING,
        Subscription("people", types=["dsync.user.created", "dsync.user.updated", "dsync.user.deleted"]),
        Subscription("members", types=["dsync.group.user_added", "dsync.group.user_removed"]),
    )
    async with rig(context) as stage:
        await stage.start_usual(workers=1)
        await stage.make_directories(3)
        load = Load(stage, actors=4, people=4, tails=tails)
        await load.prepare()
        load.start(steps=steps)
        kept, lost = await _linger(stage, count=context.pick(short=8, full=150))
        tally = await load.finish()
        problems, evidence = await stage.judge(load.tails)
        problems += _markers(evidence.log, kept, lost)
        return Result.judged(
            f"{len(evidence.log)} events of 12 writers and {len(kept)} lingering transactions, "
            f"{len(lost)} rolled back: {len(problems)} wrong",
            problems + tally.wrong,
            lingering=len(kept),
            rolled_back=len(lost),
            **summary(tally, evidence),
        )


async def _linger(stage: Rig, count: int) -> tuple[list[str], list[str]]:
    """Open transactions that append an event and then wait; return the markers kept and rolled back."""
    outsider = Outsider(stage.context.database_url)
    kept, lost = list[str](), list[str]()
    for n in range(count):
        marker, keep = f"marker-{n}", stage.random.random() < 0.7
        async with outsider.transaction(marker, keep=keep):
            await asyncio.sleep(stage.random.uniform(0.05, 0.2))
        (kept if keep else lost).append(marker)
    return kept, lost


def _markers(log: Sequence[LogEntry], kept: list[str], lost: list[str]) -> list[str]:
    """What was committed is in the log once, what was rolled back is not."""
    seen = Counter(entry.data["marker"] for entry in log if "marker" in entry.data)
    problems = [f"{one} is {seen[one]} times in the log" for one in kept if seen[one] != 1]
    return problems + [f"{one} was rolled back and is in the log" for one in lost if seen[one]]


@scenario(
    "R10",
    "a transaction open for 30 s, and one in another database",
    gate="other tenants' lag p99 < 200 ms",
    engines=("postgresql",),
)
async def open_transaction(context: Context) -> Result:
    """Measure how long an acknowledged change takes to be readable while strangers hold transactions."""
    seconds = context.pick(short=3, full=30)
    async with rig(context) as stage:
        await stage.start_usual(serves=1, workers=1)
        await stage.make_directories(2)
        load = Load(stage, actors=1)
        await load.prepare()
        load.start()
        await load.progress(5)
        other = await asyncpg.connect(context.database_url)
        lags: list[float] = []
        try:
            # A transaction that has written is what holds back everything that looks at transaction ids.
            await other.execute("CREATE DATABASE elsewhere_of_the_suite")
            elsewhere = await asyncpg.connect(
                context.database_url.rsplit("/", 1)[0] + "/elsewhere_of_the_suite"
            )
            await elsewhere.execute("CREATE TABLE t (n integer)")
            async with elsewhere.transaction():
                await elsewhere.execute("INSERT INTO t VALUES (1)")
                async with Outsider(context.database_url).transaction("open", keep=True):
                    lags = await _lags(stage, stage.directories[0], seconds)
            await elsewhere.close()
        finally:
            await other.execute("DROP DATABASE IF EXISTS elsewhere_of_the_suite WITH (FORCE)")
            await other.close()
        tally = await load.stop()
        problems, evidence = await stage.judge(load.tails)
        p99 = sorted(lags)[int(len(lags) * 0.99)]
        if not context.is_short and p99 > _LAG:
            problems.append(f"p99 of the lag was {p99 * 1000:.0f} ms")
        return Result.judged(
            f"{len(lags)} changes in {seconds} s with open transactions, lag p99 {p99 * 1000:.0f} ms",
            problems + tally.wrong,
            lag_p99_ms=round(p99 * 1000, 1),
            changes=len(lags),
            **summary(tally, evidence),
        )


async def _lags(stage: Rig, directory: Directory, seconds: float) -> list[float]:
    """Make one group after the other and time when the event of each can be read."""
    reader, lags = stage.reader, list[float]()
    cursor = await _head(reader)
    url, headers = stage.urls[0] + directory.path + "/Groups", {"Authorization": f"Bearer {directory.token}"}
    ends, n = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        n += 1
        name = f"probe-{n}"
        async with stage.session.post(url, json={"displayName": name}, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
        asked = stage.requests.begin([(group_register(directory.id, name), True)])
        stage.requests.end(asked, Outcome.ACKNOWLEDGED)
        begun = time.monotonic()
        while True:
            entries, metadata = await reader.page(cursor, ["dsync.group.created"])
            cursor = metadata.cursor or cursor
            if any(entry.data.get("name") == name for entry in entries):
                break
            await asyncio.sleep(0.002)
        lags.append(time.monotonic() - begun)
        await asyncio.sleep(0.01)
    return lags


async def _head(reader: Reader) -> str | None:
    log = await reader.log()
    return log[-1].id if log else None
