"""TXT lookups against a real name server on the loopback address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from syncline.net.dns import DnsClient, DnsFailure

RECORDS = {
    "northwind.example.": ['"verification_token=abc"', '"v=spf1 -all"'],
    "long.example.": ['"' + "a" * 255 + '" "' + "b" * 45 + '"'],
    "strange.example.": ['"\\255\\254x"'],
}


class NameServer(asyncio.DatagramProtocol):
    """Answers TXT questions from a table; names that begin with `broken` fail, `silent` gets no answer."""

    def __init__(self) -> None:
        self.questions: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text()
        self.questions.append(name)
        if name.startswith("silent"):
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if name.startswith("broken"):
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name in RECORDS:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *RECORDS[name]))
        elif not name.startswith("bare"):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(answer.to_wire(), address)


@asynccontextmanager
async def name_server() -> AsyncIterator[tuple[NameServer, str]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    try:
        yield server, "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("northwind.example", {"verification_token=abc", "v=spf1 -all"}),
        ("northwind.example.", {"verification_token=abc", "v=spf1 -all"}),
        ("long.example", {"a" * 255 + "b" * 45}),
        ("strange.example", {"\ufffd\ufffdx"}),
        ("missing.example", set()),
        ("bare.example", set()),
    ],
)
async def test_all_values_of_a_name_are_returned(name: str, expected: set[str]) -> None:
    async with name_server() as (_, address):
        assert set(await DnsClient(address).txt(name)) == expected


@pytest.mark.parametrize(
    "name", ["silent.example", "broken.example", "a..b", "x" * 64 + ".example", "ä" * 80]
)
async def test_a_lookup_without_an_answer_says_nothing_about_the_record(name: str) -> None:
    async with name_server() as (_, address):
        with pytest.raises(DnsFailure):
            await DnsClient(address, timeout=0.3).txt(name)


async def test_every_lookup_asks_anew() -> None:
    async with name_server() as (server, address):
        client = DnsClient(address)
        for _ in range(2):
            await client.txt("northwind.example")
    assert server.questions == ["northwind.example."] * 2


@pytest.mark.parametrize("server", ["localhost", "127.0.0.1:0", "127.0.0.1:x", "", "[::1", "127.0.0.1:70000"])
def test_a_server_that_is_no_address_is_an_error(server: str) -> None:
    with pytest.raises(ValueError, match=r"port|address"):
        DnsClient(server)


@pytest.mark.parametrize("server", ["127.0.0.1", "::1", "[::1]:53", "127.0.0.1:5353", None])
def test_servers_are_read_in_these_spellings(server: str | None) -> None:
    DnsClient(server)
