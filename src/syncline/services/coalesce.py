"""Lookups that arrive together are answered by one query."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Coalescer(Generic[K, V]):
    """Collects keys while a query runs and loads them with the next one.

    Every caller's query starts after the call, so nobody reads a state older than their question.
    """

    def __init__(
        self,
        load: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        *,
        collects: bool = True,
        in_flight: int = 2,
    ) -> None:
        """`collects`: False where a query is done at once and nothing is won by waiting for others."""
        self._load = load
        self._collects = collects
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._idle = in_flight
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """Return the value of a key, None if there is none. Raises what the query raises."""
        if not self._collects:
            return (await self._load((key,))).get(key)
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            if self._idle:
                self._idle -= 1
                task = asyncio.create_task(self._run())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(future)

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                await self._answer(batch)
        finally:
            self._idle += 1

    async def _answer(self, batch: dict[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await self._load(list(batch))
        except Exception as error:
            for future in batch.values():
                future.set_exception(error)
                # A caller who went away leaves nobody to read the error.
                future.exception()
            return
        for key, future in batch.items():
            future.set_result(found.get(key))
