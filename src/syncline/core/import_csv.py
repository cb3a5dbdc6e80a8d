"""Rows of CSV files as records of an import: one file for each kind of record, columns by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from syncline.core.imports import RecordRefused
from syncline.core.scim.schema import ENTERPRISE_URN

Row = Mapping[str, str]

_IDENTITY = ("id", "directory_id", "scim_id", "created_at")
_USER = {
    "user_name": "userName",
    "external_id": "externalId",
    "display_name": "displayName",
    "title": "title",
    "user_type": "userType",
    "preferred_language": "preferredLanguage",
    "timezone": "timezone",
}
_NAME = {"first_name": "givenName", "last_name": "familyName", "formatted_name": "formatted"}
_ENTERPRISE = {
    "department": "department",
    "division": "division",
    "cost_center": "costCenter",
    "employee_number": "employeeNumber",
    "organization": "organization",
}
_TRUE, _FALSE = frozenset({"true", "t", "1", "yes"}), frozenset({"false", "f", "0", "no"})

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "organization": ("id", "name", "external_id", "domains", "created_at"),
    "directory": (
        "id",
        "organization_id",
        "name",
        "provider",
        "external_key",
        "inactive_users",
        "membership",
        "token",
        "digest",
        "scim_alias",
        "created_at",
    ),
    "user": (*_IDENTITY, *_USER, *_NAME, "email", "phone", "active", "manager", *_ENTERPRISE),
    "group": (*_IDENTITY, "display_name", "external_id"),
    "membership": ("directory_id", "group_id", "user_id", "member_group_id"),
}
"""The columns that a file of each kind may have; which of them are needed, the records say."""


def record_of(kind: str, row: Row) -> dict[str, Any]:
    """Return the record of a row; empty cells are absent. Raises `RecordRefused` naming the column."""
    unknown = sorted(set(row) - set(COLUMNS[kind]))
    if unknown:
        raise RecordRefused("column_unknown", f"There is no column '{unknown[0]}' in a file of this kind.")
    cells = {name: value.strip() for name, value in row.items() if value.strip()}
    return {"type": kind, **_READERS[kind](cells)}


def _organization(cells: Row) -> dict[str, Any]:
    found: dict[str, Any] = {name: value for name, value in cells.items() if name != "domains"}
    if "domains" in cells:
        found["domains"] = [{"domain": one} for one in cells["domains"].replace(";", " ").split()]
    return found


def _directory(cells: Row) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: value for name, value in cells.items() if name not in ("token", "digest", "scim_alias")
    }
    token = {name: cells[name] for name in ("token", "digest") if name in cells}
    if token:
        found["bearer_tokens"] = [token]
    if "scim_alias" in cells:
        found["scim_aliases"] = [cells["scim_alias"]]
    return found


def _user(cells: Row) -> dict[str, Any]:
    resource = _placed(cells, _USER)
    name, enterprise = _placed(cells, _NAME), _placed(cells, _ENTERPRISE)
    if "manager" in cells:
        enterprise["manager"] = {"value": cells["manager"]}
    if name:
        resource["name"] = name
    if enterprise:
        resource[ENTERPRISE_URN] = enterprise
    if "email" in cells:
        resource["emails"] = [{"value": cells["email"], "type": "work", "primary": True}]
    if "phone" in cells:
        resource["phoneNumbers"] = [{"value": cells["phone"], "type": "work"}]
    if "active" in cells:
        resource["active"] = _boolean(cells["active"])
    return {**_identity(cells), "resource": resource}


def _group(cells: Row) -> dict[str, Any]:
    resource = _placed(cells, {"display_name": "displayName", "external_id": "externalId"})
    return {**_identity(cells), "resource": resource}


def _membership(cells: Row) -> dict[str, Any]:
    found: dict[str, Any] = {name: cells[name] for name in ("directory_id", "group_id") if name in cells}
    for name in ("user_id", "member_group_id"):
        found[f"{name}s"] = [cells[name]] if name in cells else []
    return found


def _identity(cells: Row) -> dict[str, Any]:
    return {name: cells[name] for name in _IDENTITY if name in cells}


def _placed(cells: Row, columns: Mapping[str, str]) -> dict[str, Any]:
    return {target: cells[name] for name, target in columns.items() if name in cells}


def _boolean(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise RecordRefused("active_invalid", "active must be true or false.")
    return text.lower() in _TRUE


_READERS: Mapping[str, Callable[[Row], dict[str, Any]]] = {
    "organization": _organization,
    "directory": _directory,
    "user": _user,
    "group": _group,
    "membership": _membership,
}
