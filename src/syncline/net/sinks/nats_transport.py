"""The connection of the NATS client: to permitted addresses only, nothing in the clear if TLS is asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport

from syncline.net.sinks.base import SinkFailure

Permitted = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host and port that may be reached; raises `SinkFailure` if there is none."""


class GuardedTransport(TcpTransport):
    """A TCP connection to an address that was resolved and checked just before."""

    def __init__(self, permitted: Permitted, *, encrypted: bool) -> None:
        """With `encrypted`, nothing is written before the handshake, even if the server wants none."""
        super().__init__()  # type: ignore[no-untyped-call]  # only the abstract class has types
        self._permitted = permitted
        self._is_clear = not encrypted

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Connect to the first permitted address that answers. Raises `SinkFailure` or `OSError`."""
        host, port = uri.hostname or "", uri.port or 0
        async with asyncio.timeout(connect_timeout):
            reader, writer = await self._open(host, port, buffer_size)
        self._bare_io_reader = self._io_reader = reader
        self._bare_io_writer = self._io_writer = writer

    async def connect_tls(
        self,
        uri: str | ParseResult,
        ssl_context: ssl.SSLContext,
        buffer_size: int,
        connect_timeout: int,
    ) -> None:
        """Upgrade the connection."""
        await super().connect_tls(uri, ssl_context, buffer_size, connect_timeout)
        self._is_clear = True

    def write(self, payload: bytes) -> None:
        """Send bytes. Raises `SinkFailure` before the handshake that was asked for."""
        self._check_clear()
        super().write(payload)  # type: ignore[no-untyped-call]

    def writelines(self, payload: list[bytes]) -> None:
        """Send bytes. Raises `SinkFailure` before the handshake that was asked for."""
        self._check_clear()
        super().writelines(payload)  # type: ignore[no-untyped-call]

    def __bool__(self) -> bool:
        """Always true: the client would put a transport of its own in the place of one that is not open."""
        return True

    async def _open(
        self, host: str, port: int, buffer_size: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        error: OSError | None = None
        for address in await self._permitted(host, port):
            try:
                return await asyncio.open_connection(address, port, limit=buffer_size)
            except OSError as failed:
                error = failed
        raise error or OSError("no address")

    def _check_clear(self) -> None:
        if not self._is_clear:
            raise SinkFailure("The server does not offer TLS, and a tls:// address asks for it.")
