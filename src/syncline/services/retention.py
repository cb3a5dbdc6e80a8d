"""Remove what is older than its retention, in small transactions, and say whom it was taken from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.store import endpoints, purge, upkeep
from syncline.store.database import Connection

_logger = get_logger(__name__)

BATCH = 1_000


class Retention:
    """Trims the log, attempts, kept answers, expired secrets, and purges what was deleted long ago.

    May run in any number of processes, and be cut off at any point.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def run_once(self) -> int:
        """Remove everything that is due and return how many rows that were. Raises `DatabaseUnavailable`."""
        now, keep = self._kernel.clock(), self._kernel.keep
        removed = await self.trim_log()
        removed += await self._all(
            partial(
                upkeep.trim_attempts,
                successes_before=now - keep.successes,
                failures_before=now - keep.failures,
                limit=BATCH,
            )
        )
        removed += await self._all(
            partial(upkeep.trim_idempotency_keys, created_before=now - keep.answers, limit=BATCH)
        )
        removed += await self._all(
            partial(upkeep.trim_past, ended_before=now - self._kernel.retention, limit=BATCH), least=1
        )
        removed += await self._kernel.database.write(partial(endpoints.remove_expired_secrets, now=now))
        for step in purge.STEPS:
            removed += await self._all(_purging(step, now - keep.deleted), least=1)
        return removed

    async def trim_log(self) -> int:
        """Remove the events older than the retention of the log and return how many.

        An endpoint or sink that had not got one of them is flagged, and the log line names what it missed.
        """
        environments = await self._kernel.database.read(upkeep.logged_environments)
        return sum([await self._trim_environment(environment) for environment in environments])

    async def measure(self) -> None:
        """Feed the figures about the log's health."""
        now = self._kernel.clock()
        figures = await self._kernel.database.read(partial(upkeep.log_figures, now=now))
        metrics = self._kernel.metrics
        metrics.log_gap.set(figures.gap)
        metrics.inbox_rows.set(figures.inbox_rows)
        metrics.inbox_age_seconds.set(figures.inbox_age.total_seconds())

    async def _trim_environment(self, environment_id: str) -> int:
        now = self._kernel.clock()
        work = partial(
            upkeep.trim_log,
            environment_id=environment_id,
            recorded_before=now - self._kernel.retention,
            now=now,
            limit=BATCH,
        )
        total = 0
        while True:
            removed, missed = await self._kernel.database.write(work)
            for miss in missed:
                name = "sink.behind_retention" if miss.is_sink else "endpoint.behind_retention"
                _logger.warning(name, reader_id=miss.reader_id, first=miss.first, last=miss.last)
            total += removed
            if removed < BATCH:
                return total

    async def _all(self, work: Callable[[Connection], int], *, least: int = BATCH) -> int:
        """Repeat a piece of work until it removes less than `least`, each time in its own transaction."""
        total = 0
        while True:
            removed = await self._kernel.database.write(work)
            total += removed
            if removed < least:
                return total


def _purging(step: purge.Step, before: datetime) -> Callable[[Connection], int]:
    return lambda connection: step(connection, before, BATCH)
