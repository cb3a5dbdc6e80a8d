"""Remove what is older than its retention, in small transactions, and say whom it was taken from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.store import endpoints, upkeep
from syncline.store.database import Connection

_logger = get_logger(__name__)

BATCH = 1_000
KEEP_SUCCESSES = timedelta(days=7)
KEEP_FAILURES = timedelta(days=30)
KEEP_ANSWERS = timedelta(hours=24)


class Retention:
    """Trims the log, attempts, stored answers and expired secrets; may run in any number of processes."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def run_once(self) -> int:
        """Remove everything that is due and return how many rows that were. Raises `DatabaseUnavailable`."""
        now = self._kernel.clock()
        removed = await self.trim_log()
        removed += await self._all(
            partial(
                upkeep.trim_attempts,
                successes_before=now - KEEP_SUCCESSES,
                failures_before=now - KEEP_FAILURES,
                limit=BATCH,
            )
        )
        removed += await self._all(
            partial(upkeep.trim_idempotency_keys, created_before=now - KEEP_ANSWERS, limit=BATCH)
        )
        removed += await self._kernel.database.write(partial(endpoints.remove_expired_secrets, now=now))
        return removed

    async def trim_log(self) -> int:
        """Remove the events older than the retention of the log and return how many.

        An endpoint that had not got one of them is flagged, and the log line names what it missed.
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
                _logger.warning(
                    "endpoint.behind_retention",
                    endpoint_id=miss.endpoint_id,
                    first=miss.first,
                    last=miss.last,
                )
            total += removed
            if removed < BATCH:
                return total

    async def _all(self, work: Callable[[Connection], int]) -> int:
        total = 0
        while True:
            removed = await self._kernel.database.write(work)
            total += removed
            if removed < BATCH:
                return total
