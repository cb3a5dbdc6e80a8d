"""Keep a loop running: what it raises is logged and counted, and it starts again after a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from syncline.obs.logging import get_logger
from syncline.obs.metrics import Metrics
from syncline.store.database import DatabaseUnavailable

Loop = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set."""

_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BackOff:
    """Pauses in seconds: doubled with each failure, back at the first after a run of `healthy` seconds."""

    first: float = 0.5
    longest: float = 30.0
    healthy: float = 60.0


async def supervise(
    name: str, loop: Loop, stop: asyncio.Event, metrics: Metrics, back_off: BackOff | None = None
) -> None:
    """Run a loop until `stop` is set, starting it again whenever it ends before; raises nothing of it."""
    pauses = back_off or BackOff()
    time = asyncio.get_running_loop().time
    pause = pauses.first
    while not stop.is_set():
        begun = time()
        try:
            await loop(stop)
            if stop.is_set():
                return
            _logger.error("loop.ended", loop=name)
            metrics.loop_errors.labels(name).inc()
        except DatabaseUnavailable as error:
            _logger.warning("loop.lost_database", loop=name, error=str(error))
        except Exception:
            metrics.loop_errors.labels(name).inc()
            _logger.exception("loop.failed", loop=name)
        if time() - begun > pauses.healthy:
            pause = pauses.first
        await wait_for_stop(stop, pause)
        pause = min(pause * 2, pauses.longest)


def repeating(every: float, work: Callable[[], Awaitable[object]]) -> Loop:
    """Return a loop that does a piece of work at once and then every so many seconds.

    The work may be cut off when the loop is stopped, so it must be safe to repeat.
    """

    async def loop(stop: asyncio.Event) -> None:
        while not stop.is_set():
            await _unless_stopped(work, stop)
            await wait_for_stop(stop, every)

    return loop


async def wait_for_stop(stop: asyncio.Event, seconds: float) -> None:
    """Return when `stop` is set, or after so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


async def _unless_stopped(work: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    working = asyncio.ensure_future(work())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
    finally:
        for future in (working, stopped):
            future.cancel()
        await asyncio.gather(working, stopped, return_exceptions=True)
