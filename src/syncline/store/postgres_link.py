"""How a connection to PostgreSQL is opened: the address, the session's settings, what a pooler changes.

A pooler in transaction mode gives every transaction another connection of the server. What belongs to a
session is lost there or, worse, reaches somebody else's transactions. So behind one nothing is prepared by
name, and each transaction brings its settings with it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from syncline.store.database import DatabaseUnavailable

SETTINGS = {
    "jit": "off",
    # Every query has its index, and plans are made while tables are still small.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "idle_in_transaction_session_timeout": "60000",
    "lock_timeout": "20000",
    "statement_timeout": "60000",
}
# A request that needs a new connection fails sooner than the network gives up.
_CONNECT_SECONDS = 4
_COMMAND_SECONDS = 60
_STATEMENTS = 500
_POOLER_HINT = "a connection pooler answers at this address: set SYNCLINE_DATABASE_POOLER=transaction"


class Link:
    """The way to one PostgreSQL; `pooled` says that a pooler in transaction mode lies on it.

    The address may name several hosts, `postgresql://user@one,two/name`: of these, the one that takes
    writes is used unless `target_session_attrs` says otherwise.
    """

    def __init__(self, url: str, *, pooled: bool = False) -> None:
        self._url = url
        self.pooled = pooled
        settings = "; ".join(f"SET LOCAL {name} TO {value}" for name, value in SETTINGS.items())
        self.begin = f"BEGIN; {settings}" if pooled else "BEGIN"

    def engine(self) -> AsyncEngine:
        """Return an engine for the hot paths: no pool, and each statement commits itself."""
        return self._engine(0 if self.pooled else _STATEMENTS, isolation_level="AUTOCOMMIT")

    def plain_engine(self) -> AsyncEngine:
        """Return an engine for rare work such as migrations, which any pooler may lie in front of."""
        return self._engine(0)

    async def connect(self, settings: dict[str, str], *, statements: int = 0) -> asyncpg.Connection[Any]:
        """Open a connection. Raises `DatabaseUnavailable` for a pooler that nobody told us of, else the
        driver's errors.
        """
        try:
            connection: asyncpg.Connection[Any] = await asyncpg.connect(
                self._url,
                timeout=_CONNECT_SECONDS,
                command_timeout=_COMMAND_SECONDS,
                statement_cache_size=statements,
                server_settings={"application_name": "syncline"} | settings,
                **_wanted(self._url),
            )
        except asyncpg.ProtocolViolationError as error:
            if "startup parameter" in str(error):
                raise DatabaseUnavailable(f"{error}; {_POOLER_HINT}") from error
            raise
        return connection

    def _engine(self, statements: int, **more: Any) -> AsyncEngine:
        settings = SETTINGS if statements else {}

        async def open_one() -> asyncpg.Connection[Any]:
            return await self.connect(settings, statements=statements)

        # SQLAlchemy keeps prepared statements of its own, by its own rules.
        kept = {} if statements else {"prepared_statement_cache_size": 0}
        return create_async_engine(
            "postgresql+asyncpg://",
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={"async_creator_fn": open_one} | kept,
            **more,
        )


def _wanted(url: str) -> dict[str, Any]:
    """Return which of several hosts is wanted, where the address names several and does not say."""
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    hosts = parts.netloc.rpartition("@")[2] + ",".join(asked.get("host", ()))
    if "," in hosts and "target_session_attrs" not in asked:
        return {"target_session_attrs": "read-write"}
    return {}
