"""R17 and R18: the network between Syncline and its database or a receiver falls silent, or is slow."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from tests.reliability.proxy import Proxy
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.rig import KEY, Load, Rig, rig, summary

_FAILS_WITHIN = 5.0
_RECOVERS_WITHIN = 2.0
_STATEMENT = 0.2
_PATIENCE = 60.0
_DELIVERS_WITHIN = 240.0


@dataclass(slots=True)
class Probes:
    """How long requests took to be answered, and how, while something was wrong."""

    seconds: list[float] = field(default_factory=list)
    statuses: list[int | None] = field(default_factory=list)

    @property
    def slowest(self) -> float:
        """The longest time until an answer."""
        return max(self.seconds, default=0.0)


@scenario(
    "R17",
    "30 s of partition between app and database, and between app and receiver",
    gate="requests fail < 5 s, full recovery",
)
async def partition(context: Context) -> Result:
    """Hold back every byte for a while, then let it go on."""
    seconds = context.pick(short=3, full=30)
    database = context.engine == "postgresql"
    async with rig(context) as stage, Proxies(stage) as (to_database, to_receiver):
        await stage.start_usual(serves=1, workers=1)
        await stage.make_directories(2)
        await stage.subscribe()
        port, stage.receiver.port = stage.receiver.port, to_receiver.port
        partitioned = await stage.subscribe()
        stage.receiver.port = port
        load = Load(stage)
        await load.prepare()
        load.start(pause=0.02)
        await load.progress(20)
        to_receiver.go_silent()
        await load.progress(20)
        probes = Probes()
        if to_database is not None:
            to_database.go_silent()
            probing = asyncio.create_task(_probe(stage, seconds))
            await asyncio.sleep(seconds)
            to_database.heal()
            probes = await probing
        else:
            await asyncio.sleep(seconds)
        to_receiver.heal()
        begun = time.monotonic()
        await load.progress(10)
        recovered = time.monotonic() - begun
        tally = await load.stop()
        problems, evidence = await stage.judge(load.tails, deliver=_DELIVERS_WITHIN)
        problems += [f"{one.arguments} ended" for one in stage.processes if one.poll() is not None]
        if not context.is_short and probes.slowest > _FAILS_WITHIN:
            problems.append(f"a request was answered only after {probes.slowest:.1f} s")
        return Result.judged(
            f"{seconds} s without {'the database and ' if database else ''}{partitioned.endpoint}: "
            f"{len(probes.seconds)} requests answered within {probes.slowest:.1f} s, at work again after "
            f"{recovered:.1f} s, {len(problems)} wrong",
            problems + tally.wrong,
            slowest_answer_seconds=round(probes.slowest, 2),
            answers=", ".join(sorted({str(status) for status in probes.statuses})),
            recovered_seconds=round(recovered, 2),
            **summary(tally, evidence),
        )


@scenario(
    "R18",
    "a slow database: 200 ms for each statement",
    gate="no pool collapse, recovery < 2 s",
    engines=("postgresql",),
)
async def slow_database(context: Context) -> Result:
    """Delay each statement for a while: everything is slow, nothing fails, and then all is well at once."""
    seconds = context.pick(short=4, full=30)
    async with rig(context) as stage, Proxies(stage) as (to_database, _):
        assert to_database is not None
        await stage.start_usual(serves=1, workers=1)
        await stage.make_directories(2)
        await stage.subscribe()
        load = Load(stage, actors=4)
        await load.prepare()
        load.start()
        await load.progress(40)
        to_database.delay = _STATEMENT
        before = load.acknowledged
        slow = await _probe(stage, seconds)
        done = load.acknowledged - before
        to_database.delay = 0.0
        begun = time.monotonic()
        await load.progress(20)
        recovered = time.monotonic() - begun
        tally = await load.stop()
        problems, evidence = await stage.judge(load.tails)
        if not done:
            problems.append("nothing was acknowledged while the database was slow")
        problems += [f"a read was answered with {one}" for one in slow.statuses if one not in (200, 503)]
        if not context.is_short and recovered > _RECOVERS_WITHIN:
            problems.append(f"at work again only after {recovered:.1f} s")
        return Result.judged(
            f"{done} operations in {seconds} s at 200 ms a statement, reads within {slow.slowest:.1f} s, "
            f"at work again after {recovered:.1f} s: {len(problems)} wrong",
            problems + tally.wrong,
            operations_while_slow=done,
            slowest_read_seconds=round(slow.slowest, 2),
            recovered_seconds=round(recovered, 2),
            **summary(tally, evidence),
        )


async def _probe(stage: Rig, seconds: float) -> Probes:
    """Ask for a list again and again, a few requests at a time, until the seconds have passed."""
    probes = Probes()
    ends = time.monotonic() + seconds
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    headers = {"Authorization": f"Bearer {KEY}"}
    params = {"directory": stage.directories[0].id}

    async def ask() -> None:
        while time.monotonic() < ends:
            begun = time.monotonic()
            status: int | None = None
            try:
                async with stage.session.get(
                    f"{stage.urls[0]}/directory_users", params=params, headers=headers, timeout=timeout
                ) as answer:
                    await answer.read()
                    status = answer.status
            except (aiohttp.ClientError, TimeoutError):
                status = None
            probes.seconds.append(time.monotonic() - begun)
            probes.statuses.append(status)
            await asyncio.sleep(0.1)

    await asyncio.gather(*(ask() for _ in range(4)))
    return probes


class Proxies:
    """Proxies to the database, if it is a server, and to the receiver; closed with the stage."""

    def __init__(self, stage: Rig) -> None:
        self._stage = stage
        self._made: list[Proxy] = []

    async def __aenter__(self) -> tuple[Proxy | None, Proxy]:
        to_database = None
        if self._stage.context.engine == "postgresql":
            parts = urlsplit(self._stage.context.database_url)
            to_database = await self._to(parts.port or 5432)
            account = parts.netloc.rsplit("@", 1)[0]
            through = parts._replace(netloc=f"{account}@127.0.0.1:{to_database.port}")
            self._stage.settings["database_url"] = urlunsplit(through)
        return to_database, await self._to(self._stage.receiver.port)

    async def __aexit__(self, *_: object) -> None:
        for one in self._made:
            await one.close()

    async def _to(self, port: int) -> Proxy:
        made = Proxy(port)
        await made.start()
        self._made.append(made)
        return made
