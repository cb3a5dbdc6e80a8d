"""The whole flood against real processes: `scripts/hostile --requests 100000 --database both`."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hostile.rounds import Bounds, Flood, Place, Report
from tests.support import postgres
from tests.support.databases import ENGINE_KINDS, PostgresDatabases, sqlite_url
from tests.support.processes import Process


def main() -> int:
    """Run the command and return its exit code: 0 if nothing was wrong."""
    given = _arguments()
    databases = ENGINE_KINDS if given.database == "both" else (given.database,)
    failed = False
    for database in databases:
        begun = time.monotonic()
        report = _flood(database, given)
        print(f"== {database}, seed {given.seed}, {time.monotonic() - begun:.0f} s")
        print("\n".join(report.lines()), flush=True)
        if given.kinds:
            print("\n".join(f"  {count:7d}  {kind}" for kind, count in sorted(report.kinds.items())))
        failed = failed or bool(report.wrong) or report.overloads > 0
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/hostile", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="how many, on each database")
    parser.add_argument("--database", choices=(*ENGINE_KINDS, "both"), default="both")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same requests")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0, help="longest time of an answer")
    parser.add_argument("--growth", type=int, default=50, help="megabytes that memory may grow by")
    parser.add_argument("--kinds", action="store_true", help="also count the kinds of requests")
    return parser.parse_args()


def _flood(database: str, given: argparse.Namespace) -> Report:
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
                bounds = Bounds(given.seconds, given.growth * 1_000_000)
                flood = Flood(place, given.seed, given.requests, connections=given.connections, bounds=bounds)
                return asyncio.run(flood.run())
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
