"""The objects of the REST API and of event bodies, field for field as the WorkOS SDKs read them.

Source: `api.md` §3, checked against Python `workos` 10.8.0 and Node `@workos-inc/node` 8.13.0.
Optional keys that must be absent rather than null are `UNSET`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core.json import Json


def iso(moment: datetime) -> str:
    """Return `2026-01-15T12:00:00.000Z`: UTC with exactly three fraction digits."""
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every object on the wire."""


class RoleSlug(Wire, frozen=True, kw_only=True):
    """A role by its slug."""

    slug: str


class DirectoryUserCounts(Wire, frozen=True, kw_only=True):
    """How many people a directory shows, by state."""

    active: int
    inactive: int


class DirectoryMetadata(Wire, frozen=True, kw_only=True):
    """Size of a directory."""

    users: DirectoryUserCounts
    groups: int


class Directory(Wire, frozen=True, kw_only=True):
    """A directory (`api.md` §3.1)."""

    object: Literal["directory"] = "directory"
    id: str
    organization_id: str
    external_key: str | UnsetType = UNSET
    type: str
    state: str
    name: str
    domain: str | UnsetType = UNSET
    metadata: DirectoryMetadata | UnsetType = UNSET
    created_at: str
    updated_at: str


class DirectoryGroup(Wire, frozen=True, kw_only=True):
    """A directory group (`api.md` §3.3)."""

    object: Literal["directory_group"] = "directory_group"
    id: str
    idp_id: str
    directory_id: str
    organization_id: str
    name: str
    raw_attributes: dict[str, Json]
    created_at: str
    updated_at: str


class DirectoryUser(Wire, frozen=True, kw_only=True):
    """A directory user (`api.md` §3.2); `groups` only where the API lists or reads users."""

    object: Literal["directory_user"] = "directory_user"
    id: str
    directory_id: str
    organization_id: str
    idp_id: str
    email: str | None
    first_name: str | None
    last_name: str | None
    name: str | None
    emails: Sequence[Json]
    job_title: str | None
    username: str | None
    state: Literal["active", "inactive"]
    raw_attributes: dict[str, Json]
    custom_attributes: dict[str, Json]
    role: RoleSlug | UnsetType = UNSET
    roles: Sequence[RoleSlug] | UnsetType = UNSET
    groups: Sequence[DirectoryGroup] | UnsetType = UNSET
    created_at: str
    updated_at: str


class ErasedCounts(Wire, frozen=True, kw_only=True):
    """How much an erasure has removed, by what it was."""

    people: int
    events: int
    delivery_attempts: int
    pending_memberships: int
    stored_answers: int


class Erasure(Wire, frozen=True, kw_only=True):
    """The erasure of a person: ids, numbers and times, nothing about the person."""

    object: Literal["erasure"] = "erasure"
    id: str
    directory_id: str
    directory_user_id: str
    state: Literal["running", "complete"]
    erased: ErasedCounts
    created_at: str
    finished_at: str | None


class OrganizationDomain(Wire, frozen=True, kw_only=True):
    """A domain of an organization (`api.md` §3.5)."""

    object: Literal["organization_domain"] = "organization_domain"
    id: str
    organization_id: str
    domain: str
    state: Literal["pending", "verified", "failed"]
    verification_strategy: Literal["dns", "manual"]
    verification_token: str | UnsetType = UNSET
    verification_prefix: str | UnsetType = UNSET
    created_at: str
    updated_at: str


class Organization(Wire, frozen=True, kw_only=True):
    """An organization, the app's customer (`api.md` §3.4)."""

    object: Literal["organization"] = "organization"
    id: str
    name: str
    allow_profiles_outside_organization: bool = False
    domains: Sequence[OrganizationDomain]
    metadata: dict[str, str]
    external_id: str | None
    stripe_customer_id: str | UnsetType = UNSET
    created_at: str
    updated_at: str


class MissedEvents(Wire, frozen=True, kw_only=True):
    """The events that retention removed before an endpoint had got them, by their places in the log."""

    first: int
    last: int
    flagged_at: str


class EndpointHealth(Wire, frozen=True, kw_only=True):
    """How deliveries to a webhook endpoint are going (`events-webhooks.md` §3)."""

    lag_events: int
    lag_seconds: float
    waiting: int
    dead: int
    oldest_waiting_seconds: float | None
    circuit: Literal["closed", "open", "probing"]
    failing_since: str | None
    consecutive_failures: int
    last_success_at: str | None
    disabled_reason: str | None
    missed: MissedEvents | None
    recent_attempts: int
    success_ratio: float | None
    p95_ms: int | None


class WebhookEndpoint(Wire, frozen=True, kw_only=True):
    """A webhook endpoint (`api.md` §3.6, §11: what follows `state` and `events` is Syncline's own)."""

    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    id: str
    endpoint_url: str
    secret: str
    status: Literal["enabled", "disabled"]
    state: Literal["active", "paused", "disabled", "gone"]
    events: Sequence[str]
    format: Literal["workos", "cloudevents"] = "workos"
    ordering: Literal["lanes", "strict", "none"] = "lanes"
    concurrency: int = 1
    directory_ids: Sequence[str] | None = None
    organization_ids: Sequence[str] | None = None
    created_at: str
    updated_at: str


class WebhookEndpointDetails(WebhookEndpoint, frozen=True, kw_only=True):
    """A webhook endpoint with the health of its deliveries (`api.md` §11)."""

    health: EndpointHealth


class AttemptRequest(Wire, frozen=True, kw_only=True):
    """What is known of the request of an attempt; signatures are left out, the body is the event's."""

    method: Literal["POST"] = "POST"
    headers: dict[str, str]


class DeliveryAttempt(Wire, frozen=True, kw_only=True):
    """One request to a webhook endpoint and how it ended (`api.md` §11)."""

    object: Literal["delivery_attempt"] = "delivery_attempt"
    id: str
    endpoint_id: str
    event_id: str
    event: str
    test: bool
    attempt: int
    outcome: Literal["success", "failed", "timeout", "busy", "gone"]
    status: int | None
    error: str | None
    duration_ms: int
    started_at: str
    next_attempt_at: str | None
    request: AttemptRequest
    response: str | None


class Delivery(Wire, frozen=True, kw_only=True):
    """An event that a webhook endpoint has not taken yet: it waits for an attempt, or was given up."""

    object: Literal["delivery"] = "delivery"
    event_id: str
    event: str
    directory_id: str | None
    organization_id: str | None
    state: Literal["waiting", "dead"]
    attempts: int
    first_attempt_at: str | None
    next_attempt_at: str | None
    last_error: str | None


class Event(Wire, frozen=True, kw_only=True):
    """The event envelope (`api.md` §3.7)."""

    object: Literal["event"] = "event"
    id: str
    event: str
    data: dict[str, Json]
    created_at: str
    context: dict[str, Json]


class ListMetadata(Wire, frozen=True, kw_only=True):
    """Cursors of a page: the ids to go on from, null at either end."""

    before: str | None
    after: str | None
