"""Roles of environments and organizations, and the order in which they count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from syncline.core.ids import Prefix, bare, make_id
from syncline.store import tables as t
from syncline.store.jsontext import dump, load_any

SLOT = 1024
"""What lies between the priorities of two roles of the environment: places for organizations' own roles."""

DEFAULT_SLUG = "member"
_DEFAULT_NAME = "Member"
_RESOURCE_TYPE = "organization"
_roles = t.roles.c


@dataclass(frozen=True, slots=True)
class Role:
    """A role; `organization_id` is None for one of the environment. A lower priority counts for more.

    Within one organization the roles of the environment and its own are one list, by priority.
    """

    environment_id: str
    organization_id: str | None
    id: str
    slug: str
    name: str
    description: str | None
    resource_type_slug: str
    permissions: tuple[str, ...]
    priority: int
    created_at: datetime
    updated_at: datetime


def of(connection: Connection, environment_id: str, organization_id: str | None = None) -> list[Role]:
    """Return the roles of an environment, or those that apply to one of its organizations, by priority."""
    place: ColumnElement[bool] = _roles.organization_id.is_(None)
    if organization_id is not None:
        place = or_(place, _roles.organization_id == organization_id)
    statement = (
        select(t.roles)
        .where(_roles.environment_id == environment_id, place)
        .order_by(_roles.priority, _roles.id)
    )
    return [_role(row) for row in connection.execute(statement)]


def get(
    connection: Connection, environment_id: str, slug: str, organization_id: str | None = None
) -> Role | None:
    """Return a role of the environment, or one of an organization's own."""
    place = (
        _roles.organization_id.is_(None)
        if organization_id is None
        else _roles.organization_id == organization_id
    )
    row = connection.execute(
        select(t.roles).where(_roles.environment_id == environment_id, place, _roles.slug == slug)
    ).one_or_none()
    return None if row is None else _role(row)


def add(connection: Connection, role: Role) -> None:
    """Insert a role; a slug that is taken there raises the unique violation."""
    connection.execute(insert(t.roles), _values(role))


def add_default(connection: Connection, environment_id: str, created_at: datetime) -> None:
    """Give a new environment the role that everybody has at least.

    Its id follows from that of the environment, as in the migration that did this for those that were there.
    """
    add(
        connection,
        Role(
            environment_id=environment_id,
            organization_id=None,
            id=make_id(Prefix.ROLE, bare(environment_id)),
            slug=DEFAULT_SLUG,
            name=_DEFAULT_NAME,
            description=None,
            resource_type_slug=_RESOURCE_TYPE,
            permissions=(),
            priority=SLOT,
            created_at=created_at,
            updated_at=created_at,
        ),
    )


def change(connection: Connection, role: Role) -> None:
    """Write what can change about a role."""
    connection.execute(
        update(t.roles)
        .where(_roles.environment_id == role.environment_id, _roles.id == role.id)
        .values(_values(role))
    )


def remove(connection: Connection, role: Role) -> None:
    """Remove a role."""
    connection.execute(
        delete(t.roles).where(_roles.environment_id == role.environment_id, _roles.id == role.id)
    )


def move(connection: Connection, environment_id: str, priorities: Mapping[str, int]) -> None:
    """Write the priorities of roles, by id."""
    for role_id, priority in sorted(priorities.items()):
        connection.execute(
            update(t.roles)
            .where(_roles.environment_id == environment_id, _roles.id == role_id)
            .values(priority=priority)
        )


def move_down(connection: Connection, environment_id: str, start: int) -> None:
    """Move every role of the environment and its organizations from a priority on by one slot."""
    connection.execute(
        update(t.roles)
        .where(_roles.environment_id == environment_id, _roles.priority >= start)
        .values(priority=_roles.priority + SLOT)
    )


def directories_of(connection: Connection, environment_id: str, organization_id: str) -> list[str]:
    """Return the ids of the live directories of an organization."""
    directories = t.directories.c
    found = connection.execute(
        select(directories.id).where(
            directories.environment_id == environment_id,
            directories.organization_id == organization_id,
            directories.deleted_at.is_(None),
        )
    )
    return [row.id for row in found]


def is_held(connection: Connection, environment_id: str, directory_ids: Sequence[str], slug: str) -> bool:
    """Tell whether somebody in one of the directories holds a role."""
    users = t.directory_users.c
    position = func.strpos if connection.dialect.name == "postgresql" else func.instr
    grant = f'"role":{dump(slug)},'
    for directory_id in directory_ids:
        held = exists().where(
            users.environment_id == environment_id,
            users.directory_id == directory_id,
            users.deleted_at.is_(None),
            users.directory_user_id.is_not(None),
            users.roles.is_not(None),
            position(users.roles, grant, type_=BigInteger()) > 0,
        )
        if connection.execute(select(held)).scalar_one():
            return True
    return False


def _values(role: Role) -> dict[str, Any]:
    return {
        "environment_id": role.environment_id,
        "organization_id": role.organization_id,
        "id": role.id,
        "slug": role.slug,
        "name": role.name,
        "description": role.description,
        "resource_type_slug": role.resource_type_slug,
        "permissions": dump(list(role.permissions)),
        "priority": role.priority,
        "created_at": role.created_at,
        "updated_at": role.updated_at,
    }


def _role(row: Any) -> Role:
    return Role(
        environment_id=row.environment_id,
        organization_id=row.organization_id,
        id=row.id,
        slug=row.slug,
        name=row.name,
        description=row.description,
        resource_type_slug=row.resource_type_slug,
        permissions=tuple(cast("list[str]", load_any(row.permissions))),
        priority=row.priority,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
