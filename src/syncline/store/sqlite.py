"""SQLite in WAL mode: one writer thread, a few reader threads, lookups where they are asked for.

Every writing transaction runs on one thread (WAL, `synchronous=FULL`, BEGIN IMMEDIATE: deferred upgrades were
measured to fail with BUSY), reads run on a few threads with read-only connections.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.pool import StaticPool

from syncline.store.database import DatabaseUnavailable, T, UniqueViolation, Work

_UNIQUE = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


def sqlite_path(url: str) -> Path:
    """Return the file of a `sqlite:///relative` or `sqlite:////absolute` address."""
    path = unquote(urlsplit(url).path)
    if len(path) < 2:
        raise ValueError("a SQLite address names a file: sqlite:///relative/path or sqlite:////absolute/path")
    return Path(path[1:])


class SqliteDatabase:
    """SQLite in WAL mode: one writer thread, a few reader threads."""

    name = "sqlite"
    single_writer = True
    looks_up_in_place = True

    def __init__(self, path: Path, *, readers: int = 3) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="sqlite-reader")
        self._write_engine = sqlite_engine(path, begin=None)
        self._writing: Connection | None = None
        self._read_engine = sqlite_engine(path, begin="BEGIN", read_only=True)
        self._lookup_engine = sqlite_engine(path, begin=None, read_only=True)
        self._lookup: Connection | None = None

    async def write(self, work: Work[T]) -> T:
        """See `Database.write`."""
        return await self._in(self._writer, lambda: self._transact(work))

    async def read(self, work: Work[T]) -> T:
        """See `Database.read`."""

        def transaction() -> T:
            with self._read_engine.begin() as connection:
                return work(connection)

        return await self._in(self._readers, transaction)

    async def snapshot(self, work: Work[T]) -> T:
        """See `Database.snapshot`. Every reading transaction is one."""
        return await self.read(work)

    async def at_once(self, work: Work[T | None]) -> T | None:
        """See `Database.at_once`. There are no round trips to save."""
        return None

    async def look_up(self, work: Work[T]) -> T:
        """See `Database.look_up`.

        Runs in the calling thread: a lookup takes some microseconds and never waits for the writer, while the
        way to another thread and back was measured at 75.
        """
        if self._lookup is None:
            self._lookup = self._lookup_engine.connect()
        try:
            return work(self._lookup)
        except OperationalError as error:
            raise DatabaseUnavailable(str(error.orig)) from error
        finally:
            if self._lookup.in_transaction():
                self._lookup.rollback()

    async def scrub(self, tables: Sequence[str]) -> bool:
        """See `Database.scrub`. Pages of the file are written anew, and the write-ahead log is emptied."""

        def rewrite() -> bool:
            with closing(sqlite3.connect(self._path, isolation_level=None, timeout=30)) as connection:
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("VACUUM")
                (was_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not was_busy

        # In the writer's thread nobody of this process writes meanwhile.
        return await self._in(self._writer, rewrite)

    async def close(self) -> None:
        """See `Database.close`."""
        if self._lookup is not None:
            self._lookup.close()
        self._lookup_engine.dispose()
        if self._writing is not None:
            await self._in(self._writer, self._writing.close)
        for pool, engine in ((self._writer, self._write_engine), (self._readers, self._read_engine)):
            await asyncio.to_thread(pool.shutdown)
            engine.dispose()

    def _transact(self, work: Work[T]) -> T:
        """Run a writing transaction in the writer's thread, whose one connection stays open.

        SQLAlchemy's own way to begin and end one takes longer than a small transaction itself.
        """
        if self._writing is None:
            self._writing = self._write_engine.connect()
        connection = self._writing
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            raw.execute("COMMIT")
            return result
        finally:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
            if connection.in_transaction():
                # SQLAlchemy only forgets that it has begun.
                connection.rollback()

    @staticmethod
    async def _in(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        """Run something in one of the threads, with the engine's errors in the words of the port."""

        def translated() -> T:
            try:
                return work()
            except IntegrityError as error:
                if getattr(error.orig, "sqlite_errorcode", None) not in _UNIQUE:
                    # Another constraint than a unique index is a fault of ours.
                    raise
                raise UniqueViolation(str(error.orig)) from error
            except OperationalError as error:
                raise DatabaseUnavailable(str(error.orig)) from error
            except sqlite3.OperationalError as error:
                raise DatabaseUnavailable(str(error)) from error

        # A cancelled request must not leave the caller guessing: the transaction runs to its end anyway.
        return await asyncio.get_running_loop().run_in_executor(pool, translated)


def sqlite_engine(path: Path, *, begin: str | None, read_only: bool = False) -> Engine:
    """Return a SQLAlchemy engine over one SQLite file with the pragmas Syncline relies on.

    `begin` opens its transactions; None lets every statement be one of its own.
    """
    engine = create_engine(
        f"sqlite:///{path}",
        # One writer thread keeps one connection; each reader thread borrows from a small pool.
        poolclass=None if read_only else StaticPool,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "cached_statements": 512, "timeout": 30},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=30000",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            # Kilobytes, for each connection; the operating system keeps the file's pages for all of them.
            f"cache_size={-4_000 if read_only else -16_000}",
            *(("query_only=ON",) if read_only else ()),
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if begin is not None:
            connection.connection.cursor().execute(begin)

    return engine
