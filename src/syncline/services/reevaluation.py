"""Evaluate everybody in a directory again after its evaluation changed.

A job is a row, and each step of it one transaction that writes the next people who come out differently
with their events, and notes how far it is: after a crash it goes on where it was. Whoever is pushed meanwhile
is evaluated by the writer; the job finds nothing to change there. While one step is written the next people
are read and evaluated ahead, which holds if nobody else has written to the directory since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from syncline import faults
from syncline.core.model import Scope, UserRecord
from syncline.obs.logging import get_logger
from syncline.services.evaluating import Evaluated, keeps_for_nothing
from syncline.services.kernel import Kernel
from syncline.services.sealing import event_ids, sealed_events
from syncline.store import log
from syncline.store import reevaluations as store
from syncline.store.database import Connection
from syncline.store.log import Sealed
from syncline.store.reevaluations import Known, Reevaluation
from syncline.store.working_loads import lock_directories

BATCH = 400
_STEPS = 25
_AT_ONCE = 20
# Looking again lets everybody go whom nothing keeps; more than this would mean that it does not.
_PASSES = 2
_POLL_SECONDS = 1.0
_HOLD = timedelta(seconds=60)
_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The next people, evaluated without locks at a revision of the directory."""

    cursor: str
    revision: int
    people: Sequence[UserRecord]
    evaluated: Evaluated


@dataclass(frozen=True, slots=True)
class _Step:
    """What one transaction did: whether the job is over, and the events that got their positions.

    `found` and `left` are the revisions of the directory before and after it.
    """

    is_last: bool
    found: int = 0
    left: int = 0
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
        ahead = await kernel.database.read(lambda connection: self._look_ahead(connection, scope))
        before: _Step | None = None
        for _ in range(_STEPS):
            step, ahead = await self._advance(scope, before, ahead)
            if step.sealed is not None:
                sealed_events(kernel, scope.environment_id, step.sealed)
            elif step.is_waiting:
                kernel.appended.notify(scope.environment_id)
            if step.is_last:
                _logger.info("reevaluation.complete", directory_id=scope.directory_id)
                return True
            if stop is not None and stop.is_set():
                break
            before = step
        await kernel.database.write(lambda connection: store.release(connection, scope))
        return True

    async def _advance(
        self, scope: Scope, before: _Step | None, ahead: _Ahead | None
    ) -> tuple[_Step, _Ahead | None]:
        """Do a step, with the people evaluated ahead for it if that holds, and evaluate those after it."""
        database = self._kernel.database
        following: asyncio.Task[_Ahead | None] | None = None
        if ahead is not None and len(ahead.people) == BATCH:
            cursor = ahead.people[-1].id
            following = asyncio.create_task(
                database.read(lambda connection: self._look_ahead(connection, scope, cursor))
            )
        try:
            step = await database.write(lambda connection: self._step(connection, scope, before, ahead))
        except BaseException:
            if following is not None:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            raise
        found = await following if following is not None else None
        # Where others write all the time nothing that is evaluated ahead would hold.
        if step.is_last or (before is not None and step.found != before.left):
            return step, None
        return step, found or await database.read(lambda connection: self._look_ahead(connection, scope))

    def _look_ahead(self, connection: Connection, scope: Scope, cursor: str | None = None) -> _Ahead | None:
        """Evaluate the people beyond one, or beyond those whom the job has passed."""
        # The revision is read first: whatever is written while the rest is read raises it.
        known = store.known(connection, scope)
        if known is None:
            return None
        return _evaluated(self._kernel, connection, known, known.job.cursor if cursor is None else cursor)

    def _step(
        self, connection: Connection, scope: Scope, before: _Step | None, ahead: _Ahead | None
    ) -> _Step:
        kernel, now = self._kernel, self._kernel.clock()
        locked = lock_directories(connection, [scope.directory_id])
        known = store.known(connection, scope) if locked else None
        if known is None or known.job.state != store.RUNNING:
            store.finish(connection, scope, now)
            return _Step(is_last=True)
        job = known.job
        if ahead is None or not _holds(ahead, known.revision, job, before):
            ahead = _evaluated(kernel, connection, known, job.cursor)
        people = ahead.people
        written = ahead.evaluated.write(connection, job.cause)
        faults.hit("reevaluation.before_commit")
        sealed = None
        if written.events:
            ids = event_ids(kernel.random)
            sealed = log.record(connection, scope.environment_id, written.events, now, ids)
        is_last = len(people) < BATCH
        cursor = people[-1].id if people else job.cursor
        done = job.done + len(people)
        if is_last and done <= _PASSES * job.total and keeps_for_nothing(kernel, connection, known.directory):
            # Others have come to the role since somebody was kept in it: everybody is looked at once more.
            is_last, cursor = False, ""
        store.step(connection, scope, cursor, len(people), written.changed, now + self._hold)
        if is_last:
            store.finish(connection, scope, now)
        left = known.revision + (1 if written.rows else 0)
        return _Step(is_last, known.revision, left, sealed, bool(written.events) and sealed is None)


def _evaluated(kernel: Kernel, connection: Connection, known: Known, cursor: str) -> _Ahead:
    people = store.people(connection, known.directory.scope, cursor, BATCH)
    evaluated = Evaluated(kernel, connection, known.directory, people)
    return _Ahead(cursor, known.revision, people, evaluated)


def _holds(ahead: _Ahead, revision: int, job: Reevaluation, before: _Step | None) -> bool:
    """Tell whether nothing but the step before this one was written since people were evaluated ahead.

    What that step wrote is the outcome of other people, on which nobody else's depends but by floors.
    """
    if ahead.cursor != job.cursor:
        return False
    own = before is not None and ahead.revision == before.found and revision == before.left
    return own or ahead.revision == revision
