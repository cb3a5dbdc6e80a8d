"""Waiting until a webhook endpoint has taken what waits for it, with a bar on a terminal."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from syncline.cli.client import CommandFailed
from syncline.cli.output import Output

if TYPE_CHECKING:
    from syncline.net.api_client import ApiClient

_POLL_SECONDS = 0.2


async def drained(client: ApiClient, output: Output, endpoint_id: str, count: int, seconds: float) -> None:
    """Return once nothing waits at an endpoint. Raises `CommandFailed` if that takes longer."""
    ends = time.monotonic() + seconds
    while True:
        health = (await client.call("GET", f"/webhook_endpoints/{endpoint_id}"))["health"]
        waiting = int(health["waiting"])
        output.progress(max(count - waiting, 0), count, "deliveries")
        if waiting == 0:
            output.close()
            return
        if time.monotonic() > ends:
            raise CommandFailed(
                f"{waiting} deliveries still wait after {seconds:g} s. "
                f"`syncline webhooks attempts {endpoint_id}` shows why."
            )
        await asyncio.sleep(_POLL_SECONDS)
