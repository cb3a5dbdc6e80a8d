"""How long it takes to compare a large roster with a directory, and to emit what the app has missed.

`python -m benchmarks.reconcile`.
A directory of 100,000 people and a CSV roster of as many rows, read piece by piece as an upload is. One
roster agrees; in the other every tenth person has drifted: missing, extra, stale, or gone and still active.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, insert

from benchmarks import machine
from syncline.core.commands import DeleteUser
from syncline.core.json import Json
from syncline.core.model import Cause, Scope, UserRecord
from syncline.core.rosters import RosterFormat, RosterReader, RosterRow, RowProblem
from syncline.core.scim.normalize import normalize_user
from syncline.services.apply import Writer
from syncline.services.kernel import Kernel
from syncline.services.reconciliation import Reconciliations
from syncline.store import tables as t
from syncline.store.rows import user_row
from tests.support import postgres
from tests.support.databases import PostgresDatabases, migrate, sqlite_url
from tests.support.kernels import Seeded, kernel, seed

_BUDGET_SECONDS = 60.0
_CHUNK = 2_000
_DRIFT = 10
_GONE = 1_000
_CAUSE = Cause("request_benchmark", "key_benchmark", "api", "benchmark")


@dataclass(frozen=True, slots=True)
class _Run:
    work: str
    seconds: float
    findings: int
    peak_mb: float


def main(arguments: list[str]) -> int:
    """Measure both databases and print Markdown; 1 when the budget is missed or a count is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconcile", description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    given = parser.parse_args(arguments)
    print(f"{machine.description()}, {given.people} people\n")
    print("| database | work | seconds | rows/s | findings | peak MB |\n|---|---|---|---|---|---|")
    slowest = 0.0
    for name in given.databases:
        with _database(name) as url:
            for run in asyncio.run(_measure(url, given.people)):
                rate = given.people / run.seconds
                print(
                    f"| {name} | {run.work} | {run.seconds:.1f} | {rate:.0f} | {run.findings} |"
                    f" {run.peak_mb:.0f} |",
                    flush=True,
                )
                slowest = max(slowest, run.seconds)
    return 1 if given.people >= 100_000 and slowest > _BUDGET_SECONDS else 0


@contextmanager
def _database(name: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="syncline-reconcile-") as folder:
        if name == "sqlite":
            url = sqlite_url(Path(folder) / "reconcile.db")
            migrate(url)
            yield url
            return
        server = postgres.start(Path(folder), durable=True)
        try:
            with PostgresDatabases(server.url).migrated() as url:
                yield url
        finally:
            postgres.stop(Path(folder))


async def _measure(url: str, people: int) -> list[_Run]:
    async with kernel(url) as within:
        place = await seed(within)
        await _fill(within, place, people)
        service = Reconciliations(within)
        where = (place.environment_id, place.directory.id)
        runs = []
        for work, drifted in (("compare, nothing found", False), ("compare, a tenth drifted", True)):
            begun = time.perf_counter()
            done = await service.compare(*where, _CAUSE, _roster(people, drifted=drifted), wait=None)
            found = {name: getattr(done.counts, name) for name in done.counts.__struct_fields__}
            runs.append(_Run(work, time.perf_counter() - begun, sum(found.values()), _peak()))
            if done.state != "complete" or found != found | _expected(people, drifted=drifted):
                raise RuntimeError(f"{work}: {done.state}, {found}: {done.error}")
        for drift in ("missing", "stale_profile", "gone_but_active"):
            begun = time.perf_counter()
            settled = await service.correct(*where, done.id, drift, _CAUSE, wait=None)
            runs.append(_Run(f"correct {drift}", time.perf_counter() - begun, settled.emitted, _peak()))
        return runs


def _expected(people: int, *, drifted: bool) -> dict[str, int]:
    """Return what is to be found: who is left out, has another address or title in the app, or has left."""
    kinds = Counter(number % (3 * _DRIFT) for number in range(people)) if drifted else Counter()
    return {
        "missing": kinds[0] + kinds[_DRIFT],
        "extra": kinds[_DRIFT],
        "stale_profile": kinds[2 * _DRIFT],
        "gone_but_active": _GONE if drifted else 0,
        "wrong_role": 0,
        "ambiguous": 0,
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _roster(people: int, *, drifted: bool) -> Iterator[RosterRow | RowProblem]:
    reader = RosterReader(RosterFormat.CSV)
    yield from reader.feed(b"app_id,email,first_name,last_name,job_title\n")
    for start in range(0, people, _CHUNK):
        lines = (_line(number, drifted=drifted) for number in range(start, min(start + _CHUNK, people)))
        yield from reader.feed("".join(lines).encode())
    if drifted:
        lines = (f"g{n},gone.{n}@northwind.example,Given{n},Family,Clerk\n" for n in range(_GONE))
        yield from reader.feed("".join(lines).encode())
    yield from reader.feed(b"", last=True)


def _line(number: int, *, drifted: bool) -> str:
    kind = number % (3 * _DRIFT) if drifted else -1
    if kind == 0:
        return ""
    host = "elsewhere" if kind == _DRIFT else "northwind"
    title = "Trainee" if kind == 2 * _DRIFT else "Clerk"
    return f"{number},person.{number}@{host}.example,Given{number},Family,{title}\n"


async def _fill(within: Kernel, place: Seeded, people: int) -> None:
    scope = place.directory.scope
    for start in range(0, people, _CHUNK):
        end = min(start + _CHUNK, people)
        records = [_person(within, f"person.{number}", number) for number in range(start, end)]
        await within.database.write(partial(_add, scope=scope, records=records))
    gone = [_person(within, f"gone.{number}", number) for number in range(_GONE)]
    await within.database.write(partial(_add, scope=scope, records=gone))
    writer = Writer(within)
    await writer.start()
    await asyncio.gather(*(writer.submit(scope, DeleteUser(one.id), _CAUSE) for one in gone))
    await writer.close()


def _add(connection: Connection, scope: Scope, records: list[UserRecord]) -> None:
    connection.execute(insert(t.directory_users), [user_row(scope, record) for record in records])


def _person(within: Kernel, name: str, number: int) -> UserRecord:
    id_, now = within.ids.ulid(), within.clock()
    body: dict[str, Json] = {
        "userName": f"{name}@northwind.example",
        "externalId": f"00u.{name}",
        "name": {"givenName": f"Given{number}", "familyName": "Family"},
        "emails": [{"value": f"{name}@northwind.example", "type": "work", "primary": True}],
        "title": "Clerk",
        "active": True,
    }
    return UserRecord(
        id=id_,
        directory_user_id=f"directory_user_{id_}",
        document=normalize_user(body).document,
        raw=None,
        version=1,
        created_at=now,
        updated_at=now,
        listed_at=now,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
