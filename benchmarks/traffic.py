"""What identity providers send: users and changes in the shapes of Okta and of Microsoft Entra ID."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

_GIVEN = (
    "Asha",
    "Bruno",
    "Chiara",
    "Dmitri",
    "Elif",
    "Farid",
    "Greta",
    "Hana",
    "Ivo",
    "Jana",
    "Kofi",
    "Lena",
)
_FAMILY = (
    "Abara",
    "Berg",
    "Castro",
    "Dubois",
    "Eriksen",
    "Fontana",
    "Gupta",
    "Hoang",
    "Ito",
    "Jansen",
    "Kaya",
)
_DEPARTMENTS = ("Claims", "Design", "Finance", "Kitchen", "Legal", "Logistics", "Support")


def user_name(number: int) -> str:
    """Return the userName of a person."""
    return f"{given(number)}.{family(number)}.{number}@northwind.example".lower()


def given(number: int) -> str:
    """Return a given name."""
    return _GIVEN[number % len(_GIVEN)]


def family(number: int) -> str:
    """Return a family name."""
    return _FAMILY[number % len(_FAMILY)]


def department(number: int) -> str:
    """Return a department."""
    return _DEPARTMENTS[number % len(_DEPARTMENTS)]


def user(number: int) -> dict[str, Any]:
    """Return the body with which Entra ID creates a person."""
    name = user_name(number)
    return {
        "schemas": [USER, ENTERPRISE],
        "externalId": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
        "userName": name,
        "active": True,
        "displayName": f"{given(number)} {family(number)}",
        "title": "Clerk",
        "preferredLanguage": "en-US",
        "name": {"givenName": given(number), "familyName": family(number)},
        "emails": [{"primary": True, "type": "work", "value": name}],
        "phoneNumbers": [{"type": "mobile", "value": f"+1 555 {number:07d}"}],
        ENTERPRISE: {"department": department(number), "employeeNumber": str(100_000 + number)},
    }


def find(number: int) -> str:
    """Return the lookup that precedes a creation."""
    condition = quote(f'userName eq "{user_name(number)}"')
    return f"/Users?filter={condition}&startIndex=1&count=100"


def okta_patch(turn: int) -> dict[str, Any]:
    """Return Okta's change of the state: one replace without a path."""
    return {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "value": {"active": turn % 2 == 0}}]}


def entra_patch(number: int, turn: int, *, is_capitalized: bool = True) -> dict[str, Any]:
    """Return Entra ID's change of a profile: several replaces, dotted, filtered and with a URN."""
    replace = "Replace" if is_capitalized else "replace"
    changes = {
        "displayName": f"{given(number)} {family(number + turn)}",
        "name.familyName": family(number + turn),
        'emails[type eq "work"].value': f"t{turn}.{user_name(number)}",
        f"{ENTERPRISE}:department": department(number + turn),
    }
    return {
        "schemas": [PATCH_OP],
        "Operations": [{"op": replace, "path": path, "value": value} for path, value in changes.items()],
    }


def okta_took(body: dict[str, Any], turn: int) -> bool:
    """Tell whether a user shows Okta's change."""
    return body.get("active") is (turn % 2 == 0)


def entra_took(body: dict[str, Any], number: int, turn: int) -> bool:
    """Tell whether a user shows every part of Entra ID's change."""
    emails = body.get("emails") or [{}]
    return bool(
        body.get("displayName") == f"{given(number)} {family(number + turn)}"
        and body.get("name", {}).get("familyName") == family(number + turn)
        and emails[0].get("value") == f"t{turn}.{user_name(number)}"
        and body.get(ENTERPRISE, {}).get("department") == department(number + turn)
    )


def group(name: str, members: Iterable[str]) -> dict[str, Any]:
    """Return the body that creates a group of a name nobody else has."""
    value = [{"value": id_} for id_ in members]
    return {"schemas": [GROUP], "displayName": f"{name} {uuid.uuid4().hex[:8]}", "members": value}


def add_members(ids: Iterable[str]) -> dict[str, Any]:
    """Return the addition of members to a group."""
    value = [{"value": id_} for id_ in ids]
    return {"schemas": [PATCH_OP], "Operations": [{"op": "add", "path": "members", "value": value}]}


def remove_member(id_: str) -> dict[str, Any]:
    """Return the removal of one member from a group."""
    path = f'members[value eq "{id_}"]'
    return {"schemas": [PATCH_OP], "Operations": [{"op": "remove", "path": path}]}
