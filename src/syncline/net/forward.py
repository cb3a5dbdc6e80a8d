"""Sends a request on as it came, and returns the answer as it came: for a proxy that an operator starts.

The address policy does not apply: the operator who starts the proxy names both addresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
from yarl import URL

MAX_ANSWER = 64 * 1024 * 1024
# What belongs to a connection and not to the message (RFC 9110 §7.6.1), and what the client makes itself.
_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"host",
        b"content-length",
        b"expect",
    }
)

Header = tuple[bytes, bytes]


class ForwardFailed(Exception):
    """No complete answer came; the sentence holds nothing of the request."""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """An answer as it came, without what belongs to the connection."""

    status: int
    headers: Sequence[Header]
    body: bytes


class Forwarder:
    """Sends requests to one service. Make and close it inside the running event loop."""

    def __init__(self, base_url: str, *, seconds: float = 90.0) -> None:
        self._base = base_url.rstrip("/")
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=10.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def send(self, method: str, target: str, headers: Sequence[Header], body: bytes) -> Forwarded:
        """Send a request to the service; `target` is the raw path with its query. Raises `ForwardFailed`."""
        passed = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in headers
            if name.lower() not in _HOP
        ]
        try:
            async with self._session.request(
                method,
                # The path as it came: another spelling of it would be another request.
                URL(self._base + target, encoded=True),
                headers=passed,
                data=body or None,
                allow_redirects=False,
            ) as answer:
                raw = await _read(answer)
                kept = [(name, value) for name, value in answer.raw_headers if name.lower() not in _HOP]
                return Forwarded(answer.status, kept, raw)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ForwardFailed(f"no complete answer came ({type(error).__name__})") from None


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := await answer.content.read(64 * 1024):
        size += len(chunk)
        if size > MAX_ANSWER:
            answer.close()
            raise ValueError("the answer is too large")
        chunks.append(chunk)
        await asyncio.sleep(0)
    return b"".join(chunks)
