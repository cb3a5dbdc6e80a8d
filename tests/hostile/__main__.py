"""The whole flood against real processes: `scripts/hostile --requests 100000 --database both`.

Or, with `--schemathesis N`, what Schemathesis makes of the OpenAPI document and of SCIM.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hostile.requests import Target
from tests.hostile.rounds import Bounds, Flood, Place
from tests.hostile.schema_runs import Effort, check_rest, check_scim
from tests.hostile.tenant import make_tenant
from tests.support import postgres
from tests.support.databases import ENGINE_KINDS, PostgresDatabases, sqlite_url
from tests.support.processes import Process


def main() -> int:
    """Run the command and return its exit code: 0 if nothing was wrong."""
    given = _arguments()
    databases = ENGINE_KINDS if given.database == "both" else (given.database,)
    attack = _schemathesis if given.schemathesis else _flood
    return 1 if [database for database in databases if not attack(database, given)] else 0


def _flood(database: str, given: argparse.Namespace) -> bool:
    """Send malformed requests; return whether nothing was wrong."""
    begun = time.monotonic()
    with _running(database) as place:
        bounds = Bounds(given.seconds, given.growth * 1_000_000)
        flood = Flood(place, given.seed, given.requests, connections=given.connections, bounds=bounds)
        report = asyncio.run(flood.run())
    print(f"== {database}, seed {given.seed}, {time.monotonic() - begun:.0f} s")
    print("\n".join(report.lines()), flush=True)
    if given.kinds:
        print("\n".join(f"  {count:7d}  {kind}" for kind, count in sorted(report.kinds.items())))
    return not report.wrong and report.overloads == 0


def _schemathesis(database: str, given: argparse.Namespace) -> bool:
    """Let Schemathesis try both interfaces; return whether nothing was found."""
    effort = Effort(given.schemathesis, seed=given.seed)
    passed = True
    with _running(database) as place:
        target = asyncio.run(_target(place))
        for name, check in (("REST", check_rest), ("SCIM", check_scim)):
            verdict = check(place.url, target, place.folder, effort)
            print(f"== {name} on {database}, seed {given.seed}\n{verdict.output}", flush=True)
            passed = passed and verdict.passed
    return passed


async def _target(place: Place) -> Target:
    tenant = await make_tenant(place.folder, place.url, "schemathesis", place.settings)
    await tenant.close()
    return tenant.target


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/hostile", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="how many, on each database")
    parser.add_argument("--database", choices=(*ENGINE_KINDS, "both"), default="both")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same requests")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0, help="longest time of an answer")
    parser.add_argument("--growth", type=int, default=50, help="megabytes that memory may grow by")
    parser.add_argument(
        "--schemathesis",
        type=int,
        metavar="N",
        help="no flood but Schemathesis, with N examples for each operation of REST and SCIM",
    )
    parser.add_argument("--kinds", action="store_true", help="also count the kinds of requests")
    return parser.parse_args()


@contextmanager
def _running(database: str) -> Iterator[Place]:
    """Run Syncline on a fresh database."""
    folder = Path(tempfile.mkdtemp(prefix="syncline-hostile-"))
    try:
        with _database(database, folder) as url:
            settings = {
                "database_url": url,
                "secret_key": "a key of the flood that is long enough",
                "port": str(postgres.unused_port()),
                "log_level": "error",
            }
            with Process(folder, "up", **settings) as process:
                place = Place(folder, int(settings["port"]), process.process.pid, settings)
                process.await_ready(place.url)
                yield place
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield sqlite_url(folder / "hostile.db")
        return
    server = Path(tempfile.mkdtemp(prefix="syncline-postgres-"))
    try:
        databases = PostgresDatabases(postgres.start(server).url)
        with databases.empty() as url:
            yield url
    finally:
        postgres.stop(server)


if __name__ == "__main__":
    raise SystemExit(main())
