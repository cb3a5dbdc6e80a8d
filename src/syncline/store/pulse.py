"""Notices that the database has fallen silent, so that nobody waits for an answer that will not come.

A statement may take long; a server that is there answers `SELECT 1` at once all the same. So while somebody
has waited for more than a moment, the pulse is felt on a connection of its own. Without one every connection
in use is given up, and the database counts as unreachable until the pulse is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import asyncpg

from syncline.obs.logging import get_logger
from syncline.store.database import DatabaseUnavailable

_logger = get_logger(__name__)

PATIENCE_SECONDS = 1.0
ANSWER_SECONDS = 2.0
# What came while this process itself was held up is looked at before it counts as missing.
_GRACE_SECONDS = 0.25
_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError, DatabaseUnavailable)


class Used(Protocol):
    """A connection that somebody waits for."""

    def cut(self) -> None:
        """Break it at once, so that whoever waits is told."""
        ...


class Pulse:
    """Watches the connections in use; `is_felt` is False while the database does not answer."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection[Any]]]) -> None:
        self.is_felt = True
        self._connect = connect
        self._used: dict[Used, float] = {}
        self._connection: asyncpg.Connection[Any] | None = None
        self._watching: asyncio.Task[None] | None = None

    def took(self, used: Used) -> None:
        """Remember a connection that is lent, and since when."""
        loop = asyncio.get_running_loop()
        self._used[used] = loop.time()
        if self._watching is None or self._watching.done():
            self._watching = loop.create_task(self._watch(), name="database pulse")

    def gave(self, used: Used) -> None:
        """Forget a connection that came back."""
        self._used.pop(used, None)

    async def close(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        self._forget()

    async def _watch(self) -> None:
        """Go on while anybody uses the database, or until it is back."""
        time = asyncio.get_running_loop().time
        while self._used or not self.is_felt:
            await asyncio.sleep(PATIENCE_SECONDS / 2)
            since = min(self._used.values(), default=time())
            if self.is_felt and time() - since < PATIENCE_SECONDS:
                continue
            felt = await self._feel()
            if not felt:
                used, self._used = list(self._used), {}
                for one in used:
                    one.cut()
            if felt != self.is_felt:
                _logger.warning("database.answers_again" if felt else "database.silent")
            self.is_felt = felt

    async def _feel(self) -> bool:
        asking = asyncio.ensure_future(self._ask())
        for seconds in (ANSWER_SECONDS, _GRACE_SECONDS):
            await asyncio.wait({asking}, timeout=seconds)
        if not asking.done():
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            self._forget()
            return False
        return asking.result()

    async def _ask(self) -> bool:
        for _ in range(2):
            # A connection that broke while it was idle says nothing of the server: one more try.
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._connect()
                await self._connection.execute("SELECT 1")
                return True
            except _LOST:
                self._forget()
        return False

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
