"""The ASGI application of the REST API: routes, authentication, idempotency, errors in one form."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from syncline import __version__
from syncline.core.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    SynclineError,
    ValidationFailed,
)
from syncline.core.ids import Prefix
from syncline.core.json import Json, parse_json
from syncline.core.model import Cause
from syncline.obs.logging import get_logger
from syncline.services.api_keys import ApiCaller
from syncline.services.container import Services
from syncline.services.idempotency import KeptAnswer
from syncline.services.kernel import DatabaseUnavailable
from syncline.web.api import (
    api_keys,
    attribute_maps,
    attribute_previews,
    attribute_versions,
    attributes,
    directories,
    directory_users,
    erasure,
    events,
    held_changes,
    history,
    imports,
    memberships,
    organization_domains,
    organizations,
    reconciliations,
    role_grants,
    role_previews,
    role_rules,
    role_set_previews,
    roles,
    webhook_deliveries,
    webhook_endpoints,
)
from syncline.web.api.openapi import document
from syncline.web.api.routing import Answer, Call, Route, read_query
from syncline.web.rates import Rates

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

ROUTES: tuple[Route, ...] = (
    *organizations.ROUTES,
    *organization_domains.ROUTES,
    *directories.ROUTES,
    *attributes.ROUTES,
    *attribute_maps.ROUTES,
    *attribute_previews.ROUTES,
    *attribute_versions.ROUTES,
    *directory_users.ROUTES,
    *history.ROUTES,
    *memberships.ROUTES,
    *erasure.ROUTES,
    *imports.ROUTES,
    *reconciliations.ROUTES,
    *roles.ROUTES,
    *role_rules.ROUTES,
    *role_previews.ROUTES,
    *role_set_previews.ROUTES,
    *role_grants.ROUTES,
    *held_changes.ROUTES,
    *events.ROUTES,
    *webhook_endpoints.ROUTES,
    *webhook_deliveries.ROUTES,
    *api_keys.ROUTES,
)
"""Every call of the API; routing, OpenAPI and the cross-tenant tests are made from it."""

OPENAPI_PATH = "/openapi.json"
MAX_BODY = 1024 * 1024
MAX_URL = 32 * 1024
_BODY_SECONDS = 15.0
_encode = msgspec.json.Encoder().encode
_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes
    headers: Mapping[str, str]


class ApiApp:
    """Serves the routes and the OpenAPI document."""

    def __init__(self, services: Services, rates: Rates | None = None) -> None:
        self._services = services
        self._rates = rates or Rates()
        self._routes = sorted(ROUTES, key=lambda route: sum(part.startswith("{") for part in route.segments))
        self._openapi: bytes | None = None

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        metrics = self._services.kernel.metrics
        begun = time.perf_counter()
        request_id = self._services.kernel.ids.new(Prefix.REQUEST)
        in_flight = metrics.requests_in_flight.labels("api")
        in_flight.inc()
        try:
            reply = await self._reply(scope, receive, request_id)
        except SynclineError as error:
            reply = _refusal(error)
        except DatabaseUnavailable as error:
            _logger.warning("api.unavailable", request_id=request_id, error=str(error))
            reply = _refusal(Overloaded(1))
        except Exception:
            _logger.exception("api.failed", request_id=request_id)
            reply = _Reply(500, _encode({"message": "Internal error", "code": "internal_error"}), {})
        finally:
            in_flight.dec()
        await _send(send, reply, request_id)
        metrics.requests.labels("api", _known_method(str(scope["method"])), str(reply.status)).inc()
        metrics.request_seconds.labels("api").observe(time.perf_counter() - begun)

    async def _document(self) -> bytes:
        """Return the OpenAPI document, made when it is first asked for: it took a third of a start."""
        if self._openapi is None:
            base_url = self._services.kernel.base_url
            made = await asyncio.to_thread(document, ROUTES, version=__version__, base_url=base_url)
            self._openapi = _encode(made)
        return self._openapi

    async def _reply(self, scope: Mapping[str, Any], receive: Receive, request_id: str) -> _Reply:
        segments = _segments(scope)
        method = str(scope["method"]).upper()
        if segments == (OPENAPI_PATH[1:],) and method == "GET":
            return _Reply(200, await self._document(), {})
        self._rates.address.take(str((scope.get("client") or ("",))[0]))
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        matching = [
            (route, found) for route in self._routes if (found := _match(route, segments)) is not None
        ]
        caller = await self._services.api_keys.authenticate(headers.get("authorization"))
        self._rates.api_key.take(caller.key_id)
        if not matching:
            raise NotFound("Route", "/" + "/".join(segments))
        chosen = next(((route, found) for route, found in matching if route.method == method), None)
        if chosen is None:
            allowed = ", ".join(dict.fromkeys(route.method for route, _ in matching))
            body = {"message": f"Use {allowed}.", "code": "method_not_allowed"}
            return _Reply(405, _encode(body), {"Allow": allowed})
        route, path = chosen
        if not caller.may(route.needs):
            raise Forbidden(f"This call needs a key with the scope '{route.needs}'.")
        media = headers.get("content-type", "").partition(";")[0].strip().lower()
        largest = route.largest if media in route.media else MAX_BODY
        raw = await _read(receive, headers, largest)
        call = Call(
            services=self._services,
            caller=caller,
            cause=_cause(request_id, caller),
            path=path,
            query=read_query(scope.get("query_string", b"")),
            media=media,
        )
        self._count(route, call)
        key = headers.get("idempotency-key")
        if method != "POST" or key is None:
            return await self._answer(route, call, raw)
        return await self._once(route, call, raw, key, b"/".join([b"POST", *(s.encode() for s in segments)]))

    def _count(self, route: Route, call: Call) -> None:
        """Count a call of those that have limits of their own. Raises `RateLimited`."""
        if route.method == "DELETE" and route.segments[0] == "organizations":
            self._rates.organization_deletions.take(call.caller.key_id)
        elif route.segments == ("directory_users",):
            self._rates.directory_users.take(f"{call.environment_id} {call.text('directory')}")

    async def _once(self, route: Route, call: Call, raw: bytes, key: str, address: bytes) -> _Reply:
        async def answer() -> KeptAnswer:
            try:
                reply = await self._answer(route, call, raw)
            except Overloaded:
                raise
            except SynclineError as error:
                reply = _refusal(error)
            return KeptAnswer(reply.status, reply.body)

        request = address + b"\n" + raw
        kept = await self._services.idempotency.once(call.environment_id, key, request, answer)
        headers = {"Idempotent-Replayed": "true"} if kept.replayed else {}
        return _Reply(kept.status, kept.body, headers)

    @staticmethod
    async def _answer(route: Route, call: Call, raw: bytes) -> _Reply:
        if call.media in route.media:
            call.upload = raw
        else:
            call.body = _parse(raw)
        answer: Answer = await route.handler(call)
        if answer.body is None:
            return _Reply(answer.status, b"", {})
        body = answer.body if isinstance(answer.body, bytes) else _encode(answer.body)
        return _Reply(answer.status, body, {})


def _cause(request_id: str, caller: ApiCaller) -> Cause:
    return Cause(request_id, actor_id=caller.key_id, actor_source="api", actor_name=caller.name)


def _segments(scope: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the decoded segments of the raw path; a trailing slash is nothing."""
    raw: bytes = (scope.get("raw_path") or str(scope["path"]).encode()).partition(b"?")[0]
    if len(raw) + len(scope.get("query_string", b"")) > MAX_URL:
        raise BadRequest("The address is too long.", code="uri_too_long")
    try:
        parts = [unquote_to_bytes(part).decode() for part in raw.split(b"/")[1:]]
    except UnicodeDecodeError:
        raise BadRequest("The address is not valid UTF-8.") from None
    if parts and parts[-1] == "":
        parts.pop()
    return tuple(parts)


def _match(route: Route, segments: tuple[str, ...]) -> dict[str, str] | None:
    wanted = route.segments
    if len(wanted) != len(segments):
        return None
    found: dict[str, str] = {}
    for part, given in zip(wanted, segments, strict=True):
        if part.startswith("{"):
            found[part[1:-1]] = given
        elif part != given:
            return None
    return found


async def _read(receive: Receive, headers: Mapping[str, str], largest: int) -> bytes:
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > largest:
        raise PayloadTooLarge(f"The body is larger than {largest} bytes.")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise BadRequest("The request body must not be encoded.", code="content_encoding_unsupported")
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BadRequest("The connection was closed before the body was complete.")
                size += len(message.get("body", b""))
                if size > largest:
                    raise PayloadTooLarge(f"The body is larger than {largest} bytes.")
                chunks.append(message.get("body", b""))
                if not message.get("more_body"):
                    return b"".join(chunks)
    except TimeoutError:
        raise BadRequest("The request body did not arrive in time.", code="request_timeout") from None


def _parse(raw: bytes) -> dict[str, Json]:
    if not raw.strip():
        return {}
    body = parse_json(raw)
    if body == "":
        return {}
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.", code="malformed_json")
    return body


def _refusal(error: SynclineError) -> _Reply:
    body: dict[str, Any] = {"message": error.message, "code": error.code}
    if isinstance(error, ValidationFailed):
        body["errors"] = [{"field": one.field, "code": one.code} for one in error.errors]
    if isinstance(error, NotFound):
        body["entity_id"] = error.entity_id
    return _Reply(error.status, _encode(body), error.headers)


async def _send(send: Send, reply: _Reply, request_id: str) -> None:
    headers = [(b"x-request-id", request_id.encode()), (b"cache-control", b"no-store")]
    if reply.body:
        headers.append((b"content-type", b"application/json"))
    if reply.status != 204:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    headers.extend((name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items())
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _known_method(method: str) -> str:
    return method if method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS") else "other"
