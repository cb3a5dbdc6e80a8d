"""Remove for good what was deleted, revoked or has expired long ago, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, delete, select

from syncline.store import reconciliations
from syncline.store import tables as t
from syncline.store.evaluations import lock
from syncline.store.upkeep import remove_some

Step = Callable[[Connection, datetime, int], int]
"""Removes up to so many rows that are done with since before a moment, and returns how many."""

_DELETABLE = (t.directory_users, t.directory_groups)
_CREDENTIALS = (t.bearer_tokens, t.api_keys)
# A directory leaves with everything in it, the largest tables first.
_CONTENTS = (
    t.memberships,
    t.group_edges,
    t.pending_memberships,
    t.past_memberships,
    t.past_people,
    t.directory_users,
    t.directory_groups,
    t.reconciliation_rows,
    t.reconciliation_findings,
    t.reconciliations,
    t.held_changes,
    t.reevaluations,
    t.attribute_maps,
    t.role_rules,
    t.bearer_tokens,
    t.scim_aliases,
    t.resource_aliases,
    t.directory_heads,
)


def people_and_groups(connection: Connection, before: datetime, limit: int) -> int:
    """Purge people and groups that were deleted before a moment."""
    return sum(
        remove_some(connection, table, table.c.deleted_at < before, limit // len(_DELETABLE))
        for table in _DELETABLE
    )


def credentials(connection: Connection, before: datetime, limit: int) -> int:
    """Purge bearer tokens and API keys that were revoked or ended before a moment."""
    return sum(
        remove_some(
            connection,
            table,
            (table.c.revoked_at < before) | (table.c.expires_at < before),
            limit // len(_CREDENTIALS),
        )
        for table in _CREDENTIALS
    )


def directories(connection: Connection, before: datetime, limit: int) -> int:
    """Purge the contents of the directory that was deleted first, before a moment, and in the end itself."""
    c = t.directories.c
    chosen = connection.execute(
        select(c.id).where(c.deleted_at < before).order_by(c.deleted_at).limit(1)
    ).scalar_one_or_none()
    if chosen is None:
        return 0
    for table in _CONTENTS:
        removed = remove_some(connection, table, table.c.directory_id == chosen, limit)
        if removed:
            return removed
    return connection.execute(delete(t.directories).where(c.id == chosen)).rowcount


def old_reconciliations(connection: Connection, before: datetime, limit: int) -> int:
    """Purge reconciliations that were made before a moment, with their findings."""
    c = t.reconciliations.c
    chosen = connection.execute(
        select(c.id).where(c.created_at < before).order_by(c.created_at).limit(1)
    ).scalar_one_or_none()
    if chosen is None:
        return 0
    reconciliations.remove(connection, chosen, limit)
    return 1


def evaluations(connection: Connection, before: datetime, limit: int) -> int:
    """Purge snapshots of one environment that were made before a moment and that no directory names."""
    c, directories_ = t.evaluations.c, t.directories.c
    named = (
        select(directories_.id)
        .where(directories_.environment_id == c.environment_id, directories_.evaluation_id == c.id)
        .exists()
    )
    unused = (c.created_at < before) & ~named
    environment_id = connection.execute(select(c.environment_id).where(unused).limit(1)).scalar_one_or_none()
    if environment_id is None:
        return 0
    # Whoever composes evaluations now might come to one of these again.
    lock(connection, environment_id)
    return remove_some(connection, t.evaluations, unused & (c.environment_id == environment_id), limit)


def organizations(connection: Connection, before: datetime, limit: int) -> int:
    """Purge organizations that were deleted before a moment, once nothing of them is left."""
    c = t.organizations.c
    empty = ~select(t.directories.c.id).where(t.directories.c.organization_id == c.id).exists()
    return remove_some(connection, t.organizations, (c.deleted_at < before) & empty, limit)


def ended_imports(connection: Connection, before: datetime, limit: int) -> int:
    """Purge imports that ended before a moment: their problems name ids of the source."""
    return remove_some(connection, t.imports, t.imports.c.finished_at < before, limit)


STEPS: tuple[Step, ...] = (
    people_and_groups,
    credentials,
    old_reconciliations,
    directories,
    evaluations,
    organizations,
    ended_imports,
)
"""Every step; each is to be repeated until it removes nothing."""
