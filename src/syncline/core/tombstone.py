"""What is left of an event once the person in it was erased: ids, states and times, in the same shape."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from syncline.core.json import Json, stringify

MARK = "erased"
"""The key that a tombstone has besides those that every person has; its value is true."""

_KEPT = ("object", "id", "directory_id", "organization_id", "state", "created_at", "updated_at")
_EMPTY: dict[str, Json] = {
    "idp_id": "",
    "email": None,
    "first_name": None,
    "last_name": None,
    "name": None,
    "emails": [],
    "job_title": None,
    "username": None,
    "raw_attributes": {},
    "custom_attributes": {},
}
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Embedded:
    """The person in an event's data: the ids they have there, and whether they are erased already."""

    id: str
    idp_id: str
    erased: bool


def person_in(body: str) -> Embedded | None:
    """Return the person that an event's data is about or embeds, None if there is none."""
    user = _user(_decode(body))
    if user is None:
        return None
    return Embedded(str(user.get("id")), str(user.get("idp_id")), user.get(MARK) is True)


def tombstone(body: str) -> str:
    """Return an event's data without what tells who the person was; without a person, unchanged.

    Keys that the official SDKs need stay, with empty values. What is known about groups stays.
    """
    data = _decode(body)
    user = _user(data)
    if user is None:
        return body
    if user is not data:
        return stringify(data | {"user": _buried(user)})
    previous: dict[str, Json] = {"previous_attributes": {}} if "previous_attributes" in data else {}
    return stringify(_buried(user) | previous)


def _user(data: Json) -> dict[str, Json] | None:
    if not isinstance(data, dict):
        return None
    if data.get("object") == "directory_user":
        return data
    user = data.get("user")
    return user if isinstance(user, dict) and user.get("object") == "directory_user" else None


def _buried(user: dict[str, Json]) -> dict[str, Json]:
    return {name: user[name] for name in _KEPT if name in user} | _EMPTY | {MARK: True}
