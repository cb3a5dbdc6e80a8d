"""What the turns of endpoints and of sinks have in common: waiting for the database, and being drained."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from syncline.store.database import DatabaseUnavailable, T

_DATABASE_PAUSE = 0.25


async def persistently(call: Callable[[], Awaitable[T]], may_wait: Callable[[], bool]) -> T:
    """Repeat a transaction while the database is away, as long as `may_wait` allows.

    Raises `DatabaseUnavailable` when it does not.
    """
    while True:
        try:
            return await call()
        except DatabaseUnavailable:
            if not may_wait():
                raise
            await asyncio.sleep(_DATABASE_PAUSE)


async def drain(turns: Iterable[asyncio.Task[None]], seconds: float) -> None:
    """Give turns under way a moment to end, then cut them off: they keep what they have settled."""
    under_way = list(turns)
    if not under_way:
        return
    _, late = await asyncio.wait(under_way, timeout=seconds)
    for turn in late:
        turn.cancel()
    await asyncio.gather(*late, return_exceptions=True)
