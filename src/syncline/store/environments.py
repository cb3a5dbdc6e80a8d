"""Environments: the isolation unit of one app stage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from syncline.core.model import InactiveUsers
from syncline.store import tables as t

_environments = t.environments.c


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment and its policy for inactive people."""

    id: str
    name: str
    inactive_users: InactiveUsers
    created_at: datetime


def add(connection: Connection, environment: Environment) -> None:
    """Insert an environment; a name that is taken raises the unique violation."""
    connection.execute(
        insert(t.environments),
        {
            "id": environment.id,
            "name": environment.name,
            "inactive_users": environment.inactive_users,
            "settings": "{}",
            "created_at": environment.created_at,
            "updated_at": environment.created_at,
        },
    )


def by_name(connection: Connection, name: str) -> Environment | None:
    """Return the environment of a name."""
    row = connection.execute(select(t.environments).where(_environments.name == name)).one_or_none()
    return None if row is None else _environment(row)


def created_at(connection: Connection, environment_id: str) -> datetime | None:
    """Return when an environment was made."""
    found: datetime | None = connection.execute(
        select(_environments.created_at).where(_environments.id == environment_id)
    ).scalar_one_or_none()
    return found


def all_of(connection: Connection) -> list[Environment]:
    """Return every environment, oldest first."""
    return [
        _environment(row) for row in connection.execute(select(t.environments).order_by(_environments.id))
    ]


def _environment(row: Any) -> Environment:
    return Environment(row.id, row.name, InactiveUsers(row.inactive_users), row.created_at)
