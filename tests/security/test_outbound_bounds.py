"""Threat: the receiver of a webhook answers so that Syncline works, waits or remembers without end.

What a body may be is in `tests/contract/test_http_client.py`; here an answer never comes to its body, or
hides what it is. Which addresses are reached at all: `tests/security/test_ssrf.py`.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

import pytest

from syncline.net.http import KEPT_BODY, MAX_BODY, MAX_RECEIVED, FailureKind, OutboundClient, OutboundFailure
from syncline.net.policy import AddressPolicy, AddressRefused

LOOPBACK = ["127.0.0.1"]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
# What fits into the buffers of both ends of a connection, beside what was read of it.
IN_FLIGHT = 12_000_000


@dataclass(slots=True)
class Server:
    """A server that answers as it likes."""

    port: int = 0
    sent: int = 0


@asynccontextmanager
async def server(serve: Callable[[Server, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[Server]:
    """Serve every connection so, without reading it first."""
    state = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(state, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            tasks.discard(task)

    running = await asyncio.start_server(connected, "127.0.0.1", 0)
    state.port = running.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        for task in tasks:
            task.cancel()
        running.close()


def endless(head: bytes, piece: bytes) -> Callable[[Server, asyncio.StreamWriter], Awaitable[None]]:
    """Send a beginning, and a piece of it again and again."""

    async def serve(state: Server, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            state.sent += len(piece)
            await writer.drain()

    return serve


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (OK, b"X-A: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 200),
        (OK, b"X-A: " + b"y" * 8_000),
        (b"HTTP/1.1 200 ", b"O" * 8_000),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 200),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 300),
        (CHUNKED + b"5;", b"name=value;" * 800),
        (CHUNKED + b"0\r\n", b"X-A: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 200),
    ],
    ids=["heads", "head", "reason", "early-hints", "continue", "chunk-extensions", "trailers"],
)
async def test_an_answer_that_never_comes_to_its_end_is_cut_off(head: bytes, piece: bytes) -> None:
    async with (
        server(endless(head, piece)) as talker,
        OutboundClient(AddressPolicy(LOOPBACK), total_timeout=30) as client,
    ):
        with pytest.raises(OutboundFailure) as raised:
            await client.post(f"http://127.0.0.1:{talker.port}/", b"{}", {})
    assert raised.value.kind is FailureKind.BAD_RESPONSE
    assert talker.sent < MAX_RECEIVED + IN_FLIGHT


async def test_a_connection_may_carry_more_than_one_answer_may_be() -> None:
    """The bound is of an answer, not of a connection that is used again."""
    body = b"x" * (MAX_BODY // 2)
    answer = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
    answers = MAX_RECEIVED // len(answer) + 10
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while True:
                await reader.readuntil(b"{}")
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with OutboundClient(AddressPolicy(LOOPBACK)) as client:
        url = f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}/"
        for _ in range(answers):
            assert (await client.post(url, b"{}", {})).status == 200
    running.close()
    assert connections == 1


@pytest.mark.parametrize(
    ("head", "drips"),
    [
        (b"", [bytes([letter]) for letter in OK + b"X: " + b"y" * 1_000]),
        (OK, [b"X: y\r\n"] * 1_000),
        (b"", [b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 1_000),
    ],
    ids=["letters", "headers", "interim-answers"],
)
async def test_an_answer_that_drips_ends_with_the_total_time(head: bytes, drips: list[bytes]) -> None:
    async def serve(_: Server, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for drip in drips:
            writer.write(drip)
            await writer.drain()
            await asyncio.sleep(0.02)

    async with (
        server(serve) as slow,
        OutboundClient(AddressPolicy(LOOPBACK), total_timeout=0.3) as client,
    ):
        with pytest.raises(OutboundFailure) as raised:
            await client.post(f"http://127.0.0.1:{slow.port}/", b"{}", {})
    assert raised.value.kind is FailureKind.TIMEOUT


async def test_who_takes_a_connection_and_says_nothing_of_tls_ends_it_with_the_time_to_connect() -> None:
    async def silent(_: Server, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with (
        server(silent) as mute,
        OutboundClient(AddressPolicy(LOOPBACK), connect_timeout=0.3, total_timeout=30) as client,
    ):
        with pytest.raises(OutboundFailure) as raised:
            await client.post(f"https://127.0.0.1:{mute.port}/", b"{}", {})
    assert raised.value.kind is FailureKind.TIMEOUT


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, gzip", "GZIP"])
@pytest.mark.parametrize("framing", ["length", "chunked", "to-the-end"])
async def test_what_is_compressed_is_never_unpacked(coding: str, framing: str) -> None:
    zeros = bytes(5_000_000)
    bomb = zlib.compress(zeros) if coding == "deflate" else gzip.compress(zeros)
    head = OK + f"Content-Encoding: {coding}\r\n".encode()
    body = {
        "length": b"Content-Length: %d\r\n\r\n" % len(bomb) + bomb,
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(bomb) + bomb + b"\r\n0\r\n\r\n",
        "to-the-end": b"Connection: close\r\n\r\n" + bomb,
    }[framing]

    async def serve(_: Server, writer: asyncio.StreamWriter) -> None:
        writer.write(head + body)
        await writer.drain()
        writer.close()

    async with server(serve) as sender, OutboundClient(AddressPolicy(LOOPBACK)) as client:
        response = await client.post(f"http://127.0.0.1:{sender.port}/", b"{}", {})
    assert response.body_prefix == f"[{min(len(bomb), MAX_BODY)} bytes encoded as {coding.lower()}]"


async def test_what_is_compressed_without_saying_so_is_kept_as_it_came() -> None:
    bomb = gzip.compress(bytes(5_000_000))

    async def serve(_: Server, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % len(bomb) + bomb)
        await writer.drain()

    async with server(serve) as sender, OutboundClient(AddressPolicy(LOOPBACK)) as client:
        response = await client.post(f"http://127.0.0.1:{sender.port}/", b"{}", {})
    assert len(response.body_prefix) <= KEPT_BODY
    assert "\x00" not in response.body_prefix


REFUSED = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
"""The special-purpose registries of IANA (RFC 6890 and its updates), as far as nobody public is there."""


def passes(text: str) -> bool:
    """Tell whether a connection is permitted where the operator allows nothing."""
    try:
        AddressPolicy().check(text, 443)
    except AddressRefused:
        return False
    return True


@pytest.mark.parametrize("text", REFUSED)
def test_a_range_is_refused_from_its_first_to_its_last_address(text: str) -> None:
    network = ip_network(text)
    middle = network.network_address + network.num_addresses // 2
    for address in (network.network_address, middle, network.broadcast_address):
        assert not passes(str(address)), address


@pytest.mark.parametrize(
    "text",
    [
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::",
        "2001:db7:ffff::1",
        "2001:db9::",
        "2003::",
        "3ffe:ffff::1",
        "3fff:1000::",
    ],
)
def test_what_lies_beside_a_refused_range_is_reached(text: str) -> None:
    assert ip_address(text).is_global or text.startswith("3fff")
    assert passes(text)
