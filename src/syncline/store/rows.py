"""Table rows to records and back, shared by the readers and the write path."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Row

from syncline.core.attributes import email, idp_id
from syncline.core.model import (
    Directory,
    DirectoryId,
    DirectoryState,
    EnvironmentId,
    GroupRecord,
    InactiveUsers,
    Mapped,
    Membership,
    RoleGrant,
    Scope,
    UserRecord,
)
from syncline.core.scim.resource import group_label, user_label
from syncline.core.scim.schema import ResourceKind
from syncline.core.scim.search import search_document
from syncline.core.text import index_key
from syncline.store.jsontext import dump, load

_encode = msgspec.json.Encoder().encode
_mapped = msgspec.json.Decoder(Mapped).decode
_grants = msgspec.json.Decoder(tuple[RoleGrant, ...]).decode


def directory_of(row: Row[Any]) -> Directory:
    """Return the directory of a full row of `directories`."""
    return Directory(
        environment_id=EnvironmentId(row.environment_id),
        organization_id=row.organization_id,
        id=DirectoryId(row.id),
        external_key=row.external_key,
        name=row.name,
        type=row.type,
        state=DirectoryState(row.state),
        inactive_users=InactiveUsers(row.inactive_users),
        settings=load(row.settings),
        created_at=row.created_at,
        updated_at=row.updated_at,
        activated_at=row.activated_at,
        deleted_at=row.deleted_at,
        membership=Membership(row.membership),
        evaluation_id=row.evaluation_id,
    )


USER_COLUMNS = (
    "id",
    "directory_user_id",
    "document",
    "raw",
    "version",
    "created_at",
    "updated_at",
    "listed_at",
    "deleted_at",
    "mapped",
    "roles",
)
"""The columns of `directory_users` that `user_of` looks at; the others are derived from them."""


def user_of(row: Row[Any]) -> UserRecord:
    """Return the user of a row of `directory_users` that has `USER_COLUMNS`."""
    return UserRecord(
        id=row.id,
        directory_user_id=row.directory_user_id,
        document=load(row.document),
        raw=load(row.raw) if row.raw is not None else None,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        listed_at=row.listed_at,
        deleted_at=row.deleted_at,
        mapped=_mapped(row.mapped) if row.mapped is not None else None,
        roles=roles_of(row.roles) if row.roles is not None else None,
    )


def group_of(row: Row[Any]) -> GroupRecord:
    """Return the group of a full row of `directory_groups`."""
    return GroupRecord(
        id=row.id,
        document=load(row.document),
        raw=load(row.raw) if row.raw is not None else None,
        member_count=row.member_count,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
    )


def user_row(scope: Scope, record: UserRecord) -> dict[str, Any]:
    """Return every column of a user row, the lookup keys derived from the document."""
    address = shown_email(record)
    external_id = record.document.get("externalId")
    return {
        "environment_id": scope.environment_id,
        "directory_id": scope.directory_id,
        "id": record.id,
        "directory_user_id": record.directory_user_id,
        "user_name_key": index_key(str(record.document["userName"])),
        "external_id_key": exact_key(external_id) if isinstance(external_id, str) else None,
        "idp_id_key": exact_key(idp_id(record.document, record.id)),
        "email_key": index_key(address) if address else None,
        "label": user_label(record.document),
        "active": record.active,
        "document": dump(record.document),
        "raw": dump(record.raw) if record.raw is not None else None,
        **evaluated_columns(record),
        "search": dump(search_document(record.document, ResourceKind.USER)),
        "version": record.version,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "listed_at": record.listed_at,
        "deleted_at": record.deleted_at,
    }


def evaluated_columns(record: UserRecord) -> dict[str, str | None]:
    """Return the columns that hold what the directory's evaluation made of a person."""
    return {
        "mapped": None if record.mapped is None else _encode(record.mapped).decode(),
        "roles": None if record.roles is None else _encode(record.roles).decode(),
    }


def shown_email(record: UserRecord) -> str | None:
    """Return the address that the product view shows, by which people are looked up."""
    if record.mapped is not None and "email" in record.mapped.standard:
        found = record.mapped.standard["email"]
        return found if isinstance(found, str) else None
    return email(record.document)


def group_row(scope: Scope, record: GroupRecord) -> dict[str, Any]:
    """Return every column of a group row, the lookup keys derived from the document."""
    external_id = record.document.get("externalId")
    return {
        "environment_id": scope.environment_id,
        "directory_id": scope.directory_id,
        "id": record.id,
        "display_name_key": index_key(str(record.document["displayName"])),
        "external_id_key": exact_key(external_id) if isinstance(external_id, str) else None,
        "label": group_label(record.document),
        "document": dump(record.document),
        "raw": dump(record.raw) if record.raw is not None else None,
        "search": dump(search_document(record.document, ResourceKind.GROUP)),
        "member_count": record.member_count,
        "version": record.version,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "deleted_at": record.deleted_at,
    }


def roles_of(text: str) -> tuple[RoleGrant, ...]:
    """Return the grants of a `roles` column."""
    return _grants(text)


def exact_key(text: str) -> str:
    """Return the index key of a value that is compared exactly."""
    return index_key(text, folded=False)
