"""Work on reconciliations: while somebody waits, in the background, and whatever a crash has left undone.

What is left to do is a row that is due, so a comparison and a correction go on after a crash: whoever finds
it takes it up.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.services.reconciliation_job import carry_out
from syncline.services.reconciliation_run import Claim, ClaimLost
from syncline.store import reconciliations as store
from syncline.store.database import Connection
from syncline.store.engine import database_now
from syncline.store.reconciliations import Reconciliation

_logger = get_logger(__name__)

_PATIENCE = timedelta(days=1)
_AT_ONCE = 20
_SLOTS = 2
_REMOVED = 2_000


class ReconciliationWork:
    """Carries reconciliations as far as they go, a few at once."""

    def __init__(self, kernel: Kernel, hold: timedelta, batch: int) -> None:
        """`hold` is how long a claim lasts without a sign of life, `batch` how much is done in one step."""
        self._kernel = kernel
        self._hold = hold
        self._batch = batch
        self._working: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_SLOTS)

    async def carry_on(self, at: Reconciliation, wait: float | None) -> None:
        """Work on a reconciliation for as long as the caller waits, then in the background."""
        if at.next_due_at is None:
            return
        task = asyncio.create_task(self._take(at.id), name="reconciliation")
        self._working.add(task)
        task.add_done_callback(self._forget)
        done, _ = await asyncio.wait({task}, timeout=wait)
        if done:
            task.result()

    async def resume(self) -> int:
        """Take up every reconciliation that is due and return how many there were.

        Those whose rows stopped coming a day ago are removed.
        """

        def work(connection: Connection) -> tuple[list[str], list[str]]:
            now = database_now(connection)
            left = store.abandoned(connection, now - _PATIENCE, _AT_ONCE)
            return store.due(connection, now, _AT_ONCE), left

        due, abandoned = await self._kernel.database.read(work)
        for reconciliation_id in due:
            await self._take(reconciliation_id)
        for reconciliation_id in abandoned:
            await self.remove(reconciliation_id)
        return len(due)

    async def close(self) -> None:
        """Cut off what runs in the background; it is taken up again."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    async def remove(self, reconciliation_id: str) -> None:
        """Remove a reconciliation with everything that belongs to it, some rows at a time."""
        step = partial(store.remove, reconciliation_id=reconciliation_id, limit=_REMOVED)
        while not await self._kernel.database.write(step):
            pass

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _logger.warning("reconciliation.interrupted", error=type(task.exception()).__name__)

    async def _take(self, reconciliation_id: str) -> None:
        """Claim a reconciliation and carry it as far as possible."""
        async with self._slots:
            taken = await self._kernel.database.write(
                lambda connection: store.claim(
                    connection, reconciliation_id, database_now(connection), self._hold
                )
            )
            if taken is None:
                return
            claim = Claim(self._kernel, taken.id, taken.fence, self._hold, self._batch)
            try:
                await carry_out(claim, taken)
            except ClaimLost:
                _logger.info("reconciliation.claim_lost", reconciliation_id=reconciliation_id)
