"""A dispatcher in a process of its own, which a fault plan may end at any point.

Run as `python -m tests.support.dispatcher_program DATABASE_URL PLAN`; ends when its input is closed.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta

from syncline import faults
from syncline.services.delivery_settings import DispatchSettings
from tests.support.deliveries import QUICK, dispatching
from tests.support.kernels import kernel


def short_leased() -> DispatchSettings:
    """Return settings under which what a dead process held is free again after a second."""
    return replace(QUICK, lease=timedelta(seconds=1), send_seconds=0.4, save_events=5)


async def main(database_url: str, plan: str) -> None:
    """Dispatch until standard input ends."""
    faults.install(faults.FaultPlan.parse(plan))
    async with kernel(database_url) as made, dispatching(made, short_leased()):
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
