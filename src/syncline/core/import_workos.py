"""Objects of the WorkOS API as records of an import (`api.md` §3).

The API shows a person's attributes, not the SCIM resource that they came from; this puts them back where a
provider would have sent them. What has no place in SCIM is kept below `EXTRA_URN`, where an attribute map
finds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from syncline.core.imports import (
    DirectoryRecord,
    DomainRecord,
    GroupRecord,
    MembershipRecord,
    OrganizationRecord,
    UserRecord,
)
from syncline.core.json import Json
from syncline.core.scim.schema import ENTERPRISE_URN

EXTRA_URN = "urn:syncline:params:scim:schemas:imported:2.0:User"
_CORE = {
    "display_name": "displayName",
    "job_title": "title",
    "employee_type": "userType",
}
_ENTERPRISE = {
    "department_name": "department",
    "division_name": "division",
    "cost_center_name": "costCenter",
    "employee_number": "employeeNumber",
    "organization": "organization",
}
_LISTS = {"phone_numbers": "phoneNumbers"}
_ADDRESS = {
    "street_address": "streetAddress",
    "locality": "locality",
    "region": "region",
    "postal_code": "postalCode",
    "country": "country",
    "raw_address": "formatted",
    "type": "type",
    "primary": "primary",
}
# Standard attributes that some answers repeat among the custom ones.
_STANDARD = frozenset(
    {"emails", "username", "email", "addresses", "manager_id", "manager_name", "manager_email"}
    | {*_CORE, *_ENTERPRISE, *_LISTS}
)


def organization(found: Mapping[str, Any]) -> OrganizationRecord:
    """Return the record of an organization."""
    domains = [
        DomainRecord(domain=one["domain"], state=one.get("state") or "pending", id=one.get("id"))
        for one in found.get("domains") or ()
    ]
    return OrganizationRecord(
        id=found["id"],
        name=found["name"],
        external_id=found.get("external_id"),
        stripe_customer_id=found.get("stripe_customer_id"),
        metadata=dict(found.get("metadata") or {}),
        domains=domains,
        created_at=found.get("created_at"),
    )


def directory(found: Mapping[str, Any]) -> DirectoryRecord:
    """Return the record of a directory."""
    return DirectoryRecord(
        id=found["id"],
        organization_id=found["organization_id"],
        name=found["name"],
        provider=found["type"],
        external_key=found.get("external_key"),
        state=found["state"],
        created_at=found.get("created_at"),
    )


def user(found: Mapping[str, Any], *, keeps_id: bool = False) -> UserRecord:
    """Return the record of a person: as the provider sent them, where the API still shows that.

    `keeps_id`: the provider knows the person by the whole id, with its prefix.
    """
    raw = found.get("raw_attributes")
    sent: dict[str, Json] = dict(raw) if isinstance(raw, dict) and "userName" in raw else _resource(found)
    sent["active"] = found["state"] == "active"
    return UserRecord(
        id=found["id"],
        directory_id=found["directory_id"],
        resource=sent,
        scim_id=found["id"] if keeps_id else None,
        created_at=found.get("created_at"),
    )


def group(found: Mapping[str, Any], *, keeps_id: bool = False) -> GroupRecord:
    """Return the record of a group; an id at the provider that is only its name is none."""
    resource: dict[str, Json] = {"displayName": found["name"]}
    if found.get("idp_id") and found["idp_id"] != found["name"]:
        resource["externalId"] = found["idp_id"]
    return GroupRecord(
        id=found["id"],
        directory_id=found["directory_id"],
        resource=resource,
        scim_id=found["id"] if keeps_id else None,
        created_at=found.get("created_at"),
    )


def membership(directory_id: str, group_id: str, user_ids: Sequence[str]) -> MembershipRecord:
    """Return the record of people of a group."""
    return MembershipRecord(directory_id=directory_id, group_id=group_id, user_ids=list(user_ids))


def _resource(found: Mapping[str, Any]) -> dict[str, Json]:
    """Return the SCIM resource that the attributes of a person tell of."""
    custom: Mapping[str, Any] = found.get("custom_attributes") or {}
    email, idp_id = found.get("email"), found["idp_id"]
    name = {
        "givenName": found.get("first_name"),
        "familyName": found.get("last_name"),
        "formatted": found.get("name"),
    }
    resource: dict[str, Json] = {
        "userName": found.get("username") or custom.get("username") or email or idp_id,
        "externalId": idp_id,
        "name": {key: value for key, value in name.items() if value},
    }
    emails = found.get("emails") or custom.get("emails") or []
    if not emails and email:
        emails = [{"primary": True, "type": "work", "value": email}]
    resource["emails"] = [{key: part for key, part in one.items() if part is not None} for one in emails]
    for key, target in (_CORE | _LISTS).items():
        value = custom.get(key) or (found.get("job_title") if key == "job_title" else None)
        if value:
            resource[target] = value
    if isinstance(custom.get("addresses"), list):
        resource["addresses"] = [_address(one) for one in custom["addresses"] if isinstance(one, dict)]
    enterprise = _enterprise(custom)
    if enterprise:
        resource[ENTERPRISE_URN] = enterprise
    extra = {key: value for key, value in custom.items() if key not in _STANDARD and value is not None}
    if extra:
        resource[EXTRA_URN] = extra
    return resource


def _address(found: Mapping[str, Any]) -> Json:
    return {_ADDRESS[key]: value for key, value in found.items() if key in _ADDRESS and value is not None}


def _enterprise(custom: Mapping[str, Any]) -> dict[str, Json]:
    found: dict[str, Json] = {target: custom[key] for key, target in _ENTERPRISE.items() if custom.get(key)}
    manager: dict[str, Json] = {}
    if custom.get("manager_id") or custom.get("manager_email"):
        manager["value"] = custom.get("manager_id") or custom["manager_email"]
    if custom.get("manager_name"):
        manager["displayName"] = custom["manager_name"]
    if manager:
        found["manager"] = manager
    return found
