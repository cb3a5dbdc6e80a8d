"""Webhook endpoints: made, read, changed, deleted, and their secrets (`api.md` §2.8, §11)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.core.endpoint_options import MAX_CONCURRENCY, Ordering, PayloadFormat
from syncline.services.endpoint_changes import MAX_FILTER_IDS, OptionChanges
from syncline.services.endpoint_resume import NOW, STOPPED, ResumePoint
from syncline.services.endpoint_secrets import MAX_OVERLAP
from syncline.services.endpoints import EndpointChanges
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
_FORMAT = note(
    "`workos` sends the event envelope of the Events API, `cloudevents` a CloudEvents 1.0 event in JSON.",
    enum=[one.value for one in PayloadFormat],
)
_ORDERING = note(
    "What waits behind an event that was not taken: `lanes` later events of its directory, `strict` all "
    "later events, `none` nothing.",
    enum=[one.value for one in Ordering],
)
_CONCURRENCY = note(
    "How many requests may be under way at once, each for other directories.",
    minimum=1,
    maximum=MAX_CONCURRENCY,
)
_DIRECTORIES = note(
    "Only events of these directories are sent, and those of `organization_ids` if both are given; null "
    "lifts the filter.",
    minItems=1,
    maxItems=MAX_FILTER_IDS,
)
_ORGANIZATIONS = note(
    "Only events of these organizations are sent, and those of `directory_ids` if both are given; null lifts "
    "the filter.",
    minItems=1,
    maxItems=MAX_FILTER_IDS,
)


class EndpointOptionsInput(msgspec.Struct, frozen=True, kw_only=True):
    """How deliveries are made; what is left out stays as it is, and is the default at first."""

    format: Annotated[str | UnsetType, _FORMAT] = UNSET
    ordering: Annotated[str | UnsetType, _ORDERING] = UNSET
    concurrency: Annotated[int | UnsetType, _CONCURRENCY] = UNSET
    directory_ids: Annotated[list[str] | UnsetType | None, _DIRECTORIES] = UNSET
    organization_ids: Annotated[list[str] | UnsetType | None, _ORGANIZATIONS] = UNSET

    def changes(self) -> OptionChanges:
        """Return the choices for the service."""
        return OptionChanges(
            format=self.format,
            ordering=self.ordering,
            concurrency=self.concurrency,
            directory_ids=self.directory_ids,
            organization_ids=self.organization_ids,
        )


class EndpointInput(EndpointOptionsInput, frozen=True, kw_only=True):
    """A webhook endpoint to make."""

    endpoint_url: Annotated[str, _URL]
    events: Annotated[list[str], _EVENTS]
    state: Annotated[
        str | UnsetType, note("`paused` makes an endpoint that waits.", enum=["active", "paused"])
    ] = UNSET


class EndpointChangesInput(EndpointOptionsInput, frozen=True, kw_only=True):
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
    resume_from: Annotated[
        str | UnsetType,
        note(
            "Where an endpoint goes on that is active afterwards: `stopped`, where it was; `now`; the id of "
            "the first event to send; or an RFC 3339 time, from which on events are sent. What is passed "
            "over is not sent, and deliveries that wait for it become dead."
        ),
    ] = UNSET


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


class NothingInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body without fields."""


async def _list(call: Call) -> Answer:
    return Answer(200, listed(await call.services.endpoints.list(call.environment_id, call.page())))


async def _create(call: Call) -> Answer:
    given = call.read(EndpointInput)
    made = await call.services.endpoints.create(
        call.environment_id,
        given.endpoint_url,
        given.events,
        call.cause,
        given.changes(),
        state=given.state or None,
    )
    return Answer(201, made)


async def _get(call: Call) -> Answer:
    return Answer(200, await call.services.endpoints.get(call.environment_id, call.path["id"]))


async def _update(call: Call) -> Answer:
    given = call.read(EndpointChangesInput)
    changes = EndpointChanges(
        endpoint_url=None if given.endpoint_url is UNSET else given.endpoint_url,
        events=None if given.events is UNSET else given.events,
        status=None if given.status is UNSET else given.status,
        state=None if given.state is UNSET else given.state,
        options=given.changes(),
        resume_from=None if given.resume_from is UNSET else _point(given.resume_from),
    )
    endpoints = call.services.endpoints
    return Answer(200, await endpoints.update(call.environment_id, call.path["id"], changes, call.cause))


def _point(text: str) -> ResumePoint:
    """Return a point of the log. Raises `ValidationFailed` for what is no word, id or time."""
    if text in (STOPPED, NOW) or text.startswith("event_"):
        return text
    return read_moment(text, "resume_from")


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


async def _end_overlap(call: Call) -> Answer:
    call.read(NothingInput)
    endpoints = call.services.endpoints
    return Answer(200, await endpoints.end_overlap(call.environment_id, call.path["id"], call.cause))


_REFUSED = ((409, "duplicate_endpoint"), (422, "invalid_url"), (422, "invalid_request_parameters"))

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
        refusals=_REFUSED,
    ),
    Route(
        "GET",
        "/webhook_endpoints/{id}",
        _get,
        "Get a webhook endpoint",
        wire.WebhookEndpointDetails,
        about="This answer alone has `health`: how deliveries to the endpoint are going.",
    ),
    Route(
        "PATCH",
        "/webhook_endpoints/{id}",
        _update,
        "Update a webhook endpoint",
        wire.WebhookEndpoint,
        takes=EndpointChangesInput,
        about=(
            "An endpoint that becomes active again goes on where it stopped, or where `resume_from` says, "
            "and what waits at it is due at once."
        ),
        refusals=(*_REFUSED, (410, "cursor_expired")),
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
    Route(
        "POST",
        "/webhook_endpoints/{id}/end_overlap",
        _end_overlap,
        "End the overlap of a rotation",
        wire.WebhookEndpoint,
        about=(
            "All secrets but the newest expire now, and it alone signs. Nothing changes where no overlap "
            "runs."
        ),
    ),
)
