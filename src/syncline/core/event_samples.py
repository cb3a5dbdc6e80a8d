"""A realistic event of every type about nobody: what a webhook endpoint is sent when its owner tests it.

The objects are made from the fields that an event class declares, so a new type of known fields needs nothing
here. Their ids are well formed and belong to nothing.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import fields
from dataclasses import replace as replace_dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from syncline.core import wire
from syncline.core.events import CATALOG, Event
from syncline.core.model import Directory, DirectoryId, DirectoryState, EnvironmentId, InactiveUsers

_DAY = timedelta(days=1)
_ULID = "01KA0Z0000000000000TEST000"
ORGANIZATION_ID = f"org_{_ULID}"
DIRECTORY_ID = f"directory_{_ULID}"
_DOMAIN = "northwind.example"
_EMAIL = f"mira.voss@{_DOMAIN}"


class NoSample(LookupError):
    """There is no event of this type to show: it is never emitted, or holds fields nobody wrote down here."""


def sample(type_: str, now: datetime) -> Event:
    """Return an event of a type as if it occurred now. Raises `NoSample`."""
    kind = CATALOG.get(type_)
    if kind is None:
        raise NoSample(type_)
    shown = _Shown(now)
    hints = typing.get_type_hints(kind)
    build: Any = kind
    values = {field.name: shown.value(type_, field.name, hints[field.name]) for field in fields(build)}
    made: Event = build(**values | shown.as_left(type_))
    return made


class _Shown:
    """One customer with a directory, a person and a group, as they are at a moment."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        made, changed = wire.iso(now - _DAY), wire.iso(now)
        self.user = wire.DirectoryUser(
            id=f"directory_user_{_ULID}",
            directory_id=DIRECTORY_ID,
            organization_id=ORGANIZATION_ID,
            idp_id="00u8k2m4p6r8t0v2x4z6",
            email=_EMAIL,
            first_name="Mira",
            last_name="Voss",
            name="Mira Voss",
            emails=[{"primary": True, "type": "work", "value": _EMAIL}],
            job_title="Planner",
            username=_EMAIL,
            state="active",
            raw_attributes={},
            custom_attributes={},
            created_at=made,
            updated_at=changed,
        )
        self.group = wire.DirectoryGroup(
            id=f"directory_group_{_ULID}",
            idp_id="Dispatch",
            directory_id=DIRECTORY_ID,
            organization_id=ORGANIZATION_ID,
            name="Dispatch",
            raw_attributes={},
            created_at=made,
            updated_at=changed,
        )
        self.domain = wire.OrganizationDomain(
            id=f"org_domain_{_ULID}",
            organization_id=ORGANIZATION_ID,
            domain=_DOMAIN,
            state="pending",
            verification_strategy="dns",
            verification_token="Zt4wQ8mN1xLr7cVb",
            verification_prefix="syncline-k3p9a2fw",
            created_at=made,
            updated_at=changed,
        )
        self.organization = wire.Organization(
            id=ORGANIZATION_ID,
            name="Northwind",
            domains=[self.domain],
            metadata={},
            external_id=None,
            created_at=made,
            updated_at=changed,
        )
        self.role = wire.Role(
            id=f"role_{_ULID}",
            slug="planner",
            name="Planner",
            description=None,
            type="EnvironmentRole",
            resource_type_slug="organization",
            permissions=["routes:edit"],
            created_at=made,
            updated_at=changed,
        )
        self.directory = Directory(
            environment_id=EnvironmentId(f"environment_{_ULID}"),
            organization_id=ORGANIZATION_ID,
            id=DirectoryId(DIRECTORY_ID),
            external_key="9f2c41d07ab83e65",
            name="Northwind",
            type="generic scim v2.0",
            state=DirectoryState.LINKED,
            inactive_users=InactiveUsers.DELETE,
            settings={},
            created_at=now - _DAY,
            updated_at=now,
        )

    def value(self, type_: str, name: str, hint: Any) -> Any:
        """Return what a field holds, found by its type, else by its name. Raises `NoSample`."""
        before: Mapping[Any, Any] = {
            wire.DirectoryUser: replace(self.user, job_title="Trainee"),
            wire.DirectoryGroup: replace(self.group, idp_id="Night shift", name="Night shift"),
        }
        by_type: Mapping[Any, Any] = {
            wire.DirectoryUser: self.user,
            wire.DirectoryGroup: self.group,
            wire.Organization: self.organization,
            wire.OrganizationDomain: self.domain,
            wire.Role: replace(self.role, slug="org-planner") if "organization" in type_ else self.role,
            Directory: self.directory,
            datetime: self._now,
        }
        by_name: Mapping[str, Any] = {
            "id": f"directory_token_{_ULID}",
            "directory_id": DIRECTORY_ID,
            "organization_id": ORGANIZATION_ID,
            "token_suffix": "x9Qf",
            "reason": "domain_verification_period_expired",
            "domains": [(self.domain.id, _DOMAIN)],
            "endpoint_id": f"we_{_ULID}",
            "endpoint_url": f"https://app.{_DOMAIN}/hooks/directory",
            "failed_attempts": 34,
        }
        if name == "before":
            return before[hint]
        if hint in by_type:
            return by_type[hint]
        if name not in by_name:
            raise NoSample(f"{type_}: {name}")
        return by_name[name]

    def as_left(self, type_: str) -> dict[str, Any]:
        """Return the fields of a type at whose end an object is in a state of its own."""
        left: Mapping[str, dict[str, Any]] = {
            "dsync.deleted": {"directory": replace_dataclass(self.directory, state=DirectoryState.DELETING)},
            "syncline.webhook_endpoint.disabled": {"reason": "no_success_for_five_days"},
            "dsync.user.deleted": {"user": replace(self.user, state="inactive")},
            "organization_domain.verified": {"domain": replace(self.domain, state="verified")},
            "organization_domain.verification_failed": {"domain": replace(self.domain, state="failed")},
        }
        return left.get(type_, {})
