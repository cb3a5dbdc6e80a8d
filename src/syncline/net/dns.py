"""Name lookups: addresses for the HTTP client, TXT records as proof that an organization owns a domain."""

from __future__ import annotations

import asyncio
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
from aiohttp.abc import AbstractResolver, ResolveResult

_DNS_PORT = 53
_SERVER = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<v4>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?")


class DnsFailure(Exception):
    """The question could not be answered right now; it says nothing about the record."""


class DnsClient:
    """Asks the machine's name servers, or one given as `host:port`."""

    def __init__(self, server: str | None = None, *, timeout: float = 5.0) -> None:
        """Take `127.0.0.1:5353`, `192.0.2.53` or `[::1]:53`, or nothing for the machine's own servers.

        Raises `ValueError` for a server that is not an IP address with an optional port.
        """
        self._resolver = dns.asyncresolver.Resolver(configure=server is None)
        if server is not None:
            host, port = _read_server(server)
            self._resolver.nameservers = [host]
            self._resolver.port = port
        self._resolver.lifetime = timeout
        # Verification is asked for right after the record was made: an old answer would be the wrong one.
        self._resolver.cache = None

    async def txt(self, name: str) -> tuple[str, ...]:
        """Return the TXT values of a name, the chunks of each joined; empty if there are none.

        Raises `DnsFailure` if no server answers or the name cannot be asked for.
        """
        try:
            answer = await self._resolver.resolve(name, "TXT", search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise DnsFailure(f"The TXT lookup of '{name}' failed: {type(error).__name__}.") from error
        return tuple(b"".join(record.strings).decode("utf-8", "replace") for record in answer)


class SystemResolver(AbstractResolver):
    """Asks the operating system, as every other program on the machine does, in threads of its own.

    The event loop's shared threads are few: a handful of names whose servers do not answer would keep
    everybody else waiting.
    """

    def __init__(self, threads: int) -> None:
        """Take the number of lookups that may be under way at once."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name; raises `OSError` if there are none."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Let running lookups end by themselves and start no others."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _read_server(text: str) -> tuple[str, int]:
    match = _SERVER.fullmatch(text)
    if match is None:
        # IPv6 without brackets has colons of its own and therefore no port.
        return str(ip_address(text)), _DNS_PORT
    port = int(match["port"] or _DNS_PORT)
    if not 1 <= port <= 65535:
        raise ValueError(f"'{text}' names no possible port")
    return str(ip_address(match["v6"] or match["v4"])), port
