"""Who gets which role in a directory: every version of its rules, of which the newest is in force."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from syncline.core.json import Json
from syncline.core.model import Cause, Scope
from syncline.core.scim.resource import group_label
from syncline.store import tables as t
from syncline.store.jsontext import dump, load
from syncline.store.types import among

_rules, _groups = t.role_rules.c, t.directory_groups.c


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """One version of a directory's rules; the body is empty where they were taken out of use."""

    version: int
    body: Mapping[str, Any]
    cause: str
    actor: str | None
    created_at: datetime


def newest(connection: Connection, scope: Scope) -> RuleVersion | None:
    """Return the version that is in force, None if there never was one."""
    found = versions(connection, scope, 1)
    return found[0] if found else None


def versions(connection: Connection, scope: Scope, limit: int) -> list[RuleVersion]:
    """Return the newest versions, the newest first."""
    statement = select(t.role_rules).where(*_here(scope)).order_by(_rules.version.desc()).limit(limit)
    return [_version(row) for row in connection.execute(statement)]


def version(connection: Connection, scope: Scope, number: int) -> RuleVersion | None:
    """Return one version."""
    row = connection.execute(
        select(t.role_rules).where(*_here(scope), _rules.version == number)
    ).one_or_none()
    return None if row is None else _version(row)


def add(
    connection: Connection, scope: Scope, number: int, body: Mapping[str, Json], cause: Cause, now: datetime
) -> RuleVersion:
    """Add a version, which is in force from now on. The caller holds the directory."""
    connection.execute(
        insert(t.role_rules),
        {
            "environment_id": scope.environment_id,
            "directory_id": scope.directory_id,
            "version": number,
            "body": dump(dict(body)),
            "cause": cause.id,
            "actor": cause.actor_id,
            "created_at": now,
        },
    )
    return RuleVersion(number, body, cause.id, cause.actor_id, now)


def in_force(
    connection: Connection, environment_id: str, directory_ids: Collection[str] | None = None
) -> dict[str, Mapping[str, Any]]:
    """Return the rules in force by directory, of the whole environment if no directories are named."""
    directories = t.directories.c
    last = (
        select(_rules.directory_id, func.max(_rules.version).label("version"))
        .where(_rules.environment_id == environment_id)
        .group_by(_rules.directory_id)
        .subquery()
    )
    statement = (
        select(_rules.directory_id, _rules.body)
        .join(last, (last.c.directory_id == _rules.directory_id) & (last.c.version == _rules.version))
        .join(t.directories, (directories.id == _rules.directory_id) & directories.deleted_at.is_(None))
        .where(_rules.environment_id == environment_id)
    )
    given = {}
    if directory_ids is not None:
        statement = statement.where(among(_rules.directory_id, "ids"))
        given = {"ids": sorted(directory_ids)}
    found = {row.directory_id: load(row.body) for row in connection.execute(statement, given)}
    return {directory_id: body for directory_id, body in found.items() if body}


def group_names(connection: Connection, scope: Scope, group_ids: Collection[str]) -> dict[str, str]:
    """Return the names of those of the groups that are there, by SCIM id."""
    statement = select(_groups.id, _groups.document).where(
        _groups.environment_id == scope.environment_id,
        _groups.directory_id == scope.directory_id,
        among(_groups.id, "ids"),
        _groups.deleted_at.is_(None),
    )
    rows = connection.execute(statement, {"ids": sorted(group_ids)}) if group_ids else ()
    return {row.id: group_label(load(row.document)) for row in rows}


def attribute_keys(connection: Connection, environment_id: str) -> set[str]:
    """Return the keys of the attributes that the environment defines."""
    definitions = t.attribute_definitions.c
    rows = connection.execute(select(definitions.key).where(definitions.environment_id == environment_id))
    return {row.key for row in rows}


def _here(scope: Scope) -> tuple[Any, ...]:
    return (
        _rules.environment_id == scope.environment_id,
        _rules.directory_id == scope.directory_id,
    )


def _version(row: Any) -> RuleVersion:
    return RuleVersion(row.version, load(row.body), row.cause, row.actor, row.created_at)
