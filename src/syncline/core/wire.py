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


class WebhookEndpoint(Wire, frozen=True, kw_only=True):
    """A webhook endpoint (`api.md` §3.6, §11: `state` is Syncline's finer word)."""

    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    id: str
    endpoint_url: str
    secret: str
    status: Literal["enabled", "disabled"]
    state: Literal["active", "paused", "disabled", "gone"]
    events: Sequence[str]
    created_at: str
    updated_at: str


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
