"""The provider's side of HTTP: keep-alive connections with one outstanding request each.

It costs a small part of what any of the servers spends, so that the server is what is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, its body, and how many seconds it took."""

    status: int
    body: bytes
    seconds: float

    def json(self) -> Any:
        """Return the decoded body."""
        return _decode(self.body)


class Connection(asyncio.Protocol):
    """One connection to a server; it is opened again when the server closed it."""

    def __init__(self, base_url: str, token: str, media_type: str = "application/scim+json") -> None:
        address = urlsplit(base_url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._prefix = address.path.rstrip("/")
        self._head = (
            f" HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Bearer {token}\r\n"
            f"Accept: {media_type}\r\nContent-Type: {media_type}\r\nContent-Length: "
        )
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser: Any = None
        self._chunks: list[bytes] = []

    async def request(self, method: str, path: str, body: object = None) -> Reply:
        """Send one request below the base address. Raises `ConnectionError` when it is cut off."""
        content = b"" if body is None else _encode(body)
        raw = f"{method} {self._prefix}{path}{self._head}{len(content)}\r\n\r\n".encode() + content
        loop = asyncio.get_running_loop()
        begun = time.perf_counter()
        if self._transport is None or self._transport.is_closing():
            await loop.create_connection(lambda: self, self._host, self._port)
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._chunks = []
        self._waiting = loop.create_future()
        self._transport.write(raw)
        status, answer = await self._waiting
        return Reply(status, answer, time.perf_counter() - begun)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports have the methods without the base class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the methods below."""
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the request that was waiting."""
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError(f"the server hung up: {error}"))

    def on_body(self, chunk: bytes) -> None:
        """Collect a part of the body."""
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        """Hand the answer to whoever waits."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result((self._parser.get_status_code(), b"".join(self._chunks)))
        if not self._parser.should_keep_alive():
            self.close()


@dataclass(slots=True)
class Tally:
    """What a workload saw: seconds of every request in order, statuses, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    first_error: str = ""

    def note(self, what: str, reply: Reply, *expected: int) -> bool:
        """Count an answer; return whether its status was an expected one."""
        self.seconds.append(reply.seconds)
        self.statuses[reply.status] += 1
        if reply.status in expected:
            return True
        self.wrong[f"{what}: {reply.status}"] += 1
        self.first_error = self.first_error or f"{what}: {reply.status} {reply.body[:200]!r}"
        return False


async def closed_loop(
    open_connection: Callable[[], Connection],
    jobs: int,
    connections: int,
    work: Callable[[Connection, int], Awaitable[None]],
    max_seconds: float,
) -> int:
    """Do `work(connection, number)` for numbers below `jobs`, one at a time on each connection.

    Returns how many were begun before the time was up.
    """
    numbers = iter(range(jobs))
    ends = time.monotonic() + max_seconds
    done = 0

    async def one() -> None:
        nonlocal done
        connection = open_connection()
        for number in numbers:
            if time.monotonic() > ends:
                break
            done += 1
            await work(connection, number)
        connection.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return done
