"""Measure Syncline beside its open peers: `scripts/bench`, or `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvloop

from benchmarks import machine, report
from benchmarks.pipeline import idle, lag
from benchmarks.subjects import OURS, PEERS, Starter, Subject
from benchmarks.webhooks import webhooks
from benchmarks.workloads import Bench, Figure, People


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each work is done."""

    provisioned: int
    patched: int
    pushed_singly: int
    pushed: int
    big_group: int
    listed: int
    lagged: int
    delivered: int
    endpoints: int


_FULL = Sizes(3_000, 3_000, 1_000, 5_000, 10_000, 6_000, 2_000, 20_000, 1_000)
_QUICK = Sizes(600, 600, 200, 600, 1_000, 1_000, 400, 2_000, 50)


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for and print Markdown; 1 when a figure misses its budget or an effect is wrong."""
    given = _parse(arguments)
    sizes = _QUICK if given.quick else _FULL
    starters = {
        **{name: OURS[name] for name in given.databases},
        **{name: PEERS[name] for name in given.peers},
    }
    results: report.Results = {}
    behind: list[str] = []
    for name, starter in starters.items():
        with starter() as subject:
            _say(f"{subject.name}: started in {subject.start_seconds:.1f} s")
            run = _Run(subject, sizes, given)
            results[subject.name] = run.figures()
            if subject.api_key and (not given.only or "webhooks" in given.only):
                behind.extend(run.pipeline())
        if given.growth and name in OURS:
            results[f"{subject.name}, grown"] = _growth(starter, given)
    print(f"\n{machine.description()}, {time.strftime('%Y-%m-%d')}\n")
    print(report.table(results), "\n")
    for line in behind:
        print(f"* {line}")
    print("\n" + report.details(results))
    problems = [*report.errors({k: v for k, v in results.items() if k.startswith("syncline")})]
    for line in (*report.errors(results), *report.missed(results)):
        print(f"* {line}")
    return 1 if problems or (not given.quick and report.missed(results)) else 0


class _Run:
    """Every work on one server."""

    def __init__(self, subject: Subject, sizes: Sizes, given: argparse.Namespace) -> None:
        self._subject = subject
        self._sizes = sizes
        self._only: Sequence[str] = given.only
        self._people = People()
        self._bench = Bench(subject, self._people, given.max_seconds)
        self._figures: dict[str, Figure | str] = {}

    def figures(self) -> dict[str, Figure | str]:
        """Return one figure for each work, or the words of what made it impossible."""
        sizes, bench = self._sizes, self._bench
        self._take("provision, 8 connections", lambda: bench.provision(sizes.provisioned, 8))
        self._take("provision, 64 connections", lambda: bench.provision(sizes.provisioned, 64))
        self._take("patch, Okta shape", lambda: bench.patch(sizes.patched, 8, "okta"))
        self._take("patch, Okta shape, 64 connections", lambda: bench.patch(sizes.patched, 64, "okta"))
        self._take("patch, Entra shape", lambda: bench.patch(sizes.patched, 8, "entra"))
        self._take("push, 1 member a request", lambda: bench.push(sizes.pushed_singly, 1))
        self._take("push, 100 members a request", lambda: bench.push(sizes.pushed, 100))
        self._take("list, 100 a page", lambda: bench.list_users(sizes.listed))
        if self._subject.api_key:
            self._take("list by cursor", lambda: bench.list_users(sizes.listed, by_cursor=True))
        for size in (100, sizes.big_group):
            self._take(f"one member of {size:,}", partial(self._one_member, size))
        return self._figures

    def pipeline(self) -> Sequence[str]:
        """Return the lines about the log, the webhooks and the idle process."""
        subject, people, sizes = self._subject, self._people, self._sizes
        seen = _wait(lag(subject, people, sizes.lagged, 200))
        sent = _wait(
            webhooks(subject, people, backlog=sizes.delivered, endpoints=sizes.endpoints, lagged=sizes.lagged)
        )
        return report.pipeline_lines(subject.name, seen, sent, _wait(idle(subject)))

    async def _one_member(self, size: int) -> Figure:
        missing = size + 50 - len(self._people.ids)
        if missing > 0:
            await self._bench.provision(missing, 64)
        group = await self._bench.fill(size)
        return await self._bench.one_member(group, size, 200)

    def _take(self, work: str, measure: Callable[[], Coroutine[Any, Any, Figure]]) -> None:
        if self._only and not any(word in work for word in (*self._only, "provision, 8")):
            return
        try:
            figure = _wait(measure())
        except (OSError, RuntimeError, TimeoutError) as error:
            self._figures[work] = f"not measured: {error}"
            _say(f"{self._subject.name}: {work}: {error}")
            return
        self._figures[work] = figure
        wrong = f", WRONG: {'; '.join(figure.wrong)}" if figure.wrong else ""
        rate = f"{figure.per_second:,.0f} {figure.unit}/s, {figure.server_ms:.3f} ms CPU each"
        _say(f"{self._subject.name}: {work}: {rate}{wrong}")


def _growth(starter: Starter, given: argparse.Namespace) -> dict[str, Figure | str]:
    """Provision 100,000 people; look at the beginning, the end, deep pages and a group of all of them."""
    figures: dict[str, Figure | str] = {}
    with starter() as subject:
        people = People()
        bench = Bench(subject, people, 600)
        for first, last in ((0, 1_000), (1_000, 10_000), (10_000, 99_000), (99_000, 100_000)):
            figures[f"provision, 64 connections, {first:,} to {last:,}"] = _wait(
                bench.provision(last - first, 64)
            )
        figures["list, 100 a page, of 100,000"] = _wait(bench.list_users(100_000))
        figures["list by cursor, of 100,000"] = _wait(bench.list_users(100_000, by_cursor=True))
        group = _wait(bench.fill(99_900))
        figures["one member of 99,900"] = _wait(bench.one_member(group, 99_900, 100))
    for work, figure in figures.items():
        if isinstance(figure, Figure):
            _say(f"{subject.name}: {work}: {figure.per_second:,.0f} {figure.unit}/s")
    return figures


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything run?")
    parser.add_argument("--databases", nargs="*", choices=list(OURS), default=list(OURS))
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--only", nargs="*", default=[], help="words of the works to do, e.g. patch push")
    parser.add_argument("--growth", action="store_true", help="also grow a directory to 100,000 people")
    parser.add_argument("--max-seconds", type=float, default=30, help="the longest that one work may take")
    return parser.parse_args(arguments)


def _wait(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
