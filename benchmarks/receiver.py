"""A receiver of webhooks that costs next to nothing, in a process of its own.

`python -m benchmarks.receiver` prints its port, answers every POST with 200, and tells in answer to a GET
what arrived since the last one.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httptools
import msgspec
import uvloop


class _Event(msgspec.Struct):
    created_at: str


class Arrived(msgspec.Struct):
    """What came in: when each request was complete, and how long after its event was recorded, in seconds."""

    moments: list[float]
    lags: list[float]


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running receiver."""

    url: str

    def take(self) -> Arrived:
        """Return what arrived since the last call."""
        with urllib.request.urlopen(self.url) as answer:
            return msgspec.json.decode(answer.read(), type=Arrived)


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver for the time of the context."""
    command = [sys.executable, "-m", "benchmarks.receiver"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Receiver(f"http://127.0.0.1:{int(process.stdout.readline())}/")
        finally:
            process.terminate()


_TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Event).decode


class _Protocol(asyncio.Protocol):
    def __init__(self, arrived: Arrived) -> None:
        self._arrived = arrived
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        body, self._body = b"".join(self._body), []
        arrived = self._arrived
        if self._parser.get_method() == b"GET":
            text = _encode(arrived)
            arrived.moments, arrived.lags = [], []
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
            return
        self._transport.write(_TAKEN)
        now = time.time()
        arrived.moments.append(now)
        arrived.lags.append(now - datetime.fromisoformat(_decode(body).created_at).timestamp())


async def _serve() -> None:
    arrived = Arrived([], [])
    server = await asyncio.get_running_loop().create_server(lambda: _Protocol(arrived), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve())
