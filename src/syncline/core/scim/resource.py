"""SCIM resources as answers show them, and what counts as a difference between two documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast, overload

import msgspec

from syncline.core.json import Json, stringify
from syncline.core.scim.normalize import Incoming
from syncline.core.scim.quirks import quirk
from syncline.core.scim.schema import ResourceKind
from syncline.core.wire import iso

Document = dict[str, Json]


@dataclass(frozen=True, slots=True)
class GroupRef:
    """A group as a user's `groups` name it."""

    id: str
    display: str


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as a group shows it; `type` is `User` or `Group`."""

    id: str
    type: str
    display: str


@dataclass(frozen=True, slots=True)
class MemberIds(Sequence[MemberView]):
    """The members of a group by id, people before groups, without their names."""

    people: Sequence[str]
    groups: Sequence[str]

    def __len__(self) -> int:
        return len(self.people) + len(self.groups)

    def __iter__(self) -> Iterator[MemberView]:
        for kind, ids in (("User", self.people), ("Group", self.groups)):
            for id_ in ids:
                yield MemberView(id_, kind, "")

    @overload
    def __getitem__(self, index: int) -> MemberView: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[MemberView]: ...
    def __getitem__(self, index: int | slice) -> MemberView | Sequence[MemberView]:
        return list(self)[index]


@dataclass(frozen=True, slots=True)
class UserView:
    """A user with everything an answer needs."""

    id: str
    document: Document
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    groups: Sequence[GroupRef] = ()


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group with everything an answer needs; `members` is None when they were not read."""

    id: str
    document: Document
    version: int
    created_at: datetime
    updated_at: datetime
    members: Sequence[MemberView] | None = None


def etag(version: int) -> str:
    """Return the weak entity tag of a row version (RFC 7644 §3.14)."""
    return f'W/"{version}"'


def render_user(view: UserView, base_url: str) -> Document:
    """Return the whole SCIM 2.0 resource of a user; `base_url` is the directory's SCIM address."""
    resource: Document = {"schemas": _schemas(ResourceKind.USER, view.document), "id": view.id}
    resource.update(view.document)
    resource.setdefault("emails", [])
    if view.groups:
        resource["groups"] = [
            {
                "value": group.id,
                "$ref": f"{base_url}/Groups/{group.id}",
                "display": group.display,
                "type": "direct",
            }
            for group in view.groups
        ]
    resource["meta"] = _meta(ResourceKind.USER, view, base_url)
    return resource


def render_group(view: GroupView, base_url: str, *, display: bool = True, as_text: bool = False) -> Document:
    """Return the whole SCIM 2.0 resource of a group, without `members` if they were not read.

    `display`: whether members carry their names, which are returned on request only. `as_text`: whether
    members without names may come as JSON text for the encoder. They are nine tenths of a large group's
    answer and all alike, and their ids need no escaping.
    """
    resource: Document = {"schemas": _schemas(ResourceKind.GROUP, view.document), "id": view.id}
    resource.update(view.document)
    if isinstance(view.members, MemberIds) and as_text:
        resource["members"] = _members_text(view.members, base_url)
    elif view.members is not None:
        resource["members"] = [
            {
                "value": member.id,
                "$ref": f"{base_url}/{member.type}s/{member.id}",
                "type": member.type,
                **({"display": member.display} if display else {}),
            }
            for member in view.members
        ]
    resource["meta"] = _meta(ResourceKind.GROUP, view, base_url)
    return resource


def _members_text(members: MemberIds, base_url: str) -> Json:
    address = stringify(base_url)[1:-1]
    entries = [
        f'{{"value":"{id_}","$ref":"{address}/{kind}s/{id_}","type":"{kind}"}}'
        for kind, ids in (("User", members.people), ("Group", members.groups))
        for id_ in ids
    ]
    text: Any = msgspec.Raw(f"[{','.join(entries)}]".encode())
    return cast(Json, text)


def user_label(document: Mapping[str, Json]) -> str:
    """Return the name under which a person is shown in a group's members."""
    name = document.get("name")
    parts: Mapping[str, Json] = name if isinstance(name, dict) else {}
    whole = " ".join(
        part for part in (parts.get("givenName"), parts.get("familyName")) if isinstance(part, str)
    )
    for candidate in (document.get("displayName"), parts.get("formatted"), whole, document.get("userName")):
        if isinstance(candidate, str) and candidate.strip():
            return candidate
    return ""


def group_label(document: Mapping[str, Json]) -> str:
    """Return the name under which a group is shown to its members."""
    return str(document.get("displayName") or "")


def same(before: Mapping[str, Json], after: Mapping[str, Json]) -> bool:
    """Tell whether two normalized documents say the same; the order of multi-valued attributes is nothing."""
    return before == after or not any(_differs(before, after, key) for key in before.keys() | after.keys())


@quirk("O-04", "an identical PUT is no difference")
def changed_attributes(before: Mapping[str, Json], after: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the top-level keys whose values differ, sorted."""
    return tuple(sorted(key for key in before.keys() | after.keys() if _differs(before, after, key)))


def _differs(before: Mapping[str, Json], after: Mapping[str, Json], key: str) -> bool:
    old, new = before.get(key), after.get(key)
    return old != new and _comparable(old) != _comparable(new)


@quirk("O-05", "a PUT without `active` leaves it")
def replace_user(before: Document, incoming: Incoming) -> Document:
    """Return the document after a PUT: what the body says, and the state from before if it says nothing."""
    if incoming.says_active:
        return incoming.document
    return incoming.document | {"active": before.get("active") is not False}


def replace_group(before: Document, incoming: Incoming) -> Document:
    """Return the document after a PUT of a group."""
    return incoming.document


def _schemas(kind: ResourceKind, document: Mapping[str, Json]) -> list[Json]:
    return [kind.core_urn, *(key for key in document if key[:4].lower() == "urn:")]


def _meta(kind: ResourceKind, view: UserView | GroupView, base_url: str) -> Json:
    created = iso(view.created_at)
    return {
        "resourceType": kind.value,
        "created": created,
        "lastModified": created if view.updated_at == view.created_at else iso(view.updated_at),
        "location": f"{base_url}{kind.endpoint}/{view.id}",
        "version": etag(view.version),
    }


def _comparable(value: Json) -> Json:
    """Return a form that is equal for equal meaning: arrays sorted, also inside an extension."""
    if isinstance(value, list):
        return sorted((stringify(_comparable(entry)) for entry in value), key=str)
    if isinstance(value, dict):
        return {key: _comparable(entry) for key, entry in sorted(value.items())}
    return value
