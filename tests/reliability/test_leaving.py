"""A server that is told to stop answers what is on its way to it; only new connections are refused."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
import uvicorn

from syncline.cli.listener import leave, listen
from syncline.web.connections import ConnectionGuard, ConnectionLimits
from tests.support.waiting import wait_until

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def serving(leaving: float) -> AsyncIterator[tuple[uvicorn.Server, socket.socket]]:
    """Run a server in this loop; it has ended when the block ends."""
    listener = listen("127.0.0.1", 0)
    guard = ConnectionGuard(ConnectionLimits(leaving=leaving, arriving=leaving), lambda _: None)
    server = uvicorn.Server(
        uvicorn.Config(app, http=guard.protocol, lifespan="off", log_config=None, ws="none")
    )
    server.capture_signals = nullcontext  # type: ignore[assignment]
    running = asyncio.create_task(server.serve(sockets=[listener]))
    await wait_until(lambda: server.started)
    yield server, listener
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
    async with serving(leaving=60) as (server, listener):
        port = listener.getsockname()[1]
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
    async with serving(leaving=0.01) as (server, listener):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        await wait_until(lambda: bool(server.server_state.connections))
        server.should_exit = True
        assert await reader.read() == b""
        writer.close()


async def test_connections_that_nobody_has_accepted_yet_are_answered() -> None:
    """Closing the socket used to reset them, with the requests that were in them already."""
    async with serving(leaving=0.5) as (server, listener):
        clients = [socket.create_connection(listener.getsockname()) for _ in range(20)]
        for client in clients:
            client.sendall(REQUEST)
        await leave(listener)
        server.should_exit = True
        answers = await asyncio.gather(*(asyncio.to_thread(client.recv, 1000) for client in clients))
        for client in clients:
            client.close()
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 20


async def test_who_connects_while_the_server_leaves_is_turned_away_and_not_cut_off() -> None:
    async with serving(leaving=0.01) as (server, listener):
        port = listener.getsockname()[1]
        await leave(listener)
        refused = asyncio.create_task(is_refused(port))
        await asyncio.sleep(0.1)
        assert not server.server_state.connections
        server.should_exit = True
        assert await refused
