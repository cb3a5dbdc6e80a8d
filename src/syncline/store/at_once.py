"""A batch of one directory in one statement, for PostgreSQL: one round trip instead of ten.

The rows a batch decides on are read without locks. The one statement that writes takes the locks, looks
whether anything has changed since (the directory's revision, the head of the log, an inbox that is not
empty), and does all of it or nothing. Whoever writes rows of a directory, or the directory itself, raises
its revision (docs/decisions/016).

The text of the statement is put together from names in our own tables; every value is a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Boolean, Connection, Table, Text, bindparam, select, text

from syncline.core.model import Directory
from syncline.core.working_set import WorkingSet
from syncline.store import tables as t
from syncline.store.log import Sealed
from syncline.store.prepared import Prepared
from syncline.store.rows import directory_of, group_row, user_row
from syncline.store.types import Instant, JsonText, to_ms
from syncline.store.working_rows import Dirty

_known = Prepared(
    select(t.directories, t.log_heads.c.last_event_ms)
    .join(t.log_heads, t.log_heads.c.environment_id == t.directories.c.environment_id)
    .where(t.directories.c.id == bindparam("directory"), t.directories.c.deleted_at.is_(None))
)
_revision = Prepared(
    select(t.directories.c.revision).where(
        t.directories.c.id == bindparam("directory"), t.directories.c.deleted_at.is_(None)
    )
)
_EVENT_COLUMNS = ("event_id", "type", "user_id", "group_id", "cause", "actor", "body", "recorded_at")


@dataclass(frozen=True, slots=True)
class Known:
    """A directory as it was read or left, and the newest time in its environment's log."""

    directory: Directory
    revision: int
    last_event_ms: int


@dataclass(frozen=True, slots=True)
class Written:
    """What the statement did: the directory as it left it, and the events it gave positions to, if any."""

    known: Known
    sealed: Sealed | None


def read_known(connection: Connection, directory_id: str) -> Known | None:
    """Return a live directory whose environment has a log already, else None."""
    row = _known.one_or_none(connection, {"directory": directory_id})
    return None if row is None else Known(directory_of(row), row.revision, row.last_event_ms)


def is_current(connection: Connection, known: Known) -> bool:
    """Tell whether nothing was written to a directory since it was read."""
    row = _revision.one_or_none(connection, {"directory": known.directory.id})
    return row is not None and row.revision == known.revision


def is_possible(dirty: Dirty) -> bool:
    """Tell whether the statement can write these changes; the rare kinds take the long way."""
    rare = dirty.held_back or dirty.released or dirty.reevaluate or dirty.aliases or dirty.past_people
    return not (dirty.deleted_groups or dirty.edges or dirty.pending or rare)


def write(
    connection: Connection,
    known: Known,
    rows: WorkingSet,
    dirty: Dirty,
    events: Sequence[dict[str, Any]],
    now: datetime,
    new_event_id: Callable[[int], str],
) -> Written | None:
    """Write the changes and their events; None if something has changed meanwhile, and nothing was written.

    Raises what a unique index refuses.
    """
    parts, given = _arrays(rows, dirty)
    event_ms = max(to_ms(now), known.last_event_ms + 1)
    if events:
        parts.append("events")
        columns = [event | {"event_id": new_event_id(event_ms)} for event in events]
        given |= {f"events_{name}": [_plain(row[name]) for row in columns] for name in _EVENT_COLUMNS}
    scope = rows.directory
    given |= {
        "environment": scope.environment_id,
        "directory": scope.id,
        "revision": known.revision,
        "at": to_ms(now),
    }
    if events:
        given |= {"organization": scope.organization_id, "count": len(events), "ms": event_ms}
    row = _statement(tuple(parts)).one_or_none(connection, given)
    if row.base is None:
        return None
    after = Known(known.directory, known.revision + 1, event_ms if events else known.last_event_ms)
    if not events:
        return Written(after, None)
    oldest = min(event["recorded_at"] for event in events)
    return Written(after, Sealed(len(events), row.base + len(events), oldest, row.woken))


def _arrays(rows: WorkingSet, dirty: Dirty) -> tuple[list[str], dict[str, Any]]:
    """Return which parts the statement has, and the columns of each."""
    scope = rows.directory.scope
    users = [user_row(scope, record) for record in dirty.settled_users(rows)]
    groups = [group_row(scope, record) for record in dirty.settled_groups(rows)]
    found: dict[str, Any] = {}
    parts = []
    for name, table, listed in (
        ("new_users", t.directory_users, [row for row in users if row["id"] in dirty.new_users]),
        ("users", t.directory_users, [row for row in users if row["id"] not in dirty.new_users]),
        ("new_groups", t.directory_groups, [row for row in groups if row["id"] in dirty.new_groups]),
        ("groups", t.directory_groups, [row for row in groups if row["id"] not in dirty.new_groups]),
    ):
        if listed:
            parts.append(name)
            found |= {f"{name}_{c}": [_plain(row[c]) for row in listed] for c in _own_columns(table)}
    touched = dirty.touched_versions(rows)
    if touched:
        parts.append("touched")
        found["touched_id"] = [id_ for id_, _ in touched]
        found["touched_version"] = [version for _, version in touched]
    for name, present in (("removed", False), ("added", True)):
        pairs = sorted(pair for pair, is_member in dirty.memberships.items() if is_member is present)
        if pairs:
            parts.append(name)
            found[f"{name}_group"] = [group for group, _ in pairs]
            found[f"{name}_user"] = [user for _, user in pairs]
    return parts, found


@lru_cache(maxsize=512)
def _statement(parts: tuple[str, ...]) -> Prepared:
    """Return the statement that writes these parts."""
    has_events = "events" in parts
    steps = [
        "held AS MATERIALIZED (SELECT id FROM directories WHERE id = :directory"
        " AND environment_id = :environment AND revision = :revision AND deleted_at IS NULL"
        " FOR NO KEY UPDATE)"
    ]
    if has_events:
        # Never waits for whoever seals: then the batch takes the long way, which puts events into the inbox.
        steps += [
            "head AS MATERIALIZED (SELECT position FROM log_heads WHERE environment_id = :environment"
            " AND last_event_ms < :ms AND EXISTS (SELECT 1 FROM held)"
            " AND NOT EXISTS (SELECT 1 FROM event_inbox WHERE environment_id = :environment)"
            " FOR UPDATE SKIP LOCKED)",
            "counted AS MATERIALIZED (SELECT sequence FROM directory_heads WHERE directory_id = :directory"
            " AND EXISTS (SELECT 1 FROM head) FOR UPDATE)",
            "ok AS MATERIALIZED (SELECT head.position AS base, counted.sequence FROM head, counted)",
        ]
    else:
        steps.append("ok AS MATERIALIZED (SELECT CAST(0 AS bigint) AS base FROM held)")
    steps.append("revised AS (UPDATE directories SET revision = revision + 1 FROM ok WHERE id = :directory)")
    steps += [f"{part}_written AS ({_PARTS[part]})" for part in parts]
    if has_events:
        steps += _LOG_STEPS
    woken = "(SELECT count(*) FROM woken)" if has_events else "CAST(0 AS bigint)"
    statement = _joined("WITH", ", ".join(steps), "SELECT (SELECT base FROM ok) AS base,", woken, "AS woken")
    return Prepared(text(statement).columns(base=BigInteger(), woken=BigInteger()))


def _joined(*parts: str) -> str:
    return " ".join(parts)


def _own_columns(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.name not in ("environment_id", "directory_id")]


def _plain(value: Any) -> Any:
    return to_ms(value) if isinstance(value, datetime) else value


def _unnest(part: str, columns: Sequence[tuple[str, str]]) -> str:
    arrays = ", ".join(f"CAST(:{part}_{name} AS {kind}[])" for name, kind in columns)
    return f"unnest({arrays}) AS n({', '.join(name for name, _ in columns)})"


def _typed(table: Table) -> list[tuple[str, str]]:
    return [(name, _array_type(table.c[name].type)) for name in _own_columns(table)]


def _array_type(kind: Any) -> str:
    if isinstance(kind, Boolean):
        return "boolean"
    if isinstance(kind, BigInteger | Instant):
        return "bigint"
    assert isinstance(kind, Text | JsonText)
    return "text"


def _value(table: Table, name: str) -> str:
    return f"CAST(n.{name} AS jsonb)" if isinstance(table.c[name].type, JsonText) else f"n.{name}"


def _insert(part: str, table: Table) -> str:
    names = _own_columns(table)
    return _joined(
        "INSERT INTO",
        table.name,
        f"(environment_id, directory_id, {', '.join(names)})",
        "SELECT :environment, :directory,",
        ", ".join(_value(table, name) for name in names),
        "FROM ok,",
        _unnest(part, _typed(table)),
    )


def _update(part: str, table: Table) -> str:
    kept = ("id", "created_at")
    return _joined(
        "UPDATE",
        table.name,
        "SET",
        ", ".join(f"{name} = {_value(table, name)}" for name in _own_columns(table) if name not in kept),
        "FROM ok,",
        _unnest(part, _typed(table)),
        f"WHERE {table.name}.directory_id = :directory AND {table.name}.id = n.id",
    )


def _pairs(part: str) -> str:
    return f"unnest(CAST(:{part}_group AS text[]), CAST(:{part}_user AS text[])) AS n(group_id, user_id)"


_EVENT_ARRAYS = ", ".join(
    f"CAST(:events_{name} AS {'bigint' if name == 'recorded_at' else 'text'}[])" for name in _EVENT_COLUMNS
)
_PARTS = {
    "new_users": _insert("new_users", t.directory_users),
    "users": _update("users", t.directory_users),
    "new_groups": _insert("new_groups", t.directory_groups),
    "groups": _update("groups", t.directory_groups),
    "touched": _joined(
        "UPDATE directory_users SET version = n.version, updated_at = CAST(:at AS bigint) FROM ok,",
        _unnest("touched", (("id", "text"), ("version", "bigint"))),
        "WHERE directory_users.directory_id = :directory AND directory_users.id = n.id",
    ),
    "added": _joined(
        "INSERT INTO memberships (environment_id, directory_id, group_id, user_id, created_at)",
        "SELECT :environment, :directory, n.group_id, n.user_id, CAST(:at AS bigint) FROM ok,",
        _pairs("added"),
    ),
    "removed": _joined(
        "DELETE FROM memberships USING ok,",
        _pairs("removed"),
        "WHERE memberships.directory_id = :directory AND memberships.group_id = n.group_id",
        "AND memberships.user_id = n.user_id",
    ),
    "events": _joined(
        "INSERT INTO event_log (environment_id, position, event_id, organization_id, directory_id,",
        "directory_sequence, type, user_id, group_id, cause, actor, body, recorded_at, sealed_at)",
        "SELECT :environment, ok.base + n.place, n.event_id, :organization, :directory,",
        "ok.sequence + n.place, n.type, n.user_id, n.group_id, n.cause, n.actor, n.body, n.recorded_at,",
        "CAST(:at AS bigint) FROM ok, unnest(",
        _EVENT_ARRAYS,
        f") WITH ORDINALITY AS n({', '.join(_EVENT_COLUMNS)}, place)",
    ),
}
_LOG_STEPS = (
    "moved AS (UPDATE log_heads SET position = position + :count, last_event_ms = :ms FROM ok"
    " WHERE environment_id = :environment)",
    "sequenced AS (UPDATE directory_heads SET sequence = directory_heads.sequence + :count FROM ok"
    " WHERE directory_id = :directory)",
    "woken AS (UPDATE webhook_endpoints SET wake = wake + 1 FROM ok WHERE environment_id = :environment"
    " RETURNING 1)",
)
