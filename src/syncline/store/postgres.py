"""PostgreSQL through asyncpg, with SQLAlchemy's greenlet bridge for functions that are not asynchronous.

The driver's connections commit each statement by itself; transactions are opened and closed here. Hot
statements go to the driver directly (`prepared.py`), all others through SQLAlchemy, on the same connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError, ResourceClosedError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from syncline.obs.logging import get_logger
from syncline.store.database import DatabaseUnavailable, T, UniqueViolation, Work
from syncline.store.greenlets import Runner
from syncline.store.postgres_link import Link
from syncline.store.pulse import Pulse
from syncline.store.statistics import LOOK_SECONDS, analyze_doubled

_logger = get_logger(__name__)

_RETRIES = 6
_POOL_SECONDS = 10
_SCRUB_SECONDS = 3600.0
# serialization_failure, deadlock_detected, lock_not_available
_RETRYABLE = {"40001", "40P01", "55P03"}
_READ_ONLY = "25006"
_PASSING = ("08", "53", "57", "55", "40", "58")
_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)


class PostgresDatabase:
    """PostgreSQL with a pool of connections; `pooled` makes it safe behind a pooler in transaction mode."""

    name = "postgresql"
    single_writer = False
    looks_up_in_place = False

    def __init__(self, url: str, *, pool_size: int = 10, pooled: bool = False) -> None:
        self._link = Link(url, pooled=pooled)
        self._engine = self._link.engine()
        # SQLAlchemy's pool takes longer to lend a connection than PostgreSQL to answer a lookup.
        self._free: list[_Pooled] = []
        self._room = asyncio.Semaphore(pool_size)
        self._closed = False
        self._pulse = Pulse(lambda: self._link.connect({}))
        self._looked_at = 0.0
        self._looking: asyncio.Task[None] | None = None

    async def write(self, work: Work[T]) -> T:
        """See `Database.write`."""
        for attempt in range(_RETRIES):
            try:
                result = await self._transact(work)
                self._look_at_growth()
                return result
            except IntegrityError as error:
                raise _violated(error) from error
            except DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None)
                if state not in _RETRYABLE or attempt == _RETRIES - 1:
                    raise self._translated(error) from error
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
                await pooled.raw.execute(self._link.begin)
            except _LOST:
                # A restart of the server broke it while it was idle: nothing has been sent yet.
                self._forget_free()
                await pooled.renew(self._engine)
                await pooled.raw.execute(self._link.begin)
            try:
                yield pooled
            except BaseException:
                await pooled.roll_back()
                raise

    async def _alone(self, work: Work[T]) -> T:
        """Run `work` with each statement a snapshot of its own, without BEGIN and COMMIT unless a pooler
        would give each to another connection of the server.
        """
        if self._link.pooled:
            return await self._transact(work)
        async with self._lent() as pooled:
            return await pooled.run(work)

    async def read(self, work: Work[T]) -> T:
        """See `Database.read`."""
        return await self._repeatable(lambda: self._alone(work))

    async def snapshot(self, work: Work[T]) -> T:
        """See `Database.snapshot`."""

        async def transaction() -> T:
            async with self._begun() as pooled:
                await pooled.raw.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                result = await pooled.run(work)
                await pooled.raw.execute("COMMIT")
                return result

        return await self._repeatable(transaction)

    async def _repeatable(self, reading: Callable[[], Coroutine[Any, Any, T]]) -> T:
        for attempt in range(2):
            try:
                return await reading()
            except DBAPIError as error:
                # A connection that a server restart broke is replaced once: reads may be repeated.
                if not error.connection_invalidated or attempt:
                    raise self._translated(error) from error
                self._forget_free()
            except _LOST as error:
                raise DatabaseUnavailable(str(error)) from error
        raise AssertionError("unreachable")

    async def at_once(self, work: Work[T | None]) -> T | None:
        """See `Database.at_once`."""
        try:
            result = await self._alone(work)
            self._look_at_growth()
            return result
        except IntegrityError as error:
            raise _violated(error) from error
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) in _RETRYABLE:
                return None
            raise self._translated(error) from error
        except _LOST as error:
            raise DatabaseUnavailable(str(error)) from error

    async def look_up(self, work: Work[T]) -> T:
        """See `Database.look_up`."""
        return await self.read(work)

    async def scrub(self, tables: Sequence[str]) -> bool:
        """See `Database.scrub`. The statistics are made anew as well: they hold samples of values."""
        try:
            connection = await self._link.connect({} if self._link.pooled else {"statement_timeout": "0"})
            try:
                names = ", ".join(tables)
                await connection.execute(
                    f"VACUUM (ANALYZE, INDEX_CLEANUP ON) {names}", timeout=_SCRUB_SECONDS
                )
            finally:
                await connection.close(timeout=_POOL_SECONDS)
        except _LOST as error:
            raise DatabaseUnavailable(str(error)) from error
        return True

    async def close(self) -> None:
        """See `Database.close`."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._pulse.close()
        free, self._free = self._free, []
        for pooled in free:
            await pooled.connection.close()
        await self._engine.dispose()

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[_Pooled]:
        if not self._pulse.is_felt:
            raise DatabaseUnavailable("The database does not answer.")
        if self._room.locked():
            async with asyncio.timeout(_POOL_SECONDS):
                await self._room.acquire()
        else:
            await self._room.acquire()
        try:
            pooled = self._free.pop() if self._free else await _Pooled.opened(self._engine)
            self._pulse.took(pooled)
            try:
                yield pooled
            except BaseException:
                if pooled.is_broken:
                    await pooled.discard()
                raise
            finally:
                self._pulse.gave(pooled)
                if not pooled.is_broken and not self._closed:
                    self._free.append(pooled)
                elif self._closed:
                    await pooled.discard()
        finally:
            self._room.release()

    def _look_at_growth(self) -> None:
        """Have the statistics of growing tables renewed beside the work, looking once a second at most."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS and (self._looking is None or self._looking.done()):
            self._looked_at = now
            self._looking = asyncio.create_task(self._renew_statistics(), name="statistics")

    async def _renew_statistics(self) -> None:
        try:
            await self.read(analyze_doubled)
        except (DatabaseUnavailable, DBAPIError) as error:
            # Plans are worse for a while, and nothing else: whoever writes next looks again.
            _logger.info("statistics.not_renewed", error=type(error).__name__)

    def _translated(self, error: DBAPIError) -> Exception:
        state = str(getattr(error.orig, "sqlstate", "") or "")
        if error.connection_invalidated or state == _READ_ONLY:
            # What was the primary has become a standby: its connections are of no more use than broken ones.
            self._forget_free()
        # Class 08 connection, 53 resources, 57 operator intervention, 55 and 40 exhausted retries.
        if error.connection_invalidated or state[:2] in _PASSING or state == _READ_ONLY:
            return DatabaseUnavailable(str(error.orig))
        return error

    def _forget_free(self) -> None:
        """Drop idle connections: what broke one of them broke them all."""
        free, self._free = self._free, []
        for pooled in free:
            pooled.abandon()


class _Pooled:
    """One connection as SQLAlchemy's and as the driver's."""

    def __init__(self, connection: AsyncConnection, raw: asyncpg.Connection[Any]) -> None:
        self.connection = connection
        self.raw = raw
        self._runner = Runner()

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
            return await self._runner.run(work, sync)
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

    def cut(self) -> None:
        """Break the connection under whoever waits for it, who is told so."""
        self.raw.terminate()

    def abandon(self) -> None:
        """Give an idle connection up without waiting for anybody."""
        self.raw.terminate()
        sync = self.connection.sync_connection
        if sync is not None and not sync.closed and not sync.invalidated:
            # SQLAlchemy complains about connections that nobody gives back.
            sync.detach()

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
