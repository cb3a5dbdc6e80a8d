"""Whether an endpoint is still what it was when it was claimed: asked for all turns at once, now and then.

An answer is trusted for `TRUST` seconds, counted from before the question. Whoever changes an endpoint waits
a little longer than that, after the commit and before its owner is told (`let_turns_notice`). So a change
still holds from the moment the owner knows of it, in every process, although nobody asks before each request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

TRUST = 0.02
_NOTICE = 0.03


@dataclass(frozen=True, slots=True)
class Known:
    """When the owner last changed an endpoint, None if it is gone; `asked_at` is when that was asked."""

    changed_at: datetime | None
    asked_at: float


async def let_turns_notice() -> None:
    """Wait until no turn of any process trusts what it knew of an endpoint before a committed change."""
    await asyncio.sleep(_NOTICE)


class Changes:
    """What the turns of a process know about the changes of their endpoints."""

    def __init__(
        self,
        load: Callable[[Sequence[str]], Awaitable[Mapping[str, datetime]]],
        time: Callable[[], float],
        *,
        in_place: bool,
    ) -> None:
        """`load` returns when endpoints were last changed; `in_place` if it answers without waiting.

        `time` counts seconds from any moment on, also while the process stands still.
        """
        self._load = load
        self._time = time
        self._in_place = in_place
        self._known: dict[str, Known] = {}
        self._looking: asyncio.Task[None] | None = None

    def watch(self, endpoint_id: str, changed_at: datetime, asked_at: float) -> None:
        """Begin with what a claim says."""
        self._known[endpoint_id] = Known(changed_at, asked_at)

    def forget(self, endpoint_id: str) -> None:
        """Ask no more about an endpoint: its turn has ended."""
        self._known.pop(endpoint_id, None)

    def recent(self, endpoint_id: str) -> Known | None:
        """Return what is known of an endpoint if it can be trusted, None if it must be asked for."""
        known = self._known[endpoint_id]
        return known if self._time() - known.asked_at < TRUST else None

    async def ask(self, endpoint_id: str) -> datetime | None:
        """Return when the owner last changed a watched endpoint, as of now or of an answer that is trusted.

        Raises what the query raises.
        """
        called_at = self._time()
        while True:
            known = self._known[endpoint_id]
            # A slow answer to a question that came after the call is as good as if it had been asked alone.
            if known.asked_at >= called_at or self._time() - known.asked_at < TRUST:
                return known.changed_at
            if self._in_place:
                await self._look()
                continue
            if self._looking is None:
                self._looking = asyncio.create_task(self._look(), name="endpoint changes")
                self._looking.add_done_callback(_heard)
            await asyncio.shield(self._looking)

    async def _look(self) -> None:
        """Ask about all watched endpoints."""
        asked_at = self._time()
        endpoint_ids = list(self._known)
        try:
            found = await self._load(endpoint_ids)
        finally:
            # Here and not when the task is seen to be done: who comes in between would wait for nothing.
            self._looking = None
        for endpoint_id in endpoint_ids:
            if endpoint_id in self._known:
                self._known[endpoint_id] = Known(found.get(endpoint_id), asked_at)


def _heard(task: asyncio.Task[None]) -> None:
    """Take the error of a look whose askers may all have gone away."""
    if not task.cancelled():
        task.exception()
