"""Clients that send a byte now and then, or nothing, or do not read: they are cut, and nobody else waits."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.hostile.wire import Connection
from tests.support.databases import sqlite_url
from tests.support.processes import Process
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

KEY = "sk_test_0123456789abcdefghijkl"
SLOW = 500
HEAD_SECONDS = 2
# Whoever waits for slow clients waits for their deadlines. Other tests run beside this one on two cores, so
# the bound is no figure: half a second is what an idle machine keeps.
LONGEST = 1.9
# Making thirty times 800 kB takes a while on a busy machine, for which everybody waits.
WHILE_DEAF = 6.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running Syncline with one directory."""

    port: int
    scim_path: str
    token: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def head(self, method: str, path: str, *headers: str) -> bytes:
        """Return the head of a SCIM request."""
        lines = [
            f"{method} {self.scim_path}{path} HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {self.token}",
        ]
        return "\r\n".join([*lines, *headers, "", ""]).encode()

    async def overloads(self) -> str:
        """Return what the metrics say about connections that were cut."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{self.url}/metrics")).text
        return "\n".join(line for line in text.splitlines() if line.startswith("syncline_overloads_total"))


@asynccontextmanager
async def running(folder: Path, port: int, **more: str) -> AsyncIterator[Server]:
    """Run a process whose deadline for heads is short."""
    settings = {
        "database_url": sqlite_url(folder / "slow.db"),
        "port": str(port),
        "api_key": KEY,
        "head_seconds": str(HEAD_SECONDS),
        **more,
    }
    with Process(folder, "up", **settings) as process:
        await asyncio.to_thread(process.await_ready, f"http://127.0.0.1:{port}")
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as api:
            organization = (await api.post("/organizations", json={"name": "Northwind"})).json()
            body = {"organization_id": organization["id"], "name": "x", "type": "generic scim v2.0"}
            made = (await api.post("/directories", json=body)).json()
        key = made["id"].removeprefix("directory_")
        yield Server(port, f"/scim/v2/{key}", made["scim"]["bearer_token"])
        # Whatever slow clients are left do not keep a process from stopping.
        await asyncio.to_thread(process.terminate)


class Slow:
    """A client that sends the next byte of its bytes whenever it is told to; it notices when it is cut."""

    def __init__(self, raw: bytes) -> None:
        self._rest = raw
        self.is_cut = False
        self.answer = b""

    async def connect(self, port: int) -> None:
        """Open the connection and watch it."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        self._watching = asyncio.create_task(self._watch())

    def drip(self) -> None:
        """Send one byte more, if there is one."""
        if not self.is_cut and self._rest:
            self._writer.write(self._rest[:1])
            self._rest = self._rest[1:]

    async def close(self) -> None:
        """Hang up."""
        self._watching.cancel()
        self._writer.transport.abort()

    async def _watch(self) -> None:
        try:
            while chunk := await self._reader.read(1024):
                self.answer += chunk
        except OSError:
            pass
        self.is_cut = True


@asynccontextmanager
async def slow_clients(port: int, make: Callable[[int], bytes], count: int) -> AsyncIterator[list[Slow]]:
    """Connect clients, each with bytes of its own, and let them drip until the block ends."""
    clients = [Slow(make(n)) for n in range(count)]
    try:
        for client in clients:
            await client.connect(port)

        async def drip() -> None:
            while True:
                for client in clients:
                    client.drip()
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        yield clients
        dripping.cancel()
    finally:
        for client in clients:
            await client.close()


async def healthy(server: Server, until: Callable[[], bool], deadline: float) -> list[float]:
    """Be four ordinary clients until something is so; return the seconds of each of their answers."""
    seconds: list[float] = []
    ends = time.monotonic() + deadline

    async def work(number: int) -> None:
        connection = Connection(server.port, deadline=10)
        done = 0
        while not until():
            assert time.monotonic() < ends, "the slow clients are still connected"
            body = json.dumps({"userName": f"user{number}-{done}"}).encode()
            lengths = (f"Content-Length: {len(body)}", "Content-Type: application/json")
            made = await connection.send(server.head("POST", "/Users", *lengths) + body, "POST")
            assert made.status == 201, made.body
            read = await connection.send(server.head("GET", "/Users?count=1"), "GET")
            assert read.status == 200
            seconds.extend((made.seconds, read.seconds))
            done += 1
        await connection.close()

    await asyncio.gather(*(work(number) for number in range(4)))
    return seconds


def p99(seconds: list[float]) -> float:
    """Return the time that all but one in a hundred stay below."""
    return sorted(seconds)[int(len(seconds) * 0.99)]


async def test_slow_heads_are_cut_and_nobody_else_waits(tmp_path: Path, unused_port: int) -> None:
    async with running(tmp_path, unused_port) as server:

        def raw(number: int) -> bytes:
            # Nothing at all, a line that never ends, headers that never end, blank lines for ever.
            endless = (b"", b"GET /" + b"x" * 5000, server.head("GET", "/Users")[:-2] + b"X: y\r\n" * 900)
            return (*endless, b"\r\n" * 2500)[number % 4]

        async with slow_clients(server.port, raw, SLOW) as clients:
            seconds = await healthy(server, lambda: all(one.is_cut for one in clients), 30)
        assert len(seconds) > 100
        assert p99(seconds) < LONGEST, f"p99 {p99(seconds):.3f} s over {len(seconds)} answers"
        cut = await server.overloads()
    assert f'reason="slow_head"}} {SLOW}.0' in cut


async def test_slow_bodies_are_cut_with_an_answer_and_nobody_else_waits(
    tmp_path: Path, unused_port: int
) -> None:
    async with running(tmp_path, unused_port) as server:

        def raw(number: int) -> bytes:
            length = "Content-Length: 90000"
            heads = (
                server.head("POST", "/Users", length),
                server.head("POST", "/Users", "Transfer-Encoding: chunked") + b"4000\r\n",
                server.head("POST", "/Users", length).replace(b"Bearer", b"Bearer x"),
                f"POST /organizations HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\n{length}\r\n\r\n".encode(),
            )
            return heads[number % 4]

        clients = [Slow(b'{"userName": "' + b"x" * 5000) for _ in range(SLOW)]
        for number, client in enumerate(clients):
            await client.connect(server.port)
            # The head at once: it has a deadline of its own.
            client._writer.write(raw(number))

        async def drip() -> None:
            while True:
                for client in clients:
                    client.drip()
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        seconds = await healthy(server, lambda: all(one.is_cut for one in clients), 40)
        dripping.cancel()
        assert p99(seconds) < LONGEST, f"p99 {p99(seconds):.3f} s over {len(seconds)} answers"
        answers = {number: {one.answer[9:12] for one in clients[number::4]} for number in range(4)}
        assert answers == {0: {b"408"}, 1: {b"408"}, 2: {b"401"}, 3: {b"400"}}
        for client in clients:
            await client.close()


async def test_idle_and_slow_connections_make_room_when_there_are_too_many(
    tmp_path: Path, unused_port: int
) -> None:
    async with running(tmp_path, unused_port, max_connections="50") as server:
        async with slow_clients(server.port, lambda _: b"GET /" + b"x" * 5000, 200) as clients:
            # Far more connections than there is room for: new ones take the place of those that only wait.
            await wait_until(lambda: sum(one.is_cut for one in clients) >= 150, 10)
            answer = await Connection(server.port, 5).send(server.head("GET", "/Users"), "GET")
            assert answer.status == 200
        cut = await server.overloads()
    assert 'reason="connections"}' in cut


async def test_an_answer_nobody_reads_costs_others_nothing(tmp_path: Path, unused_port: int) -> None:
    async with running(tmp_path, unused_port) as server:
        connection = Connection(server.port, deadline=30)
        operations = [
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": str(n),
                "data": {"userName": f"u{n}", "title": "x" * 20_000},
            }
            for n in range(40)
        ]
        body = json.dumps({"Operations": operations}).encode()
        made = await connection.send(
            server.head("POST", "/Bulk", f"Content-Length: {len(body)}") + body, "POST"
        )
        assert made.status == 200
        # Thirty clients ask for 800 kB several times each and read nothing.
        deaf = [Slow(b"") for _ in range(30)]
        for client in deaf:
            client._reader, client._writer = await asyncio.open_connection(
                "127.0.0.1", server.port, limit=1024
            )
            client._watching = asyncio.create_task(asyncio.sleep(0))
            client._writer.write(server.head("GET", "/Users") * 20)
        begun = time.monotonic()
        seconds = await healthy(server, lambda: time.monotonic() - begun > 3, 30)
        # Whoever waited for the deaf would wait for as long as they are there.
        assert p99(seconds) < WHILE_DEAF, f"p99 {p99(seconds):.3f} s over {len(seconds)} answers"
        for client in deaf:
            await client.close()
