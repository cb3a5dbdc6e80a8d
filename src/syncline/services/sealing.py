"""Give the events of committed transactions their dense positions in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from syncline import faults
from syncline.core.ids import RANDOMNESS_BYTES, Prefix, make_id, new_ulid
from syncline.obs.logging import get_logger
from syncline.services.idsource import RandomBytes
from syncline.services.kernel import Kernel
from syncline.store import log
from syncline.store.database import Connection, DatabaseUnavailable

_BUSY_SECONDS, _IDLE_SECONDS, _TROUBLE_SECONDS = 0.005, 0.25, 1.0
_logger = get_logger(__name__)


class Sealer:
    """Seals after this process's commits, and on a tick what other processes left behind.

    Any number of processes may run one; a try-lock per environment keeps them apart.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def run(self, stop: asyncio.Event) -> None:
        """Seal until `stop` is set, then once more."""
        wait = _BUSY_SECONDS
        while not stop.is_set():
            environments = await self._kernel.appended.wait(wait)
            try:
                if not environments:
                    environments = set(await self._kernel.database.read(log.environments_waiting))
                sealed = [await self.seal_now(environment) for environment in sorted(environments)]
            except DatabaseUnavailable as error:
                _logger.warning("sealing waits for the database", error=str(error))
                wait = _TROUBLE_SECONDS
                continue
            wait = _BUSY_SECONDS if any(sealed) else min(wait * 2, _IDLE_SECONDS)
        for environment in await self._kernel.database.read(log.environments_waiting):
            await self.seal_now(environment)

    async def seal_now(self, environment_id: str) -> int:
        """Seal everything that waits in an environment and return how many events that were.

        Returns early when another process is sealing it. Raises `DatabaseUnavailable`.
        """
        total = 0
        while True:
            sealed = await self._kernel.database.write(partial(seal_step, self._kernel, environment_id))
            if sealed is None:
                return total
            total += sealed.count
            sealed_events(self._kernel, environment_id, sealed)
            if sealed.count < log.SEAL_BATCH:
                return total


def seal_step(kernel: Kernel, environment_id: str, connection: Connection) -> log.Sealed | None:
    """Seal up to one batch inside a transaction; None when nothing was done."""
    sealed = log.seal(connection, environment_id, kernel.clock(), event_ids(kernel.random))
    faults.hit("seal.before_commit")
    return sealed


def sealed_events(kernel: Kernel, environment_id: str, sealed: log.Sealed) -> None:
    """Tell readers and metrics about events that were committed to the log."""
    kernel.metrics.events_sealed.inc(sealed.count)
    kernel.metrics.seal_batch.observe(sealed.count)
    kernel.metrics.seal_lag_seconds.observe(max(0.0, (kernel.clock() - sealed.oldest).total_seconds()))
    kernel.logged.notify(environment_id)
    if sealed.woken:
        kernel.sealed.notify(environment_id)


def event_ids(random: RandomBytes) -> Callable[[int], str]:
    """Return a maker of event ids which ascend within one millisecond."""
    # The top bit is free for counting, so a batch never runs out.
    value = int.from_bytes(random(RANDOMNESS_BYTES), "big") >> 1

    def mint(at_ms: int) -> str:
        nonlocal value
        value += 1
        return make_id(Prefix.EVENT, new_ulid(at_ms, value.to_bytes(RANDOMNESS_BYTES, "big")))

    return mint
