"""The records that the write path works on, free of SQL and wire formats."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from syncline.core.json import Json

EnvironmentId = NewType("EnvironmentId", str)
DirectoryId = NewType("DirectoryId", str)

Document = dict[str, Json]


class InactiveUsers(StrEnum):
    """What the product view does with people whose provider says `active: false`."""

    DELETE = "delete"
    KEEP = "keep"


class DirectoryState(StrEnum):
    """States of a directory, as the REST API spells them."""

    VALIDATING = "validating"
    LINKED = "linked"
    UNLINKED = "unlinked"
    INVALID_CREDENTIALS = "invalid_credentials"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a call may look: made by authentication only, first argument of every store call."""

    environment_id: EnvironmentId
    directory_id: DirectoryId


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a change happened: the request id, and who asked (`None` for a provider's own push)."""

    id: str
    actor_id: str | None = None
    actor_source: str = "system"
    actor_name: str | None = None


@dataclass(frozen=True, slots=True)
class Directory:
    """One source connected to one organization."""

    environment_id: EnvironmentId
    organization_id: str
    id: DirectoryId
    external_key: str
    name: str
    type: str
    state: DirectoryState
    inactive_users: InactiveUsers
    settings: Document
    created_at: datetime
    updated_at: datetime
    activated_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def scope(self) -> Scope:
        """The scope that covers this directory and nothing else."""
        return Scope(self.environment_id, self.id)


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A directory user as stored: the SCIM resource and its place in the product view."""

    id: str
    directory_user_id: str | None
    document: Document
    raw: Document | None
    version: int
    created_at: datetime
    updated_at: datetime
    listed_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def active(self) -> bool:
        """Whether the provider says the person is active."""
        return self.document.get("active") is not False


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """A directory group as stored, without its members."""

    id: str
    document: Document
    raw: Document | None
    member_count: int
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @property
    def directory_group_id(self) -> str:
        """The group's id in the product view."""
        return f"directory_group_{self.id}"


@dataclass(frozen=True, slots=True)
class UserChange:
    """A user before and after one command; `before` is None for a creation."""

    before: UserRecord | None
    after: UserRecord


@dataclass(frozen=True, slots=True)
class GroupChange:
    """A group before and after one command; `before` is None for a creation."""

    before: GroupRecord | None
    after: GroupRecord


Pair = tuple[str, str]
"""(group id, member id), both SCIM ids."""


@dataclass(slots=True)
class ChangeSet:
    """Everything one command changes in one directory; what is empty is unchanged.

    `touched_*` rows only get a new version and `updated_at`: something that belongs to their
    representation changed elsewhere (a membership).
    """

    user: UserChange | None = None
    group: GroupChange | None = None
    added: list[Pair] = field(default_factory=list)
    removed: list[Pair] = field(default_factory=list)
    edges_added: list[Pair] = field(default_factory=list)
    edges_removed: list[Pair] = field(default_factory=list)
    pending_added: list[Pair] = field(default_factory=list)
    pending_removed: list[Pair] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(
            self.user
            or self.group
            or self.added
            or self.removed
            or self.edges_added
            or self.edges_removed
            or self.pending_added
            or self.pending_removed
        )


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event before it has a position: what the inbox stores."""

    environment_id: str
    organization_id: str | None
    directory_id: str | None
    type: str
    body: str
    recorded_at: datetime
    user_id: str | None = None
    group_id: str | None = None
