"""The HTTP client of the developer commands: calls of a Syncline, and posts to a developer's machine.

The address policy of webhooks does not apply here. It protects a server from addresses that its customers
chose; these addresses are chosen by the person at the keyboard, whose machine could reach them anyway, and
most of them are on loopback.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import msgspec
from yarl import URL

from syncline import __version__

S = TypeVar("S", bound=msgspec.Struct)
Query = Mapping[str, str | int | None]
MAX_KEPT = 2 * 1024
RECEIVER_SECONDS = 15.0
_RETRIABLE = (429, 500, 502, 503, 504)
# As long as the server waits for a webhook endpoint.
_RECEIVER_TIMEOUT = aiohttp.ClientTimeout(total=RECEIVER_SECONDS, sock_connect=5.0)


class ApiUnreachable(Exception):
    """No answer came; the sentence says what to do."""


class ApiRefused(Exception):
    """Syncline answered with an error; `message` is its sentence, `code` its code or an empty text."""

    def __init__(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after

    @property
    def may_pass(self) -> bool:
        """Tell whether the same call may succeed later by itself."""
        return self.status in _RETRIABLE


class EventPage(msgspec.Struct, frozen=True):
    """A page of the Events API; the events are the exact bytes that webhooks carry."""

    class Metadata(msgspec.Struct, frozen=True):
        """The cursors of the page."""

        after: str | None = None
        cursor: str | None = None

    data: list[msgspec.Raw]
    list_metadata: Metadata


@dataclass(frozen=True, slots=True)
class ReceiverAnswer:
    """How a post to a developer's machine ended: a status, or the sentence why there is none."""

    status: int | None
    error: str | None
    seconds: float
    text: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether the receiver took it: 2xx, as for every webhook."""
        return self.status is not None and 200 <= self.status < 300


class ApiClient:
    """Calls of one Syncline with one API key. Make and close it inside the running event loop."""

    def __init__(self, url: str, api_key: str, *, timeout: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._api_key = api_key
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=5.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"Syncline/{__version__}", "Accept": "application/json"},
        )

    async def __aenter__(self) -> ApiClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Query | None = None,
        scim_token: str | None = None,
    ) -> Any:
        """Return the decoded answer of one call, None for an empty one.

        With `scim_token` the call is a provider's: another credential and another type of content. Raises
        `ApiRefused` and `ApiUnreachable`.
        """
        raw = await self._request(method, path, body, query=query, scim_token=scim_token)
        return _decoded(raw, None) if raw else None

    async def upload(self, path: str, raw: bytes, media: str, *, query: Query | None = None) -> Any:
        """Return the decoded answer of a POST whose body is a piece of a file. Raises as `call` does."""
        answer = await self._request("POST", path, raw, query=query, media=media)
        return _decoded(answer, None)

    async def events(self, query: Query) -> EventPage:
        """Return a page of the Events API. Raises `ApiRefused` and `ApiUnreachable`."""
        raw = await self._request("GET", "/events", None, query=query)
        page: EventPage = _decoded(raw, EventPage)
        return page

    async def pages(self, path: str, query: Query | None = None) -> list[dict[str, Any]]:
        """Return every item of a list, oldest first."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = await self.call(
                "GET", path, query={**(query or {}), "order": "asc", "limit": 100, "after": after}
            )
            found += page["data"]
            after = page["list_metadata"]["after"]
            if after is None:
                return found

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> ReceiverAnswer:
        """Send the bytes as they are to a receiver; never raises for what it does. Redirects are answers."""
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with self._session.post(
                URL(url), data=body, headers=headers, allow_redirects=False, timeout=_RECEIVER_TIMEOUT
            ) as answer:
                kept = await answer.content.read(MAX_KEPT)
                if not answer.content.at_eof():
                    answer.close()
                return ReceiverAnswer(answer.status, None, clock() - started, kept.decode("utf-8", "replace"))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return ReceiverAnswer(None, _explain(error), clock() - started)

    async def _request(
        self,
        method: str,
        path: str,
        body: object,
        *,
        query: Query | None = None,
        scim_token: str | None = None,
        media: str | None = None,
    ) -> bytes:
        kind = media or ("application/json" if scim_token is None else "application/scim+json")
        headers = {"Authorization": f"Bearer {scim_token or self._api_key}"}
        if body is not None:
            headers["Content-Type"] = kind
        target = URL(self.url + path).with_query(
            {name: str(value) for name, value in (query or {}).items() if value is not None}
        )
        try:
            async with self._session.request(
                method,
                target,
                data=body if body is None or isinstance(body, bytes) else msgspec.json.encode(body),
                headers=headers,
                # A redirect would carry the key to another place.
                allow_redirects=False,
            ) as answer:
                raw = await answer.read()
                if not 200 <= answer.status < 300:
                    raise _refusal(answer.status, raw, answer.headers.get("Retry-After"))
                return raw
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ApiUnreachable(
                f"Syncline does not answer at {self.url}: {_explain(error)} "
                "Start it with `syncline up`, or name another address with --url or SYNCLINE_URL."
            ) from None


def _decoded(raw: bytes, into: type[S] | None) -> Any:
    try:
        return msgspec.json.decode(raw) if into is None else msgspec.json.decode(raw, type=into)
    except msgspec.DecodeError:
        raise ApiUnreachable(
            "What answers at this address is not Syncline: check --url and SYNCLINE_URL."
        ) from None


def _refusal(status: int, raw: bytes, retry_after: str | None) -> ApiRefused:
    """Return the error of an answer: the API's, SCIM's, or one sentence about what came instead."""
    try:
        found = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict):
        found = {}
    codes = [str(one.get("code")) for one in found.get("errors", ()) if isinstance(one, dict)]
    code = str(found.get("code") or found.get("scimType") or "")
    message = str(found.get("message") or found.get("detail") or f"The server answered {status}.")
    if codes and codes != [code]:
        message = f"{message} ({', '.join(codes)})"
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return ApiRefused(status, code, message, seconds)


def _explain(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no complete answer came in time."
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name does not resolve."
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return "the TLS handshake failed or the certificate is not accepted."
    cause = getattr(error, "os_error", error)
    if isinstance(cause, ConnectionRefusedError):
        return "the connection is refused."
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return "the connection failed before a complete answer came."
    return "the answer is not valid HTTP."
