"""The bare sender that webhooks are compared with: `python -m benchmarks.sender URL COUNT IN_FLIGHT`.

An aiohttp client posts one body again and again and does nothing else: no log, no signature, no record.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import aiohttp
import uvloop

# As long as the event of a person with a usual profile.
_BODY = (
    b'{"object":"event","id":"event_01KA0Z3W8M6Q4T2R9X7V5B3N1A","event":"dsync.user.created","data":{"filler":"'
    + b"x" * 900
    + b'"},"created_at":"2026-03-02T08:21:44.010Z"}'
)


def bare_rate(url: str, count: int, in_flight: int) -> float:
    """Return how many requests a second a bare sender in a process of its own makes."""
    command = [sys.executable, "-m", "benchmarks.sender", url, str(count), str(in_flight)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


async def _send(url: str, count: int, in_flight: int) -> float:
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def lane() -> None:
            for _ in range(count // in_flight):
                async with session.post(url, data=_BODY) as answer:
                    await answer.read()

        await lane()
        begun = time.perf_counter()
        await asyncio.gather(*(lane() for _ in range(in_flight)))
        return count // in_flight * in_flight / (time.perf_counter() - begun)


if __name__ == "__main__":
    print(uvloop.run(_send(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
