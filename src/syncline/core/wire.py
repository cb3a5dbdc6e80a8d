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


class MembershipStep(Wire, frozen=True, kw_only=True):
    """A group on the way to another one."""

    id: str
    name: str


class DirectoryMembership(Wire, frozen=True, kw_only=True):
    """A person's membership of a group, and what it follows from, which is not always known of the past."""

    object: Literal["directory_membership"] = "directory_membership"
    group: DirectoryGroup
    direct: bool | None
    shown: bool
    path: Sequence[MembershipStep]
    path_known: bool


class Role(Wire, frozen=True, kw_only=True):
    """A role of the environment or of one organization (`api.md` §3.6)."""

    object: Literal["role"] = "role"
    id: str
    slug: str
    name: str
    description: str | None
    type: Literal["EnvironmentRole", "OrganizationRole"]
    resource_type_slug: str
    permissions: Sequence[str]
    created_at: str
    updated_at: str


class RoleList(Wire, frozen=True, kw_only=True):
    """Roles, the most important first; all of them, as there are no pages (`api.md` §2.9)."""

    object: Literal["list"] = "list"
    data: Sequence[Role]


class ReconciliationCounts(Wire, frozen=True, kw_only=True):
    """How many findings a reconciliation has, by class, and how many people it left out."""

    gone_but_active: int
    wrong_role: int
    missing: int
    stale_profile: int
    extra: int
    ambiguous: int
    changed_since: int


class ReconciliationProgress(Wire, frozen=True, kw_only=True):
    """How far a comparison is; without a total while rows are still coming."""

    done: int
    total: int | None


class ReconciliationCorrection(Wire, frozen=True, kw_only=True):
    """The corrective events of one class of findings."""

    class_: str = msgspec.field(name="class")
    state: Literal["running", "complete"]
    emitted: int
    skipped: dict[str, int]
    requested_at: str
    finished_at: str | None


class ReconciliationProblem(Wire, frozen=True, kw_only=True):
    """A row that cannot be read."""

    line: int
    field: str
    code: str
    message: str


class Reconciliation(Wire, frozen=True, kw_only=True):
    """A comparison of an app's roster with a directory."""

    object: Literal["reconciliation"] = "reconciliation"
    id: str
    directory_id: str
    state: Literal["receiving", "fetching", "comparing", "complete", "failed"]
    source: Literal["upload", "url"]
    taken_at: str
    rows: int
    counts: ReconciliationCounts
    progress: ReconciliationProgress
    corrections: Sequence[ReconciliationCorrection]
    problems: Sequence[ReconciliationProblem]
    error: str | None
    created_at: str
    finished_at: str | None


class FindingDifference(Wire, frozen=True, kw_only=True):
    """An attribute that the app and the directory do not agree on."""

    field: str
    app: Json
    directory: Json


class ReconciliationFinding(Wire, frozen=True, kw_only=True):
    """One thing in which an app's roster and a directory differ."""

    object: Literal["reconciliation_finding"] = "reconciliation_finding"
    id: str
    class_: str = msgspec.field(name="class")
    line: int | None
    app_id: str | None
    matched_by: Literal["directory_user_id", "idp_id", "email"] | None
    directory_user_id: str | None
    idp_id: str | None
    email: str | None
    reason: str | None
    differences: Sequence[FindingDifference]
    candidates: Sequence[str]
    lines: Sequence[int]
    outcome: str | None
    settled_at: str | None


class ReconciliationResult(Reconciliation, frozen=True, kw_only=True):
    """A comparison with its first findings."""

    findings: Sequence[ReconciliationFinding]


class HistoryChange(Wire, frozen=True, kw_only=True):
    """One field before and after an event."""

    field: str
    before: Json
    after: Json


class HistoryActor(Wire, frozen=True, kw_only=True):
    """Who brought a change about."""

    kind: Literal["provider", "api_key", "operator", "admin", "system", "role_rules", "attribute_map"]
    id: str | None
    name: str | None


class HistoryCause(Wire, frozen=True, kw_only=True):
    """What a change came with: a request, a run, or something else that has an id."""

    kind: str
    id: str


class HistoryEntry(Wire, frozen=True, kw_only=True):
    """One event in the history of a directory user or a directory group; `id` is the event's."""

    object: Literal["history_entry"] = "history_entry"
    id: str
    event: str
    kind: Literal["created", "updated", "deleted", "joined", "left"]
    text: str
    changes: Sequence[HistoryChange]
    actor: HistoryActor
    cause: HistoryCause
    erased: bool
    recorded_at: str


class Announcement(Wire, frozen=True, kw_only=True):
    """The event that told about something, and what brought it."""

    event_id: str
    event: str
    actor: HistoryActor
    cause: HistoryCause
    recorded_at: str


class ExplainedSource(Wire, frozen=True, kw_only=True):
    """The source of an attribute that had a value."""

    number: int
    path: str | None
    value: Json
    transforms: Sequence[str]


class ExplainedAttribute(Wire, frozen=True, kw_only=True):
    """Why an attribute of a person has its value."""

    key: str
    kind: Literal["standard", "predefined", "custom"]
    value: Json
    level: Literal["directory", "environment", "provider", "built_in"]
    source: ExplainedSource | None
    raw: Json
    pending: bool
    announced: Announcement | None
    sentence: str


class ExplainedRule(Wire, frozen=True, kw_only=True):
    """A role rule, by its place among the rules of the directory."""

    id: str
    number: int | None
    text: str | None


class ExplainedGroup(Wire, frozen=True, kw_only=True):
    """A group by which a rule matches."""

    id: str
    name: str | None


class ExplainedRole(Wire, frozen=True, kw_only=True):
    """Why a person holds a role."""

    role: str
    name: str
    rule: ExplainedRule | None
    group: ExplainedGroup | None
    since: str
    held: bool
    announced: Announcement | None
    sentence: str


class MissedRule(Wire, frozen=True, kw_only=True):
    """A rule for a role that a person does not hold."""

    id: str
    number: int
    text: str
    matches: bool


class AbsentRole(Wire, frozen=True, kw_only=True):
    """Why a person does not hold a role."""

    role: str
    name: str
    rules: Sequence[MissedRule]
    sentence: str


class ExplainedMembership(Wire, frozen=True, kw_only=True):
    """Why a person is a member of a group."""

    id: str
    name: str
    direct: bool
    shown: bool
    path: Sequence[MembershipStep]
    announced: Announcement | None
    sentence: str


class Explanation(Wire, frozen=True, kw_only=True):
    """Why a directory user is as they are."""

    object: Literal["directory_user_explanation"] = "directory_user_explanation"
    id: str
    directory_id: str
    attributes: Sequence[ExplainedAttribute]
    roles: Sequence[ExplainedRole]
    absent_roles: Sequence[AbsentRole]
    memberships: Sequence[ExplainedMembership]
    truncated_before: str | None
    unsearched_before: str | None
