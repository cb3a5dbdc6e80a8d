"""Realistic objects for the reference: one customer, its directory, a person, a group, and their events."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import fields
from dataclasses import replace as replace_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import convert
from msgspec.structs import asdict, replace

from scripts.docs_site import attribute_examples, history_examples, import_examples, role_examples
from syncline.core import wire
from syncline.core.envelope import envelope
from syncline.core.events import CATALOG, OWN_PREFIX, Event, builtins
from syncline.core.json import stringify
from syncline.core.model import Directory, DirectoryId, DirectoryState, EnvironmentId, InactiveUsers
from syncline.web.api.api_keys import ApiKeyBody
from syncline.web.api.directories import DirectoryToken, ManagedDirectoryBody, PullQueued
from syncline.web.api.webhook_deliveries import QueuedDeliveries

BASE_URL = "http://localhost:8000"
ORGANIZATION_ID = "org_01KA0YPX7B9D1F3H5K7M9Q1S3T"
DOMAIN_ID = "org_domain_01KA0YQ0A1C3E5G7J9M1P3R5T7"
DIRECTORY_ID = "directory_01KA0YQ2C4E6G8J0M2P4R6T8V0"
USER_ID = "directory_user_01KA0Z1B3D5F7H9K1M3P5R7T9V"
GROUP_ID = "directory_group_01KA0Z2C4E6G8J0M2P4R6T8V0X"
TOKEN_ID = "directory_token_01KA0YQ3D5F7H9K1M3P5R7T9V1"
ENDPOINT_ID = "we_01KA0YR5F7H9K1M3P5R7T9V1X3"
KEY_ID = "key_01KA0YN8C0E2G4J6M8P0R2T4V6"
RECONCILIATION_ID = "reconciliation_01KA0Z5D7F9H1K3M5P7R9T1V3X"
EVENT_ID = "event_01KA0Z3W8M6Q4T2R9X7V5B3N1A"

PATH_IDS: Mapping[str, str] = {
    "organizations": ORGANIZATION_ID,
    "organization_domains": DOMAIN_ID,
    "directories": DIRECTORY_ID,
    "directory_users": USER_ID,
    "directory_groups": GROUP_ID,
    "webhook_endpoints": ENDPOINT_ID,
    "api_keys": KEY_ID,
    "attributes": attribute_examples.ATTRIBUTE_ID,
    "imports": import_examples.IMPORT_ID,
}
"""What stands for `{id}` in the address of an example, by the first segment."""

OTHER_IDS: Mapping[str, str] = {
    "token_id": TOKEN_ID,
    "external_id": "cust-42",
    **role_examples.PATHS,
    "version": "1",
    "reconciliation_id": RECONCILIATION_ID,
    "alias_id": import_examples.ALIAS_ID,
}

_T0 = datetime(2026, 3, 2, 8, 15, 0, 120_000, UTC)
_T1 = _T0 + timedelta(minutes=6, seconds=44)
_MADE, _CHANGED = wire.iso(_T0), wire.iso(_T1)

DOMAIN = wire.OrganizationDomain(
    id=DOMAIN_ID,
    organization_id=ORGANIZATION_ID,
    domain="northwind.example",
    state="pending",
    verification_strategy="dns",
    verification_token="Zt4wQ8mN1xLr7cVb",
    verification_prefix="syncline-k3p9a2fw",
    created_at=_MADE,
    updated_at=_MADE,
)
ORGANIZATION = wire.Organization(
    id=ORGANIZATION_ID,
    name="Northwind",
    domains=[DOMAIN],
    metadata={"plan": "gold"},
    external_id="cust-42",
    created_at=_MADE,
    updated_at=_MADE,
)
GROUP = wire.DirectoryGroup(
    id=GROUP_ID,
    idp_id="Dispatch",
    directory_id=DIRECTORY_ID,
    organization_id=ORGANIZATION_ID,
    name="Dispatch",
    raw_attributes={},
    created_at=_MADE,
    updated_at=_MADE,
)
USER = wire.DirectoryUser(
    id=USER_ID,
    directory_id=DIRECTORY_ID,
    organization_id=ORGANIZATION_ID,
    idp_id="00u8k2m4p6r8t0v2x4z6",
    email="mira.voss@northwind.example",
    first_name="Mira",
    last_name="Voss",
    name="Mira Voss",
    emails=[{"primary": True, "type": "work", "value": "mira.voss@northwind.example"}],
    job_title="Planner",
    username="mira.voss@northwind.example",
    state="active",
    raw_attributes={},
    custom_attributes={"department_name": "Logistics"},
    role=wire.RoleSlug(slug=role_examples.SLUG),
    roles=[wire.RoleSlug(slug=role_examples.SLUG)],
    created_at=_MADE,
    updated_at=_CHANGED,
)
DIRECTORY = wire.Directory(
    id=DIRECTORY_ID,
    organization_id=ORGANIZATION_ID,
    external_key="9f2c41d07ab83e65",
    type="generic scim v2.0",
    state="linked",
    name="Northwind Okta",
    domain="northwind.example",
    metadata=wire.DirectoryMetadata(users=wire.DirectoryUserCounts(active=25, inactive=0), groups=4),
    created_at=_MADE,
    updated_at=_CHANGED,
)
ENDPOINT = wire.WebhookEndpoint(
    id=ENDPOINT_ID,
    endpoint_url="https://app.northwind.example/hooks/directory",
    secret="whsec_…x9Qf",
    status="enabled",
    state="active",
    events=["dsync.user.created", "dsync.user.updated", "dsync.user.deleted"],
    created_at=_MADE,
    updated_at=_MADE,
)
HEALTH = wire.EndpointHealth(
    lag_events=0,
    lag_seconds=0.0,
    waiting=1,
    dead=0,
    oldest_waiting_seconds=41.7,
    circuit="closed",
    failing_since=None,
    consecutive_failures=0,
    last_success_at=_CHANGED,
    disabled_reason=None,
    missed=None,
    recent_attempts=500,
    success_ratio=0.998,
    p95_ms=87,
)
_SIGNED_MS = int(_T1.timestamp() * 1000)
ATTEMPT = wire.DeliveryAttempt(
    id="attempt_01KA0Z3X9N7R5V3T1P9M7K5H3F",
    endpoint_id=ENDPOINT_ID,
    event_id=EVENT_ID,
    event="dsync.user.updated",
    test=False,
    attempt=1,
    outcome="busy",
    status=502,
    error="The endpoint answered 502.",
    duration_ms=87,
    started_at=_CHANGED,
    next_attempt_at=wire.iso(_T1 + timedelta(seconds=62)),
    request=wire.AttemptRequest(
        headers={
            "workos-signature": f"t={_SIGNED_MS}, v1=[redacted]",
            "webhook-id": EVENT_ID,
            "webhook-timestamp": str(_SIGNED_MS // 1000),
            "webhook-signature": "[redacted]",
            "syncline-event-id": EVENT_ID,
            "syncline-attempt": "1",
        }
    ),
    response="upstream is restarting",
)
DELIVERY = wire.Delivery(
    event_id=EVENT_ID,
    event="dsync.user.updated",
    directory_id=DIRECTORY_ID,
    organization_id=ORGANIZATION_ID,
    state="waiting",
    attempts=1,
    first_attempt_at=_CHANGED,
    next_attempt_at=ATTEMPT.next_attempt_at,
    last_error=ATTEMPT.error,
)
FINDING = wire.ReconciliationFinding(
    id="finding_30000000015P7R9T1V3XZ2B4D6",
    class_="stale_profile",
    line=2,
    app_id="4711",
    matched_by="email",
    directory_user_id=USER_ID,
    idp_id=USER.idp_id,
    email=USER.email,
    reason=None,
    differences=[wire.FindingDifference(field="job_title", app="Trainee", directory="Planner")],
    candidates=[],
    lines=[],
    outcome=None,
    settled_at=None,
)
RECONCILIATION = wire.Reconciliation(
    id=RECONCILIATION_ID,
    directory_id=DIRECTORY_ID,
    state="complete",
    source="upload",
    taken_at=_CHANGED,
    rows=25,
    counts=wire.ReconciliationCounts(
        gone_but_active=0, wrong_role=0, missing=0, stale_profile=1, extra=0, ambiguous=0, changed_since=0
    ),
    progress=wire.ReconciliationProgress(done=50, total=50),
    corrections=[],
    problems=[],
    error=None,
    created_at=_CHANGED,
    finished_at=_CHANGED,
)
_BARE = DIRECTORY_ID.removeprefix("directory_")

_ANSWERS: Mapping[type[Any], Any] = {
    wire.Organization: ORGANIZATION,
    wire.OrganizationDomain: DOMAIN,
    wire.Directory: DIRECTORY,
    wire.DirectoryUser: replace(USER, groups=[GROUP]),
    wire.DirectoryGroup: GROUP,
    wire.WebhookEndpoint: ENDPOINT,
    wire.WebhookEndpointDetails: wire.WebhookEndpointDetails(**asdict(ENDPOINT), health=HEALTH),
    wire.DeliveryAttempt: ATTEMPT,
    wire.Delivery: DELIVERY,
    QueuedDeliveries: QueuedDeliveries(count=3),
    wire.DirectoryMembership: wire.DirectoryMembership(
        group=GROUP,
        direct=False,
        shown=True,
        path=[
            wire.MembershipStep(id="directory_group_01KA0Z2D5F7H9K1M3P5R7T9V1X", name="Night shift"),
            wire.MembershipStep(id=GROUP_ID, name="Dispatch"),
        ],
        path_known=True,
    ),
    wire.Erasure: wire.Erasure(
        id=f"erasure_{_BARE}",
        directory_id=DIRECTORY_ID,
        directory_user_id=USER.id,
        state="complete",
        erased=wire.ErasedCounts(
            people=1, events=12, delivery_attempts=3, pending_memberships=0, stored_answers=0
        ),
        created_at="2026-01-15T12:00:00.000Z",
        finished_at="2026-01-15T12:00:02.000Z",
    ),
    wire.Reconciliation: RECONCILIATION,
    wire.ReconciliationResult: wire.ReconciliationResult(
        **asdict(replace(RECONCILIATION, counts=replace(RECONCILIATION.counts, missing=1, stale_profile=0))),
        findings=[
            replace(
                FINDING,
                id="finding_20000000015P7R9T1V3XZ2B4D6",
                class_="missing",
                line=None,
                app_id=None,
                matched_by=None,
                differences=[],
            )
        ],
    ),
    wire.ReconciliationCorrection: wire.ReconciliationCorrection(
        class_="gone_but_active",
        state="complete",
        emitted=2,
        skipped={},
        requested_at=_CHANGED,
        finished_at=_CHANGED,
    ),
    wire.ReconciliationFinding: FINDING,
    PullQueued: PullQueued(),
    **role_examples.ANSWERS,
    **attribute_examples.ANSWERS,
    **import_examples.ANSWERS,
    **history_examples.ANSWERS,
    ManagedDirectoryBody: convert(
        {
            **builtins(DIRECTORY),
            "inactive_users": "delete",
            "membership": "direct",
            "scim": {
                "endpoint": f"{BASE_URL}/scim/v2/{_BARE}",
                "endpoint_v1": f"{BASE_URL}/scim/v1/{_BARE}",
                "bearer_token": "scim_…",
            },
        },
        ManagedDirectoryBody,
    ),
    DirectoryToken: DirectoryToken(
        id=TOKEN_ID,
        directory_id=DIRECTORY_ID,
        label="spring",
        token="scim_…",
        token_suffix="x9Qf",
        created_at=_MADE,
        expires_at=None,
        last_used_at=None,
    ),
    ApiKeyBody: ApiKeyBody(
        id=KEY_ID,
        name="billing",
        value="sk_…",
        suffix="b7Kd",
        scopes=["read"],
        created_at=_MADE,
        expires_at=None,
        last_used_at=None,
    ),
}
_SHOWN_ONCE = ("value", "token", "bearer_token")


def answer(kind: Any, *, is_new: bool) -> Any:
    """Return an answer as plain JSON, None for an object without an example.

    `is_new`: the answer to a creation, which shows what is shown once.
    """
    if kind is wire.Event:
        return event(CATALOG["dsync.user.updated"])
    found = _ANSWERS.get(kind)
    if found is None:
        return None
    plain = builtins(found)
    if not is_new:
        return _without_secrets(plain)
    if kind is wire.WebhookEndpoint:
        plain["secret"] = "whsec_…"
    if kind is ManagedDirectoryBody:
        plain |= {"state": "validating", "metadata": {"users": {"active": 0, "inactive": 0}, "groups": 0}}
    return plain


def event(kind: type[Event]) -> dict[str, Any]:
    """Return one event of a type as it is sent, made from the class and the fields that it declares."""
    about_directory = kind.name.startswith("dsync.")
    by_us = about_directory or kind.name.startswith(OWN_PREFIX)
    actor = None if by_us else stringify({"id": KEY_ID, "source": "api", "name": "billing"})
    sealed = envelope(
        EVENT_ID,
        kind.name,
        stringify(_instance(kind).data()),
        _T1,
        actor,
        sequence=1042,
        directory_sequence=310 if about_directory else None,
    )
    found: dict[str, Any] = json.loads(sealed)
    return found


def _instance(kind: type[Event]) -> Event:
    hints = typing.get_type_hints(kind)
    build: Any = kind
    values = {field.name: _value(field.name, hints[field.name]) for field in fields(build)}
    made: Event = build(**values | _AS_LEFT.get(kind.name, {}))
    return made


_DIRECTORY = Directory(
    environment_id=EnvironmentId("environment_01KA0YN1B3D5F7H9K1M3P5R7T9"),
    organization_id=ORGANIZATION_ID,
    id=DirectoryId(DIRECTORY_ID),
    external_key="9f2c41d07ab83e65",
    name="Northwind Okta",
    type="okta scim v2.0",
    state=DirectoryState.LINKED,
    inactive_users=InactiveUsers.DELETE,
    settings={},
    created_at=_T0,
    updated_at=_T1,
)
_BEFORE: Mapping[type[Any], Any] = {
    wire.DirectoryUser: replace(USER, job_title="Intern", updated_at=_MADE),
    wire.DirectoryGroup: replace(GROUP, idp_id="Night shift", name="Night shift"),
}
_BY_TYPE: Mapping[type[Any], Any] = {
    wire.DirectoryUser: USER,
    wire.DirectoryGroup: GROUP,
    wire.Organization: ORGANIZATION,
    wire.OrganizationDomain: DOMAIN,
    wire.Role: role_examples.ROLE,
    datetime: _T0,
    Directory: _DIRECTORY,
}
_STEPS = ("created", "updated", "deleted")
_AS_LEFT: Mapping[str, dict[str, Any]] = {
    "dsync.deleted": {"directory": replace_dataclass(_DIRECTORY, state=DirectoryState.DELETING)},
    "dsync.user.deleted": {"user": replace(USER, state="inactive")},
    "syncline.webhook_endpoint.disabled": {
        "reason": "no_success_for_five_days",
        "failing_since": _T0 - timedelta(days=5),
    },
    **{f"organization_role.{what}": {"role": role_examples.OWN_ROLE} for what in _STEPS},
    "organization_domain.verified": {"domain": replace(DOMAIN, state="verified")},
    "organization_domain.verification_failed": {"domain": replace(DOMAIN, state="failed")},
}
"""Types at whose end an object is in a state of its own."""
_BY_NAME: Mapping[str, Any] = {
    "id": TOKEN_ID,
    "directory_id": DIRECTORY_ID,
    "organization_id": ORGANIZATION_ID,
    "token_suffix": "x9Qf",
    "endpoint_id": ENDPOINT_ID,
    "endpoint_url": ENDPOINT.endpoint_url,
    "failed_attempts": 1412,
    "reason": "domain_verification_period_expired",
    "domains": [(DOMAIN_ID, "northwind.example")],
}


def _value(name: str, hint: Any) -> Any:
    """Return what a field of an event class holds in its example, found by its type, else by its name."""
    if name == "before":
        return _BEFORE[hint]
    if hint in _BY_TYPE:
        return _BY_TYPE[hint]
    if name in _BY_NAME:
        return _BY_NAME[name]
    raise LookupError(f"no example for the field {name} of the type {hint}: add one to {__name__}")


def _without_secrets(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: _without_secrets(part) for key, part in plain.items() if key not in _SHOWN_ONCE}
    return plain
