"""SQLite in memory for a simulation: transactions run in place, at seeded moments, with seeded failures.

The schema is the product's own, migrated once and copied for each seed. The database's clock is the virtual
one: `julianday` is replaced, so the product's own statement for the time is what runs.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.pool import StaticPool

from syncline.store.database import DatabaseUnavailable, T, UniqueViolation, Work
from tests.reliability.simulation.clock import START
from tests.reliability.simulation.processes import Process
from tests.support.databases import migrate, sqlite_url

_UNIQUE = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
_START_DAY = START.timestamp() / 86_400 + 2_440_587.5


class MemoryStore:
    """One connection in memory that is made new for each seed; compiled statements stay."""

    def __init__(self) -> None:
        self._template = _template()
        self.raw = sqlite3.connect(":memory:", check_same_thread=False, cached_statements=512)
        self.raw.isolation_level = None
        engine = create_engine("sqlite://", creator=lambda: self.raw, poolclass=StaticPool)
        self.connection: Connection = engine.connect()
        self.after_commit: Callable[[], None] = _nothing
        self.time: Callable[[], float] = lambda: 0.0

    def begin(self, time: Callable[[], float]) -> None:
        """Start again with an empty database whose clock is `time`, in seconds since the beginning."""
        self._template.backup(self.raw)
        self.raw.execute("PRAGMA foreign_keys=ON")
        self.raw.execute("PRAGMA synchronous=OFF")
        self.raw.create_function("julianday", 1, lambda _: _START_DAY + time() / 86_400)
        self.after_commit = _nothing
        self.time = time

    def transact(self, work: Work[T]) -> T:
        """Run one writing transaction."""
        try:
            self.raw.execute("BEGIN IMMEDIATE")
            result = work(self.connection)
            self.raw.execute("COMMIT")
        except IntegrityError as error:
            if getattr(error.orig, "sqlite_errorcode", None) not in _UNIQUE:
                raise
            raise UniqueViolation(str(error.orig)) from error
        except OperationalError as error:
            raise DatabaseUnavailable(str(error.orig)) from error
        finally:
            if self.raw.in_transaction:
                self.raw.execute("ROLLBACK")
            if self.connection.in_transaction():
                self.connection.rollback()
        self.after_commit()
        return result

    def read(self, work: Work[T]) -> T:
        """Run something that only reads."""
        try:
            return work(self.connection)
        finally:
            if self.connection.in_transaction():
                self.connection.rollback()


@dataclass(slots=True)
class Weather:
    """How the database behaves: the longest way to it and back in seconds, and the share of failures."""

    random: random.Random
    latency: float = 0.0
    failures: float = 0.0
    faults: int = 0

    def way(self) -> float:
        """Return how long one way takes; most take no time at all, so that much happens in one moment."""
        return self.random.random() * self.latency if self.latency and self.random.random() < 0.3 else 0.0

    def strike(self) -> None:
        """Raise `DatabaseUnavailable` as often as `failures` says."""
        if self.failures and self.random.random() < self.failures:
            self.faults += 1
            raise DatabaseUnavailable("The simulated database is away.")


class ProcessDatabase:
    """The database as one process reaches it: the port of the product."""

    name = "sqlite"
    single_writer = True
    looks_up_in_place = True

    def __init__(self, store: MemoryStore, process: Process, weather: Weather) -> None:
        self._store = store
        self._process = process
        self._weather = weather

    async def write(self, work: Work[T]) -> T:
        """See `Database.write`. A failure may come before the commit or after it."""
        await self._there()
        self._weather.strike()
        result = self._store.transact(work)
        await self._back()
        self._weather.strike()
        return result

    async def read(self, work: Work[T]) -> T:
        """See `Database.read`."""
        await self._there()
        self._weather.strike()
        result = self._store.read(work)
        await self._back()
        return result

    async def snapshot(self, work: Work[T]) -> T:
        """See `Database.snapshot`."""
        return await self.read(work)

    async def at_once(self, work: Work[T | None]) -> T | None:
        """See `Database.at_once`."""
        return None

    async def look_up(self, work: Work[T]) -> T:
        """See `Database.look_up`. It takes no time, as on SQLite."""
        await self._process.pass_gate()
        self._weather.strike()
        return self._store.read(work)

    async def scrub(self, tables: Sequence[str]) -> bool:
        """See `Database.scrub`. There is no file."""
        return True

    async def close(self) -> None:
        """See `Database.close`."""

    async def _there(self) -> None:
        if seconds := self._weather.way():
            await asyncio.sleep(seconds)
        await self._process.pass_gate()

    async def _back(self) -> None:
        if seconds := self._weather.way():
            await asyncio.sleep(seconds)
        await self._process.pass_gate()


def _template() -> sqlite3.Connection:
    """Return a migrated database in memory."""
    made = sqlite3.connect(":memory:")
    with tempfile.TemporaryDirectory(prefix="syncline-simulation-") as folder:
        path = Path(folder) / "template.db"
        migrate(sqlite_url(path))
        with closing(sqlite3.connect(path)) as file:
            # A database in memory has no write-ahead log.
            file.execute("PRAGMA journal_mode=DELETE")
            file.backup(made)
    return made


def _nothing() -> None:
    """Do nothing."""
