"""Every event type, one class each, and the pure step from a change to its events.

A class's docstring is the type's documentation; its endpoint filter, docs page and golden payload come
from the class. Order within one command (`scim.md` §11): the group or user event first, removals before
additions, users ascending by id; when a person leaves, the memberships go first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import UNSET

from syncline.core import wire
from syncline.core.attributes import attribute_changes, same_value, standard_attributes
from syncline.core.json import Json, stringify
from syncline.core.model import (
    ChangeSet,
    Directory,
    DirectoryState,
    EventDraft,
    GroupRecord,
    UserRecord,
)
from syncline.core.scim.resource import same
from syncline.core.vendor_types import VENDOR_TYPES

_encode = msgspec.json.Encoder().encode
_PLAIN = frozenset({str, bool, type(None)})

CATALOG: dict[str, type[Event]] = {}
"""Event types that Syncline emits, by name."""


class Event:
    """Base of the event classes."""

    name: ClassVar[str]

    def data(self) -> Json:
        """Return the `data` object of the event."""
        raise NotImplementedError

    def text(self) -> str:
        """Return `data` as the text that is stored and sent."""
        return stringify(self.data())


E_ = TypeVar("E_", bound=type[Event])


def event(name: str) -> Callable[[E_], E_]:
    """Register an event class under its public type name."""

    def register(cls: E_) -> E_:
        cls.name = name
        CATALOG[name] = cls
        return cls

    return register


OWN_PREFIX = "syncline."
"""Types of ours that the vendor does not know: sent and listed only where they are named, never by "all"."""


def is_known_type(name: str) -> bool:
    """Tell whether a type may be subscribed to or listed."""
    return name in CATALOG or name in VENDOR_TYPES


def builtins(value: wire.Wire) -> dict[str, Json]:
    """Return a wire object as plain JSON values, absent keys left out."""
    converted: dict[str, Json] = msgspec.to_builtins(value)
    return converted


def text_of(value: wire.DirectoryUser | wire.DirectoryGroup) -> str:
    """Return a person or a group as `stringify` writes it.

    What a provider may have put numbers and odd keys into takes the exact way; all else are texts and
    booleans, which the fast encoder writes as JavaScript does.
    """
    if value.raw_attributes or (isinstance(value, wire.DirectoryUser) and not _is_plain(value)):
        return stringify(builtins(value))
    return _encode(value).decode()


def _is_plain(user: wire.DirectoryUser) -> bool:
    return _PLAIN.issuperset(map(type, user.custom_attributes.values()))


def _previous(before: wire.Wire, after: wire.Wire) -> dict[str, Json]:
    """Return the old values of what changed: root properties and those of `custom_attributes`.

    A key that did not exist before is null; `updated_at` is never listed.
    """
    changed: dict[str, Json] = {}
    for name in before.__struct_fields__:
        one, other = getattr(before, name), getattr(after, name)
        if one is other or name == "updated_at":
            continue
        if name == "custom_attributes":
            if custom := _previous_custom(one, other):
                changed[name] = custom
            continue
        was, is_now = _plain_field(one), _plain_field(other)
        if not same_value(was, is_now):
            changed[name] = was
    return dict(sorted(changed.items()))


def _plain_field(value: Any) -> Json:
    if value.__class__ is str or value.__class__ is dict:
        plain: Json = value
    else:
        plain = None if value is UNSET else msgspec.to_builtins(value)
    return plain


def _previous_custom(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, Json]:
    """Return the old values of the custom attributes that changed; a missing one is the same as null."""
    changed = {key: value for key, value in before.items() if not same_value(value, after.get(key))}
    for key in sorted(after.keys() - before.keys()):
        if after[key] is not None:
            changed[key] = None
    return changed


def _with_previous(
    before: wire.DirectoryUser | wire.DirectoryGroup, after: wire.DirectoryUser | wire.DirectoryGroup
) -> str:
    return f'{text_of(after)[:-1]},"previous_attributes":{stringify(_previous(before, after))}}}'


@event("dsync.activated")
@dataclass(frozen=True, slots=True)
class DirectoryActivated(Event):
    """A directory became linked: its provider made the first request with a valid token.

    Sent once per activation, before every other event of the directory but `dsync.token.*`.
    """

    directory: Directory
    domains: Sequence[tuple[str, str]]

    def data(self) -> Json:
        """Return the directory with its event state and the organization's domains."""
        body = directory_body(self.directory)
        body["external_key"] = self.directory.external_key
        body["domains"] = [
            {"object": "organization_domain", "id": id_, "domain": domain} for id_, domain in self.domains
        ]
        return body


@event("dsync.deleted")
@dataclass(frozen=True, slots=True)
class DirectoryDeleted(Event):
    """A directory was deleted. It is the only event of a deletion: people and groups leave with it."""

    directory: Directory

    def data(self) -> Json:
        """Return the directory as it was left."""
        return directory_body(self.directory)


@dataclass(frozen=True, slots=True)
class _UserEvent(Event):
    user: wire.DirectoryUser

    def data(self) -> Json:
        """Return the directory user."""
        return builtins(self.user)

    def text(self) -> str:
        """Return the text of `data`."""
        return text_of(self.user)


@event("dsync.user.created")
class UserCreated(_UserEvent):
    """A person appeared in the directory, or came back where inactive people are deleted."""


@event("dsync.user.deleted")
class UserDeleted(_UserEvent):
    """A person left: deleted by the provider, or inactive where inactive people are deleted.

    Follows a `dsync.group.user_removed` for every membership the person held.
    """


@event("dsync.user.updated")
@dataclass(frozen=True, slots=True)
class UserUpdated(Event):
    """An attribute or the state of a person changed; `previous_attributes` holds the old values."""

    before: wire.DirectoryUser
    user: wire.DirectoryUser

    def data(self) -> Json:
        """Return the directory user with `previous_attributes`."""
        return builtins(self.user) | {"previous_attributes": _previous(self.before, self.user)}

    def text(self) -> str:
        """Return the text of `data`."""
        return _with_previous(self.before, self.user)


@dataclass(frozen=True, slots=True)
class _GroupEvent(Event):
    group: wire.DirectoryGroup

    def data(self) -> Json:
        """Return the directory group."""
        return builtins(self.group)

    def text(self) -> str:
        """Return the text of `data`."""
        return text_of(self.group)


@event("dsync.group.created")
class GroupCreated(_GroupEvent):
    """A group appeared in the directory."""


@event("dsync.group.deleted")
class GroupDeleted(_GroupEvent):
    """A group is gone. Its memberships end with it; no `dsync.group.user_removed` is sent."""


@event("dsync.group.updated")
@dataclass(frozen=True, slots=True)
class GroupUpdated(Event):
    """An attribute of a group changed; `previous_attributes` holds the old values."""

    before: wire.DirectoryGroup
    group: wire.DirectoryGroup

    def data(self) -> Json:
        """Return the directory group with `previous_attributes`."""
        return builtins(self.group) | {"previous_attributes": _previous(self.before, self.group)}

    def text(self) -> str:
        """Return the text of `data`."""
        return _with_previous(self.before, self.group)


@dataclass(frozen=True, slots=True)
class _MembershipEvent(Event):
    user: wire.DirectoryUser
    group: wire.DirectoryGroup

    def data(self) -> Json:
        """Return the directory id, the user and the group."""
        return {
            "directory_id": self.user.directory_id,
            "user": builtins(self.user),
            "group": builtins(self.group),
        }

    def text(self) -> str:
        """Return the text of `data`."""
        directory_id = stringify(self.user.directory_id)
        return f'{{"directory_id":{directory_id},"user":{text_of(self.user)},"group":{text_of(self.group)}}}'


@event("dsync.group.user_added")
class GroupUserAdded(_MembershipEvent):
    """A person became a member of a group. Not sent again for a member already present."""


@event("dsync.group.user_removed")
class GroupUserRemoved(_MembershipEvent):
    """A person is no longer a member of a group."""


@dataclass(frozen=True, slots=True)
class _TokenEvent(Event):
    id: str
    directory_id: str
    organization_id: str
    token_suffix: str
    created_at: datetime

    def data(self) -> Json:
        """Return the token without its secret."""
        return {
            "object": "directory_token",
            "id": self.id,
            "directory_id": self.directory_id,
            "organization_id": self.organization_id,
            "token_suffix": self.token_suffix,
            "created_at": wire.iso(self.created_at),
        }


@event("dsync.token.created")
class TokenCreated(_TokenEvent):
    """A SCIM bearer token was made for a directory."""


@event("dsync.token.revoked")
class TokenRevoked(_TokenEvent):
    """A SCIM bearer token was revoked; requests that carry it are refused from now on."""


@dataclass(frozen=True, slots=True)
class _OrganizationEvent(Event):
    organization: wire.Organization

    def data(self) -> Json:
        """Return the organization."""
        return builtins(self.organization)


@event("organization.created")
class OrganizationCreated(_OrganizationEvent):
    """An organization was created."""


@event("organization.updated")
class OrganizationUpdated(_OrganizationEvent):
    """An organization's name, metadata, external id or domains changed."""


@event("organization.deleted")
class OrganizationDeleted(_OrganizationEvent):
    """An organization was deleted, after `dsync.deleted` for each of its directories."""


@dataclass(frozen=True, slots=True)
class _DomainEvent(Event):
    domain: wire.OrganizationDomain

    def data(self) -> Json:
        """Return the organization domain."""
        return builtins(self.domain)


@event("organization_domain.created")
class DomainCreated(_DomainEvent):
    """A domain was added to an organization."""


@event("organization_domain.updated")
class DomainUpdated(_DomainEvent):
    """A domain's state or verification changed."""


@event("organization_domain.deleted")
class DomainDeleted(_DomainEvent):
    """A domain was removed from its organization."""


@event("organization_domain.verified")
class DomainVerified(_DomainEvent):
    """The TXT record of a domain was found: the organization controls the domain."""


@event("organization_domain.verification_failed")
@dataclass(frozen=True, slots=True)
class DomainVerificationFailed(Event):
    """A domain was not verified in time, or another organization verified it."""

    reason: str
    domain: wire.OrganizationDomain

    def data(self) -> Json:
        """Return the reason and the organization domain."""
        return {"reason": self.reason, "organization_domain": builtins(self.domain)}


@event("syncline.webhook_endpoint.disabled")
@dataclass(frozen=True, slots=True)
class WebhookEndpointDisabled(Event):
    """A webhook endpoint took nothing for five days and is disabled; nothing more is sent to it.

    What it has not got stays where it is: enabled again, it goes on where it stopped. Sent by webhook only
    to endpoints that name this type, and listed only where it is named.
    """

    endpoint_id: str
    endpoint_url: str
    reason: str
    failing_since: datetime
    failed_attempts: int

    def data(self) -> Json:
        """Return the endpoint with what is known about its failures."""
        return {
            "object": "webhook_endpoint",
            "id": self.endpoint_id,
            "endpoint_url": self.endpoint_url,
            "status": "disabled",
            "state": "disabled",
            "reason": self.reason,
            "failing_since": wire.iso(self.failing_since),
            "failed_attempts": self.failed_attempts,
        }


def directory_body(directory: Directory) -> dict[str, Json]:
    """Return a directory as events carry it: state `active` for linked, `inactive` for unlinked."""
    state = {DirectoryState.LINKED: "active", DirectoryState.UNLINKED: "inactive"}.get(
        directory.state, directory.state.value
    )
    return builtins(
        wire.Directory(
            id=directory.id,
            organization_id=directory.organization_id,
            type=directory.type,
            state=state,
            name=directory.name,
            created_at=wire.iso(directory.created_at),
            updated_at=wire.iso(directory.updated_at),
        )
    )


def user_body(
    directory: Directory, record: UserRecord, directory_user_id: str | None = None, *, raw: bool = False
) -> wire.DirectoryUser:
    """Return a person as the product sees them; `directory_user_id` overrides the record's own.

    `raw`: whether `raw_attributes` holds the person as the provider sent them.
    """
    shown_id = directory_user_id or record.directory_user_id
    if shown_id is None:
        raise ValueError("a person outside the product view has no body there")
    found = standard_attributes(record.document, resource_id=record.id)
    mapped = record.mapped
    body = wire.DirectoryUser(
        id=shown_id,
        directory_id=directory.id,
        organization_id=directory.organization_id,
        idp_id=found.idp_id,
        email=found.email,
        first_name=found.first_name,
        last_name=found.last_name,
        name=found.name,
        emails=found.emails,
        job_title=found.job_title,
        username=found.username,
        state="active" if record.active else "inactive",
        raw_attributes=(record.raw or record.document) if raw else {},
        custom_attributes=dict(mapped.custom) if mapped is not None else {},
        created_at=wire.iso(record.listed_at or record.created_at),
        updated_at=wire.iso(record.updated_at),
        **_roles(record),
    )
    if mapped is None or not mapped.standard:
        return body
    return msgspec.structs.replace(body, **mapped.standard)


def shows_difference(before: UserRecord, after: UserRecord) -> bool:
    """Tell whether the evaluation of a person came to something else that the product view shows.

    A key that is missing and one that is null are the same (`api.md` §4).
    """
    if _slugs(before) != _slugs(after):
        return True
    old, new = before.mapped, after.mapped
    if old is new:
        return False
    if (old is not None and old.standard) or (new is not None and new.standard):
        return bool(attribute_changes(before, after))
    had, has = (old.custom if old is not None else {}), (new.custom if new is not None else {})
    return not all(same_value(had.get(key), has.get(key)) for key in had.keys() | has.keys())


def _slugs(record: UserRecord) -> list[str]:
    return [grant.role for grant in record.roles or ()]


def _roles(record: UserRecord) -> dict[str, Any]:
    """Return the keys that show roles: absent where the directory gives none (`api.md` §3.2)."""
    if not record.roles:
        return {}
    roles = [wire.RoleSlug(slug=slug) for slug in _slugs(record)]
    return {"role": roles[0], "roles": roles}


def group_body(directory: Directory, record: GroupRecord) -> wire.DirectoryGroup:
    """Return a group as the product sees it; `idp_id` is its externalId, else its name (a label)."""
    name = str(record.document["displayName"])
    return wire.DirectoryGroup(
        id=record.directory_group_id,
        idp_id=str(record.document.get("externalId") or name),
        directory_id=directory.id,
        organization_id=directory.organization_id,
        name=name,
        raw_attributes={},
        created_at=wire.iso(record.created_at),
        updated_at=wire.iso(record.updated_at),
    )


def draft(
    occurred: Event,
    *,
    environment_id: str,
    recorded_at: datetime,
    organization_id: str | None = None,
    directory_id: str | None = None,
    user_id: str | None = None,
    group_id: str | None = None,
) -> EventDraft:
    """Return the inbox form of an event: its body is the exact text that is sent later."""
    return EventDraft(
        environment_id=environment_id,
        organization_id=organization_id,
        directory_id=directory_id,
        type=occurred.name,
        body=occurred.text(),
        recorded_at=recorded_at,
        user_id=user_id,
        group_id=group_id,
    )


class ChangeEvents:
    """Turns change sets of one directory into event drafts, rendering each person and group once."""

    def __init__(
        self,
        directory: Directory,
        users: Mapping[str, UserRecord | None],
        groups: Mapping[str, GroupRecord | None],
        recorded_at: datetime,
        *,
        raw: bool = False,
    ) -> None:
        """`users` and `groups` hold the state after the command for every id a membership names.

        `raw`: whether people are shown as the provider sent them as well.
        """
        self._raw = raw
        self._directory = directory
        self._users = users
        self._groups = groups
        self._recorded_at = recorded_at

    def of(self, changes: ChangeSet, held_groups: Sequence[str] = ()) -> list[EventDraft]:
        """Return the events of one command, in order; no difference, no event.

        `held_groups`: ids of the groups the changed user is and stays a member of on the SCIM side.
        """
        if changes.user is not None:
            return self._user_events(changes, held_groups if changes.held is None else changes.held)
        drafts: list[EventDraft] = []
        removed = changes.removed if changes.left is None else changes.left
        added = changes.added if changes.joined is None else changes.joined
        if changes.group is not None:
            drafts.extend(self._group_events(changes))
        drafts.extend(self._membership_events(GroupUserRemoved, removed))
        drafts.extend(self._membership_events(GroupUserAdded, added))
        for change in changes.evaluated:
            if change.before is None or change.after.directory_user_id is None:
                continue
            # The same roles for another reason are no news.
            if shows_difference(change.before, change.after):
                drafts.append(self.updated(change.before, change.after))
        return drafts

    def updated(self, before: UserRecord, after: UserRecord) -> EventDraft:
        """Return the event of a person of the view whose attributes or roles changed."""
        body = self._user(after)
        return self._user_draft(UserUpdated(self._earlier(before, after, body), body), body.id)

    def _earlier(self, before: UserRecord, after: UserRecord, body: wire.DirectoryUser) -> wire.DirectoryUser:
        """Return the body of a person before a change, from that after it where the provider sent nothing."""
        overridden = (before.mapped and before.mapped.standard) or (after.mapped and after.mapped.standard)
        if before.document is not after.document or overridden:
            return self._user(before)
        custom = before.mapped.custom if before.mapped is not None else {}
        roles = {"role": UNSET, "roles": UNSET} | _roles(before)
        return msgspec.structs.replace(body, custom_attributes=dict(custom), **roles)

    def _user_events(self, changes: ChangeSet, held_groups: Sequence[str]) -> list[EventDraft]:
        assert changes.user is not None
        before, after = changes.user.before, changes.user.after
        shown_before = before is not None and before.directory_user_id is not None
        shown_after = after.directory_user_id is not None and after.deleted_at is None
        groups = sorted({*held_groups, *(group_id for group_id, _ in changes.removed)})
        if shown_after and not shown_before:
            body = self._user(after)
            return [self._user_draft(UserCreated(body), body.id), *self._joined(GroupUserAdded, body, groups)]
        if shown_before and not shown_after:
            assert before is not None
            left = before if after.deleted_at is not None else after
            body = self._user(left, before.directory_user_id)
            return [
                *self._joined(GroupUserRemoved, body, groups),
                self._user_draft(UserDeleted(body), body.id),
            ]
        if not shown_after or before is None:
            return []
        if same(before.document, after.document) and not shows_difference(before, after):
            return []
        return [self.updated(before, after)]

    def _group_events(self, changes: ChangeSet) -> Iterable[EventDraft]:
        assert changes.group is not None
        before, after = changes.group.before, changes.group.after
        body = group_body(self._directory, after)
        if before is None:
            yield self._draft(GroupCreated(body), group_id=body.id)
        elif after.deleted_at is not None:
            yield self._draft(GroupDeleted(group_body(self._directory, before)), group_id=body.id)
        elif not same(before.document, after.document):
            yield self._draft(GroupUpdated(group_body(self._directory, before), body), group_id=body.id)

    def _membership_events(
        self, kind: type[_MembershipEvent], pairs: Sequence[tuple[str, str]]
    ) -> Iterable[EventDraft]:
        rendered: dict[str, wire.DirectoryGroup] = {}
        for group_id, user_id in sorted(pairs, key=lambda pair: (pair[1], pair[0])):
            user = self._users[user_id]
            if user is None or user.directory_user_id is None:
                continue
            if group_id not in rendered:
                rendered[group_id] = self._group(group_id)
            body = self._user(user)
            yield self._draft(kind(body, rendered[group_id]), user_id=body.id, group_id=rendered[group_id].id)

    def _joined(
        self, kind: type[_MembershipEvent], body: wire.DirectoryUser, groups: Sequence[str]
    ) -> Iterable[EventDraft]:
        for group_id in groups:
            group = self._group(group_id)
            yield self._draft(kind(body, group), user_id=body.id, group_id=group.id)

    def _user(self, record: UserRecord, directory_user_id: str | None = None) -> wire.DirectoryUser:
        return user_body(self._directory, record, directory_user_id, raw=self._raw)

    def _group(self, group_id: str) -> wire.DirectoryGroup:
        group = self._groups[group_id]
        if group is None:
            raise ValueError("a membership names a group that is gone")
        return group_body(self._directory, group)

    def _user_draft(self, occurred: Event, user_id: str) -> EventDraft:
        return self._draft(occurred, user_id=user_id)

    def _draft(
        self, occurred: Event, *, user_id: str | None = None, group_id: str | None = None
    ) -> EventDraft:
        return draft(
            occurred,
            environment_id=self._directory.environment_id,
            organization_id=self._directory.organization_id,
            directory_id=self._directory.id,
            recorded_at=self._recorded_at,
            user_id=user_id,
            group_id=group_id,
        )


@dataclass(frozen=True, slots=True)
class _RoleEvent(Event):
    role: wire.Role

    def data(self) -> Json:
        """Return what the vendor says of an environment's role: no id, no name."""
        return {
            "object": "role",
            "slug": self.role.slug,
            "resource_type_slug": self.role.resource_type_slug,
            "permissions": list(self.role.permissions),
            "created_at": self.role.created_at,
            "updated_at": self.role.updated_at,
        }


@event("role.created")
class RoleCreated(_RoleEvent):
    """A role of the environment was created."""


@event("role.updated")
class RoleUpdated(_RoleEvent):
    """The name, description or permissions of a role of the environment changed."""


@event("role.deleted")
class RoleDeleted(_RoleEvent):
    """A role of the environment was deleted; who held it is announced with `dsync.user.updated`."""


@dataclass(frozen=True, slots=True)
class _OrganizationRoleEvent(Event):
    organization_id: str
    role: wire.Role

    def data(self) -> Json:
        """Return what the vendor says of an organization's role."""
        return {
            "object": "organization_role",
            "organization_id": self.organization_id,
            "slug": self.role.slug,
            "name": self.role.name,
            "description": self.role.description,
            "resource_type_slug": self.role.resource_type_slug,
            "permissions": list(self.role.permissions),
            "created_at": self.role.created_at,
            "updated_at": self.role.updated_at,
        }


@event("organization_role.created")
class OrganizationRoleCreated(_OrganizationRoleEvent):
    """A role of one organization was created."""


@event("organization_role.updated")
class OrganizationRoleUpdated(_OrganizationRoleEvent):
    """The name, description or permissions of an organization's role changed."""


@event("organization_role.deleted")
class OrganizationRoleDeleted(_OrganizationRoleEvent):
    """A role of one organization was deleted; nobody held it and no rule named it."""
