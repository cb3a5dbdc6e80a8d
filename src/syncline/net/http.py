"""The outbound HTTP client of webhooks: one POST, no redirects, nothing trusted, everything bounded."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from syncline import __version__
from syncline.net.dns import SystemResolver
from syncline.net.exchange import Answer, Target, exchange
from syncline.net.policy import AddressPolicy, AddressRefused, parse_url

MAX_BODY = 16 * 1024
KEPT_BODY = 2 * 1024
# Everything that may come before the end of an answer: the bounds above are of the body alone, and heads,
# interim answers, chunk extensions and trailers would otherwise be read as long as they come.
MAX_RECEIVED = 1024 * 1024
MAX_CONNECTIONS = 100
MAX_CONNECTIONS_PER_HOST = 10
# Below the five seconds after which Node.js closes an idle connection: a POST that meets the closing fails.
KEEP_ALIVE_SECONDS = 3.0
# Addresses whose requests are begun from what the last one had; few of them are in use at once.
MAX_TARGETS = 1_000
_ALWAYS = {"User-Agent": f"Syncline/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}

AddressInfo = tuple[int, int, int, str, tuple[object, ...]]


class FailureKind(StrEnum):
    """Why there is no answer."""

    TIMEOUT = "timeout"
    REFUSED = "refused"
    ADDRESS_REFUSED = "address_refused"
    DNS = "dns"
    TLS = "tls"
    CONNECTION = "connection"
    BAD_RESPONSE = "bad_response"


class OutboundFailure(Exception):
    """No answer came; `detail` is one sentence for the owner of the endpoint, without secrets."""

    def __init__(self, kind: FailureKind, detail: str, duration: float) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.duration = duration


@dataclass(frozen=True, slots=True)
class OutboundResponse:
    """An answer: status, headers by lower-case name, the beginning of the body as text, seconds it took."""

    status: int
    headers: Mapping[str, str]
    body_prefix: str
    duration: float


class _SocketRefused(OSError):
    """Carries a refusal through aiohttp, which expects an `OSError` where a socket cannot be made."""

    def __init__(self, refusal: AddressRefused) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class OutboundClient:
    """Posts to addresses that customers chose. Make and close it inside the running event loop."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        connect_timeout: float = 5.0,
        total_timeout: float = 15.0,
        max_body: int = MAX_BODY,
        resolver: AbstractResolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._timeout = aiohttp.ClientTimeout(total=total_timeout, sock_connect=connect_timeout)
        self._max_body = max_body
        self._resolver = resolver or SystemResolver(MAX_CONNECTIONS)
        self._ssl_context = ssl_context
        self._connectors: dict[str, aiohttp.TCPConnector] = {}
        self._targets: dict[str, Target] = {}

    async def __aenter__(self) -> OutboundClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, also those in use."""
        connectors, self._connectors, self._targets = list(self._connectors.values()), {}, {}
        for connector in connectors:
            await connector.close()
        await self._resolver.close()

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name, for `AddressPolicy.check_url`; empty if it does not resolve."""
        try:
            found = await self._resolver.resolve(host, port, family=socket.AF_UNSPEC)
        except OSError:
            return []
        return [result["host"] for result in found]

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> OutboundResponse:
        """Send the bytes as they are and return the answer, whatever its status; redirects are answers.

        At most 16 KiB of the answer are read and 2 KiB kept. Raises `OutboundFailure` if no complete answer
        came in time.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(self._timeout.total):
                target = self._targets.get(url) or self._target(url)
                request = target.written(body, headers)
                answer = await exchange(target, request, self._timeout, self._max_body)
            return OutboundResponse(answer.status, answer.headers, _prefix(answer), clock() - started)
        except (aiohttp.ClientError, AddressRefused, OSError, TimeoutError, ValueError) as error:
            kind, detail = explain_failure(error)
            raise OutboundFailure(kind, detail, clock() - started) from error

    def _target(self, url: str) -> Target:
        parsed = parse_url(url)
        if len(self._targets) >= MAX_TARGETS:
            self._targets.clear()
        target = Target(parsed, self._connector(parsed.scheme), _ALWAYS)
        self._targets[url] = target
        return target

    def _connector(self, scheme: str) -> aiohttp.TCPConnector:
        """Return the connector of a scheme: plain http obeys a stricter rule at connect time."""
        connector = self._connectors.get(scheme)
        if connector is None:
            connector = self._connectors[scheme] = guarded_connector(
                self._policy, self._resolver, plain=scheme == "http", ssl_context=self._ssl_context
            )
        return connector


def _prefix(answer: Answer) -> str:
    """Return the kept beginning of the body."""
    if not answer.body:
        return ""
    encoding = answer.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        return f"[{len(answer.body)} bytes encoded as {encoding[:40]}]"
    return answer.body[:KEPT_BODY].decode("utf-8", "replace").replace("\x00", "")


def guarded_connector(
    policy: AddressPolicy,
    resolver: AbstractResolver,
    *,
    plain: bool,
    ssl_context: ssl.SSLContext | None = None,
    largest: int = MAX_RECEIVED,
) -> aiohttp.TCPConnector:
    """Return what makes connections under the address policy, none of which reads more than `largest` bytes.

    `plain`: for http, which obeys a stricter rule. Call it inside the running event loop.
    """
    guard = _Guard(policy, plain=plain)
    connector = aiohttp.TCPConnector(
        limit=MAX_CONNECTIONS,
        limit_per_host=MAX_CONNECTIONS_PER_HOST,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        resolver=_GuardedResolver(resolver, guard),
        socket_factory=guard.open_socket,
        ssl=ssl_context or True,
    )
    # aiohttp has no other way to see what is no body.
    protocol = partial(_BoundedProtocol, loop=asyncio.get_running_loop(), largest=largest)
    connector._factory = cast("partial[ResponseHandler]", protocol)
    return connector


class _BoundedProtocol(ResponseHandler):
    """Reads answers from a connection and cuts off one that is larger than any real one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, largest: int = MAX_RECEIVED) -> None:
        super().__init__(loop)
        self._largest = largest
        self._received = 0

    def set_response_params(self, **parameters: Any) -> None:
        """Begin with the next answer."""
        self._received = 0
        super().set_response_params(**parameters)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._received += len(data)
        if self._received > self._largest:
            too_large = aiohttp.ClientPayloadError("the answer is too large")
            if self._payload is not None:
                self._payload.set_exception(too_large)
            self.set_exception(too_large)
            self.abort()
            return
        super().data_received(data)


class _Guard:
    """Applies the address policy to the address a socket is about to be connected to."""

    def __init__(self, policy: AddressPolicy, *, plain: bool) -> None:
        self._check = policy.check_plain if plain else policy.check

    def refusal(self, host: str, port: int) -> AddressRefused | None:
        """Return why an address is refused, `None` if it is not."""
        try:
            self._check(host, port)
        except AddressRefused as refusal:
            return refusal
        return None

    def open_socket(self, info: AddressInfo) -> socket.socket:
        """Make the socket for an address; the only place where the client makes one."""
        family, kind, protocol, _, address = info
        refusal = self.refusal(str(address[0]), int(str(address[1])))
        if refusal is not None:
            raise _SocketRefused(refusal)
        return socket.socket(family=family, type=kind, proto=protocol)


class _GuardedResolver(AbstractResolver):
    """Takes refused addresses out of answers, so that a name with a public and an inner one still works."""

    def __init__(self, inner: AbstractResolver, guard: _Guard) -> None:
        self._inner = inner
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the permitted addresses; raise the first refusal if there are only others."""
        results = await self._inner.resolve(host, port, family)
        judged = [(result, self._guard.refusal(result["host"], port)) for result in results]
        permitted = [result for result, refusal in judged if refusal is None]
        refusals = [refusal for _, refusal in judged if refusal is not None]
        if not permitted and refusals:
            raise _SocketRefused(refusals[0])
        return permitted

    async def close(self) -> None:
        """Leave the inner resolver open: both sessions use it."""


def explain_failure(error: BaseException) -> tuple[FailureKind, str]:
    """Return what to tell about a failure; the order matters, since aiohttp's errors have several parents."""
    refusal = next((cause for cause in _causes(error) if isinstance(cause, AddressRefused)), None)
    if refusal is not None:
        return FailureKind.ADDRESS_REFUSED, refusal.reason
    if isinstance(error, TimeoutError):
        return FailureKind.TIMEOUT, "No complete answer came in time."
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return FailureKind.DNS, "The host name does not resolve."
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError, ssl.CertificateError)):
        return FailureKind.TLS, _tls_detail(error)
    if isinstance(error, ConnectionRefusedError) or any(
        isinstance(cause, ConnectionRefusedError) for cause in _causes(error)
    ):
        return FailureKind.REFUSED, "The connection was refused."
    if isinstance(error, (aiohttp.ClientResponseError, aiohttp.ClientPayloadError)):
        return FailureKind.BAD_RESPONSE, "The answer is not valid HTTP."
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return FailureKind.CONNECTION, "The connection failed before a complete answer came."
    return FailureKind.BAD_RESPONSE, "The request could not be sent or its answer not be read."


def _tls_detail(error: BaseException) -> str:
    for cause in _causes(error):
        # aiohttp's own certificate error is of this class as well, and has no message.
        if isinstance(cause, ssl.SSLCertVerificationError) and not isinstance(cause, aiohttp.ClientError):
            return f"The certificate is not accepted: {cause.verify_message}."
    return "The TLS handshake failed."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and everything it wraps."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        cause = pending.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        pending += [
            cause.__cause__,
            getattr(cause, "os_error", None),
            getattr(cause, "certificate_error", None),
        ]
        pending.append(getattr(cause, "refusal", None))
