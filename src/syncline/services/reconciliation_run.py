"""Compare a staged roster with a directory, batch by batch, so that the size of neither matters.

Every batch is a transaction that also notes how far the comparison is, under the fence of the claim: after a
crash somebody goes on behind the last batch, and whoever lost the claim writes nothing more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple

from syncline import faults
from syncline.core.events import user_body
from syncline.core.model import Directory, DirectoryId, EnvironmentId, Scope, UserRecord
from syncline.core.reconcile import (
    Drift,
    Finding,
    compare,
    finding_id,
)
from syncline.services.kernel import Kernel
from syncline.services.reconciliation_findings import (
    about,
    changed_at,
    keys_of,
    left,
    repeated,
    several,
    who_departed,
)
from syncline.services.sealing import Sealer
from syncline.services.tokens import present
from syncline.store import reconciliation_rows as staging
from syncline.store import reconciliations as store
from syncline.store.database import Connection
from syncline.store.engine import database_now
from syncline.store.reconciliation_rows import Past, StagedRow
from syncline.store.reconciliations import Phase, Reconciliation, State

BATCH = 1_000


class ClaimLost(Exception):
    """Somebody else works on the reconciliation by now, or it was removed."""


Change = Callable[[Connection, Reconciliation], Reconciliation]


@dataclass(frozen=True, slots=True)
class Claim:
    """A reconciliation in the hands of one process."""

    kernel: Kernel
    id: str
    fence: int
    hold: timedelta
    batch: int = BATCH

    async def step(self, work: Change, *, emits: bool = False) -> Reconciliation:
        """Carry out one step in a transaction and return the reconciliation after it.

        `emits`: whether events may come of it. Raises `ClaimLost`.
        """

        def transaction(connection: Connection) -> Reconciliation:
            until = database_now(connection) + self.hold
            current = store.hold(connection, self.id, self.fence, until)
            if current is None:
                raise ClaimLost
            changed = work(connection, current)
            if changed is not current:
                store.change(connection, changed)
            return changed

        if not emits:
            return await self.kernel.database.write(transaction)
        current = await self.kernel.database.write(transaction)
        self.kernel.appended.notify(current.environment_id)
        return current


class _Person(NamedTuple):
    record: UserRecord
    keys: tuple[str, ...]


class Comparison:
    """The comparison of one claimed reconciliation."""

    def __init__(self, claim: Claim, scope: Scope) -> None:
        self._claim = claim
        self._kernel = claim.kernel
        self._scope = scope

    async def carry_on(self, at: Reconciliation) -> Reconciliation:
        """Do the next batch of what is to be done. Raises `NotFound` once the directory is gone."""
        steps = {
            Phase.ROWS: self._rows,
            Phase.PEOPLE: self._people,
            Phase.PAST: self._past,
            Phase.REST: self._rest,
        }
        after = await steps[at.phase](at)
        faults.hit("reconciliation.after_batch")
        return after

    async def _rows(self, at: Reconciliation) -> Reconciliation:
        """Find the rows that mean nobody in the product view, or more than one person."""

        def work(connection: Connection) -> tuple[list[StagedRow], list[int], list[Finding]]:
            self._directory(connection)
            rows = staging.read(connection, at.id, int(at.cursor or 0), self._claim.batch)
            meant = staging.candidates(connection, self._scope, {row.key for row in rows})
            pending = [row.row.line for row in rows if not meant[row.key]]
            found = [several(row.row, meant[row.key]) for row in rows if len(meant[row.key]) > 1]
            return rows, pending, found

        rows, pending, found = await self._kernel.database.read(work)

        def put(connection: Connection, current: Reconciliation) -> Reconciliation:
            if not rows:
                return replace(current, phase=Phase.PEOPLE, cursor="")
            if pending:
                staging.mark_pending(connection, current.id, pending)
            current = noted(connection, current, found)
            return replace(current, cursor=str(rows[-1].row.line), done=current.done + len(rows))

        return await self._claim.step(put)

    async def _people(self, at: Reconciliation) -> Reconciliation:
        """Compare everybody in the product view with the row that means them."""

        def work(connection: Connection) -> tuple[list[_Person], list[Finding], int]:
            directory = self._directory(connection)
            people = [
                _Person(record, keys_of(record, idp, address))
                for record, idp, address in staging.people(
                    connection, self._scope, at.cursor, self._claim.batch
                )
            ]
            raw = self._kernel.evaluations.shows_raw(connection, directory)
            found, since = self._compared(connection, at, directory, people, raw=raw)
            return people, found, since

        people, found, since = await self._kernel.database.read(work)

        def put(connection: Connection, current: Reconciliation) -> Reconciliation:
            if not people:
                return replace(current, phase=Phase.PAST, cursor="")
            current = noted(connection, current, found, since)
            return replace(current, cursor=people[-1].record.id, done=current.done + len(people))

        return await self._claim.step(put)

    def _compared(
        self,
        connection: Connection,
        at: Reconciliation,
        directory: Directory,
        people: Sequence[_Person],
        *,
        raw: bool,
    ) -> tuple[list[Finding], int]:
        """Return what is found about people, and how many were left out as they changed since."""
        counted = staging.count_keys(connection, at.id, {key for person in people for key in person.keys})
        meant = staging.candidates(connection, self._scope, [key for key in counted if key[0] != "i"])
        shared = {key for key, ids in meant.items() if len(ids) > 1}
        own = {
            person.record.id: [counted[key] for key in person.keys if key in counted and key not in shared]
            for person in people
        }
        wanted = [counts[0].first for counts in own.values() if sum(one.rows for one in counts) == 1]
        rows = staging.by_number(connection, at.id, wanted)
        found: list[Finding] = []
        since = 0
        for record, keys in people:
            counts = own[record.id]
            rows_of = sum(one.rows for one in counts)
            if rows_of > 1:
                lines = sorted({number for one in counts for number in (one.first, one.last)})
                found.append(repeated(directory, record, lines))
            elif changed_at(record, is_new=not rows_of) > at.taken_at:
                since += 1
            elif rows_of == 1:
                body = user_body(directory, record, raw=raw)
                found += compare(rows[counts[0].first], record.id, body)
            elif not shared.intersection(keys):
                found.append(about(Drift.MISSING, directory, record))
        return found, since

    async def _past(self, at: Reconciliation) -> Reconciliation:
        """Look for rows that mean nobody any more among the events with which people left."""
        if not at.cursor:
            # Also those who left a moment ago.
            await Sealer(self._kernel).seal_now(at.environment_id)
        after = int(at.cursor or 0)

        def work(connection: Connection) -> tuple[dict[str, Past], int | None]:
            if not at.cursor and not staging.read(connection, at.id, 0, 1, pending=True):
                return {}, None
            events, last = staging.departures(connection, self._scope, after, self._claim.batch)
            return who_departed(connection, at.id, events), last

        found, last = await self._kernel.database.read(work)

        def put(connection: Connection, current: Reconciliation) -> Reconciliation:
            staging.note_past(connection, current.id, found)
            if last is None:
                return replace(current, phase=Phase.REST, cursor="")
            return replace(current, cursor=str(last))

        return await self._claim.step(put)

    async def _rest(self, at: Reconciliation) -> Reconciliation:
        """Tell those who left from those whom the directory never knew."""

        def work(connection: Connection) -> tuple[list[StagedRow], list[Finding]]:
            self._directory(connection)
            rows = staging.read(connection, at.id, int(at.cursor or 0), self._claim.batch, pending=True)
            keys = {row.key for row in rows}
            back = staging.candidates(connection, self._scope, keys)
            former = staging.former(connection, self._scope, keys)
            found = [left(row, former.get(row.key, [])) for row in rows if not back[row.key]]
            return rows, [finding for finding in found if finding is not None]

        rows, found = await self._kernel.database.read(work)

        def put(connection: Connection, current: Reconciliation) -> Reconciliation:
            if rows:
                return replace(noted(connection, current, found), cursor=str(rows[-1].row.line))
            now = database_now(connection)
            return replace(
                current,
                state=State.COMPLETE,
                phase=Phase.TIDY,
                cursor="",
                done=current.total,
                finished_at=now,
            )

        return await self._claim.step(put)

    def _directory(self, connection: Connection) -> Directory:
        return present(connection, self._scope.environment_id, self._scope.directory_id)


def scope_of(of: Reconciliation) -> Scope:
    """Return where a reconciliation may look."""
    return Scope(EnvironmentId(of.environment_id), DirectoryId(of.directory_id))


def noted(
    connection: Connection, current: Reconciliation, found: Collection[Finding], since: int = 0
) -> Reconciliation:
    """Store findings under the next numbers and return the reconciliation that counts them."""
    counts: dict[str, int] = defaultdict(int, current.counts)
    number = sum(counts[drift.value] for drift in Drift)
    numbered = []
    for finding in found:
        number += 1
        counts[finding.drift.value] += 1
        numbered.append((finding_id(current.id, finding.drift, number), finding))
    store.put_findings(connection, current, numbered)
    counts["changed_since"] += since
    return replace(current, counts=dict(counts))
