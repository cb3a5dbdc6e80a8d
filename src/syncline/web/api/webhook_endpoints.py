"""Webhook endpoints (`api.md` §2.8, §11)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.services.endpoints import MAX_OVERLAP, EndpointChanges
from syncline.web.api.described import PAGING, note
from syncline.web.api.routing import Answer, Call, Route, listed, read_moment

_URL = note(
    "Where events are sent, by https. Plain http and private addresses only where `SYNCLINE_OUTBOUND_ALLOW` "
    "lists them.",
    "https://app.northwind.example/hooks/directory",
)
_EVENTS = note(
    "The event types to send; at least one, and not `dsync.token.*`.",
    ["dsync.user.created", "dsync.user.updated", "dsync.user.deleted"],
)


class EndpointInput(msgspec.Struct, frozen=True):
    """A webhook endpoint to make."""

    endpoint_url: Annotated[str, _URL]
    events: Annotated[list[str], _EVENTS]


class EndpointChangesInput(msgspec.Struct, frozen=True):
    """What may be changed about an endpoint; what is left out stays as it is."""

    endpoint_url: Annotated[str | UnsetType, _URL] = UNSET
    status: Annotated[
        str | UnsetType,
        note(
            "`enabled` goes on where it stopped and leaves a paused endpoint paused.",
            "disabled",
            enum=["enabled", "disabled"],
        ),
    ] = UNSET
    state: Annotated[
        str | UnsetType,
        note(
            "The finer word for the same; it must not contradict `status`.",
            enum=["active", "paused", "disabled"],
        ),
    ] = UNSET
    events: Annotated[list[str] | UnsetType, _EVENTS] = UNSET


class SecretRotationInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long former secrets sign on, and when `WorkOS-Signature` moves to the new one."""

    overlap_seconds: Annotated[
        int,
        note(
            "For how long the former secrets still sign: 0 to 2,592,000 (30 days).",
            86_400,
            minimum=0,
            maximum=int(MAX_OVERLAP.total_seconds()),
        ),
    ] = 86_400
    switch_at: Annotated[
        str | None,
        note(
            "When `WorkOS-Signature`, which has room for one signature, moves to the new secret: an RFC 3339 "
            "time within the overlap, by default its end."
        ),
    ] = None


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
        about=(
            "The endpoint gets what is sealed from now on. `secret` is shown in full in this answer and in "
            "that of a rotation; elsewhere it is masked."
        ),
        refusals=(
            (409, "duplicate_endpoint"),
            (422, "invalid_url"),
            (422, "invalid_request_parameters"),
        ),
    ),
    Route("GET", "/webhook_endpoints/{id}", _get, "Get a webhook endpoint", wire.WebhookEndpoint),
    Route(
        "PATCH",
        "/webhook_endpoints/{id}",
        _update,
        "Update a webhook endpoint",
        wire.WebhookEndpoint,
        takes=EndpointChangesInput,
        about="An endpoint that becomes active again goes on where it stopped.",
        refusals=(
            (409, "duplicate_endpoint"),
            (422, "invalid_url"),
            (422, "invalid_request_parameters"),
        ),
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
        about="During the overlap the Standard Webhooks header carries signatures of all secrets in force.",
    ),
)
