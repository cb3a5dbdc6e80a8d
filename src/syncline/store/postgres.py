"""PostgreSQL through asyncpg, with SQLAlchemy's greenlet bridge for functions that are not asynchronous.

The driver's connections commit each statement by itself; transactions are opened and closed here. Hot
statements go to the driver directly (`prepared.py`), all others through SQLAlchemy, on the same connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError, ResourceClosedError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import greenlet_spawn

from syncline.store.database import DatabaseUnavailable, T, UniqueViolation, Work

_RETRIES = 6
_POOL_SECONDS = 10
# serialization_failure, deadlock_detected, lock_not_available
_RETRYABLE = {"40001", "40P01", "55P03"}
_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)


def asyncpg_url(url: str) -> str:
    """Return the address with the driver named, as SQLAlchemy wants it."""
    return "postgresql+asyncpg://" + url.split("://", 1)[1]


class PostgresDatabase:
    """PostgreSQL with a pool of connections; safe behind PgBouncer in transaction mode."""

    name = "postgresql"
    single_writer = False
    looks_up_in_place = False

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self._engine: AsyncEngine = create_async_engine(
            asyncpg_url(url),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            connect_args={
                "timeout": 10,
                "command_timeout": 60,
                "statement_cache_size": 500,
                "server_settings": {
                    "application_name": "syncline",
                    "jit": "off",
                    # Every query has its index, and plans are made while tables are still small.
                    "enable_seqscan": "off",
                    "enable_hashjoin": "off",
                    "enable_mergejoin": "off",
                    "idle_in_transaction_session_timeout": "60000",
                    "lock_timeout": "20000",
                    "statement_timeout": "60000",
                },
            },
        )
        # SQLAlchemy's pool takes longer to lend a connection than PostgreSQL to answer a lookup.
        self._free: list[_Pooled] = []
        self._room = asyncio.Semaphore(pool_size)
        self._closed = False

    async def write(self, work: Work[T]) -> T:
        """See `Database.write`."""
        for attempt in range(_RETRIES):
            try:
                return await self._transact(work)
            except IntegrityError as error:
                raise _violated(error) from error
            except DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None)
                if state not in _RETRYABLE or attempt == _RETRIES - 1:
                    raise _translated(error) from error
            except _LOST as error:
                raise DatabaseUnavailable(str(error)) from error
            await asyncio.sleep(0.005 * 2**attempt)
        raise AssertionError("unreachable")

    async def _transact(self, work: Work[T]) -> T:
        async with self._begun() as pooled:
            result = await pooled.run(work)
            await pooled.raw.execute("COMMIT")
            return result

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[_Pooled]:
        """Lend a connection in an open transaction, which is rolled back unless the caller ended it."""
        async with self._lent() as pooled:
            try:
                await pooled.raw.execute("BEGIN")
            except _LOST:
                # A restart of the server broke it while it was idle: nothing has been sent yet.
                self._forget_free()
                await pooled.renew(self._engine)
                await pooled.raw.execute("BEGIN")
            try:
                yield pooled
            except BaseException:
                await pooled.roll_back()
                raise

    async def read(self, work: Work[T]) -> T:
        """See `Database.read`. Runs without BEGIN and COMMIT: each statement is its own snapshot."""
        for attempt in range(2):
            try:
                async with self._lent() as pooled:
                    return await pooled.run(work)
            except DBAPIError as error:
                # A connection that a server restart broke is replaced once: reads may be repeated.
                if not error.connection_invalidated or attempt:
                    raise _translated(error) from error
                self._forget_free()
            except _LOST as error:
                raise DatabaseUnavailable(str(error)) from error
        raise AssertionError("unreachable")

    async def at_once(self, work: Work[T | None]) -> T | None:
        """See `Database.at_once`."""
        try:
            async with self._lent() as pooled:
                return await pooled.run(work)
        except IntegrityError as error:
            raise _violated(error) from error
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) in _RETRYABLE:
                return None
            if error.connection_invalidated:
                self._forget_free()
            raise _translated(error) from error
        except _LOST as error:
            raise DatabaseUnavailable(str(error)) from error

    async def look_up(self, work: Work[T]) -> T:
        """See `Database.look_up`."""
        return await self.read(work)

    async def close(self) -> None:
        """See `Database.close`."""
        self._closed = True
        free, self._free = self._free, []
        for pooled in free:
            await pooled.connection.close()
        await self._engine.dispose()

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[_Pooled]:
        if self._room.locked():
            async with asyncio.timeout(_POOL_SECONDS):
                await self._room.acquire()
        else:
            await self._room.acquire()
        try:
            pooled = self._free.pop() if self._free else await _Pooled.opened(self._engine)
            try:
                yield pooled
            except BaseException:
                if pooled.is_broken:
                    await pooled.discard()
                raise
            finally:
                if not pooled.is_broken and not self._closed:
                    self._free.append(pooled)
                elif self._closed:
                    await pooled.discard()
        finally:
            self._room.release()

    def _forget_free(self) -> None:
        """Drop idle connections: what broke one of them broke them all."""
        free, self._free = self._free, []
        for pooled in free:
            pooled.raw.terminate()


class _Pooled:
    """One connection as SQLAlchemy's and as the driver's."""

    def __init__(self, connection: AsyncConnection, raw: asyncpg.Connection[Any]) -> None:
        self.connection = connection
        self.raw = raw

    @classmethod
    async def opened(cls, engine: AsyncEngine) -> _Pooled:
        connection = await engine.connect()
        return cls(connection, await _driver(connection))

    async def renew(self, engine: AsyncEngine) -> None:
        """Replace a broken connection by a new one."""
        await self.discard()
        self.connection = await engine.connect()
        self.raw = await _driver(self.connection)

    @property
    def is_broken(self) -> bool:
        return self.raw.is_closed()

    async def run(self, work: Callable[[Any], T]) -> T:
        """Run a function of SQLAlchemy's connection."""
        sync = self.connection.sync_connection
        assert sync is not None
        try:
            return await greenlet_spawn(work, sync)
        finally:
            if sync.in_transaction() and not self.is_broken:
                # Nothing is sent: SQLAlchemy only forgets that it has begun.
                await self.connection.rollback()

    async def roll_back(self) -> None:
        """End the transaction without effect; a connection that cannot do it is thrown away."""
        try:
            await asyncio.shield(self.raw.execute("ROLLBACK"))
        except (*_LOST, asyncpg.PostgresError, asyncio.CancelledError):
            self.raw.terminate()

    async def discard(self) -> None:
        """Give a connection up, whatever state it is in."""
        self.raw.terminate()
        try:
            await self.connection.invalidate()
            await self.connection.close()
        except (*_LOST, DBAPIError, PendingRollbackError, ResourceClosedError):
            return


async def _driver(connection: AsyncConnection) -> asyncpg.Connection[Any]:
    fairy = await connection.get_raw_connection()
    raw = fairy.driver_connection
    assert isinstance(raw, asyncpg.Connection)
    return raw


def _violated(error: IntegrityError) -> Exception:
    """Return what a violated constraint means: other kinds than a unique index are faults of ours."""
    is_unique = getattr(error.orig, "sqlstate", None) == "23505"
    return UniqueViolation(str(error.orig)) if is_unique else error


def _translated(error: DBAPIError) -> Exception:
    state = str(getattr(error.orig, "sqlstate", "") or "")
    # Class 08 connection, 53 resources, 57 operator intervention, 55 and 40 exhausted retries.
    if error.connection_invalidated or state[:2] in ("08", "53", "57", "55", "40", "58"):
        return DatabaseUnavailable(str(error.orig))
    return error
