"""What a worker runs for event sinks, in a process of its own, which a fault plan may end at any point.

Run as `python -m tests.support.sink_program DATABASE_URL PLAN`; ends when its input is closed.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta

from syncline import faults
from syncline.services.sink_settings import SinkSettings
from tests.support.kernels import kernel
from tests.support.sinks import QUICK, publishing


def short_leased() -> SinkSettings:
    """Return settings under which what a dead process held is free again after a second."""
    return replace(QUICK, lease=timedelta(seconds=1), publish_seconds=0.4, batch_events=5)


async def main(database_url: str, plan: str) -> None:
    """Publish until standard input ends."""
    faults.install(faults.FaultPlan.parse(plan))
    async with kernel(database_url) as made, publishing(made, short_leased()):
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
