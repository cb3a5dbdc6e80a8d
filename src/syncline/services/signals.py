"""Wake-ups between the tasks of one process; every waiter also polls, so a lost one costs only time."""

from __future__ import annotations

import asyncio


class Signal:
    """A set of keys that something happened to, waited for by one task."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._event = asyncio.Event()

    def notify(self, key: str) -> None:
        """Say that something happened to `key` (an environment id)."""
        self._keys.add(key)
        self._event.set()

    async def wait(self, seconds: float) -> set[str]:
        """Return the keys notified since the last call, after at most that many seconds."""
        if not self._keys:
            try:
                async with asyncio.timeout(seconds):
                    await self._event.wait()
            except TimeoutError:
                return set()
        keys, self._keys = self._keys, set()
        self._event.clear()
        return keys
