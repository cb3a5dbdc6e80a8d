"""What attributes and role rules cost a push: `python -m benchmarks.access_writes`.

The same provisioning as in `scripts/bench`, and its PATCH of a profile, on two servers alike, in short turns:
one without anything defined, the other with 10 custom attributes and 50 role rules. The figure is the ratio
within each turn, so whatever else the machine does meets both. Defining things is not part of a turn: the job
that evaluates everybody would be measured with it, and what it leaves to the database.

CPU is that of the server and of PostgreSQL for each push. It says where a difference comes from; what is
promised is the rate.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import httpx

from benchmarks import machine
from benchmarks.http import Connection
from benchmarks.subjects import OURS, Subject
from benchmarks.workloads import Bench, Figure, People

_ATTRIBUTES, _RULES, _GROUPS = 10, 50, 40
_ROLES = ("admin", "manager", "editor", "reader")
_LOSS = 0.10
_PATIENCE = 120.0
_WORKS = ("provision, 8 connections", "PATCH, 8 connections")
_PATHS = (
    "title",
    "displayName",
    "preferredLanguage",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
    "name.familyName",
    "name.givenName",
    'emails[type eq "work"].value',
    'phoneNumbers[type eq "mobile"].value',
    "userType",
)


@dataclass(frozen=True, slots=True)
class _Cost:
    """What one turn of a work came to: its rate, and milliseconds of CPU for each push."""

    per_second: float
    server_ms: float
    database_ms: float


_Pairs = list[tuple[_Cost, _Cost]]


def main(arguments: list[str]) -> int:
    """Measure both databases and print Markdown; 1 when more than a tenth is lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.access_writes", description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--databases", nargs="+", default=list(OURS))
    given = parser.parse_args(arguments)
    print(f"{machine.description()}\n\nCPU of server + PostgreSQL in ms a push, without and with.\n")
    print("| database | work | without /s | with /s | kept | CPU without | CPU with |")
    print("|---|---|---|---|---|---|---|")
    worst = 1.0
    for name in given.databases:
        with ExitStack() as both:
            plain, ruled = (both.enter_context(OURS[name]()) for _ in range(2))
            for work, pairs in asyncio.run(_measure(plain, ruled, given.count, given.turns)).items():
                kept = median(with_.per_second / without.per_second for without, with_ in pairs)
                print(f"| {name} | {work} | {_row(pairs, kept)} |", flush=True)
                worst = min(worst, kept)
    return 1 if worst < 1 - _LOSS else 0


def _row(pairs: _Pairs, kept: float) -> str:
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    rates = (f"{median(cost.per_second for cost in side):.0f}" for side in sides)
    cpu = (
        f"{median(c.server_ms for c in side):.2f} + {median(c.database_ms for c in side):.2f}"
        for side in sides
    )
    return " | ".join((*rates, f"{kept:.2f}", *cpu))


async def _measure(plain: Subject, ruled: Subject, count: int, turns: int) -> dict[str, _Pairs]:
    """Return for each work what every turn took without and with rules."""
    sides = _Side(plain), _Side(ruled)
    for side in sides:
        await side.prepare(count, is_ruled=side.subject is ruled)
    found: dict[str, _Pairs] = {work: [] for work in _WORKS}
    for turn in range(turns):
        for work in _WORKS:
            # Neither is always the first.
            order = sides if turn % 2 == 0 else sides[::-1]
            costs = {id(side): await side.load(work, count) for side in order}
            found[work].append((costs[id(sides[0])], costs[id(sides[1])]))
    return found


@dataclass(slots=True)
class _Side:
    """One of the two servers, and the people on it."""

    subject: Subject
    people: People = field(default_factory=People)

    async def prepare(self, count: int, *, is_ruled: bool) -> None:
        """Bring the server where turns begin: people, groups and roles, and all that is defined."""
        headers = {"Authorization": f"Bearer {self.subject.api_key}"}
        async with httpx.AsyncClient(base_url=self.subject.url, headers=headers, timeout=60) as client:
            directory = (await _ok(client, "GET", "/directories"))["data"][0]["id"]
            groups = await _groups(self.subject)
            for slug in _ROLES:
                await _ok(client, "POST", "/authorization/roles", {"slug": slug, "name": slug.title()})
            if is_ruled:
                await _define(client, directory, groups)
            for work in _WORKS:
                await self.load(work, count)
            found = await _ok(client, "GET", f"/directory_users?directory={directory}&limit=1")
            person = found["data"][0]
            if ("role" in person and len(person["custom_attributes"]) == _ATTRIBUTES) is not is_ruled:
                raise RuntimeError("people are evaluated on the wrong server, or on none")

    async def load(self, work: str, count: int) -> _Cost:
        """Do one turn of a work."""
        bench = Bench(self.subject, self.people, _PATIENCE)
        before = self._cpu()
        if work == _WORKS[0]:
            figure = await bench.provision(count, 8)
        else:
            # Not of the state: in every second turn most people would have it already, and nothing would
            # change.
            figure = await bench.patch(count, 8, "entra")
        return self._cost(figure, count, before)

    def _cost(self, figure: Figure, count: int, before: Sequence[float]) -> _Cost:
        if figure.wrong:
            raise RuntimeError(f"wrong answers or effects: {figure.wrong}")
        server, *database = (after - begun for after, begun in zip(self._cpu(), before, strict=True))
        return _Cost(figure.per_second, server / count * 1000, sum(database) / count * 1000)

    def _cpu(self) -> list[float]:
        return [machine.cpu_seconds([pid]) for pid in self.subject.pids]


async def _groups(subject: Subject) -> list[str]:
    connection = Connection(subject.base_url, subject.token)
    schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"]
    made = [
        (await connection.request("POST", "/Groups", {"schemas": schemas, "displayName": f"G {n}"})).json()
        for n in range(_GROUPS)
    ]
    connection.close()
    return [str(group["id"]) for group in made]


async def _define(client: httpx.AsyncClient, directory: str, groups: list[str]) -> None:
    for number, path in enumerate(_PATHS[:_ATTRIBUTES]):
        body = {"key": f"field_{number}", "type": "string", "sources": [{"path": path}]}
        await _ok(client, "POST", "/attributes", body)
    conditions: list[dict[str, Any]] = [
        {"kind": "group", "subject": f"directory_group_{group}"} for group in groups
    ]
    conditions += [
        {"kind": "attribute", "subject": f"field_{n}", "operator": "equals", "value": "Clerk"}
        for n in range(_RULES - len(groups))
    ]
    rules = [{"condition": condition, "role": _ROLES[n % 4]} for n, condition in enumerate(conditions)]
    await _ok(client, "PUT", f"/directories/{directory}/role_rules", {"rules": rules})
    await _settled(client, directory)


async def _settled(client: httpx.AsyncClient, directory: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while (await _ok(client, "GET", f"/directories/{directory}/reevaluation"))["state"] != "complete":
        if time.monotonic() > deadline:
            raise RuntimeError("people were not evaluated in time")
        await asyncio.sleep(0.2)


async def _ok(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    answer = await client.request(method, path, json=body)
    if answer.status_code >= 400:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json() if answer.content else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
