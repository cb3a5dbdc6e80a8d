"""Attribute definitions of environments, the versions of directories' own maps, and what people have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Integer, Text, bindparam, delete, func, insert, select, update

from syncline.core.attribute_definitions import DefinedAttribute
from syncline.core.attribute_map import AttributeKind, AttributeType
from syncline.core.json import Json
from syncline.core.model import Cause, Document, Mapped, Scope
from syncline.core.paging import Span
from syncline.store import tables as t
from syncline.store.jsontext import dump, load, load_any
from syncline.store.prepared import Prepared
from syncline.store.spans import within

_definitions, _maps, _environments = t.attribute_definitions.c, t.attribute_maps.c, t.environments.c
_users = t.directory_users.c
_mapped = msgspec.json.Decoder(Mapped).decode

SourceBody = dict[str, Json]
"""A source in the form of an evaluation's body."""

Outcome = tuple[str, str, Mapped | None]
"""A person's SCIM id, directory user id, and what the map made of them."""


@dataclass(frozen=True, slots=True)
class ShownPerson:
    """What the attributes of somebody in the product view follow from; `id` is the SCIM id."""

    id: str
    directory_user_id: str
    document: Document
    mapped: Mapped | None


@dataclass(frozen=True, slots=True)
class Definition:
    """An attribute that an environment defines, or a standard one that comes from elsewhere there."""

    id: str
    attribute: DefinedAttribute
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class MapVersion:
    """A directory's own sources by key, as they were from a moment on; `cause` is who wrote them."""

    version: int
    sources: Mapping[str, list[SourceBody]]
    cause: Cause
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Settings:
    """What an environment has settled, beside its fixed columns; `settings` is the stored object."""

    name: str
    inactive_users: str
    settings: Document
    created_at: datetime
    updated_at: datetime


def add(connection: Connection, environment_id: str, definition: Definition) -> None:
    """Insert a definition; a key that is taken raises the unique violation."""
    connection.execute(
        insert(t.attribute_definitions), {"environment_id": environment_id, **_columns(definition)}
    )


def get(connection: Connection, environment_id: str, definition_id: str) -> Definition | None:
    """Return a definition of the environment."""
    row = connection.execute(
        select(t.attribute_definitions).where(
            _definitions.environment_id == environment_id, _definitions.id == definition_id
        )
    ).one_or_none()
    return None if row is None else _definition(row)


def all_of(connection: Connection, environment_id: str) -> list[Definition]:
    """Return every definition of the environment by key."""
    statement = select(t.attribute_definitions).where(_definitions.environment_id == environment_id)
    return [_definition(row) for row in connection.execute(statement.order_by(_definitions.key))]


def page(connection: Connection, environment_id: str, span: Span) -> list[Definition]:
    """Return definitions of a stretch of ids."""
    statement = select(t.attribute_definitions).where(_definitions.environment_id == environment_id)
    return [_definition(row) for row in connection.execute(within(statement, _definitions.id, span))]


def change(connection: Connection, environment_id: str, definition: Definition) -> None:
    """Write a definition that is there."""
    connection.execute(
        update(t.attribute_definitions)
        .where(_definitions.environment_id == environment_id, _definitions.id == definition.id)
        .values(**_columns(definition))
    )


def remove(connection: Connection, environment_id: str, definition_id: str) -> None:
    """Delete a definition."""
    connection.execute(
        delete(t.attribute_definitions).where(
            _definitions.environment_id == environment_id, _definitions.id == definition_id
        )
    )


def newest_map(connection: Connection, scope: Scope) -> MapVersion | None:
    """Return the map of a directory that is in force, None if it never had one of its own."""
    found = maps(connection, scope, limit=1)
    return found[0] if found else None


def map_version(connection: Connection, scope: Scope, version: int) -> MapVersion | None:
    """Return one version of a directory's map."""
    row = connection.execute(_maps_of(scope).where(_maps.version == version)).one_or_none()
    return None if row is None else _map(row)


def maps(connection: Connection, scope: Scope, *, limit: int, below: int | None = None) -> list[MapVersion]:
    """Return versions of a directory's map, the newest first, those before one."""
    statement = _maps_of(scope)
    if below is not None:
        statement = statement.where(_maps.version < below)
    return [_map(row) for row in connection.execute(statement.order_by(_maps.version.desc()).limit(limit))]


def add_map(connection: Connection, scope: Scope, made: MapVersion) -> None:
    """Insert a version of a directory's map; the directory is locked."""
    actor: dict[str, Json] = {
        "id": made.cause.actor_id,
        "source": made.cause.actor_source,
        "name": made.cause.actor_name,
    }
    connection.execute(
        insert(t.attribute_maps),
        {
            "environment_id": scope.environment_id,
            "directory_id": scope.directory_id,
            "version": made.version,
            "sources": dump({key: list(sources) for key, sources in made.sources.items()}),
            "cause": made.cause.id,
            "actor": None if made.cause.actor_id is None else dump(actor),
            "created_at": made.created_at,
        },
    )


def settings(connection: Connection, environment_id: str) -> Settings:
    """Return what an environment, which exists, has settled."""
    row = connection.execute(select(t.environments).where(_environments.id == environment_id)).one()
    return Settings(row.name, row.inactive_users, load(row.settings), row.created_at, row.updated_at)


def change_settings(connection: Connection, environment_id: str, changed: Document, now: datetime) -> None:
    """Write the settings of an environment, which is locked."""
    connection.execute(
        update(t.environments)
        .where(_environments.id == environment_id)
        .values(settings=dump(changed), updated_at=now)
    )


def people_shown(connection: Connection, scope: Scope) -> int:
    """Count the people in the product view of a directory."""
    count = connection.execute(select(func.count()).where(*_shown(scope))).scalar_one()
    return int(count)


def id_before(connection: Connection, scope: Scope, offset: int) -> str:
    """Return the SCIM id of the person before the one at an offset (from 1), "" if there is none."""
    statement = select(_users.id).where(*_shown(scope)).order_by(_users.id).offset(offset - 1).limit(1)
    return str(connection.execute(statement).scalar_one_or_none() or "")


def outcomes(connection: Connection, scope: Scope, after: str, limit: int) -> list[Outcome]:
    """Return people of the product view beyond a SCIM id: that id, the id of the view, and their outcome."""
    asked = {"directory": scope.directory_id, "after": after, "most": limit}
    return [
        (row.id, row.directory_user_id, _mapped_of(row.mapped)) for row in _outcomes.all(connection, asked)
    ]


def shown_people(connection: Connection, scope: Scope, after: str, limit: int) -> list[ShownPerson]:
    """Return people of the product view beyond a SCIM id with their documents."""
    asked = {"directory": scope.directory_id, "after": after, "most": limit}
    return [
        ShownPerson(row.id, row.directory_user_id, load(row.document), _mapped_of(row.mapped))
        for row in _people.all(connection, asked)
    ]


def outcomes_within(connection: Connection, scope: Scope, span: Span) -> list[tuple[str, Mapped | None]]:
    """Return people of the product view within a span of directory user ids, with their outcome."""
    statement = select(_users.directory_user_id, _users.mapped).where(
        _users.environment_id == scope.environment_id, *_shown(scope)
    )
    rows = connection.execute(within(statement, _users.directory_user_id, span))
    return [(row.directory_user_id, _mapped_of(row.mapped)) for row in rows]


def bodies(connection: Connection, scope: Scope, after: str, limit: int) -> list[tuple[str, Document]]:
    """Return people of the product view beyond a SCIM id with what their provider sent."""
    asked = {"directory": scope.directory_id, "after": after, "most": limit}
    return [(row.id, load(row.body)) for row in _bodies.all(connection, asked)]


def _shown(scope: Scope) -> tuple[Any, ...]:
    return (
        _users.directory_id == scope.directory_id,
        _users.directory_user_id.is_not(None),
        _users.deleted_at.is_(None),
    )


_in_view = (
    _users.directory_id == bindparam("directory", type_=Text()),
    _users.directory_user_id.is_not(None),
    _users.deleted_at.is_(None),
    _users.id > bindparam("after", type_=Text()),
)
_outcomes = Prepared(
    select(_users.id, _users.directory_user_id, _users.mapped)
    .where(*_in_view)
    .order_by(_users.id)
    .limit(bindparam("most", type_=Integer()))
)
_people = Prepared(
    select(_users.id, _users.directory_user_id, _users.mapped, _users.document)
    .where(*_in_view)
    .order_by(_users.id)
    .limit(bindparam("most", type_=Integer()))
)
_bodies = Prepared(
    select(_users.id, func.coalesce(_users.raw, _users.document).label("body"))
    .where(*_in_view)
    .order_by(_users.id)
    .limit(bindparam("most", type_=Integer()))
)


def _mapped_of(text: str | None) -> Mapped | None:
    return None if text is None else _mapped(text)


def _maps_of(scope: Scope) -> Any:
    return select(t.attribute_maps).where(
        _maps.environment_id == scope.environment_id, _maps.directory_id == scope.directory_id
    )


def _columns(definition: Definition) -> dict[str, Any]:
    attribute = definition.attribute
    return {
        "id": definition.id,
        "key": attribute.key,
        "kind": attribute.kind.value,
        "type": attribute.type.value,
        "required": attribute.required,
        "description": attribute.description,
        "sources": dump(list(attribute.sources)),
        "created_at": definition.created_at,
        "updated_at": definition.updated_at,
    }


def _definition(row: Any) -> Definition:
    sources: Any = load_any(row.sources)
    attribute = DefinedAttribute(
        key=row.key,
        kind=AttributeKind(row.kind),
        type=AttributeType(row.type),
        required=row.required,
        description=row.description,
        sources=tuple(sources),
    )
    return Definition(row.id, attribute, row.created_at, row.updated_at)


def _map(row: Any) -> MapVersion:
    sources: Any = load(row.sources)
    cause = Cause(row.cause)
    if row.actor is not None:
        actor: Any = load(row.actor)
        cause = Cause(row.cause, actor["id"], actor["source"], actor["name"])
    return MapVersion(row.version, sources, cause, row.created_at)
