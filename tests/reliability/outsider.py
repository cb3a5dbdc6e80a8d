"""Transactions of a program that is not Syncline, on the same database: they append events, linger, end."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from syncline.store.sqlite import sqlite_path

_TYPE = "organization.updated"
_COPY = (
    "INSERT INTO event_inbox (environment_id, organization_id, type, cause, body, recorded_at)"
    " SELECT environment_id, organization_id, '{type}', cause, '{body}', recorded_at FROM event_log"
    " WHERE type = 'organization.created' ORDER BY position LIMIT 1"
)


class Outsider:
    """Opens transactions that append one marked event to the inbox, as every writer does."""

    def __init__(self, url: str) -> None:
        self._url = url

    @asynccontextmanager
    async def transaction(self, marker: str, *, keep: bool) -> AsyncIterator[None]:
        """Append an event at the beginning of the block; commit at its end, or roll back."""
        statement = _COPY.format(type=_TYPE, body=f'{{"object":"organization","marker":"{marker}"}}')
        if self._url.startswith("sqlite"):
            async with self._on_sqlite(statement, keep):
                yield
            return
        connection = await asyncpg.connect(self._url)
        try:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(statement)
            yield
            await (transaction.commit() if keep else transaction.rollback())
        finally:
            await connection.close()

    @asynccontextmanager
    async def _on_sqlite(self, statement: str, keep: bool) -> AsyncIterator[None]:
        """Do it in a thread of its own: a connection of SQLite belongs to one."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as thread:

            def run(work: Any, *arguments: Any) -> asyncio.Future[Any]:
                return loop.run_in_executor(thread, work, *arguments)

            connection = await run(
                lambda: sqlite3.connect(sqlite_path(self._url), timeout=30, isolation_level=None)
            )
            try:
                await run(connection.execute, "BEGIN IMMEDIATE")
                await run(connection.execute, statement)
                yield
                await run(connection.execute, "COMMIT" if keep else "ROLLBACK")
            finally:
                await run(connection.close)
