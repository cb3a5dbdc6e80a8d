"""Changes that a rule held back, until somebody decides or their reason is gone.

A held change lasts until its reason is gone (`ended_at`), also after somebody chose to ignore it: as long as
it lasts the same is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import Connection, Text, bindparam, case, select, update
from sqlalchemy.dialects import postgresql, sqlite

from syncline.core.ids import Prefix
from syncline.core.model import Scope
from syncline.core.paging import Span
from syncline.store import tables as t
from syncline.store.spans import within
from syncline.store.types import among

ROLE_FLOOR = "role_floor"
PENDING: Final = "pending"
APPROVED: Final = "approved"
IGNORED: Final = "ignored"
OBSOLETE: Final = "obsolete"
State = Literal["pending", "approved", "ignored", "obsolete"]
STATES: tuple[State, ...] = get_args(State)
_c, _users = t.held_changes.c, t.directory_users.c


@dataclass(frozen=True, slots=True)
class HeldChange:
    """A change that was held back; `user_id` is the SCIM id, `directory_user_id` None if nobody is shown."""

    id: str
    kind: str
    user_id: str
    directory_user_id: str | None
    role: str
    state: State
    created_at: datetime
    settled_at: datetime | None


def hold(
    connection: Connection,
    scope: Scope,
    pairs: Sequence[tuple[str, str]],
    cause_id: str,
    now: datetime,
    new_id: Callable[[Prefix], str],
) -> None:
    """Note roles (user id, role) that a floor keeps; what lasts already is not noted again."""
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    rows = [
        {
            "environment_id": scope.environment_id,
            "directory_id": scope.directory_id,
            "id": new_id(Prefix.HELD),
            "kind": ROLE_FLOOR,
            "user_id": user_id,
            "role": role,
            "cause": cause_id,
            "state": PENDING,
            "created_at": now,
        }
        for user_id, role in dict.fromkeys(pairs)
    ]
    if rows:
        connection.execute(kind.insert(t.held_changes).on_conflict_do_nothing(), rows)


def release(connection: Connection, scope: Scope, pairs: Sequence[tuple[str, str]], now: datetime) -> None:
    """Note that roles (user id, role) are not kept by a floor any more."""
    by_role: dict[str, list[str]] = {}
    for user_id, role in pairs:
        by_role.setdefault(role, []).append(user_id)
    statement = _ended(now).where(
        _c.environment_id == scope.environment_id,
        _c.directory_id == scope.directory_id,
        _c.role == bindparam("of_role", type_=Text()),
        among(_c.user_id, "ids"),
    )
    for role, user_ids in sorted(by_role.items()):
        connection.execute(statement, {"of_role": role, "ids": sorted(set(user_ids))})


def release_all_but(connection: Connection, scope: Scope, roles: Collection[str], now: datetime) -> None:
    """Note that in a directory no other roles than these are kept by floors any more."""
    statement = _ended(now).where(
        _c.environment_id == scope.environment_id,
        _c.directory_id == scope.directory_id,
        ~among(_c.role, "roles") if roles else _c.kind == ROLE_FLOOR,
    )
    connection.execute(statement, {"roles": sorted(roles)} if roles else {})


def release_role(connection: Connection, environment_id: str, role: str, now: datetime) -> None:
    """Note that a role of the environment is not kept by floors any more, as it is gone."""
    connection.execute(_ended(now).where(_c.environment_id == environment_id, _c.role == role))


def get(connection: Connection, scope: Scope, held_id: str, *, lock: bool = False) -> HeldChange | None:
    """Return a held change of a directory."""
    if lock:
        connection.execute(select(_c.id).where(*_here(scope), _c.id == held_id).with_for_update()).all()
    row = connection.execute(_shown().where(*_here(scope), _c.id == held_id)).one_or_none()
    return None if row is None else _held(row)


def page(connection: Connection, scope: Scope, state: str | None, span: Span) -> list[HeldChange]:
    """Return held changes of a directory, those in a state if one is named."""
    statement = _shown().where(*_here(scope))
    if state is not None:
        statement = statement.where(_c.state == state)
    return [_held(row) for row in connection.execute(within(statement, _c.id, span))]


def settle(
    connection: Connection, scope: Scope, held_id: str, state: State, actor: str | None, now: datetime
) -> None:
    """Note how somebody decided about a pending change; what is approved ends with that."""
    connection.execute(
        update(t.held_changes)
        .where(*_here(scope), _c.id == held_id)
        .values(state=state, settled_at=now, actor=actor, ended_at=now if state == APPROVED else None)
    )


def _ended(now: datetime) -> Any:
    """End what lasts: nobody has to decide any more about what is pending."""
    is_pending = _c.state == PENDING
    return (
        update(t.held_changes)
        .where(_c.ended_at.is_(None))
        .values(
            ended_at=now,
            state=case((is_pending, OBSOLETE), else_=_c.state),
            settled_at=case(
                (is_pending, bindparam("at", now, type_=_c.settled_at.type)), else_=_c.settled_at
            ),
        )
    )


def _shown() -> Any:
    return select(t.held_changes, _users.directory_user_id).select_from(
        t.held_changes.outerjoin(
            t.directory_users,
            (_users.environment_id == _c.environment_id)
            & (_users.directory_id == _c.directory_id)
            & (_users.id == _c.user_id)
            & _users.deleted_at.is_(None),
        )
    )


def _here(scope: Scope) -> tuple[Any, ...]:
    return (_c.environment_id == scope.environment_id, _c.directory_id == scope.directory_id)


def _held(row: Any) -> HeldChange:
    return HeldChange(
        id=row.id,
        kind=row.kind,
        user_id=row.user_id,
        directory_user_id=row.directory_user_id,
        role=row.role,
        state=row.state,
        created_at=row.created_at,
        settled_at=row.settled_at,
    )
