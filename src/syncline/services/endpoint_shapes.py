"""Webhook endpoints between the store and the API: found or refused, and as an answer shows them."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import structs

from syncline.core.errors import NotFound
from syncline.core.ids import Prefix, is_id
from syncline.core.wire import EndpointHealth, WebhookEndpoint, WebhookEndpointDetails, iso
from syncline.net.policy import parse_url
from syncline.services.kernel import Kernel
from syncline.store import endpoints as store
from syncline.store.database import Connection
from syncline.store.endpoints import Endpoint, EndpointState
from syncline.store.rows import exact_key
from syncline.store.types import from_ms, to_ms

MILLISECOND = timedelta(milliseconds=1)
_KIND = "Webhook endpoint"


def required(
    connection: Connection, environment_id: str, endpoint_id: str, *, lock: bool = False
) -> Endpoint:
    """Return an endpoint of the environment. Raises `NotFound`."""
    known = is_id(Prefix.WEBHOOK_ENDPOINT, endpoint_id)
    endpoint = store.get(connection, environment_id, endpoint_id, lock=lock) if known else None
    if endpoint is None:
        raise not_found(endpoint_id)
    return endpoint


def not_found(endpoint_id: str) -> NotFound:
    """Return the refusal of an id that is none here."""
    return NotFound(_KIND, endpoint_id)


def now_of(kernel: Kernel) -> datetime:
    """Return the time in the precision that is stored."""
    return from_ms(to_ms(kernel.clock()))


def url_key(url: str) -> str:
    """Return the address as the HTTP client reads it: letter case of the host and the like do not count."""
    return exact_key(str(parse_url(url)))


def detailed(endpoint: Endpoint, secret: str, health: EndpointHealth) -> WebhookEndpointDetails:
    """Return an endpoint as the answer about it alone has it."""
    base = shown(endpoint, secret)
    return WebhookEndpointDetails(**structs.asdict(base), health=health)


def shown(endpoint: Endpoint, secret: str) -> WebhookEndpoint:
    """Return an endpoint as answers have it."""
    options = endpoint.options
    return WebhookEndpoint(
        id=endpoint.id,
        endpoint_url=endpoint.endpoint_url,
        secret=secret,
        status="enabled" if endpoint.state in (EndpointState.ACTIVE, EndpointState.PAUSED) else "disabled",
        state=endpoint.state.value,
        events=list(endpoint.events),
        format=options.format.value,
        ordering=options.ordering.value,
        concurrency=options.concurrency,
        directory_ids=options.directory_ids,
        organization_ids=options.organization_ids,
        created_at=iso(endpoint.created_at),
        updated_at=iso(endpoint.updated_at),
    )
