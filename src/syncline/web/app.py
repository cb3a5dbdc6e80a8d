"""The one ASGI application of a process: SCIM, REST, health, metrics."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from syncline.obs.metrics import CONTENT_TYPE
from syncline.services.container import Services
from syncline.web.api.app import ApiApp
from syncline.web.rates import Rates
from syncline.web.scim.app import ScimApp

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Asgi = Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]

_encode = msgspec.json.Encoder().encode


def build_app(
    services: Services,
    *,
    metrics_token: str | None = None,
    calls: bool = True,
    rates: Rates | None = None,
) -> Asgi:
    """Return the application; without `calls` it knows health and metrics only, as a worker does.

    Metrics are served to whoever presents the token; without one, only to the machine itself. Without `rates`
    nobody is limited.
    """
    rates = rates or Rates()
    scim, api = ScimApp(services, rates), ApiApp(services, rates)

    async def app(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: bytes = scope.get("raw_path") or str(scope["path"]).encode()
        if path == b"/health/live":
            await _answer(send, 200, _encode({"status": "ok"}))
        elif path == b"/health/ready":
            problems = await services.health.problems()
            body = {"status": "ok"} if not problems else {"status": "unavailable", "problems": problems}
            await _answer(send, 503 if problems else 200, _encode(body))
        elif path == b"/metrics":
            await _metrics(services, scope, send, metrics_token)
        elif not calls:
            await _answer(send, 404, _encode({"message": "This is a worker.", "code": "entity_not_found"}))
        elif path.startswith(b"/scim/") or await scim.serves(scope):
            await scim(scope, receive, send)
        else:
            await api(scope, receive, send)

    return app


async def _metrics(services: Services, scope: Mapping[str, Any], send: Send, token: str | None) -> None:
    client = scope.get("client") or ("", 0)
    given = next((value for name, value in scope["headers"] if name.lower() == b"authorization"), b"")
    allowed = (
        hmac.compare_digest(given, f"Bearer {token}".encode()) if token else client[0] in ("127.0.0.1", "::1")
    )
    if not allowed:
        await _answer(send, 401, _encode({"message": "Unauthorized", "code": "unauthorized"}))
        return
    await _answer(send, 200, services.kernel.metrics.render(), CONTENT_TYPE)


async def _answer(send: Send, status: int, body: bytes, media_type: str = "application/json") -> None:
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
