"""The port of both database engines: synchronous functions of a connection, run in transactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from sqlalchemy import Connection as Connection

T = TypeVar("T")
Work = Callable[[Connection], T]


class DatabaseUnavailable(Exception):
    """The database could not be reached or refused to work; nothing was committed as far as we know."""


class UniqueViolation(Exception):
    """A unique index refused a row; the transaction was rolled back."""


class Database(Protocol):
    """A database that runs functions of a connection inside transactions."""

    name: str
    # Whether all writing transactions of all processes run one after the other anyway.
    single_writer: bool
    # Whether `look_up` is done at once in the calling thread, so that nothing is won by collecting lookups.
    looks_up_in_place: bool

    async def write(self, work: Work[T]) -> T:
        """Run `work` in one writing transaction and commit it.

        Deadlocks and serialization failures repeat the whole `work`, so it must not have effects
        outside the connection. Raises `UniqueViolation` and `DatabaseUnavailable`.
        """
        ...

    async def read(self, work: Work[T]) -> T:
        """Run `work` in one read-only transaction (one snapshot on SQLite, read committed on PostgreSQL)."""
        ...

    async def snapshot(self, work: Work[T]) -> T:
        """Run `work` in one read-only transaction all of whose statements see the same state."""
        ...

    async def at_once(self, work: Work[T | None]) -> T | None:
        """Run `work`, whose only writing statement is its last and commits itself; None if it did nothing.

        None also comes from an engine that has no use for it, and when another writer was in the way: `write`
        is what to do then. Raises what `write` raises.
        """
        ...

    async def look_up(self, work: Work[T]) -> T:
        """Run `work`, which reads a few rows by their keys. Each of its statements is its own snapshot."""
        ...

    async def scrub(self, tables: Sequence[str]) -> bool:
        """Make what was deleted from these tables unreadable in the database's files, as far as it can.

        Returns False if somebody who reads or writes was in the way, so that it has to be repeated. SQLite
        rewrites the whole file meanwhile and writers wait; PostgreSQL vacuums beside the work.
        """
        ...

    async def close(self) -> None:
        """Release every connection and thread."""
        ...
