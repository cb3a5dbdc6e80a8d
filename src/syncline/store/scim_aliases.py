"""Addresses of directories beside their own, and ids of their resources that another service gave."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Text, bindparam, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from syncline.core.model import Scope
from syncline.core.paging import Span
from syncline.store import tables as t
from syncline.store.prepared import Prepared
from syncline.store.spans import within
from syncline.store.types import among

_c, _ids, _directories = t.scim_aliases.c, t.resource_aliases.c, t.directories.c
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class PathAlias:
    """A path that leads to a directory's SCIM resources."""

    id: str
    path: str
    created_at: datetime


def path_holder(connection: Connection, path_key: str) -> str | None:
    """Return the live directory that has a path, whosever it is; deleted ones give theirs up."""
    held = connection.execute(
        select(_c.directory_id, _directories.deleted_at)
        .join_from(t.scim_aliases, t.directories, _directories.id == _c.directory_id, isouter=True)
        .where(_c.path_key == path_key)
    ).one_or_none()
    if held is None:
        return None
    if held.deleted_at is not None:
        connection.execute(delete(t.scim_aliases).where(_c.path_key == path_key))
        return None
    return str(held.directory_id)


def add_path(connection: Connection, scope: Scope, alias: PathAlias, path_key: str) -> None:
    """Insert a path; one that is taken raises the unique violation."""
    connection.execute(
        insert(t.scim_aliases),
        {
            "environment_id": scope.environment_id,
            "directory_id": scope.directory_id,
            "id": alias.id,
            "path": alias.path,
            "path_key": path_key,
            "created_at": alias.created_at,
        },
    )


def path(connection: Connection, scope: Scope, alias_id: str) -> PathAlias | None:
    """Return a path of a directory by its id."""
    row = connection.execute(
        select(_c.id, _c.path, _c.created_at).where(*_here(scope), _c.id == alias_id)
    ).one_or_none()
    return None if row is None else PathAlias(*row)


def path_page(connection: Connection, scope: Scope, span: Span) -> list[PathAlias]:
    """Return paths of a directory."""
    statement = select(_c.id, _c.path, _c.created_at).where(*_here(scope))
    return [PathAlias(*row) for row in connection.execute(within(statement, _c.id, span))]


def path_keys(connection: Connection, scope: Scope) -> list[str]:
    """Return every path of a directory in lower case, sorted."""
    return list(connection.execute(select(_c.path_key).where(*_here(scope)).order_by(_c.path_key)).scalars())


def remove_path(connection: Connection, scope: Scope, alias_id: str) -> None:
    """Remove a path."""
    connection.execute(delete(t.scim_aliases).where(*_here(scope), _c.id == alias_id))


def _here(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (_c.environment_id == scope.environment_id, _c.directory_id == scope.directory_id)


_resources_of = Prepared(
    select(_ids.alias, _ids.resource_id).where(
        _ids.directory_id == bindparam("directory", type_=Text()), among(_ids.alias, "aliases")
    )
)
_aliases_of = Prepared(
    select(_ids.alias, _ids.resource_id).where(
        _ids.directory_id == bindparam("directory", type_=Text()), among(_ids.resource_id, "resources")
    )
)


def resources_of(connection: Connection, scope: Scope, aliases: Collection[str]) -> dict[str, str]:
    """Return which resources these ids of another service stand for."""
    if not aliases:
        return {}
    asked = {"directory": scope.directory_id, "aliases": list(aliases)}
    return {row[0]: row[1] for row in _resources_of.all(connection, asked)}


def aliases_of(connection: Connection, scope: Scope, resources: Collection[str]) -> dict[str, str]:
    """Return the ids under which providers know these resources, by our own."""
    if not resources:
        return {}
    asked = {"directory": scope.directory_id, "resources": list(resources)}
    return {row[1]: row[0] for row in _aliases_of.all(connection, asked)}


def add_resources(connection: Connection, scope: Scope, aliases: Mapping[str, str]) -> int:
    """Add ids of another service for resources; what has one keeps it. Returns how many are new."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(t.resource_aliases).on_conflict_do_nothing()
    rows = [
        {
            "environment_id": scope.environment_id,
            "directory_id": scope.directory_id,
            "alias": alias,
            "resource_id": resource,
        }
        for alias, resource in sorted(aliases.items())
    ]
    held = aliases_of(connection, scope, list(aliases.values()))
    for start in range(0, len(rows), _CHUNK):
        connection.execute(statement, rows[start : start + _CHUNK])
    return len(rows) - len(held)


def present(connection: Connection, scope: Scope, ids: Sequence[str]) -> dict[str, bool]:
    """Return which ids of people or groups a directory has, and whether each is live."""
    found: dict[str, bool] = {}
    for table in (t.directory_users, t.directory_groups):
        rows = connection.execute(
            select(table.c.id, table.c.deleted_at).where(
                table.c.directory_id == scope.directory_id, among(table.c.id, "ids")
            ),
            {"ids": list(ids)},
        )
        found |= {row.id: row.deleted_at is None for row in rows}
    return found
