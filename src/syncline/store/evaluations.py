"""What evaluations are composed of, and the snapshots themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Text, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from syncline.core.json import Json
from syncline.core.model import Directory, Document, Scope
from syncline.store import tables as t
from syncline.store.jsontext import load, load_any
from syncline.store.prepared import Prepared
from syncline.store.rows import directory_of
from syncline.store.types import among

_definitions, _maps, _rules, _roles = (
    t.attribute_definitions.c,
    t.attribute_maps.c,
    t.role_rules.c,
    t.roles.c,
)
_body = Prepared(
    select(t.evaluations.c.body).where(
        t.evaluations.c.environment_id == bindparam("environment", type_=Text()),
        t.evaluations.c.id == bindparam("id", type_=Text()),
    )
)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that is stored about how an environment's directories evaluate their people.

    `definitions` by key, in the form of an evaluation's body. `sources` and `rules` by directory, those in
    force. `roles` by organization (None: of the environment), most important first.
    """

    settings: Document
    definitions: Mapping[str, Mapping[str, Json]]
    sources: Mapping[str, Document]
    rules: Mapping[str, Document]
    roles: Mapping[str | None, list[tuple[int, str]]]


def body(connection: Connection, environment_id: str, evaluation_id: str) -> Document:
    """Return the body of a snapshot, which a directory names and which therefore exists."""
    row = _body.one_or_none(connection, {"environment": environment_id, "id": evaluation_id})
    return load(row.body)


def lock(connection: Connection, environment_id: str) -> None:
    """Keep everybody else from composing evaluations of the environment until the commit."""
    c = t.environments.c
    connection.execute(select(c.id).where(c.id == environment_id).with_for_update(key_share=True)).all()


def parts(connection: Connection, environment_id: str, directory_ids: Collection[str] | None) -> Parts:
    """Read the parts of some directories of an environment, of all if None."""
    settings = connection.execute(
        select(t.environments.c.settings).where(t.environments.c.id == environment_id)
    ).scalar_one()
    definitions = connection.execute(
        select(t.attribute_definitions)
        .where(_definitions.environment_id == environment_id)
        .order_by(_definitions.key)
    )
    roles: dict[str | None, list[tuple[int, str]]] = {}
    for role in connection.execute(
        select(_roles.organization_id, _roles.priority, _roles.slug)
        .where(_roles.environment_id == environment_id)
        .order_by(_roles.priority, _roles.id)
    ):
        roles.setdefault(role.organization_id, []).append((role.priority, role.slug))
    return Parts(
        settings=load(settings),
        definitions={
            row.key: {
                "key": row.key,
                "kind": row.kind,
                "type": row.type,
                "required": row.required,
                "sources": load_any(row.sources),
            }
            for row in definitions
        },
        sources={
            row.directory_id: load(row.sources)
            for row in _newest(connection, t.attribute_maps, environment_id, directory_ids)
        },
        rules={
            row.directory_id: load(row.body)
            for row in _newest(connection, t.role_rules, environment_id, directory_ids)
        },
        roles=roles,
    )


def directories(
    connection: Connection, environment_id: str, directory_ids: Collection[str] | None
) -> list[Directory]:
    """Return live directories of an environment in id order, locked against other writers."""
    c = t.directories.c
    statement = select(t.directories).where(c.environment_id == environment_id, c.deleted_at.is_(None))
    if directory_ids is not None:
        statement = statement.where(among(c.id, "ids"))
    statement = statement.order_by(c.id).with_for_update(key_share=True)
    given = {} if directory_ids is None else {"ids": sorted(directory_ids)}
    return [directory_of(row) for row in connection.execute(statement, given)]


def directories_after(
    connection: Connection, environment_id: str, organization_id: str | None, after: str, limit: int
) -> list[Directory]:
    """Return live directories that have had role rules, in id order, those beyond one; nothing is locked.

    Of an environment, or of one of its organizations.
    """
    c = t.directories.c
    ruled = select(_rules.directory_id).where(
        _rules.environment_id == c.environment_id, _rules.directory_id == c.id
    )
    statement = select(t.directories).where(
        c.environment_id == environment_id, c.deleted_at.is_(None), c.id > after, ruled.exists()
    )
    if organization_id is not None:
        statement = statement.where(c.organization_id == organization_id)
    return [directory_of(row) for row in connection.execute(statement.order_by(c.id).limit(limit))]


def keep(connection: Connection, environment_id: str, evaluation_id: str, text: str, now: datetime) -> None:
    """Store a snapshot unless it is there already."""
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        kind.insert(t.evaluations).on_conflict_do_nothing(),
        {"environment_id": environment_id, "id": evaluation_id, "body": text, "created_at": now},
    )


def point(connection: Connection, scope: Scope, evaluation_id: str | None) -> None:
    """Have a directory evaluated by a snapshot from now on."""
    c = t.directories.c
    connection.execute(
        update(t.directories)
        .where(c.environment_id == scope.environment_id, c.id == scope.directory_id)
        .values(evaluation_id=evaluation_id, revision=c.revision + 1)
    )


def _newest(
    connection: Connection, table: Any, environment_id: str, directory_ids: Collection[str] | None
) -> Any:
    newest = select(table.c.directory_id, func.max(table.c.version, type_=BigInteger()).label("version"))
    newest = newest.where(table.c.environment_id == environment_id)
    if directory_ids is not None:
        newest = newest.where(among(table.c.directory_id, "ids"))
    last = newest.group_by(table.c.directory_id).subquery()
    statement = select(table).join(
        last, (last.c.directory_id == table.c.directory_id) & (last.c.version == table.c.version)
    )
    given = {} if directory_ids is None else {"ids": sorted(directory_ids)}
    return connection.execute(statement, given).all()
