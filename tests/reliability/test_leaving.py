"""A server that is told to stop answers what is on its way to it; only new connections are refused."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
import uvicorn

from syncline.web.connections import ConnectionGuard, ConnectionLimits
from tests.support.waiting import wait_until

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def serving(leaving: float) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """Run a server in this loop; it has ended when the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    guard = ConnectionGuard(ConnectionLimits(leaving=leaving), lambda _: None)
    server = uvicorn.Server(
        uvicorn.Config(app, http=guard.protocol, lifespan="off", log_config=None, ws="none")
    )
    server.capture_signals = nullcontext  # type: ignore[assignment]
    running = asyncio.create_task(server.serve(sockets=[listener]))
    await wait_until(lambda: server.started)
    yield server, listener.getsockname()[1]
    server.should_exit = True
    await running


async def is_refused(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return True
    writer.close()
    return False


@pytest.mark.parametrize("requests_before", [0, 1])
async def test_a_request_on_its_way_when_the_server_stops_is_answered(requests_before: int) -> None:
    """Such connections used to be closed at once, which reset a request that the client had already sent."""
    async with serving(leaving=60) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(requests_before):
            writer.write(REQUEST)
            await reader.readuntil(b"ok")
        await wait_until(lambda: bool(server.server_state.connections))
        server.should_exit = True
        await wait_until(lambda: is_refused(port))
        writer.write(REQUEST)
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer


async def test_a_connection_that_sends_nothing_does_not_keep_the_server() -> None:
    async with serving(leaving=0.01) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await wait_until(lambda: bool(server.server_state.connections))
        server.should_exit = True
        assert await reader.read() == b""
        writer.close()
