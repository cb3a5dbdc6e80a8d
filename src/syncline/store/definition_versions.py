"""Versions of the attributes that an environment defines: the whole set after each change of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from syncline.core.attribute_definitions import DefinedAttribute
from syncline.core.attribute_map import AttributeKind, AttributeType
from syncline.core.json import Json
from syncline.core.model import Cause, Directory
from syncline.store import tables as t
from syncline.store.attributes import Definition
from syncline.store.jsontext import dump, load, load_any
from syncline.store.rows import directory_of

_versions, _directories = t.definition_versions.c, t.directories.c


@dataclass(frozen=True, slots=True)
class DefinitionChange:
    """How a version differs from the one before, by key."""

    added: Sequence[str] = ()
    changed: Sequence[str] = ()
    removed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DefinitionVersion:
    """A set of definitions as it was from a moment on.

    `cause` is who made it, None for the set that an environment had when versions began; `restored` is the
    version that it repeats, if it was made so.
    """

    version: int
    change: DefinitionChange
    restored: int | None
    cause: Cause | None
    created_at: datetime


def newest(connection: Connection, environment_id: str) -> int:
    """Return the number of the newest version, 0 if there is none."""
    found = versions(connection, environment_id, limit=1)
    return found[0].version if found else 0


def versions(connection: Connection, environment_id: str, *, limit: int) -> list[DefinitionVersion]:
    """Return the newest versions without their definitions, the newest first."""
    columns = (column for column in _versions if column.name != "definitions")
    statement = select(*columns).where(_versions.environment_id == environment_id)
    return [
        _version(row) for row in connection.execute(statement.order_by(_versions.version.desc()).limit(limit))
    ]


def get(
    connection: Connection, environment_id: str, version: int
) -> tuple[DefinitionVersion, list[Definition]] | None:
    """Return a version with its definitions by key."""
    row = connection.execute(
        select(t.definition_versions).where(
            _versions.environment_id == environment_id, _versions.version == version
        )
    ).one_or_none()
    if row is None:
        return None
    entries: Any = load_any(row.definitions)
    return _version(row), [_definition(entry) for entry in entries]


def add(
    connection: Connection, environment_id: str, made: DefinitionVersion, definitions: Sequence[Definition]
) -> None:
    """Insert a version; the environment is locked."""
    change: dict[str, Json] = {
        "added": list(made.change.added),
        "changed": list(made.change.changed),
        "removed": list(made.change.removed),
    }
    cause = made.cause
    actor: dict[str, Json] | None = None
    if cause is not None and cause.actor_id is not None:
        actor = {"id": cause.actor_id, "source": cause.actor_source, "name": cause.actor_name}
    connection.execute(
        insert(t.definition_versions),
        {
            "environment_id": environment_id,
            "version": made.version,
            "definitions": dump([_entry(one) for one in definitions]),
            "change": dump(change),
            "restored": made.restored,
            "cause": None if cause is None else cause.id,
            "actor": None if actor is None else dump(actor),
            "created_at": made.created_at,
        },
    )


def directories(connection: Connection, environment_id: str) -> list[Directory]:
    """Return the live directories of an environment in id order, for reading."""
    statement = select(t.directories).where(
        _directories.environment_id == environment_id, _directories.deleted_at.is_(None)
    )
    return [directory_of(row) for row in connection.execute(statement.order_by(_directories.id))]


def _entry(one: Definition) -> dict[str, Json]:
    return {
        **one.attribute.body(),
        "id": one.id,
        "description": one.attribute.description,
        "created_at": one.created_at.isoformat(),
        "updated_at": one.updated_at.isoformat(),
    }


def _definition(entry: Mapping[str, Any]) -> Definition:
    attribute = DefinedAttribute(
        key=entry["key"],
        kind=AttributeKind(entry["kind"]),
        type=AttributeType(entry["type"]),
        required=entry["required"],
        description=entry["description"],
        sources=tuple(entry["sources"]),
    )
    made, changed = (datetime.fromisoformat(entry[name]) for name in ("created_at", "updated_at"))
    return Definition(entry["id"], attribute, made, changed)


def _version(row: Row[Any]) -> DefinitionVersion:
    change: Any = load(row.change)
    cause = None if row.cause is None else Cause(row.cause)
    if cause is not None and row.actor is not None:
        actor: Any = load(row.actor)
        cause = Cause(cause.id, actor["id"], actor["source"], actor["name"])
    return DefinitionVersion(row.version, DefinitionChange(**change), row.restored, cause, row.created_at)
