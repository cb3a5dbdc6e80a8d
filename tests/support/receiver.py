"""A webhook receiver on loopback that keeps what it gets and answers as a test tells it to."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
from aiohttp import web


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came over the wire; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The event in the body."""
        event: dict[str, Any] = msgspec.json.decode(self.body)
        return event

    @property
    def id(self) -> str:
        """The id of the event."""
        return str(self.event["id"])

    @property
    def attempt(self) -> int:
        """The number of the attempt."""
        return int(self.headers["syncline-attempt"])


@dataclass(frozen=True, slots=True)
class Reply:
    """What the receiver answers."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


Answer: TypeAlias = Callable[[Received], "Reply | Awaitable[Reply]"]


@dataclass(slots=True)
class Receiver:
    """The running receiver; assign `answer` to change how it behaves."""

    port: int
    answer: Answer = field(default=lambda _: Reply())
    received: list[Received] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def url(self, path: str = "/hook") -> str:
        """Return an address of this receiver."""
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        """Return what one address got, in order of arrival."""
        return [request for request in self.received if request.path == path]

    def ids(self, path: str = "/hook") -> list[str]:
        """Return the event ids that one address got, in order of arrival."""
        return [request.id for request in self.at(path)]

    async def respond(self, request: web.Request) -> web.Response:
        """Keep a request and answer it."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.path, headers, await request.read())
        self.received.append(received)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            answer = self.answer(received)
            reply = await answer if inspect.isawaitable(answer) else answer
        finally:
            self.in_flight -= 1
        return web.Response(status=reply.status, headers=dict(reply.headers), text=reply.body)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """Run a receiver on a free loopback port."""
    running = Receiver(port=0)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", running.respond)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        running.port = runner.addresses[0][1]
        yield running
    finally:
        await runner.cleanup()


class Gate:
    """Keeps requests waiting until it is opened."""

    def __init__(self) -> None:
        self._open = asyncio.Event()

    def open(self) -> None:
        """Let everything through from now on."""
        self._open.set()

    async def reply(self, _: Received) -> Reply:
        """Wait, then answer 200: assign it to `Receiver.answer`."""
        await self._open.wait()
        return Reply()
