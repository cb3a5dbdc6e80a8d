"""Rows of imports, and what an import has to know about what is there already."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from syncline.core.model import Scope
from syncline.core.paging import Span
from syncline.store import tables as t
from syncline.store.leases import take, waiting
from syncline.store.spans import within
from syncline.store.types import among

_c, _tokens, _users = t.imports.c, t.bearer_tokens.c, t.directory_users.c
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode


class ImportState(StrEnum):
    """`open` waits for records, `running` reads a source; the others are ends, `failed` one to go on from."""

    OPEN = "open"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Import:
    """One import: what is asked for, how far it is, and what was counted. `sealed` holds a source's key."""

    environment_id: str
    id: str
    kind: str
    options: dict[str, Any]
    cause: str
    created_at: datetime
    state: ImportState
    sealed: str | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    finished_at: datetime | None = None


def add(connection: Connection, made: Import, next_due_at: datetime | None) -> None:
    """Insert an import."""
    connection.execute(
        insert(t.imports),
        {
            "environment_id": made.environment_id,
            "id": made.id,
            "kind": made.kind,
            "cause": made.cause,
            "created_at": made.created_at,
            "options": _text(made.options),
            "next_due_at": next_due_at,
        }
        | _changing(made),
    )


def get(connection: Connection, environment_id: str, import_id: str, *, lock: bool = False) -> Import | None:
    """Return an import of an environment."""
    statement = select(t.imports).where(_c.environment_id == environment_id, _c.id == import_id)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else _import_of(row)


def by_id(connection: Connection, import_id: str, *, lock: bool = False) -> Import:
    """Return an import that exists, for whoever carries it on."""
    statement = select(t.imports).where(_c.id == import_id)
    return _import_of(connection.execute(statement.with_for_update() if lock else statement).one())


def page(connection: Connection, environment_id: str, span: Span) -> list[Import]:
    """Return imports of an environment."""
    statement = select(t.imports).where(_c.environment_id == environment_id)
    return [_import_of(row) for row in connection.execute(within(statement, _c.id, span))]


def save(connection: Connection, changed: Import, **schedule: datetime | None) -> None:
    """Write what changes of an import, and `next_due_at` and `lease_until` where they are given."""
    connection.execute(update(t.imports).where(_c.id == changed.id).values(**_changing(changed), **schedule))


def due(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Return the ids of imports that are to be carried on and that nobody works on."""
    return list(connection.execute(waiting(t.imports, now, limit, _c.id)).scalars())


def claim(connection: Connection, import_id: str, now: datetime, hold: timedelta) -> bool:
    """Take an import for a while; False if somebody else has it or nothing is left to do."""
    return take(connection, t.imports, _c.id == import_id, now, hold)


def is_live(connection: Connection, scope: Scope) -> bool:
    """Tell whether a provider has pushed into a directory: whether a token of it was ever used."""
    statement = select(func.count()).where(
        _tokens.directory_id == scope.directory_id, _tokens.last_used_at.is_not(None)
    )
    return bool(connection.execute(statement).scalar_one())


def people_by_id(connection: Connection, directory_user_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return who has ids of the product view, of any environment: (directory, SCIM id) by id."""
    rows = connection.execute(
        select(_users.directory_user_id, _users.directory_id, _users.id).where(
            among(_users.directory_user_id, "ids")
        ),
        {"ids": list(directory_user_ids)},
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def shown_ids(connection: Connection, scope: Scope, ids: Sequence[str]) -> dict[str, str | None]:
    """Return the ids of people in the product view by their SCIM ids, None for whoever is not shown there."""
    rows = connection.execute(
        select(_users.id, _users.directory_user_id).where(
            _users.directory_id == scope.directory_id, among(_users.id, "ids")
        ),
        {"ids": list(ids)},
    )
    return {row.id: row.directory_user_id for row in rows}


def groups_elsewhere(connection: Connection, scope: Scope, ids: Sequence[str]) -> set[str]:
    """Return which ids groups of other directories of the environment have."""
    c = t.directory_groups.c
    rows = connection.execute(
        select(c.id).where(
            c.environment_id == scope.environment_id,
            c.directory_id != scope.directory_id,
            among(c.id, "ids"),
        ),
        {"ids": list(ids)},
    )
    return set(rows.scalars())


def holder(connection: Connection, table: str, id_: str) -> tuple[str, bool] | None:
    """Return the environment of an organization or directory of this id, and whether it is live."""
    c = t.metadata.tables[table].c
    row = connection.execute(select(c.environment_id, c.deleted_at).where(c.id == id_)).one_or_none()
    return None if row is None else (row.environment_id, row.deleted_at is None)


def domain_exists(connection: Connection, domain_id: str) -> bool:
    """Tell whether an organization's domain has this id, in any environment."""
    statement = select(func.count()).where(t.organization_domains.c.id == domain_id)
    return bool(connection.execute(statement).scalar_one())


def key_is_taken(connection: Connection, external_key: str) -> bool:
    """Tell whether a directory has this external key, in any letter case."""
    key = func.lower(t.directories.c.external_key)
    statement = select(func.count()).where(key == external_key.lower())
    return bool(connection.execute(statement).scalar_one())


def token_holder(connection: Connection, digest: str) -> str | None:
    """Return the directory that has or had a token of this digest."""
    statement = select(_tokens.directory_id).where(_tokens.digest == digest)
    found: str | None = connection.execute(statement).scalar_one_or_none()
    return found


def members_among(connection: Connection, scope: Scope, group_id: str, ids: Sequence[str]) -> set[str]:
    """Return which of these people and groups are in a group by themselves."""
    found: set[str] = set()
    for table, member in (
        (t.memberships, t.memberships.c.user_id),
        (t.group_edges, t.group_edges.c.child_id),
    ):
        rows = connection.execute(
            select(member).where(
                table.c.directory_id == scope.directory_id, table.c.group_id == group_id, among(member, "ids")
            ),
            {"ids": list(ids)},
        )
        found.update(rows.scalars())
    return found


def counted(
    current: Import, counts: Mapping[str, Mapping[str, int]], problems: Collection[dict[str, Any]], most: int
) -> Import:
    """Return an import with more counted, and its problems up to a number, each once."""
    summed = {kind: dict(found) for kind, found in current.counts.items()}
    for kind, found in counts.items():
        for outcome, number in found.items():
            mine = summed.setdefault(kind, {})
            mine[outcome] = mine.get(outcome, 0) + number
    kept = list(current.problems)
    for problem in problems:
        if len(kept) < most and problem not in kept:
            kept.append(problem)
    return replace(current, counts=summed, problems=kept)


def _changing(made: Import) -> dict[str, Any]:
    return {
        "state": made.state,
        "sealed": made.sealed,
        "progress": _text(made.progress),
        "counts": _text(made.counts),
        "problems": _text(made.problems),
        "error": made.error,
        "finished_at": made.finished_at,
    }


def _import_of(row: Row[Any]) -> Import:
    return Import(
        environment_id=row.environment_id,
        id=row.id,
        kind=row.kind,
        options=_decode(row.options),
        cause=row.cause,
        created_at=row.created_at,
        state=ImportState(row.state),
        sealed=row.sealed,
        progress=_decode(row.progress),
        counts=_decode(row.counts),
        problems=_decode(row.problems),
        error=row.error,
        finished_at=row.finished_at,
    )


def _text(value: object) -> str:
    return _encode(value).decode()
