"""Both database engines behind one port: synchronous functions of a connection, run in transactions.

SQLite runs every writing transaction on one thread (WAL, `synchronous=FULL`, BEGIN IMMEDIATE: deferred
upgrades were measured to fail with BUSY) and reads on a few threads with read-only connections.
PostgreSQL runs them through asyncpg with SQLAlchemy's greenlet bridge.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from sqlalchemy import BigInteger, Engine, create_engine, event, literal_column, select
from sqlalchemy import Connection as Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, StaticPool

from syncline.store.prepared import Prepared
from syncline.store.types import from_ms

T = TypeVar("T")
Work = Callable[[Connection], T]

_RETRIES = 6
# serialization_failure, deadlock_detected, lock_not_available
_RETRYABLE = {"40001", "40P01", "55P03"}


class DatabaseUnavailable(Exception):
    """The database could not be reached or refused to work; nothing was committed as far as we know."""


class UniqueViolation(Exception):
    """A unique index refused a row; the transaction was rolled back."""


class Database(Protocol):
    """A database that runs functions of a connection inside transactions."""

    name: str
    # Whether all writing transactions of all processes run one after the other anyway.
    single_writer: bool

    async def write(self, work: Work[T]) -> T:
        """Run `work` in one writing transaction and commit it.

        Deadlocks and serialization failures repeat the whole `work`, so it must not have effects
        outside the connection. Raises `UniqueViolation` and `DatabaseUnavailable`.
        """
        ...

    async def read(self, work: Work[T]) -> T:
        """Run `work` in one read-only transaction (one snapshot on SQLite, read committed on PostgreSQL)."""
        ...

    async def look_up(self, work: Work[T]) -> T:
        """Run `work`, which reads a few rows by their keys. Each of its statements is its own snapshot."""
        ...

    async def close(self) -> None:
        """Release every connection and thread."""
        ...


def open_database(url: str, *, pool_size: int = 10) -> Database:
    """Return the database named by `sqlite:///path` or `postgresql://…`.

    Raises `ValueError` for any other address.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        return SqliteDatabase(sqlite_path(url))
    if scheme in ("postgresql", "postgres"):
        return PostgresDatabase(url, pool_size=pool_size)
    raise ValueError(f"unsupported database address scheme {scheme!r}: use sqlite:/// or postgresql://")


def sqlite_path(url: str) -> Path:
    """Return the file of a `sqlite:///relative` or `sqlite:////absolute` address."""
    path = unquote(urlsplit(url).path)
    if len(path) < 2:
        raise ValueError("a SQLite address names a file: sqlite:///relative/path or sqlite:////absolute/path")
    return Path(path[1:])


def asyncpg_url(url: str) -> str:
    """Return the address with the driver named, as SQLAlchemy wants it."""
    return "postgresql+asyncpg://" + url.split("://", 1)[1]


_clocks = {
    name: Prepared(select(literal_column(milliseconds, BigInteger()).label("ms")))
    for name, milliseconds in (
        ("postgresql", "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"),
        ("sqlite", "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"),
    )
}


def database_now(connection: Connection) -> datetime:
    """Return the database's own clock, the only one that leases may use."""
    return from_ms(int(_clocks[connection.dialect.name].one_or_none(connection, {}).ms))


class SqliteDatabase:
    """SQLite in WAL mode: one writer thread, a few reader threads."""

    name = "sqlite"
    single_writer = True

    def __init__(self, path: Path, *, readers: int = 3) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="sqlite-reader")
        self._write_engine = sqlite_engine(path, begin="BEGIN IMMEDIATE")
        self._read_engine = sqlite_engine(path, begin="BEGIN", read_only=True)
        self._lookup_engine = sqlite_engine(path, begin=None, read_only=True)
        self._lookup: Connection | None = None

    async def write(self, work: Work[T]) -> T:
        """See `Database.write`."""
        return await self._run(self._writer, self._write_engine, work)

    async def read(self, work: Work[T]) -> T:
        """See `Database.read`."""
        return await self._run(self._readers, self._read_engine, work)

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

    async def close(self) -> None:
        """See `Database.close`."""
        if self._lookup is not None:
            self._lookup.close()
        self._lookup_engine.dispose()
        for pool, engine in ((self._writer, self._write_engine), (self._readers, self._read_engine)):
            await asyncio.to_thread(pool.shutdown)
            engine.dispose()

    @staticmethod
    async def _run(pool: ThreadPoolExecutor, engine: Engine, work: Work[T]) -> T:
        def transaction() -> T:
            try:
                with engine.begin() as connection:
                    return work(connection)
            except IntegrityError as error:
                raise UniqueViolation(str(error.orig)) from error
            except OperationalError as error:
                raise DatabaseUnavailable(str(error.orig)) from error

        # A cancelled request must not leave the caller guessing: the transaction runs to its end anyway.
        return await asyncio.get_running_loop().run_in_executor(pool, transaction)


def sqlite_engine(path: Path, *, begin: str | None, read_only: bool = False) -> Engine:
    """Return a SQLAlchemy engine over one SQLite file with the pragmas Syncline relies on.

    `begin` opens its transactions; None lets every statement be one of its own.
    """
    engine = create_engine(
        f"sqlite:///{path}",
        # One writer thread keeps one connection; each reader thread borrows from a small pool.
        poolclass=None if read_only else StaticPool,
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
            "cache_size=-16000",
            *(("query_only=ON",) if read_only else ()),
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if begin is not None:
            connection.connection.cursor().execute(begin)

    return engine


class PostgresDatabase:
    """PostgreSQL through asyncpg; safe behind PgBouncer in transaction mode."""

    name = "postgresql"
    single_writer = False

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self._engine: AsyncEngine = create_async_engine(
            asyncpg_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=False,
            connect_args={
                "timeout": 10,
                "command_timeout": 60,
                "server_settings": {
                    "application_name": "syncline",
                    "jit": "off",
                    "idle_in_transaction_session_timeout": "60000",
                    "lock_timeout": "20000",
                    "statement_timeout": "60000",
                },
            },
        )
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    async def write(self, work: Work[T]) -> T:
        """See `Database.write`."""
        for attempt in range(_RETRIES):
            try:
                async with self._engine.begin() as connection:
                    return await connection.run_sync(work)
            except IntegrityError as error:
                raise UniqueViolation(str(error.orig)) from error
            except DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None)
                if state not in _RETRYABLE or attempt == _RETRIES - 1:
                    raise _translated(error) from error
            except (OSError, TimeoutError) as error:
                raise DatabaseUnavailable(str(error)) from error
            await asyncio.sleep(0.005 * 2**attempt)
        raise AssertionError("unreachable")

    async def read(self, work: Work[T]) -> T:
        """See `Database.read`. Runs without BEGIN and COMMIT: each statement is its own snapshot."""
        for attempt in range(2):
            try:
                async with self._autocommit.connect() as connection:
                    return await connection.run_sync(work)
            except DBAPIError as error:
                # A connection that a server restart broke is replaced once: reads may be repeated.
                if not error.connection_invalidated or attempt:
                    raise _translated(error) from error
            except (OSError, TimeoutError) as error:
                raise DatabaseUnavailable(str(error)) from error
        raise AssertionError("unreachable")

    async def look_up(self, work: Work[T]) -> T:
        """See `Database.look_up`."""
        return await self.read(work)

    async def close(self) -> None:
        """See `Database.close`."""
        await self._engine.dispose()


def _translated(error: DBAPIError) -> Exception:
    state = str(getattr(error.orig, "sqlstate", "") or "")
    # Class 08 connection, 53 resources, 57 operator intervention, 55 and 40 exhausted retries.
    if error.connection_invalidated or state[:2] in ("08", "53", "57", "55", "40", "58"):
        return DatabaseUnavailable(str(error.orig))
    return error


def migration_engine(url: str) -> Engine | AsyncEngine:
    """Return an engine for migrations: one plain connection, nothing pooled."""
    if urlsplit(url).scheme == "sqlite":
        path = sqlite_path(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite_engine(path, begin="BEGIN IMMEDIATE")
    return create_async_engine(asyncpg_url(url), poolclass=NullPool)


def describe_error(error: BaseException) -> str:
    """Return one line about a database failure without statement text or parameters."""
    origin: Any = getattr(error, "orig", None) or error
    return f"{type(origin).__name__}: {str(origin).splitlines()[0] if str(origin) else ''}"[:300]
