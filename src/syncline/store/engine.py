"""Both database engines by their address, and what is asked of either in its own words."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import BigInteger, Connection, Engine, literal_column, select
from sqlalchemy.ext.asyncio import AsyncEngine

from syncline.store.database import Database
from syncline.store.postgres import PostgresDatabase
from syncline.store.postgres_link import Link
from syncline.store.prepared import Prepared
from syncline.store.sqlite import SqliteDatabase, sqlite_engine, sqlite_path
from syncline.store.types import from_ms


def open_database(url: str, *, pool_size: int = 10, pooled: bool = False) -> Database:
    """Return the database named by `sqlite:///path` or `postgresql://…`.

    `pooled`: a pooler in transaction mode lies in front of PostgreSQL. Raises `ValueError` for any other
    address.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        return SqliteDatabase(sqlite_path(url))
    if scheme in ("postgresql", "postgres"):
        return PostgresDatabase(url, pool_size=pool_size, pooled=pooled)
    raise ValueError(f"unsupported database address scheme {scheme!r}: use sqlite:/// or postgresql://")


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


def migration_engine(url: str) -> Engine | AsyncEngine:
    """Return an engine for migrations: one plain connection, nothing pooled."""
    if urlsplit(url).scheme == "sqlite":
        path = sqlite_path(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite_engine(path, begin="BEGIN IMMEDIATE")
    return Link(url).plain_engine()


def describe_error(error: BaseException) -> str:
    """Return one line about a database failure without statement text or parameters."""
    origin: Any = getattr(error, "orig", None) or error
    return f"{type(origin).__name__}: {str(origin).splitlines()[0] if str(origin) else ''}"[:300]
