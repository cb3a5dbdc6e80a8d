"""A client that sends bytes as they are, well formed or not, and reads what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

_LARGEST_HEAD = 64 * 1024


class Dropped(Exception):
    """The connection ended, or time ran out, before a whole answer had come."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names in lower case, `seconds` from the first byte sent to the last received."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Connection:
    """One connection to the server, opened when it is needed and again after it was closed."""

    def __init__(self, port: int, deadline: float) -> None:
        self._port = port
        self._deadline = deadline
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, raw: bytes, method: str, *, closes: bool = False) -> Answer:
        """Send a request and return its answer. Raises `Dropped`.

        A kept connection that turns out to be closed is opened again once, as every client does. After a
        request that `closes`, or an answer that says so, the next one gets a new connection.
        """
        for attempt in (1, 2):
            fresh = self._streams is None
            try:
                async with asyncio.timeout(self._deadline):
                    answer = await self._exchange(raw, method)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                await self.close()
                if fresh or attempt == 2 or isinstance(error, TimeoutError):
                    raise Dropped(f"{type(error).__name__}: {error}") from None
                continue
            if closes or answer.headers.get("connection", "").lower() == "close":
                await self.close()
            return answer
        raise AssertionError("not reached")

    async def close(self) -> None:
        """Close the connection if it is open."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, raw: bytes, method: str) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=_LARGEST_HEAD)
        reader, writer = self._streams
        begun = time.perf_counter()
        writer.write(raw)
        # The answer may come before the whole request is out, and then end the connection.
        sending = asyncio.create_task(writer.drain())
        try:
            status, headers = await _read_head(reader)
            while status == 100:
                status, headers = await _read_head(reader)
            body = await _read_body(reader, method, status, headers)
            seconds = time.perf_counter() - begun
        finally:
            if not sending.done():
                await asyncio.wait([sending], timeout=1)
            sending.cancel()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await sending
        return Answer(status, headers, body, seconds)


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    version, status, *_ = first.split(" ")
    if version != "HTTP/1.1":
        raise ValueError(f"no answer begins with {first[:60]!r}")
    return int(status), {
        name.lower(): value.strip() for name, _, value in (ln.partition(":") for ln in lines)
    }


async def _read_body(
    reader: asyncio.StreamReader, method: str, status: int, headers: Mapping[str, str]
) -> bytes:
    if method.upper() == "HEAD" or status in (204, 304):
        return b""
    if "content-length" not in headers:
        raise ValueError("an answer without a length")
    return await reader.readexactly(int(headers["content-length"]))
