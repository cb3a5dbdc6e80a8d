"""Webhook endpoints (`api.md` §2.8, §11)."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.services.endpoints import EndpointChanges
from syncline.web.api.routing import PAGING, Answer, Call, Route, listed, read_moment


class EndpointInput(msgspec.Struct, frozen=True):
    """A webhook endpoint to make."""

    endpoint_url: str
    events: list[str]


class EndpointChangesInput(msgspec.Struct, frozen=True):
    """What may be changed about an endpoint; what is left out stays as it is."""

    endpoint_url: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    events: list[str] | UnsetType = UNSET


class SecretRotationInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long former secrets sign on, and when `WorkOS-Signature` moves to the new one."""

    overlap_seconds: int = 86_400
    switch_at: str | None = None


async def _list(call: Call) -> Answer:
    return Answer(200, listed(await call.services.endpoints.list(call.environment_id, call.page())))


async def _create(call: Call) -> Answer:
    given = call.read(EndpointInput)
    endpoints = call.services.endpoints
    return Answer(
        201, await endpoints.create(call.environment_id, given.endpoint_url, given.events, call.cause)
    )


async def _get(call: Call) -> Answer:
    return Answer(200, await call.services.endpoints.get(call.environment_id, call.path["id"]))


async def _update(call: Call) -> Answer:
    given = call.read(EndpointChangesInput)
    changes = EndpointChanges(
        endpoint_url=None if given.endpoint_url is UNSET else given.endpoint_url,
        events=None if given.events is UNSET else given.events,
        status=None if given.status is UNSET else given.status,
        state=None if given.state is UNSET else given.state,
    )
    endpoints = call.services.endpoints
    return Answer(200, await endpoints.update(call.environment_id, call.path["id"], changes, call.cause))


async def _delete(call: Call) -> Answer:
    await call.services.endpoints.delete(call.environment_id, call.path["id"], call.cause)
    return Answer(204)


async def _rotate(call: Call) -> Answer:
    given = call.read(SecretRotationInput)
    rotated = await call.services.endpoints.rotate_secret(
        call.environment_id,
        call.path["id"],
        call.cause,
        overlap=timedelta(seconds=max(-1, min(given.overlap_seconds, 10**9))),
        switch_at=None if given.switch_at is None else read_moment(given.switch_at, "switch_at"),
    )
    return Answer(201, rotated)


ROUTES = (
    Route("GET", "/webhook_endpoints", _list, "List webhook endpoints", [wire.WebhookEndpoint], query=PAGING),
    Route(
        "POST",
        "/webhook_endpoints",
        _create,
        "Create a webhook endpoint",
        wire.WebhookEndpoint,
        201,
        takes=EndpointInput,
    ),
    Route("GET", "/webhook_endpoints/{id}", _get, "Get a webhook endpoint", wire.WebhookEndpoint),
    Route(
        "PATCH",
        "/webhook_endpoints/{id}",
        _update,
        "Update a webhook endpoint",
        wire.WebhookEndpoint,
        takes=EndpointChangesInput,
    ),
    Route("DELETE", "/webhook_endpoints/{id}", _delete, "Delete a webhook endpoint", status=204),
    Route(
        "POST",
        "/webhook_endpoints/{id}/rotate_secret",
        _rotate,
        "Replace the secret of an endpoint",
        wire.WebhookEndpoint,
        201,
        takes=SecretRotationInput,
    ),
)
