"""Start every loop of a process, each on its own: one that fails does not stop the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from syncline.obs.logging import get_logger
from syncline.obs.metrics import Metrics
from syncline.services.container import Services
from syncline.workers.supervision import BackOff, Loop, repeating, supervise

_logger = get_logger(__name__)

STOP_SECONDS = 9.0
_RETENTION_EVERY = 600.0
_ERASURES_EVERY = 30.0
_IMPORTS_EVERY = 5.0
_RECONCILIATIONS_EVERY = 10.0
_FIGURES_EVERY = 60.0
_DOMAINS_EVERY = 30.0


async def run_workers(services: Services, stop: asyncio.Event) -> None:
    """Seal, dispatch and clean up until `stop` is set; returns less than ten seconds later."""
    await run_loops(loops_of(services), services.kernel.metrics, stop)


def loops_of(services: Services) -> dict[str, Loop]:
    """Return the loops of a worker process by the name that logs and metrics show."""
    return {
        "sealer": lambda stop: services.sealer.run(stop),
        "dispatcher": lambda stop: services.dispatcher.run(stop),
        "sinks": lambda stop: services.sink_dispatcher.run(stop),
        "retention": repeating(_RETENTION_EVERY, lambda: services.retention.run_once()),
        "reevaluations": lambda stop: services.reevaluations.run(stop),
        "erasures": repeating(_ERASURES_EVERY, lambda: services.erasures.resume()),
        "imports": repeating(_IMPORTS_EVERY, lambda: services.imports.resume()),
        "reconciliations": repeating(_RECONCILIATIONS_EVERY, lambda: services.reconciliations.resume()),
        "figures": repeating(_FIGURES_EVERY, lambda: services.retention.measure()),
        "domains": repeating(_DOMAINS_EVERY, lambda: services.domains.check_due()),
    }


async def run_loops(
    loops: Mapping[str, Loop],
    metrics: Metrics,
    stop: asyncio.Event,
    *,
    back_off: BackOff | None = None,
    stop_seconds: float = STOP_SECONDS,
) -> None:
    """Supervise the loops until `stop` is set; those that do not end in time are cut off."""
    tasks = {
        asyncio.create_task(supervise(name, loop, stop, metrics, back_off), name=name)
        for name, loop in loops.items()
    }
    try:
        await stop.wait()
        _, late = await asyncio.wait(tasks, timeout=stop_seconds)
        for task in late:
            _logger.warning("loop.cut_off", loop=task.get_name())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
