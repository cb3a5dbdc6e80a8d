"""What the log tells about the past of people and groups: what each event changed, and what was before it.

Everything here works on the `data` of events as they were stored, never on rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from syncline.core.json import Json
from syncline.core.tombstone import MARK

USER_CREATED, USER_UPDATED, USER_DELETED = "dsync.user.created", "dsync.user.updated", "dsync.user.deleted"
GROUP_CREATED, GROUP_UPDATED, GROUP_DELETED = (
    "dsync.group.created",
    "dsync.group.updated",
    "dsync.group.deleted",
)
JOINED, LEFT = "dsync.group.user_added", "dsync.group.user_removed"
OF_PEOPLE = (USER_CREATED, USER_UPDATED, USER_DELETED)
OF_GROUPS = (GROUP_CREATED, GROUP_UPDATED, GROUP_DELETED)
OF_MEMBERSHIPS = (JOINED, LEFT)

Body = dict[str, Json]

CUSTOM = "custom_attributes"
_PREVIOUS = "previous_attributes"
# Absent where there is none, so what was null before was not there.
_ABSENT_NOT_NULL = ("role", "roles")
# What identifies the object, and what every change moves.
_NOT_CHANGES = frozenset(
    ("object", "id", "directory_id", "organization_id", "created_at", "updated_at", "role", "raw_attributes")
)


class Kind(StrEnum):
    """What an event did to the person or group whose history is told."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    JOINED = "joined"
    LEFT = "left"


KINDS: Mapping[str, Kind] = {
    USER_CREATED: Kind.CREATED,
    GROUP_CREATED: Kind.CREATED,
    USER_UPDATED: Kind.UPDATED,
    GROUP_UPDATED: Kind.UPDATED,
    USER_DELETED: Kind.DELETED,
    GROUP_DELETED: Kind.DELETED,
    JOINED: Kind.JOINED,
    LEFT: Kind.LEFT,
}
"""What the types of events mean in a history; other types are no part of one."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field before and after; those of `custom_attributes` are named `custom_attributes.<key>`."""

    field: str
    before: Json
    after: Json


def is_erased(body: Mapping[str, Json]) -> bool:
    """Tell whether an object of an event is what an erasure has left of a person."""
    return body.get(MARK) is True


def embedded(data: Body, name: str) -> Body | None:
    """Return the person (`user`) or the group (`group`) that an event's data is about or embeds."""
    if data.get("object") == f"directory_{name}":
        return data
    found = data.get(name)
    return found if isinstance(found, dict) else None


def undone(body: Body) -> Body:
    """Return the object as it was before an `updated` event with this data; `updated_at` stays."""
    before = {key: value for key, value in body.items() if key != _PREVIOUS}
    previous = body.get(_PREVIOUS)
    for key, value in (previous if isinstance(previous, dict) else {}).items():
        custom = before.get(CUSTOM)
        if key == CUSTOM and isinstance(value, dict) and isinstance(custom, dict):
            before[CUSTOM] = {**custom, **value}
        elif key in _ABSENT_NOT_NULL and value is None:
            before.pop(key, None)
        else:
            before[key] = value
    return before


def after(body: Body) -> Body:
    """Return the object as an event left it."""
    return {key: value for key, value in body.items() if key != _PREVIOUS}


def before_first(type_: str, body: Body, recorded_at: str, *, by_provider: bool) -> Body | None:
    """Return a person or a group as they were before an event of their own, None if they were not there.

    `recorded_at` is when it was recorded, as `wire.iso` writes it; `by_provider`: whether it came from the
    provider. What is left of an erased person tells nothing.
    """
    if KINDS[type_] is Kind.CREATED or is_erased(body):
        return None
    if KINDS[type_] is Kind.UPDATED:
        return undone(body)
    return {**body, "state": "active"} if was_hidden(type_, body, recorded_at, by_provider) else dict(body)


def was_hidden(type_: str, body: Body, recorded_at: str, by_provider: bool) -> bool:
    """Tell whether a person left because the provider called them inactive.

    Such an event shows the person as the provider's request left them, all others as they were before it.
    """
    return (
        type_ == USER_DELETED
        and by_provider
        and body.get("state") == "inactive"
        and body.get("updated_at") == recorded_at
    )


def changes(type_: str, data: Body, *, of_user: bool) -> list[Change]:
    """Return what an event changed in the person (`of_user`) or group whose history is told, by field.

    A creation changes every field that has a value, a deletion none; a membership is the field `groups` of
    the person and `members` of the group. Of an erased person nothing is told.
    """
    kind = KINDS[type_]
    if kind in (Kind.JOINED, Kind.LEFT):
        return [_membership(kind, data, of_user=of_user)]
    if kind is Kind.DELETED or is_erased(data):
        return []
    if kind is Kind.CREATED:
        return [Change(name, None, value) for name, value in sorted(_fields(data).items()) if _is_said(value)]
    now, old = _fields(data), _fields(undone(data))
    previous = data.get(_PREVIOUS)
    named = previous if isinstance(previous, dict) else {}
    custom = named.get(CUSTOM)
    names = {name for name in named if name not in (CUSTOM, "role")}
    names |= {f"{CUSTOM}.{key}" for key in custom} if isinstance(custom, dict) else set()
    return [Change(name, _of(old, named, name), now.get(name)) for name in sorted(names)]


def _of(fields: Mapping[str, Json], previous: Mapping[str, Json], name: str) -> Json:
    return previous[name] if name == "raw_attributes" else fields.get(name)


def _fields(body: Body) -> Body:
    found = {key: value for key, value in body.items() if key not in _NOT_CHANGES and key != CUSTOM}
    found.pop(_PREVIOUS, None)
    roles = found.get("roles")
    if isinstance(roles, list):
        found["roles"] = [role.get("slug") for role in roles if isinstance(role, dict)]
    custom = body.get(CUSTOM)
    if isinstance(custom, dict):
        found |= {f"{CUSTOM}.{key}": value for key, value in custom.items()}
    return found


def _is_said(value: Json) -> bool:
    return value is not None and value not in ("", [], {})


def _membership(kind: Kind, data: Body, *, of_user: bool) -> Change:
    other = embedded(data, "group" if of_user else "user") or {}
    # Not every provider sends names.
    name = other.get("name") or other.get("username") or other.get("email")
    told: Json = {"id": other.get("id"), "name": name}
    before, now = (None, told) if kind is Kind.JOINED else (told, None)
    return Change("groups" if of_user else "members", before, now)
