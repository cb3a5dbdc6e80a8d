"""Jobs that evaluate a directory's people again: one row for each directory, whatever began it last."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from syncline.core.json import Json
from syncline.core.model import Cause, Directory, DirectoryId, EnvironmentId, Scope, UserRecord
from syncline.core.text import index_key
from syncline.store import tables as t
from syncline.store.aggregates import json_object_of
from syncline.store.jsontext import dump, load
from syncline.store.leases import take, waiting
from syncline.store.prepared import TOGETHER, Prepared
from syncline.store.rows import USER_COLUMNS, directory_of, evaluated_columns, shown_email, user_of
from syncline.store.types import Array, Instant, among, to_ms
from syncline.store.working_rows import raise_revision

_c, _users, _groups = t.reevaluations.c, t.directory_users.c, t.directory_groups.c
_decode_names = msgspec.json.Decoder(dict[str, str]).decode
RUNNING, COMPLETE = "running", "complete"


@dataclass(frozen=True, slots=True)
class Reevaluation:
    """A job and how far it is: `cursor` is the last person (SCIM id) who was evaluated."""

    scope: Scope
    cursor: str
    total: int
    done: int
    changed: int
    state: str
    cause: Cause
    created_at: datetime
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A live directory, its revision, and the job that evaluates its people."""

    directory: Directory
    revision: int
    job: Reevaluation


def begin(connection: Connection, directory: Directory, cause: Cause, now: datetime) -> None:
    """Have everybody in a directory evaluated; a job under way begins anew: it may have passed somebody."""
    total = connection.execute(
        select(func.count()).where(_users.directory_id == directory.id, _users.deleted_at.is_(None))
    ).scalar_one()
    connection.execute(delete(t.reevaluations).where(_c.directory_id == directory.id))
    connection.execute(
        insert(t.reevaluations),
        {
            "environment_id": directory.environment_id,
            "directory_id": directory.id,
            "cursor": "",
            "total": total,
            "done": 0,
            "changed": 0,
            "state": RUNNING,
            "cause": cause.id,
            "actor": None if cause.actor_id is None else dump(_actor(cause)),
            "created_at": now,
            "next_due_at": now,
        },
    )


def get(connection: Connection, scope: Scope) -> Reevaluation | None:
    """Return the job of a directory, also one that is complete."""
    row = _job_of.one_or_none(connection, _here(scope))
    return None if row is None else _job(row)


def known(connection: Connection, scope: Scope) -> Known | None:
    """Return a live directory with its job, None if there is none of either."""
    directory = _directory_now.one_or_none(connection, _here(scope))
    if directory is None:
        return None
    job = get(connection, scope)
    return None if job is None else Known(directory_of(directory), directory.revision, job)


def due(connection: Connection, now: datetime, limit: int) -> list[Scope]:
    """Return directories whose job waits for somebody to take it up."""
    rows = connection.execute(waiting(t.reevaluations, now, limit, _c.environment_id, _c.directory_id))
    return [Scope(EnvironmentId(row.environment_id), DirectoryId(row.directory_id)) for row in rows]


def claim(connection: Connection, scope: Scope, now: datetime, hold: timedelta) -> bool:
    """Take a job for a while, which only keeps others from doing the same work; tell whether that worked."""
    return take(connection, t.reevaluations, _c.directory_id == scope.directory_id, now, hold)


def step(
    connection: Connection, scope: Scope, cursor: str, done: int, changed: int, lease_until: datetime
) -> None:
    """Note how far a job is: so many more people done, so many of them changed."""
    progress = {"to": cursor, "more": done, "more_changed": changed, "until": lease_until}
    _step.run(connection, _here(scope) | progress)


def finish(connection: Connection, scope: Scope, now: datetime) -> None:
    """Note that a job is complete."""
    connection.execute(
        update(t.reevaluations)
        .where(_c.directory_id == scope.directory_id)
        .values(state=COMPLETE, finished_at=now, next_due_at=None, lease_until=None)
    )


def release(connection: Connection, scope: Scope) -> None:
    """Let others go on with a job."""
    connection.execute(
        update(t.reevaluations).where(_c.directory_id == scope.directory_id).values(lease_until=None)
    )


def people(connection: Connection, scope: Scope, after: str, limit: int) -> list[UserRecord]:
    """Return people of a directory in the order of their SCIM ids, those beyond one."""
    asked = {"directory": scope.directory_id, "after": after, "most": limit}
    return [user_of(row) for row in _people_after.all(connection, asked)]


def named_people(connection: Connection, scope: Scope, ids: Collection[str]) -> list[UserRecord]:
    """Return live people of a directory by their SCIM ids."""
    asked = {"directory": scope.directory_id, "ids": sorted(ids)}
    return [user_of(row) for row in _people_named.all(connection, asked)]


def names_of(connection: Connection, scope: Scope, group_ids: Collection[str]) -> dict[str, str]:
    """Return the names of live groups."""
    asked = {"directory": scope.directory_id, "groups": sorted(group_ids)}
    found = _names.one_or_none(connection, asked) if group_ids else None
    return {} if found is None or found.names is None else _decode_names(found.names)


def write_people(connection: Connection, scope: Scope, records: Sequence[UserRecord]) -> None:
    """Write what an evaluation made of people; all else of their rows stays."""
    if not records:
        return
    rows: list[dict[str, Any]] = [
        {
            "directory": scope.directory_id,
            "user": record.id,
            "to": record.version,
            "at": to_ms(record.updated_at),
            "address": None if (address := shown_email(record)) is None else index_key(address),
            **{f"new_{name}": value for name, value in evaluated_columns(record).items()},
        }
        for record in records
    ]
    raise_revision(connection, scope)
    if connection.dialect.name == "postgresql":
        arrays = {f"all_{name}": [row[name] for row in rows] for name in _WRITTEN}
        _write_at_once.run(connection, {"directory": scope.directory_id, **arrays})
        return
    rest = len(rows) % TOGETHER
    for begin in range(0, len(rows) - rest, TOGETHER):
        some = enumerate(rows[begin : begin + TOGETHER])
        given = {f"{name}_{number}": row[name] for number, row in some for name in _WRITTEN}
        _write_together.run(connection, {"directory": scope.directory_id, **given})
    if rest:
        _write.run(connection, rows[-rest:])


_directory = bindparam("directory", type_=Text())
_environment = bindparam("environment", type_=Text())
_directories = t.directories.c
_directory_now = Prepared(
    select(t.directories).where(
        _directories.environment_id == _environment,
        _directories.id == _directory,
        _directories.deleted_at.is_(None),
    )
)
_job_of = Prepared(
    select(t.reevaluations).where(_c.environment_id == _environment, _c.directory_id == _directory)
)
_step = Prepared(
    update(t.reevaluations)
    .where(_c.environment_id == _environment, _c.directory_id == _directory)
    .values(
        cursor=bindparam("to", type_=Text()),
        done=_c.done + bindparam("more", type_=Integer()),
        changed=_c.changed + bindparam("more_changed", type_=Integer()),
        lease_until=bindparam("until", type_=Instant()),
    )
)
_record = select(*(_users[name] for name in USER_COLUMNS))
_people_after = Prepared(
    _record.where(
        _users.directory_id == _directory,
        _users.deleted_at.is_(None),
        _users.id > bindparam("after", type_=Text()),
    )
    .order_by(_users.id)
    .limit(bindparam("most", type_=Integer()))
)
_people_named = Prepared(
    _record.where(
        _users.directory_id == _directory, _users.deleted_at.is_(None), among(_users.id, "ids")
    ).order_by(_users.id)
)
_names = Prepared(
    select(json_object_of(_groups.id, _groups.label).label("names")).where(
        _groups.directory_id == _directory, among(_groups.id, "groups"), _groups.deleted_at.is_(None)
    )
)
_write = Prepared(
    update(t.directory_users)
    .where(_users.directory_id == _directory, _users.id == bindparam("user", type_=Text()))
    .values(
        mapped=bindparam("new_mapped", type_=Text()),
        roles=bindparam("new_roles", type_=Text()),
        email_key=bindparam("address", type_=Text()),
        version=bindparam("to", type_=BigInteger()),
        updated_at=bindparam("at", type_=BigInteger()),
    )
)
_WRITTEN = ("user", "new_mapped", "new_roles", "address", "to", "at")
# A statement for each person takes PostgreSQL three times as long.
_write_at_once = Prepared(
    text(
        "UPDATE directory_users SET mapped = n.mapped, roles = n.roles, email_key = n.address,"
        " version = n.version, updated_at = n.updated_at"
        " FROM unnest(:all_user, :all_new_mapped, :all_new_roles, :all_address, :all_to, :all_at)"
        " AS n(id, mapped, roles, address, version, updated_at)"
        " WHERE directory_users.directory_id = :directory AND directory_users.id = n.id"
    ).bindparams(
        bindparam("directory", type_=Text()),
        *(bindparam(f"all_{name}", type_=Array(Text())) for name in _WRITTEN[:4]),
        *(bindparam(f"all_{name}", type_=Array(BigInteger())) for name in _WRITTEN[4:]),
    )
)
# On SQLite one statement for some rows, for the reason that `prepared.py` gives.
_rows = (", ".join(f":{name}_{number}" for name in _WRITTEN) for number in range(TOGETHER))
_write_together = Prepared(
    text(
        "UPDATE directory_users SET mapped = n.column2, roles = n.column3, email_key = n.column4,"
        " version = n.column5, updated_at = n.column6 FROM (VALUES ROWS) AS n"
        " WHERE directory_users.directory_id = :directory AND directory_users.id = n.column1".replace(
            "ROWS", ", ".join(f"({row})" for row in _rows)
        )
    )
)


def _here(scope: Scope) -> dict[str, Any]:
    return {"environment": scope.environment_id, "directory": scope.directory_id}


def _actor(cause: Cause) -> dict[str, Json]:
    return {"id": cause.actor_id, "source": cause.actor_source, "name": cause.actor_name}


def _cause(row: Any) -> Cause:
    if row.actor is None:
        return Cause(row.cause)
    actor = load(row.actor)
    name = actor["name"]
    return Cause(row.cause, str(actor["id"]), str(actor["source"]), None if name is None else str(name))


def _job(row: Any) -> Reevaluation:
    return Reevaluation(
        scope=Scope(EnvironmentId(row.environment_id), DirectoryId(row.directory_id)),
        cursor=row.cursor,
        total=row.total,
        done=row.done,
        changed=row.changed,
        state=row.state,
        cause=_cause(row),
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
