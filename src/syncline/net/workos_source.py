"""Reads a service that speaks the WorkOS API: one GET at a time, under the address policy.

Operators name the address; it is judged like that of a webhook all the same, because whoever holds an API
key of an environment may name one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from syncline import __version__
from syncline.net.dns import SystemResolver
from syncline.net.http import MAX_CONNECTIONS, FailureKind, explain_failure, guarded_connector
from syncline.net.policy import AddressPolicy, AddressRefused, parse_url

# A page of a hundred people with everything that their provider sent.
MAX_PAGE = 32 * 1024 * 1024
_SECONDS = 60.0
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 3_600.0

Query = Mapping[str, str | int | None]


class SourceRefused(Exception):
    """The source will not answer this call as it is: `status` 0 for an address that may not be reached."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class SourceBusy(Exception):
    """The source cannot answer now; `retry_after` is what it said in seconds, None if it said nothing."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class WorkosSource:
    """One source with its API key. Make and close it inside the running event loop."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        policy: AddressPolicy,
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Raises `SourceRefused` for an address that is none."""
        try:
            self._base = parse_url(base_url.rstrip("/"))
        except AddressRefused as refusal:
            raise SourceRefused(0, refusal.reason) from None
        self._resolver = SystemResolver(MAX_CONNECTIONS)
        self._session = aiohttp.ClientSession(
            connector=guarded_connector(
                policy,
                self._resolver,
                plain=self._base.scheme == "http",
                ssl_context=ssl_context,
                largest=2 * MAX_PAGE,
            ),
            timeout=aiohttp.ClientTimeout(total=_SECONDS, sock_connect=10.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={
                "User-Agent": f"Syncline/{__version__}",
                "Accept": "application/json",
                "Authorization": f"Bearer {api_key}",
            },
        )

    async def __aenter__(self) -> WorkosSource:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._resolver.close()

    async def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """Return the JSON object of an answer. Raises `SourceRefused` and `SourceBusy`."""
        target = URL(f"{self._base}".rstrip("/") + path).with_query(
            {name: str(value) for name, value in (query or {}).items() if value is not None}
        )
        try:
            # A redirect would carry the key to another place.
            async with self._session.get(target, allow_redirects=False) as answer:
                raw = await _read(answer)
                return _decoded(answer, raw)
        except (aiohttp.ClientError, AddressRefused, OSError, TimeoutError) as error:
            kind, detail = explain_failure(error)
            if kind is FailureKind.ADDRESS_REFUSED:
                raise SourceRefused(0, detail) from None
            raise SourceBusy(detail) from None


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_chunked(64 * 1024):
        size += len(chunk)
        if size > MAX_PAGE:
            answer.close()
            raise SourceRefused(answer.status, f"An answer of the source is larger than {MAX_PAGE} bytes.")
        chunks.append(chunk)
        await asyncio.sleep(0)
    return b"".join(chunks)


def _decoded(answer: aiohttp.ClientResponse, raw: bytes) -> dict[str, Any]:
    if answer.status in _BUSY:
        raise SourceBusy(f"The source answered {answer.status}.", _seconds(answer.headers.get("Retry-After")))
    try:
        found = msgspec.json.decode(raw) if raw else None
    except msgspec.DecodeError:
        found = None
    if answer.status == 200 and isinstance(found, dict):
        return found
    said = found.get("message") if isinstance(found, dict) else None
    told = f": {str(said)[:200]}" if said else ""
    raise SourceRefused(answer.status, f"The source answered {answer.status}{told}")


def _seconds(text: str | None) -> float | None:
    if text is None or not text.strip().isdecimal():
        return None
    return min(float(text.strip()), _LONGEST_WAIT)
