"""Programs of the tests, such as `dispatcher_program`, as processes of their own that may be killed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.forks import Forked, nursery

_ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def program(module: str, *arguments: str) -> AsyncIterator[Forked]:
    """Run a module of the tests; its input ends with the block, and it is killed then if it still runs."""
    reading, writing = os.pipe()
    try:
        # The first start of a module imports it, which takes longer than this loop should stand still.
        running = await asyncio.to_thread(
            nursery().start,
            arguments,
            folder=_ROOT,
            environment=os.environ,
            files=(reading, 1, 2),
            module=module,
        )
    finally:
        os.close(reading)
    try:
        yield running
    finally:
        os.close(writing)
        running.kill()
        await asyncio.to_thread(running.wait, 10)


async def ended(running: Forked, deadline: float = 30.0) -> int:
    """Wait for the end of a program beside the loop and return its status."""
    return await asyncio.to_thread(running.wait, deadline)
