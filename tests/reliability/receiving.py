"""The receiver of a scenario: verifies both signatures, journals every webhook, answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from aiohttp import web

from tests.reliability.journals import Receipt, Receipts

Answer: TypeAlias = Callable[[str], "int | Awaitable[int]"]
"""Returns the status for a webhook that came to a path."""


class Receiver:
    """Listens on loopback; one path for each endpoint, with the secrets it may sign with."""

    def __init__(self, journal: Path) -> None:
        self.secrets: dict[str, list[str]] = {}
        self.answer: Answer = lambda _: 200
        self.port = 0
        self._receipts = Receipts(journal)
        self._runner: web.AppRunner | None = None

    @property
    def receipts(self) -> list[Receipt]:
        """Everything that arrived, in order."""
        return self._receipts.all

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def accepted(self, path: str) -> set[str]:
        """Return the ids of the events that a path has accepted."""
        return {one.event_id for one in self.receipts if one.endpoint == path and one.answered == 200}

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._receipts.close()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        answered = self.answer(request.path)
        status = answered if isinstance(answered, int) else await answered
        secrets = self.secrets.get(request.path, [])
        self._receipts.take(request.path, request.headers, body, secrets, answered=status)
        return web.Response(status=status)


async def hang(_: str) -> int:
    """Never answer: assign it to `Receiver.answer`."""
    await asyncio.Event().wait()
    return 500
