"""Rows of directories and their bearer tokens."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, func, insert, select, update

from syncline.core.model import Directory, DirectoryId, InactiveUsers, Scope
from syncline.core.paging import Span
from syncline.core.text import fold
from syncline.store import tables as t
from syncline.store.jsontext import dump
from syncline.store.rows import directory_of
from syncline.store.spans import within
from syncline.store.types import among
from syncline.store.working_loads import lock_directories

_c, _tokens = t.directories.c, t.bearer_tokens.c
_users, _groups, _domains = t.directory_users.c, t.directory_groups.c, t.organization_domains.c


@dataclass(frozen=True, slots=True)
class DirectoryFilter:
    """What a list of directories is narrowed to; None narrows nothing."""

    organization_id: str | None = None
    # Compared folded: part of the name.
    search: str | None = None
    # A domain of the directory's organization.
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many people, by state, and groups a directory shows."""

    active: int = 0
    inactive: int = 0
    groups: int = 0


def hold_organization(connection: Connection, environment_id: str, organization_id: str) -> bool:
    """Tell whether an organization is there, and keep it from being deleted until the commit."""
    organizations = t.organizations.c
    statement = (
        select(organizations.id)
        .where(
            organizations.environment_id == environment_id,
            organizations.id == organization_id,
            organizations.deleted_at.is_(None),
        )
        .with_for_update(read=True)
    )
    return connection.execute(statement).one_or_none() is not None


def default_policy(connection: Connection, environment_id: str) -> InactiveUsers:
    """Return what the environment's new directories do with inactive people."""
    statement = select(t.environments.c.inactive_users).where(t.environments.c.id == environment_id)
    return InactiveUsers(connection.execute(statement).scalar_one())


def add(connection: Connection, directory: Directory) -> None:
    """Insert a directory."""
    connection.execute(
        insert(t.directories),
        {
            "environment_id": directory.environment_id,
            "organization_id": directory.organization_id,
            "id": directory.id,
            "external_key": directory.external_key,
            "type": directory.type,
            "created_at": directory.created_at,
        }
        | _changeable(directory),
    )


def change(connection: Connection, directory: Directory) -> None:
    """Write everything of a directory that can change."""
    connection.execute(
        update(t.directories)
        .where(_c.environment_id == directory.environment_id, _c.id == directory.id)
        .values({**_changeable(directory), "revision": _c.revision + 1})
    )


def _changeable(directory: Directory) -> dict[str, Any]:
    return {
        "name": directory.name,
        "name_key": fold(directory.name),
        "state": directory.state.value,
        "inactive_users": directory.inactive_users.value,
        "membership": directory.membership.value,
        "settings": dump(directory.settings),
        "updated_at": directory.updated_at,
        "activated_at": directory.activated_at,
        "deleted_at": directory.deleted_at,
    }


def get(connection: Connection, environment_id: str, directory_id: str) -> Directory | None:
    """Return a live directory of this environment."""
    statement = select(t.directories).where(
        _c.environment_id == environment_id, _c.id == directory_id, _c.deleted_at.is_(None)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else directory_of(row)


def lock(connection: Connection, environment_id: str, directory_id: str) -> Directory | None:
    """Return a live directory of this environment, locked against the SCIM writer and other changes."""
    directory = lock_directories(connection, [DirectoryId(directory_id)]).get(DirectoryId(directory_id))
    return directory if directory is not None and directory.environment_id == environment_id else None


def lock_of_organization(
    connection: Connection, environment_id: str, organization_id: str
) -> list[Directory]:
    """Return the live directories of an organization, oldest first, locked as `lock` does."""
    statement = select(_c.id).where(
        _c.environment_id == environment_id, _c.organization_id == organization_id, _c.deleted_at.is_(None)
    )
    ids = [DirectoryId(id_) for id_ in connection.execute(statement).scalars()]
    locked = lock_directories(connection, ids) if ids else {}
    return [locked[id_] for id_ in sorted(locked)]


def page(
    connection: Connection,
    environment_id: str,
    wanted: DirectoryFilter,
    span: Span,
) -> list[Directory]:
    """Return live directories."""
    statement = select(t.directories).where(_c.environment_id == environment_id, _c.deleted_at.is_(None))
    if wanted.organization_id is not None:
        statement = statement.where(_c.organization_id == wanted.organization_id)
    if wanted.search:
        statement = statement.where(_c.name_key.contains(fold(wanted.search), autoescape=True))
    if wanted.domain is not None:
        owned = and_(
            _domains.environment_id == environment_id,
            _domains.organization_id == _c.organization_id,
            _domains.domain == wanted.domain,
        )
        statement = statement.where(exists().where(owned))
    return [directory_of(row) for row in connection.execute(within(statement, _c.id, span))]


_user_counts = (
    select(_users.directory_id, _users.active, func.count().label("count"))
    .where(
        among(_users.directory_id, "directories"),
        _users.deleted_at.is_(None),
        _users.directory_user_id.is_not(None),
    )
    .group_by(_users.directory_id, _users.active)
)
_group_counts = (
    select(_groups.directory_id, func.count().label("count"))
    .where(among(_groups.directory_id, "directories"), _groups.deleted_at.is_(None))
    .group_by(_groups.directory_id)
)


def counts(connection: Connection, directories: Collection[Directory]) -> dict[str, Counts]:
    """Return how many people and groups each directory shows."""
    asked = {"directories": [directory.id for directory in directories]}
    if not directories:
        return {}
    people = {(row.directory_id, row.active): int(row[2]) for row in connection.execute(_user_counts, asked)}
    groups = {row.directory_id: int(row[1]) for row in connection.execute(_group_counts, asked)}
    return {
        id_: Counts(people.get((id_, True), 0), people.get((id_, False), 0), groups.get(id_, 0))
        for id_ in asked["directories"]
    }


_first_domains = (
    select(_domains.organization_id, _domains.domain)
    .where(_domains.environment_id == bindparam("environment"), among(_domains.organization_id, "ids"))
    .order_by(_domains.id.desc())
)


def first_domains(
    connection: Connection, environment_id: str, directories: Iterable[Directory]
) -> dict[str, str]:
    """Return the oldest domain of each organization that has one, by organization id."""
    ids = sorted({directory.organization_id for directory in directories})
    found = connection.execute(_first_domains, {"environment": environment_id, "ids": ids}) if ids else ()
    return {row[0]: row[1] for row in found}


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token without its secret, of which only the end is known."""

    id: str
    label: str | None
    suffix: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


def _token_of(row: Row[Any]) -> Token:
    return Token(row.id, row.label, row.suffix, row.created_at, row.expires_at, row.last_used_at)


def add_token(connection: Connection, scope: Scope, token: Token, digest: str) -> None:
    """Insert a token under the digest of its secret."""
    connection.execute(
        insert(t.bearer_tokens),
        {
            "environment_id": scope.environment_id,
            "directory_id": scope.directory_id,
            "id": token.id,
            "label": token.label,
            "digest": digest,
            "suffix": token.suffix,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        },
    )


def _here(scope: Scope) -> tuple[Any, ...]:
    return (
        _tokens.environment_id == scope.environment_id,
        _tokens.directory_id == scope.directory_id,
        _tokens.revoked_at.is_(None),
    )


def token(connection: Connection, scope: Scope, token_id: str) -> Token | None:
    """Return a token that was not revoked."""
    row = connection.execute(
        select(t.bearer_tokens).where(*_here(scope), _tokens.id == token_id)
    ).one_or_none()
    return None if row is None else _token_of(row)


def token_page(
    connection: Connection,
    scope: Scope,
    span: Span,
) -> list[Token]:
    """Return tokens that were not revoked."""
    statement = select(t.bearer_tokens).where(*_here(scope))
    return [_token_of(row) for row in connection.execute(within(statement, _tokens.id, span))]


def expire_token(connection: Connection, scope: Scope, token_id: str, at: datetime) -> None:
    """Let a token end at a moment."""
    connection.execute(
        update(t.bearer_tokens).where(*_here(scope), _tokens.id == token_id).values(expires_at=at)
    )


def revoke_tokens(connection: Connection, scope: Scope, at: datetime, *, token_id: str | None = None) -> int:
    """Revoke one token or all of the directory and return how many that were."""
    statement = update(t.bearer_tokens).where(*_here(scope)).values(revoked_at=at)
    if token_id is not None:
        statement = statement.where(_tokens.id == token_id)
    return connection.execute(statement).rowcount
