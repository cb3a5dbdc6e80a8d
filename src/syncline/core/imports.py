"""The records of an import: their form, and which of our ids an id of another system becomes.

A record is one JSON object with a `type`. What has an id of our form keeps it; what has another gets one
that is derived from it, so that the same record always comes to the same id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from syncline.core.ids import RANDOMNESS_BYTES, Prefix, bare, is_id, is_ulid, make_id, new_ulid
from syncline.core.json import Json

MAX_ID = 128
MAX_MEMBERS = 1_000
MAX_RECORDS = 500
# The time in an id that is derived from another, the beginning of 2000: before all others of a list.
_DERIVED_MS = 946_684_800_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
# Other spellings that older data of the WorkOS API shows.
_OLD_PREFIXES = {Prefix.DIRECTORY_GROUP: "directory_grp"}
_ALIAS = re.compile(r"[A-Za-z0-9._:@~+=-]{1,128}", re.ASCII)
_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]


class Outcome(StrEnum):
    """What became of a record: `unchanged` was there, `skipped` must not be touched, `refused` is wrong."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    REFUSED = "refused"


class DomainRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A domain of an organization; verified at the word of whoever imports."""

    domain: str
    state: str = "pending"
    id: str | None = None


class OrganizationRecord(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="organization", tag_field="type"
):
    """An organization with its domains."""

    id: _Id
    name: str
    external_id: str | None = None
    stripe_customer_id: str | None = None
    metadata: dict[str, str] = {}
    domains: list[DomainRecord] = []
    created_at: str | None = None


class TokenRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bearer token that a provider has: the token itself, or its SHA-256 digest."""

    token: str | None = None
    digest: str | None = None
    label: str | None = None


class DirectoryRecord(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="directory", tag_field="type"
):
    """A directory, with what its provider has to reach it: tokens and addresses."""

    id: _Id
    organization_id: _Id
    name: str
    provider: str
    external_key: str | None = None
    state: str = "linked"
    inactive_users: str | None = None
    membership: str | None = None
    bearer_tokens: list[TokenRecord] = []
    scim_aliases: list[str] = []
    created_at: str | None = None


class UserRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="user", tag_field="type"):
    """A person as a SCIM resource; `scim_id` is the id that the provider has for them."""

    id: _Id
    directory_id: _Id
    resource: dict[str, Json]
    scim_id: _Id | None = None
    created_at: str | None = None


class GroupRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="group", tag_field="type"):
    """A group as a SCIM resource without members."""

    id: _Id
    directory_id: _Id
    resource: dict[str, Json]
    scim_id: _Id | None = None
    created_at: str | None = None


class MembershipRecord(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="membership", tag_field="type"
):
    """People and groups that are in a group, by the ids that their records have."""

    directory_id: _Id
    group_id: _Id
    user_ids: Annotated[list[_Id], Meta(max_length=MAX_MEMBERS)] = []
    member_group_ids: Annotated[list[_Id], Meta(max_length=MAX_MEMBERS)] = []

    @property
    def number(self) -> int:
        """How many members the record names; one that is named twice is one."""
        return len(set(self.user_ids)) + len(set(self.member_group_ids))


Record: TypeAlias = OrganizationRecord | DirectoryRecord | UserRecord | GroupRecord | MembershipRecord
_RECORD = Record


class RecordRefused(Exception):
    """A record that cannot be imported; the sentence names the field."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class ResourceIds:
    """The ids of a person or a group: in the product view, of the SCIM resource, and what providers call it.

    `alias` is None where the provider knows the SCIM id itself.
    """

    product_id: str
    resource_id: str
    alias: str | None


def read_record(value: Json) -> Record:
    """Return a record. Raises `RecordRefused`, naming what is wrong."""
    try:
        found: Record = msgspec.convert(value, _RECORD)
    except msgspec.ValidationError as error:
        raise RecordRefused("record_invalid", f"The record cannot be read: {error}.") from None
    if isinstance(found, MembershipRecord):
        named = len(found.user_ids) + len(found.member_group_ids)
        if not 0 < named <= MAX_MEMBERS:
            raise RecordRefused(
                "record_invalid",
                f"user_ids and member_group_ids must name 1 to {MAX_MEMBERS} members together.",
            )
    return found


def read_time(text: str | None, field: str = "created_at") -> datetime | None:
    """Return a time with an offset. Raises `RecordRefused`."""
    if text is None or text == "":
        return None
    try:
        found = datetime.fromisoformat(text.strip())
        if found.tzinfo is None:
            raise ValueError
        found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RecordRefused(f"{field}_invalid", f"{field} must be an RFC 3339 time with an offset.") from None
    if not _EPOCH <= found < _LATEST:
        raise RecordRefused(f"{field}_invalid", f"{field} must lie after 1970.")
    return found


def own_id(prefix: Prefix, old: str, *, within: str) -> str:
    """Return our id of an object: its own if that has our form, else one derived from it.

    `within` tells apart what has the same id elsewhere: the environment, or the directory. A derived id comes
    of nothing else, so that whoever only refers to the object arrives at the same one.
    """
    if is_id(prefix, old):
        return old
    head, _, tail = old.rpartition("_")
    if is_ulid(old) or (is_ulid(tail) and head == _OLD_PREFIXES.get(prefix)):
        return make_id(prefix, bare(old))
    digest = sha256(f"{prefix.value}\0{within}\0{old}".encode()).digest()
    return make_id(prefix, new_ulid(_DERIVED_MS, digest[:RANDOMNESS_BYTES]))


def resource_ids(prefix: Prefix, old: str, scim_id: str | None, *, within: str) -> ResourceIds:
    """Return the ids of a person or group of a directory. Raises `RecordRefused` for one no address can hold.

    Without a `scim_id` the provider is taken to know a resource by its id, unless that has our form.
    """
    product_id = own_id(prefix, old, within=within)
    known_as = scim_id or (None if bare(old) == bare(product_id) else old)
    if known_as is None or known_as == bare(product_id):
        return ResourceIds(product_id, bare(product_id), None)
    if is_ulid(known_as) and prefix is Prefix.DIRECTORY_USER:
        return ResourceIds(product_id, known_as, None)
    if not is_alias(known_as):
        raise RecordRefused(
            "scim_id_invalid",
            "scim_id may hold letters, digits and . _ : @ ~ + = - only, as it is part of an address.",
        )
    return ResourceIds(product_id, bare(product_id), known_as)


def is_alias(text: str) -> bool:
    """Tell whether a text may be the id of a SCIM resource beside its own."""
    return _ALIAS.fullmatch(text) is not None
