"""Rounds of hostile requests, each against a tenant of its own, and what became of them.

Whether a refused request changed anything cannot be seen while others are accepted beside it. So each round
sends its requests once, keeps those that were refused, and sends these again between two pictures of the
tenant: the pictures must be equal and the log must hold nothing in between.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.hostile.judge import complaint, is_overload
from tests.hostile.requests import Generator, Request
from tests.hostile.tenant import Tenant, make_tenant
from tests.hostile.wire import Answer, Connection, Dropped

_SHOWN = 10
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a flood may cost: seconds for one answer, bytes of memory on top of a warm process."""

    seconds: float = 2.0
    growth: int = 50_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """A running Syncline, and how the command line finds its database."""

    folder: Path
    port: int
    pid: int
    settings: dict[str, str]

    @property
    def url(self) -> str:
        """The address of the process."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(slots=True)
class Report:
    """What became of the requests. `wrong` are the ways in which something was not as it must be."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    overloads: int = 0
    compared: int = 0
    wrong: list[str] = field(default_factory=list)
    warm: int = 0
    after: int = 0

    @property
    def refused(self) -> int:
        """How many answers were refusals."""
        return sum(count for status, count in self.statuses.items() if 400 <= status < 500)

    def note(self, request: Request, answer: Answer, bounds: Bounds) -> None:
        """Judge one answer."""
        self.sent += 1
        self.statuses[answer.status] += 1
        self.kinds[f"{request.interface}: {request.what}"] += 1
        self.seconds.append(answer.seconds)
        self.slowest = max(self.slowest, (answer.seconds, f"{request.what} {answer.status}"))
        self.overloads += is_overload(answer)
        problem = complaint(request, answer)
        if problem is None and answer.seconds > bounds.seconds:
            problem = f"took {answer.seconds:.2f} s"
        if problem is not None:
            self.fail(request, problem)

    def fail(self, request: Request, problem: str) -> None:
        """Keep a failure with enough of the request to repeat it."""
        self.wrong.append(f"{request.interface}, {request.what}: {problem}\n    {request.raw[:600]!r}")

    def quantile(self, share: float) -> float:
        """Return the time below which a share of the answers stayed."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

    def lines(self) -> list[str]:
        """Return the report for a person."""
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        found = [
            f"{self.sent} requests, {self.refused} refused, {self.overloads} overloads; "
            f"{self.compared} refused ones sent between two equal pictures",
            f"statuses: {statuses}",
            f"answers: median {self.quantile(0.5) * 1000:.1f} ms, p99 {self.quantile(0.99) * 1000:.1f} ms, "
            f"slowest {self.slowest[0] * 1000:.0f} ms ({self.slowest[1]})",
            f"memory: {self.warm / 1e6:.0f} MB warm, {self.after / 1e6:.0f} MB afterwards",
        ]
        found += [f"{len(self.wrong)} things are wrong"] if self.wrong else ["nothing is wrong"]
        return found + [f"  {one}" for one in self.wrong[:_SHOWN]]


@dataclass(slots=True)
class Flood:
    """Sends `total` requests in rounds over a few connections."""

    place: Place
    seed: int
    total: int
    per_round: int = 5_000
    connections: int = 8
    bounds: Bounds = field(default_factory=Bounds)
    report: Report = field(default_factory=Report)

    async def run(self) -> Report:
        """Return what became of everything."""
        process = psutil.Process(self.place.pid)
        report, number = self.report, 0
        while report.sent < self.total:
            tenant = await make_tenant(
                self.place.folder, self.place.url, f"round {number}", self.place.settings
            )
            try:
                await self._round(tenant, number, min(self.per_round, self.total - report.sent))
            finally:
                await tenant.close()
            report.after = process.memory_info().rss
            # The first round fills caches and pools, as the first minutes of any process do.
            report.warm = report.warm or report.after
            number += 1
        if report.after - report.warm > self.bounds.growth:
            report.wrong.append(f"memory grew by {(report.after - report.warm) / 1e6:.0f} MB")
        return report

    async def _round(self, tenant: Tenant, number: int, count: int) -> None:
        generator = Generator(self.seed * 1_000 + number, tenant.target)
        requests = [generator.next() for _ in range((count + 1) // 2)]
        refused = await self._send(requests)
        for _ in range(_TRIES):
            first = await tenant.mark()
            before = await tenant.picture()
            again = await self._send(refused)
            last = await tenant.mark()
            if len(again) == len(refused):
                await self._compare(tenant, before, first, last, number)
                self.report.compared += len(again)
                return
            # What the first pass changed made some of them acceptable: they are none of those to look at.
            refused = again
        self.report.wrong.append(f"round {number}: after {_TRIES} passes requests still become acceptable")

    async def _compare(
        self, tenant: Tenant, before: dict[str, object], first: str, last: str, number: int
    ) -> None:
        after = await tenant.picture()
        for name in before.keys() | after.keys():
            if before.get(name) != after.get(name):
                self.report.wrong.append(f"round {number}: refused requests changed {name}")
        events = await tenant.events_between(first, last)
        if events:
            self.report.wrong.append(f"round {number}: refused requests caused {Counter(events)}")

    async def _send(self, requests: Sequence[Request]) -> list[Request]:
        """Send requests over all connections and return the refused ones, in their order."""
        refused: dict[int, Request] = {}
        todo = iter(enumerate(requests))

        async def work() -> None:
            connection = Connection(self.place.port, deadline=30)
            for index, request in todo:
                try:
                    answer = await connection.send(request.raw, request.method, closes=request.closes)
                except Dropped as dropped:
                    self.report.sent += 1
                    self.report.fail(request, f"no answer: {dropped}")
                    continue
                self.report.note(request, answer, self.bounds)
                if 400 <= answer.status < 500:
                    refused[index] = request
            await connection.close()

        await asyncio.gather(*(work() for _ in range(self.connections)))
        return [refused[index] for index in sorted(refused)]
