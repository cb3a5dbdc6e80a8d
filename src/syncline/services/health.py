"""Whether a process can do its work right now."""

from __future__ import annotations

import asyncio

from syncline.services.kernel import Kernel
from syncline.store import log
from syncline.store.database import DatabaseUnavailable

_SECONDS = 3.0


class Health:
    """Answers probes."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def problems(self) -> dict[str, str]:
        """Return what keeps the process from serving, by part; empty when it is ready."""
        try:
            async with asyncio.timeout(_SECONDS):
                await self._kernel.database.read(log.environments_waiting)
        except TimeoutError:
            return {"database": f"no answer within {_SECONDS:g} seconds"}
        except DatabaseUnavailable as error:
            return {"database": str(error).splitlines()[0][:200]}
        return {}
