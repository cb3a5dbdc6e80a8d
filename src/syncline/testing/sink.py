"""A webhook receiver: verifies signatures and keeps what it gets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from syncline.core.signing import SignatureRefused, verify_workos


class WebhookSink:
    """Listens on loopback and keeps every event whose signature is right, in order of arrival."""

    def __init__(self, on_event: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.secret = ""
        self.events: list[dict[str, Any]] = []
        self.refused = 0
        self._on_event = on_event
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self, port: int = 0) -> str:
        """Listen and return the address."""
        app = web.Application()
        app.router.add_post("/", self._receive)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        bound = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{bound}/"
        return self.url

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        header = request.headers.get("WorkOS-Signature", "")
        try:
            verify_workos(self.secret, header, body, now_ms=int(time.time() * 1000))
        except SignatureRefused:
            self.refused += 1
            return web.Response(status=401)
        event = json.loads(body)
        self.events.append(event)
        if self._on_event is not None:
            self._on_event(event)
        return web.Response(status=204)
