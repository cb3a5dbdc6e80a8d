"""The records that the write path works on, free of SQL and wire formats."""

from __future__ import annotations

from collections.abc import Mapping
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


class Membership(StrEnum):
    """Which memberships the product view and its events speak of.

    `direct` are those that the provider named; `effective` also counts a member of a group as a member of
    every group that contains it.
    """

    DIRECT = "direct"
    EFFECTIVE = "effective"


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
    membership: Membership = Membership.DIRECT
    # What people are evaluated by (`core.evaluation`); None while nothing but the standard is defined.
    evaluation_id: str | None = None

    @property
    def scope(self) -> Scope:
        """The scope that covers this directory and nothing else."""
        return Scope(self.environment_id, self.id)

    @property
    def has_aliases(self) -> bool:
        """Whether its provider knows some resources by ids of another service; else nobody asks for them."""
        return self.settings.get(ALIASES_SETTING) is True


@dataclass(frozen=True, slots=True)
class Mapped:
    """What an attribute map made of a person.

    `standard` holds the standard attributes that the map says differently, `custom` every predefined and
    custom attribute by its key, null where the source has nothing.
    """

    standard: Mapping[str, Json]
    custom: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """A role that a person holds, and why: the rule, the group that matched it, and since when.

    `rule_id` is None for the default role. `held`: no rule gives the role any more, and a floor keeps it.
    """

    role: str
    since: datetime
    rule_id: str | None = None
    group_id: str | None = None
    held: bool = False


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A directory user as stored: the SCIM resource and its place in the product view.

    `mapped` and `roles` are what the directory's evaluation came to and the last event said; None where the
    directory has no attribute map, or gives no roles.
    """

    id: str
    directory_user_id: str | None
    document: Document
    raw: Document | None
    version: int
    created_at: datetime
    updated_at: datetime
    listed_at: datetime | None = None
    deleted_at: datetime | None = None
    mapped: Mapped | None = None
    roles: tuple[RoleGrant, ...] | None = None

    @property
    def active(self) -> bool:
        """Whether the provider says the person is active."""
        return self.document.get("active") is not False

    def evaluated(
        self,
        mapped: Mapped | None,
        roles: tuple[RoleGrant, ...] | None,
        *,
        version: int | None = None,
        updated_at: datetime | None = None,
    ) -> UserRecord:
        """Return the person with another outcome of the evaluation, as of this version unless one is given.

        `dataclasses.replace` takes three times as long.
        """
        return UserRecord(
            self.id,
            self.directory_user_id,
            self.document,
            self.raw,
            self.version if version is None else version,
            self.created_at,
            self.updated_at if updated_at is None else updated_at,
            self.listed_at,
            self.deleted_at,
            mapped,
            roles,
        )


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
class Holders:
    """How many active people hold a role, and how many of them only because a floor keeps it."""

    count: int
    held: int


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


ALIASES_SETTING = "resource_aliases"
"""Where a directory's settings say that resources of it have ids of another service."""

Pair = tuple[str, str]
"""(group id, member id), both SCIM ids."""


@dataclass(slots=True)
class ChangeSet:
    """Everything one command changes in one directory; what is empty is unchanged.

    `pending_added` are memberships of ids that are not known (parked). `aliases` are ids of another service,
    with the resources that have them now. `evaluated` are the people beside `user` whose attributes or roles
    came out differently because of it.
    `joined` and `left` are the effective memberships that began and ended, None where events speak of
    direct ones, which are `added` and `removed`; `held` are the groups of `user` then. `held_back` and
    `released` are roles (user id, role) that a floor keeps, or no longer has to. `reevaluate`: more people
    are concerned than were looked at, so that a job has to look at all. `holders` are the counts of holders
    afterwards.
    """

    user: UserChange | None = None
    group: GroupChange | None = None
    added: list[Pair] = field(default_factory=list)
    removed: list[Pair] = field(default_factory=list)
    edges_added: list[Pair] = field(default_factory=list)
    edges_removed: list[Pair] = field(default_factory=list)
    pending_added: list[Pair] = field(default_factory=list)
    pending_removed: list[Pair] = field(default_factory=list)
    aliases: Mapping[str, str] = field(default_factory=dict)
    evaluated: list[UserChange] = field(default_factory=list)
    joined: list[Pair] | None = None
    left: list[Pair] | None = None
    held: tuple[str, ...] | None = None
    held_back: list[tuple[str, str]] = field(default_factory=list)
    released: list[tuple[str, str]] = field(default_factory=list)
    reevaluate: bool = False
    holders: Mapping[str, Holders] = field(default_factory=dict)

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
            or self.aliases
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
