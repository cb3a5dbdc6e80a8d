"""Bodies that are in the internal form already, recognized in one pass (docs/decisions/015).

Nearly every body of the big providers is: RFC spelling, real booleans, no empty values. Reading it through
the lenient path of `normalize` gives the same document for ten times the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from syncline.core.json import Json
from syncline.core.scim.schema import (
    COMMON_ATTRIBUTES,
    CORE_V1_URN,
    ENTERPRISE_ATTRIBUTES,
    ENTERPRISE_URN,
    GROUP_URN,
    USER_ATTRIBUTES,
    USER_URN,
    Attribute,
    AttributeType,
)

_Check = Callable[[Json], bool]

_KNOWN_SCHEMAS = frozenset({USER_URN, GROUP_URN, ENTERPRISE_URN, CORE_V1_URN})
_HOLLOW = frozenset({"type", "primary"})


def canonical_user(body: Mapping[str, Json]) -> dict[str, Json] | None:
    """Return the normalized document of a user's body if no leniency is needed to read it, else None.

    The values are shared with the body, so neither may be changed afterwards.
    """
    document: dict[str, Json] = {}
    for key, value in body.items():
        check = _USER.get(key)
        if check is None or not check(value):
            return None
        if key not in _NOT_TAKEN:
            document[key] = value
    return document


def _is_text(value: Json) -> bool:
    return type(value) is str and value != ""


def _is_boolean(value: Json) -> bool:
    return type(value) is bool


def _is_anything(value: Json) -> bool:
    return True


def _are_known_schemas(value: Json) -> bool:
    return type(value) is list and all(type(urn) is str and urn in _KNOWN_SCHEMAS for urn in value)


def _check_of(definition: Attribute) -> _Check:
    """Return what tells whether a value of an attribute is in the internal form."""
    if not definition.is_complex:
        return _is_boolean if definition.type is AttributeType.BOOLEAN else _is_text
    check = _object_check(definition.sub_attributes)
    return _entries_check(check) if definition.multi_valued else check


def _object_check(fields: Iterable[Attribute]) -> _Check:
    checks = {field.name: _check_of(field) for field in fields}
    texts = frozenset(name for name, check in checks.items() if check is _is_text)

    def check(value: Json) -> bool:
        if type(value) is not dict or not value:
            return False
        for key, part in value.items():
            if key in texts:
                if type(part) is not str or not part:
                    return False
            elif key not in checks or not checks[key](part):
                return False
        return True

    return check


def _entries_check(check: _Check) -> _Check:
    def check_entries(value: Json) -> bool:
        if type(value) is not list or not value:
            return False
        primaries = 0
        for entry in value:
            if not check(entry) or not isinstance(entry, dict) or entry.keys() <= _HOLLOW:
                return False
            primaries += entry.get("primary") is True
        return primaries < 2

    return check_entries


# What a body cannot set, whatever it says (`normalize` has the reasons); a password is dropped there.
_NOT_TAKEN: Mapping[str, _Check] = {
    "schemas": _are_known_schemas,
    "id": _is_anything,
    "meta": _is_anything,
    "groups": _is_anything,
}
_USER: Mapping[str, _Check] = {
    **{
        entry.name: _check_of(entry)
        for entry in (*COMMON_ATTRIBUTES, *USER_ATTRIBUTES)
        if entry.name != "password"
    },
    ENTERPRISE_URN: _object_check(ENTERPRISE_ATTRIBUTES),
    **_NOT_TAKEN,
}
