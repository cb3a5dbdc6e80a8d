"""What a SCIM client asks for, as typed commands; `decide` turns them into changes."""

from __future__ import annotations

from dataclasses import dataclass, field

from syncline.core.model import GroupRecord, UserRecord
from syncline.core.scim.normalize import Incoming
from syncline.core.scim.patch import PatchRequest

ETags = frozenset[str]
"""Entity tags of an If-Match header; `*` matches every existing resource."""


@dataclass(frozen=True, slots=True)
class CreateUser:
    """POST /Users."""

    incoming: Incoming


@dataclass(frozen=True, slots=True)
class ReplaceUser:
    """PUT /Users/{id}."""

    id: str
    incoming: Incoming
    if_match: ETags | None = None


@dataclass(frozen=True, slots=True)
class PatchUser:
    """PATCH /Users/{id}."""

    id: str
    request: PatchRequest
    if_match: ETags | None = None


@dataclass(frozen=True, slots=True)
class DeleteUser:
    """DELETE /Users/{id}."""

    id: str
    if_match: ETags | None = None


@dataclass(frozen=True, slots=True)
class CreateGroup:
    """POST /Groups."""

    incoming: Incoming


@dataclass(frozen=True, slots=True)
class ReplaceGroup:
    """PUT /Groups/{id}."""

    id: str
    incoming: Incoming
    if_match: ETags | None = None


@dataclass(frozen=True, slots=True)
class PatchGroup:
    """PATCH /Groups/{id}."""

    id: str
    request: PatchRequest
    if_match: ETags | None = None


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    """DELETE /Groups/{id}."""

    id: str
    if_match: ETags | None = None


Command = (
    CreateUser | ReplaceUser | PatchUser | DeleteUser | CreateGroup | ReplaceGroup | PatchGroup | DeleteGroup
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a command came to: the record after it and, for a user, the groups the user is in.

    `user` and `group` are None after a deletion. `parked` counts members that are not known yet. `silent`:
    nobody is told, because those who would be know it already (an import).
    """

    user: UserRecord | None = None
    group: GroupRecord | None = None
    group_ids: tuple[str, ...] = ()
    changed: bool = False
    parked: int = 0
    quirks: frozenset[str] = field(default_factory=frozenset)
    silent: bool = False
