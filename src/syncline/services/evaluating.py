"""Evaluate some people of a directory: decided on without locks, written under them.

What people come out as depends on them, their groups, their managers and the evaluation, all of which are
read beforehand. Floors depend on everybody else, so they are looked at when it is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from syncline.core.attributes import manager_of
from syncline.core.evaluation import Evaluation
from syncline.core.events import ChangeEvents, shows_difference
from syncline.core.model import Cause, ChangeSet, Directory, EventDraft, Scope, UserRecord
from syncline.core.roles import HeldGroup
from syncline.core.settle import Floors, evaluated
from syncline.core.working_set import Missing, Needs, WorkingSet
from syncline.services.held_groups import held_groups
from syncline.services.kernel import Kernel
from syncline.store import held_changes, log
from syncline.store import reevaluations as store
from syncline.store.database import Connection
from syncline.store.working_loads import load_needs, lock_directories


@dataclass(frozen=True, slots=True)
class Outcome:
    """Somebody who comes out differently, and the event that says so if the product view shows it."""

    before: UserRecord
    after: UserRecord
    event: EventDraft | None


@dataclass(frozen=True, slots=True)
class Written:
    """How many people the product view shows differently, and the rows of the events that say so.

    `rows` counts those of whom anything was written: also what nobody sees, such as a role's new reason.
    """

    changed: int
    rows: int
    events: list[dict[str, Any]]


class Evaluated:
    """People of a directory as its evaluation leaves them, floors aside; nothing of it is written yet."""

    def __init__(
        self, kernel: Kernel, connection: Connection, directory: Directory, people: Sequence[UserRecord]
    ) -> None:
        """Evaluate `people`; reads what it needs of others."""
        self._kernel = kernel
        self._directory = directory
        self._now = kernel.clock()
        self._evaluation = kernel.evaluations.of(connection, directory)
        raw = kernel.evaluations.shows_raw(connection, directory)
        self._events = ChangeEvents(directory, {}, {}, self._now, raw=raw)
        pairs = evaluated_people(connection, directory, self._evaluation, people, self._now)
        self._outcomes = [self._outcome(before, after) for before, after in pairs if after is not before]

    def write(self, connection: Connection, cause: Cause, *, floors: bool = True) -> Written:
        """Write those who come out differently; events are returned. The directory is locked.

        With `floors` False no role is kept for the sake of others.
        """
        changes = ChangeSet()
        outcomes = self._kept(connection, changes) if floors else self._outcomes
        scope, now = self._directory.scope, self._kernel.clock()
        store.write_people(connection, scope, [one.after for one in outcomes])
        if changes.released:
            held_changes.release(connection, scope, changes.released, now)
        if changes.held_back:
            held_changes.hold(connection, scope, changes.held_back, cause.id, now, self._kernel.ids.new)
        drafts = [one.event for one in outcomes if one.event is not None]
        changed = sum(one.after.version != one.before.version for one in outcomes)
        return Written(changed, len(outcomes), log.inbox_rows(drafts, cause))

    def _outcome(self, before: UserRecord, after: UserRecord) -> Outcome:
        if not shows_difference(before, after):
            return Outcome(before, after, None)
        after = after.evaluated(after.mapped, after.roles, version=before.version + 1, updated_at=self._now)
        is_shown = after.directory_user_id is not None
        return Outcome(before, after, self._events.updated(before, after) if is_shown else None)

    def _kept(self, connection: Connection, changes: ChangeSet) -> list[Outcome]:
        """Return the outcomes with the roles that floors do not let go."""
        rows = WorkingSet(self._directory)
        keeper = Floors(rows, self._evaluation)
        # So many holders are surely enough, whoever of these people loses the role.
        losses = keeper.losses([(one.before, one.after) for one in self._outcomes])
        rows.most_holders = keeper.highest + losses + 1
        kept = []
        for outcome in self._outcomes:
            after = _by_floors(connection, rows, keeper, outcome.before, outcome.after, changes)
            if after is not outcome.after:
                before = outcome.before
                after = before.evaluated(after.mapped, after.roles)
                kept.append(self._outcome(before, after))
            else:
                kept.append(outcome)
        return kept


def evaluate_people(
    kernel: Kernel,
    connection: Connection,
    scope: Scope,
    user_ids: Collection[str],
    cause: Cause,
    *,
    floors: bool = True,
) -> int:
    """Evaluate some people (by SCIM id) again and return how many are shown differently.

    With `floors` False no role is kept for the sake of others. The events go into the inbox: the caller
    commits with `Kernel.commit`.
    """
    directory = lock_directories(connection, [scope.directory_id]).get(scope.directory_id)
    if directory is None or directory.environment_id != scope.environment_id:
        return 0
    people = store.named_people(connection, scope, user_ids)
    written = Evaluated(kernel, connection, directory, people).write(connection, cause, floors=floors)
    if written.events:
        log.append_rows(connection, written.events)
    return written.changed


def keeps_for_nothing(kernel: Kernel, connection: Connection, directory: Directory) -> bool:
    """Tell whether a floor keeps somebody in a role that enough others hold by now."""
    evaluation = kernel.evaluations.of(connection, directory)
    floors = evaluation.roles.floors if evaluation is not None and evaluation.roles is not None else ()
    if not floors:
        return False
    rows = WorkingSet(directory)
    rows.most_holders = max(floor.minimum for floor in floors) + 1
    load_needs(connection, rows, Needs(holders={floor.role for floor in floors}))
    counted = [(floor.minimum, rows.holders_of(floor.role)) for floor in floors]
    return any(holders.held > 0 and holders.count > minimum for minimum, holders in counted)


def evaluated_people(
    connection: Connection,
    directory: Directory,
    evaluation: Evaluation | None,
    people: Sequence[UserRecord],
    now: datetime,
    groups: Mapping[str, Sequence[HeldGroup]] | None = None,
) -> list[tuple[UserRecord, UserRecord]]:
    """Return people with what an evaluation makes of them, floors aside; reads what it needs of others.

    `groups` are those that count for the people, by id, where the caller has read them already.
    """
    roles = evaluation.roles if evaluation is not None else None
    attributes = evaluation.attributes if evaluation is not None else None
    if groups is None:
        needed = roles is not None and roles.needs_groups
        groups = held_groups(connection, directory, [person.id for person in people]) if needed else {}
    rows = WorkingSet(directory)
    if attributes is not None and attributes.needs_manager:
        named = {manager_of(person.document) for person in people}
        load_needs(connection, rows, Needs(managers={one for one in named if one is not None}))
    return [
        (
            person,
            evaluated(
                person,
                evaluation,
                groups.get(person.id, ()),
                rows.managers.get(manager_of(person.document) or ""),
                now,
            ),
        )
        for person in people
    ]


def _by_floors(
    connection: Connection,
    rows: WorkingSet,
    keeper: Floors,
    before: UserRecord,
    after: UserRecord,
    changes: ChangeSet,
) -> UserRecord:
    while True:
        try:
            return keeper.kept(before, after, changes)
        except Missing as missing:
            load_needs(connection, rows, missing.needs)
