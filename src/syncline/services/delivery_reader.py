"""What one turn reads, each read repeated while the database is away and the turn may wait for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from syncline.services.delivery_recent import RecentEvents
from syncline.store.database import Connection, Database, T
from syncline.store.deliveries import Claim
from syncline.store.delivery_log import End, Wanted


class Persistence(Protocol):
    """Repeats a call while the database is away, as long as a turn may wait."""

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what the call returns."""
        ...


class TurnReader:
    """Reads for the turn of one claimed endpoint: see `delivery_sources.Reader`."""

    def __init__(
        self, database: Database, recent: RecentEvents, claim: Claim, persistently: Persistence
    ) -> None:
        self._database = database
        self._recent = recent
        self._environment_id = claim.environment_id
        self._persistently = persistently

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See `Reader.read`."""
        return await self._persistently(lambda: self._database.read(work))

    async def end(self) -> End:
        """See `Reader.end`."""
        return await self._persistently(lambda: self._recent.end(self._environment_id))

    async def recent(self, wanted: Wanted, *, after: int, until: int, limit: int) -> list[Any] | None:
        """See `Reader.recent`."""
        return await self._persistently(
            lambda: self._recent.read(self._environment_id, wanted, after=after, until=until, limit=limit)
        )
