"""The outbound client for documents that an app exposes: GET, streamed, bounded, under the address policy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from syncline import __version__
from syncline.net.dns import SystemResolver
from syncline.net.http import FailureKind, OutboundFailure, explain_failure, guarded_connector
from syncline.net.policy import AddressPolicy, AddressRefused, parse_url

PAGE_SECONDS = 120.0
SILENCE_SECONDS = 30.0
MAX_PAGE = 256 * 1024 * 1024
_CONNECT_SECONDS = 5.0
_CHUNK = 64 * 1024
_HEADERS = {"User-Agent": f"Syncline/{__version__}", "Accept-Encoding": "identity"}

_FAILURES = (aiohttp.ClientError, AddressRefused, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Page:
    """An answer whose body is still to come: status, headers in lower case, and the pieces of the body.

    Reading the pieces raises `OutboundFailure` for a body that breaks off, takes too long or is too large.
    """

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]

    @property
    def media_type(self) -> str:
        """The type of the content, in lower case and without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class PageClient:
    """Gets documents from addresses that customers chose. Make and close it inside the running event loop."""

    def __init__(self, policy: AddressPolicy, *, resolver: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._resolver = resolver or SystemResolver(2)
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> PageClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions.values():
            await session.close()
        await self._resolver.close()

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[Page]:
        """Ask for a document; redirects are answers. Raises `OutboundFailure` if no answer came in time."""
        try:
            target = parse_url(url)
            answer = await self._session(target).get(target, headers=headers, allow_redirects=False)
        except _FAILURES as error:
            raise _failure(error) from error
        try:
            lowered = {name.lower(): value for name, value in answer.headers.items()}
            yield Page(answer.status, lowered, _pieces(answer))
        finally:
            # What is not read to its end is not to be read at all.
            answer.close()

    def _session(self, target: URL) -> aiohttp.ClientSession:
        session = self._sessions.get(target.scheme)
        if session is None:
            session = self._sessions[target.scheme] = aiohttp.ClientSession(
                connector=guarded_connector(
                    self._policy, self._resolver, plain=target.scheme == "http", largest=MAX_PAGE + _CHUNK
                ),
                timeout=aiohttp.ClientTimeout(
                    total=PAGE_SECONDS, sock_connect=_CONNECT_SECONDS, sock_read=SILENCE_SECONDS
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                headers=_HEADERS,
            )
        return session


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise OutboundFailure(FailureKind.BAD_RESPONSE, "The answer is compressed, unasked.", 0.0)
    size = 0
    pieces = answer.content.iter_chunked(_CHUNK)
    while True:
        try:
            piece = await anext(pieces, b"")
        except _FAILURES as error:
            raise _failure(error) from error
        if not piece:
            return
        size += len(piece)
        if size > MAX_PAGE:
            raise OutboundFailure(FailureKind.BAD_RESPONSE, "The answer is too large.", 0.0)
        yield piece


def _failure(error: BaseException) -> OutboundFailure:
    kind, detail = explain_failure(error)
    return OutboundFailure(kind, detail, 0.0)
