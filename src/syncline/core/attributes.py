"""The standard attributes of a directory user, read from the normalized SCIM document (`scim.md` §12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncline.core.json import Json
from syncline.core.scim.schema import ENTERPRISE_URN
from syncline.core.text import looks_like_email


@dataclass(frozen=True, slots=True)
class StandardAttributes:
    """What the product view shows of a person; None where the source has nothing."""

    idp_id: str
    email: str | None
    username: str | None
    first_name: str | None
    last_name: str | None
    name: str | None
    job_title: str | None
    emails: list[Json]
    display_name: str | None
    employee_type: str | None
    department_name: str | None
    division_name: str | None
    cost_center_name: str | None
    employee_number: str | None
    organization: str | None
    manager_id: str | None
    manager_name: str | None


def standard_attributes(document: Mapping[str, Json], *, resource_id: str) -> StandardAttributes:
    """Return the standard attributes of a normalized user document; `resource_id` is its SCIM id."""
    enterprise = _object(document.get(ENTERPRISE_URN))
    manager = _object(enterprise.get("manager"))
    first_name, last_name = _names(document)
    return StandardAttributes(
        idp_id=idp_id(document, resource_id),
        email=email(document),
        username=_text(document.get("userName")),
        first_name=first_name,
        last_name=last_name,
        name=_full_name(document, first_name, last_name),
        job_title=_text(document.get("title")),
        emails=[
            {
                "primary": entry.get("primary") is True,
                "type": _text(entry.get("type")),
                "value": _text(entry.get("value")),
            }
            for entry in _entries(document.get("emails"))
        ],
        display_name=_text(document.get("displayName")),
        employee_type=_text(document.get("userType")),
        department_name=_text(enterprise.get("department")),
        division_name=_text(enterprise.get("division")),
        cost_center_name=_text(enterprise.get("costCenter")),
        employee_number=_text(enterprise.get("employeeNumber")),
        organization=_text(enterprise.get("organization")),
        manager_id=_text(manager.get("value")),
        manager_name=_text(manager.get("displayName")),
    )


def idp_id(document: Mapping[str, Json], resource_id: str) -> str:
    """Return the id under which the provider knows a person: `externalId`, else the SCIM id."""
    return _text(document.get("externalId")) or resource_id


def email(document: Mapping[str, Json]) -> str | None:
    """Return the primary address, else the one for work, else the first, else a userName that is one."""
    usable = [
        (entry, value.strip())
        for entry in _entries(document.get("emails"))
        if (value := _text(entry.get("value"))) is not None and looks_like_email(value.strip())
    ]
    for entry, value in usable:
        if entry.get("primary") is True:
            return value
    for entry, value in usable:
        kind = entry.get("type")
        if isinstance(kind, str) and kind.lower() == "work":
            return value
    if usable:
        return usable[0][1]
    user_name = (_text(document.get("userName")) or "").strip()
    return user_name if looks_like_email(user_name) else None


def _names(document: Mapping[str, Json]) -> tuple[str | None, str | None]:
    name = _object(document.get("name"))
    first, last = _text(name.get("givenName")), _text(name.get("familyName"))
    if first is not None or last is not None:
        return first, last
    whole = _text(name.get("formatted")) or _text(document.get("displayName"))
    if whole is None:
        return None, None
    first, _, last = whole.strip().partition(" ")
    return first or None, last.strip() or None


def _full_name(document: Mapping[str, Json], first: str | None, last: str | None) -> str | None:
    formatted = _text(_object(document.get("name")).get("formatted"))
    return formatted or _text(document.get("displayName")) or " ".join(filter(None, (first, last))) or None


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _entries(value: Json) -> list[dict[str, Json]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
