"""Evaluate people again: all of a directory after its evaluation changed, or some of them at once.

A job is a row, and each step of it one transaction that evaluates the next people, writes those who come out
differently with their events, and notes how far it is: after a crash it goes on where it was. Whoever is
pushed meanwhile is evaluated by the writer; the job finds nothing to change there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from syncline import faults
from syncline.core.attributes import manager_of
from syncline.core.evaluation import Evaluation
from syncline.core.events import ChangeEvents, shows_difference
from syncline.core.model import Cause, ChangeSet, Directory, Scope, UserRecord
from syncline.core.roles import HeldGroup
from syncline.core.settle import Floors, evaluated
from syncline.core.working_set import Missing, Needs, WorkingSet
from syncline.obs.logging import get_logger
from syncline.services.held_groups import held_groups
from syncline.services.kernel import Kernel
from syncline.services.sealing import event_ids, sealed_events
from syncline.store import held_changes, log
from syncline.store import reevaluations as store
from syncline.store.database import Connection
from syncline.store.log import Sealed
from syncline.store.working_loads import load_needs, lock_directories

BATCH = 400
_STEPS = 25
_AT_ONCE = 20
_POLL_SECONDS = 1.0
_HOLD = timedelta(seconds=60)
_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Step:
    """What one transaction did: whether the job is over, and the events that got their positions."""

    is_last: bool
    sealed: Sealed | None = None
    is_waiting: bool = False


class Reevaluations:
    """Carries out the jobs that evaluate people again."""

    def __init__(self, kernel: Kernel, hold: timedelta = _HOLD) -> None:
        """`hold` is how long a claim lasts without a sign of life."""
        self._kernel = kernel
        self._hold = hold

    async def run(self, stop: asyncio.Event) -> None:
        """Work on what is due until `stop` is set."""
        while not stop.is_set():
            if not await self.work_on(stop):
                await self._kernel.reevaluations.wait(_POLL_SECONDS)

    async def work_on(self, stop: asyncio.Event | None = None) -> int:
        """Do some steps of every job that is due and return how many jobs were taken up."""
        kernel = self._kernel
        due = await kernel.database.read(lambda connection: store.due(connection, kernel.clock(), _AT_ONCE))
        taken = 0
        for scope in due:
            if stop is not None and stop.is_set():
                break
            taken += await self._take(scope, stop)
        return taken

    async def complete(self) -> None:
        """Work until nothing is due any more."""
        while await self.work_on():
            pass

    async def _take(self, scope: Scope, stop: asyncio.Event | None) -> bool:
        kernel = self._kernel
        if not await kernel.database.write(
            lambda connection: store.claim(connection, scope, kernel.clock(), self._hold)
        ):
            return False
        for _ in range(_STEPS):
            step = await kernel.database.write(lambda connection: self._step(connection, scope))
            if step.sealed is not None:
                sealed_events(kernel, scope.environment_id, step.sealed)
            elif step.is_waiting:
                kernel.appended.notify(scope.environment_id)
            if step.is_last:
                _logger.info("reevaluation.complete", directory_id=scope.directory_id)
                return True
            if stop is not None and stop.is_set():
                break
        await kernel.database.write(lambda connection: store.release(connection, scope))
        return True

    def _step(self, connection: Connection, scope: Scope) -> _Step:
        now = self._kernel.clock()
        directory = lock_directories(connection, [scope.directory_id]).get(scope.directory_id)
        job = store.get(connection, scope)
        if directory is None or job is None or job.state != store.RUNNING:
            store.finish(connection, scope, now)
            return _Step(is_last=True)
        people = store.people(connection, scope, job.cursor, BATCH)
        written = evaluate_records(self._kernel, connection, directory, people, job.cause, now)
        faults.hit("reevaluation.before_commit")
        sealed = None
        if written.events:
            sealed = log.record(
                connection, scope.environment_id, written.events, now, event_ids(self._kernel.random)
            )
        is_last = len(people) < BATCH
        cursor = people[-1].id if people else job.cursor
        store.step(connection, scope, cursor, len(people), written.changed, now + self._hold)
        if is_last:
            store.finish(connection, scope, now)
        return _Step(is_last, sealed, bool(written.events) and sealed is None)


@dataclass(frozen=True, slots=True)
class Written:
    """How many people came out differently, and the rows of the events that say so."""

    changed: int
    events: list[dict[str, Any]]


def evaluate_people(
    kernel: Kernel,
    connection: Connection,
    scope: Scope,
    user_ids: Collection[str],
    cause: Cause,
    *,
    floors: bool = True,
) -> int:
    """Evaluate some people (by SCIM id) again and return how many came out differently.

    With `floors` False no role is kept for the sake of others. The events go into the inbox: the caller
    commits with `Kernel.commit`.
    """
    now = kernel.clock()
    directory = lock_directories(connection, [scope.directory_id]).get(scope.directory_id)
    if directory is None or directory.environment_id != scope.environment_id:
        return 0
    people = store.named_people(connection, scope, user_ids)
    written = evaluate_records(kernel, connection, directory, people, cause, now, floors=floors)
    if written.events:
        log.append_rows(connection, written.events)
    return written.changed


def evaluate_records(
    kernel: Kernel,
    connection: Connection,
    directory: Directory,
    people: Sequence[UserRecord],
    cause: Cause,
    now: datetime,
    *,
    floors: bool = True,
) -> Written:
    """Evaluate people of a locked directory and write those who come out differently; events are returned."""
    evaluation = kernel.evaluations.of(connection, directory)
    rows = WorkingSet(directory)
    keeper = Floors(rows, evaluation)
    changes = ChangeSet()
    changed: list[UserRecord] = []
    events = ChangeEvents(directory, {}, {}, now, raw=kernel.evaluations.shows_raw(connection, directory))
    drafts = []
    pairs = evaluated_people(connection, directory, evaluation, people, now)
    # So many holders are surely enough, whoever of these people loses the role.
    rows.most_holders = keeper.highest + keeper.losses(pairs) + 1
    for before, after in pairs:
        if floors and after is not before:
            after = _kept(connection, rows, keeper, before, after, changes)
        if after is before:
            continue
        is_shown_change = shows_difference(before, after)
        if is_shown_change:
            after = after.evaluated(after.mapped, after.roles, version=before.version + 1, updated_at=now)
        changed.append(after)
        if is_shown_change and after.directory_user_id is not None:
            drafts.append(events.updated(before, after))
    store.write_people(connection, directory.scope, changed)
    if changes.released:
        held_changes.release(connection, directory.scope, changes.released, now)
    if changes.held_back:
        held_changes.hold(connection, directory.scope, changes.held_back, cause.id, now, kernel.ids.new)
    return Written(len(changed), log.inbox_rows(drafts, cause))


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


def _kept(
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
