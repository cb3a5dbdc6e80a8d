"""The life of a small directory as events, and what a receiver must know at its end."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from syncline.core import wire
from syncline.core.envelope import envelope
from syncline.core.events import (
    DirectoryActivated,
    Event,
    GroupCreated,
    GroupDeleted,
    GroupUpdated,
    GroupUserAdded,
    GroupUserRemoved,
    UserCreated,
    UserDeleted,
    UserUpdated,
)
from syncline.core.ids import RANDOMNESS_BYTES, Prefix, make_id, new_ulid
from syncline.core.model import Directory, DirectoryId, DirectoryState, EnvironmentId, InactiveUsers

_SHOWN = ("email", "first_name", "last_name", "name", "job_title", "state")
_DOMAIN = "northwind.example"


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it is sent: the exact bytes."""

    id: str
    type: str
    body: bytes


@dataclass(slots=True)
class Expected:
    """What a receiver must know: people with their attributes, groups with their names, memberships.

    `gone` are people who must not be there, `gone_groups` groups.
    """

    users: dict[str, dict[str, str | None]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    memberships: set[tuple[str, str]] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    gone_groups: set[str] = field(default_factory=set)


class Numbers:
    """Ids and places of the log, as one environment would give them."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.sequence = 0
        self._last_ms = 0

    def id(self, prefix: Prefix) -> str:
        """Return a new id, higher than those before it."""
        self._last_ms = max(self._last_ms + 1, int(self.clock().timestamp() * 1000))
        return make_id(prefix, new_ulid(self._last_ms, secrets.token_bytes(RANDOMNESS_BYTES)))

    def next_place(self) -> int:
        """Return the next place of the log."""
        self.sequence += 1
        return self.sequence


class Story:
    """A directory that a test tells about: each method is a change, and returns the event of it."""

    def __init__(self, numbers: Numbers, *, age: timedelta = timedelta(0)) -> None:
        """`age`: how long ago everything happened."""
        self._numbers = numbers
        self._age = age
        self._place = 0
        self.directory_id = numbers.id(Prefix.DIRECTORY)
        self.organization_id = numbers.id(Prefix.ORGANIZATION)
        self.expected = Expected()
        self._users: dict[str, wire.DirectoryUser] = {}
        self._groups: dict[str, wire.DirectoryGroup] = {}

    def activated(self) -> Told:
        """The provider made its first request."""
        now = self._now()
        directory = Directory(
            environment_id=EnvironmentId(""),
            organization_id=self.organization_id,
            id=DirectoryId(self.directory_id),
            external_key=self.directory_id[-12:].lower(),
            name="Northwind",
            type="generic scim v2.0",
            state=DirectoryState.LINKED,
            inactive_users=InactiveUsers.DELETE,
            settings={},
            created_at=now,
            updated_at=now,
            activated_at=now,
        )
        return self._tell(DirectoryActivated(directory, ()))

    def user(
        self, first: str, last: str, *, title: str = "Planner", attributes: dict[str, str] | None = None
    ) -> Told:
        """Somebody appeared; the key of the person is the first name."""
        at, email = wire.iso(self._now()), f"{first}.{last}@{_DOMAIN}".lower().replace(" ", ".")
        user = wire.DirectoryUser(
            id=self._numbers.id(Prefix.DIRECTORY_USER),
            directory_id=self.directory_id,
            organization_id=self.organization_id,
            idp_id=f"idp-{len(self._users) + 1}",
            email=email,
            first_name=first,
            last_name=last,
            name=f"{first} {last}",
            emails=[{"primary": True, "type": "work", "value": email}],
            job_title=title,
            username=email,
            state="active",
            raw_attributes={},
            custom_attributes=dict(attributes or {}),
            created_at=at,
            updated_at=at,
        )
        self._keep(first, user)
        return self._tell(UserCreated(user))

    def new_title(self, first: str, title: str) -> Told:
        """Somebody's job changed."""
        before = self._users[first]
        fields = {name: getattr(before, name) for name in wire.DirectoryUser.__struct_fields__}
        after = wire.DirectoryUser(
            **{name: value for name, value in fields.items() if name != "object"}
            | {"job_title": title, "updated_at": wire.iso(self._now())}
        )
        self._keep(first, after)
        return self._tell(UserUpdated(before, after))

    def user_left(self, first: str) -> list[Told]:
        """Somebody left: the memberships go first, then the person."""
        user = self._users.pop(first)
        told = [
            self._removed(user, group_id)
            for group_id, user_id in sorted(self.expected.memberships)
            if user_id == user.id
        ]
        del self.expected.users[user.id]
        self.expected.gone.add(user.id)
        return [*told, self._tell(UserDeleted(user))]

    def group(self, name: str) -> Told:
        """A group appeared."""
        at = wire.iso(self._now())
        group = wire.DirectoryGroup(
            id=self._numbers.id(Prefix.DIRECTORY_GROUP),
            idp_id=name,
            directory_id=self.directory_id,
            organization_id=self.organization_id,
            name=name,
            raw_attributes={},
            created_at=at,
            updated_at=at,
        )
        self._groups[name] = group
        self.expected.groups[group.id] = name
        return self._tell(GroupCreated(group))

    def renamed(self, name: str, new: str) -> Told:
        """A group has another name."""
        before = self._groups.pop(name)
        after = wire.DirectoryGroup(
            id=before.id,
            idp_id=before.idp_id,
            directory_id=before.directory_id,
            organization_id=before.organization_id,
            name=new,
            raw_attributes={},
            created_at=before.created_at,
            updated_at=wire.iso(self._now()),
        )
        self._groups[new] = after
        self.expected.groups[after.id] = new
        return self._tell(GroupUpdated(before, after))

    def group_gone(self, name: str) -> Told:
        """A group is gone, and its memberships with it: no event tells of them."""
        group = self._groups.pop(name)
        del self.expected.groups[group.id]
        self.expected.gone_groups.add(group.id)
        self.expected.memberships = {pair for pair in self.expected.memberships if pair[0] != group.id}
        return self._tell(GroupDeleted(group))

    def joined(self, first: str, name: str) -> Told:
        """Somebody became a member of a group."""
        user, group = self._users[first], self._groups[name]
        self.expected.memberships.add((group.id, user.id))
        return self._tell(GroupUserAdded(user, group))

    def parted(self, first: str, name: str) -> Told:
        """Somebody is no longer a member of a group."""
        return self._removed(self._users[first], self._groups[name].id)

    def of_unknown_type(self) -> Told:
        """Something that a later version of Syncline may tell."""
        body = f'{{"object":"directory_something","id":"{self.directory_id}"}}'
        return self._told("dsync.something.happened", body)

    def whole(self) -> list[Told]:
        """Return a life with everything in it: people, groups, memberships, changes, departures."""
        told = [
            self.activated(),
            self.user("Mira", "Voss"),
            self.user("Rohan", "Mehta", title="Engineer"),
            self.user("Greta", "Holm", title="Lead"),
            self.group("Dispatch"),
            self.group("Contractors"),
            *(self.joined(first, "Dispatch") for first in ("Mira", "Rohan", "Greta")),
            self.joined("Rohan", "Contractors"),
            self.new_title("Mira", "Coordinator"),
            self.parted("Rohan", "Dispatch"),
            self.renamed("Dispatch", "Operations"),
            *self.user_left("Greta"),
            self.group_gone("Contractors"),
        ]
        return [*told, self.fence()]

    def fence(self) -> Told:
        """Return a last event: a receiver that shows its effect has dealt with those before it."""
        return self.user("Noor", "Rahman", title="Analyst")

    def _removed(self, user: wire.DirectoryUser, group_id: str) -> Told:
        group = next(group for group in self._groups.values() if group.id == group_id)
        self.expected.memberships.discard((group_id, user.id))
        return self._tell(GroupUserRemoved(user, group))

    def _keep(self, first: str, user: wire.DirectoryUser) -> None:
        self._users[first] = user
        self.expected.users[user.id] = {name: getattr(user, name) for name in _SHOWN}

    def _tell(self, event: Event) -> Told:
        return self._told(event.name, event.text())

    def _told(self, type_: str, body: str) -> Told:
        self._place += 1
        event_id, place = self._numbers.id(Prefix.EVENT), self._numbers.next_place()
        return Told(event_id, type_, envelope(event_id, type_, body, self._now(), None, place, self._place))

    def _now(self) -> datetime:
        return self._numbers.clock() - self._age


def system_clock() -> datetime:
    """The time now."""
    return datetime.now(UTC)
