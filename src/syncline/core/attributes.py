"""The standard attributes of a directory user, read from the normalized SCIM document (`scim.md` §12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from syncline.core.json import Json, stringify
from syncline.core.model import Mapped, UserRecord
from syncline.core.scim.schema import ENTERPRISE_URN
from syncline.core.text import looks_like_email

_encode = msgspec.json.Encoder().encode


class StandardAttributes(NamedTuple):
    """What the product view shows of everybody at the top level; None where the source has nothing."""

    idp_id: str
    email: str | None
    username: str | None
    first_name: str | None
    last_name: str | None
    name: str | None
    job_title: str | None
    emails: list[Json]


def standard_attributes(document: Mapping[str, Json], *, resource_id: str) -> StandardAttributes:
    """Return the standard attributes of a normalized user document; `resource_id` is its SCIM id."""
    first_name, last_name = _names(document)
    return StandardAttributes(
        idp_id=idp_id(document, resource_id),
        email=email(document),
        username=_text(document.get("userName")),
        first_name=first_name,
        last_name=last_name,
        name=_full_name(document, first_name, last_name),
        job_title=_text(document.get("title")),
        emails=emails(document),
    )


def product_attributes(
    document: Mapping[str, Json], mapped: Mapped | None, resource_id: str
) -> dict[str, Json]:
    """Return every attribute that the product view shows of a person, standard and custom, by key.

    `mapped` is what the directory's map made of the person, None without one; `resource_id` the SCIM id.
    """
    shown = _top_level(document, mapped, resource_id)
    return shown if mapped is None else shown | dict(mapped.custom)


def _top_level(document: Mapping[str, Json], mapped: Mapped | None, resource_id: str) -> dict[str, Json]:
    found = standard_attributes(document, resource_id=resource_id)
    shown: dict[str, Json] = {
        "idp_id": found.idp_id,
        "email": found.email,
        "first_name": found.first_name,
        "last_name": found.last_name,
        "name": found.name,
        "emails": found.emails,
        "job_title": found.job_title,
        "username": found.username,
        "state": state(document),
    }
    return shown if mapped is None else shown | dict(mapped.standard)


def same_mapped(one: Mapped | None, other: Mapped | None) -> bool:
    """Tell whether two outcomes of a map say the same as JSON, where `true` is not 1."""
    if one is None or other is None:
        return one is other
    return _same(one.standard, other.standard) and _same(one.custom, other.custom)


def attribute_changes(before: UserRecord, after: UserRecord) -> dict[str, tuple[Json, Json]]:
    """Return what the product view shows differently of a person: old and new value by key.

    A key that is missing and one that is null are the same (`api.md` §4). Roles are no attributes. Some
    predefined attributes have the key of something at the top level: it counts as changed where either is,
    with the values of `custom_attributes` if these are different.
    """
    if before.document is after.document and before.mapped is after.mapped:
        return {}
    return _different(
        _top_level(before.document, before.mapped, before.id),
        _top_level(after.document, after.mapped, after.id),
    ) | _different(_custom(before), _custom(after))


def _custom(record: UserRecord) -> Mapping[str, Json]:
    return {} if record.mapped is None else record.mapped.custom


def _different(old: Mapping[str, Json], new: Mapping[str, Json]) -> dict[str, tuple[Json, Json]]:
    return {
        key: (old.get(key), new.get(key))
        for key in (*old, *(key for key in new if key not in old))
        if not same_value(old.get(key), new.get(key))
    }


def same_value(one: Json, other: Json) -> bool:
    """Tell whether two values are the same as JSON: `true` is not 1, but 1 is 1.0."""
    if one is other:
        return True
    if one.__class__ is str and other.__class__ is str:
        return one == other
    if one != other or isinstance(one, bool) != isinstance(other, bool):
        return False
    if not isinstance(one, (dict, list)) or _encode(one) == _encode(other):
        return True
    return stringify(one) == stringify(other)


def _same(one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    if one != other:
        return False
    # What is equal to a text is that text.
    return all(value.__class__ is str or same_value(value, other[key]) for key, value in one.items())


def state(document: Mapping[str, Json]) -> str:
    """Return `active` or `inactive`; who says nothing is active."""
    return "inactive" if document.get("active") is False else "active"


def emails(document: Mapping[str, Json]) -> list[Json]:
    """Return all e-mail addresses in the form of the API."""
    return [
        {
            "primary": entry.get("primary") is True,
            "type": _text(entry.get("type")),
            "value": _text(entry.get("value")),
        }
        for entry in _entries(document.get("emails"))
    ]


def addresses(document: Mapping[str, Json]) -> list[Json]:
    """Return all postal addresses in the form of the API (`api.md` §6.1)."""
    return [
        {
            "type": _text(entry.get("type")),
            "street_address": _text(entry.get("streetAddress")),
            "locality": _text(entry.get("locality")),
            "region": _text(entry.get("region")),
            "postal_code": _text(entry.get("postalCode")),
            "country": _text(entry.get("country")),
            "raw_address": _text(entry.get("formatted")),
            "primary": entry.get("primary") is True,
        }
        for entry in _entries(document.get("addresses"))
    ]


def phone_numbers(document: Mapping[str, Json]) -> list[Json]:
    """Return all phone numbers in the form of the API (`api.md` §6.1)."""
    return [
        {
            "value": _text(entry.get("value")),
            "display": _text(entry.get("display")),
            "type": _text(entry.get("type")),
            "primary": entry.get("primary") is True,
        }
        for entry in _entries(document.get("phoneNumbers"))
    ]


def idp_id(document: Mapping[str, Json], resource_id: str) -> str:
    """Return the id under which the provider knows a person: `externalId`, else the SCIM id."""
    return _text(document.get("externalId")) or resource_id


def manager_of(document: Mapping[str, Json]) -> str | None:
    """Return what names a person's manager: an id, or whatever the provider sends instead."""
    return _text(_object(_object(document.get(ENTERPRISE_URN)).get("manager")).get("value"))


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


def first_name(document: Mapping[str, Json]) -> str | None:
    """Return the given name; where both names are missing, the full name up to its first space."""
    return _names(document)[0]


def last_name(document: Mapping[str, Json]) -> str | None:
    """Return the family name; where both names are missing, the full name behind its first space."""
    return _names(document)[1]


def name(document: Mapping[str, Json]) -> str | None:
    """Return the formatted name, else the display name, else given and family name."""
    return _full_name(document, *_names(document))


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


SELECTIONS: Mapping[str, Callable[[Mapping[str, Json]], Json]] = {
    "$email": email,
    "$emails": emails,
    "$addresses": addresses,
    "$phone_numbers": phone_numbers,
    "$first_name": first_name,
    "$last_name": last_name,
    "$name": name,
    "$username": lambda document: _text(document.get("userName")),
    "$display_name": lambda document: _text(document.get("displayName")),
    "$job_title": lambda document: _text(document.get("title")),
    "$state": state,
    "$manager_id": manager_of,
}
"""What Syncline selects from a normalized document itself, under the name that maps use for it."""
