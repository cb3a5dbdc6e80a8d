"""Compare a staged roster with a directory, batch by batch, so that the size of neither matters.

Every batch is a transaction that also notes how far the comparison is, under the fence of the claim: after a
crash somebody goes on behind the last batch, and whoever lost the claim writes nothing more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from syncline import faults
from syncline.core.events import user_body
from syncline.core.model import Directory, DirectoryId, EnvironmentId, Scope, UserRecord
from syncline.core.reconcile import (
    Drift,
    Finding,
    compare,
    departed,
    email_key,
    finding_id,
    id_key,
    idp_key,
    matched_by,
)
from syncline.core.rosters import RosterRow
from syncline.core.text import index_key
from syncline.services.kernel import Kernel
from syncline.services.sealing import Sealer
from syncline.services.tokens import present
from syncline.store import reconciliation_rows as staging
from syncline.store import reconciliations as store
from syncline.store.database import Connection
from syncline.store.engine import database_now
from syncline.store.reconciliation_rows import Past, StagedRow
from syncline.store.reconciliations import Phase, Reconciliation, State

BATCH = 250
_MOST_CANDIDATES = 10


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
            found = [_several(row.row, meant[row.key]) for row in rows if len(meant[row.key]) > 1]
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
                _Person(record, _keys(record, idp, address))
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
                found.append(_repeated(directory, record, lines))
            elif _changed_at(record, is_new=not rows_of) > at.taken_at:
                since += 1
            elif rows_of == 1:
                body = user_body(directory, record, raw=raw)
                found += compare(rows[counts[0].first], record.id, body)
            elif not shared.intersection(keys):
                found.append(_about(Drift.MISSING, directory, record))
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
            return _departed(connection, at.id, events), last

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
            found = [_left(row, former.get(row.key, [])) for row in rows if not back[row.key]]
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


def _keys(record: UserRecord, idp: str, address: str | None) -> tuple[str, ...]:
    found = [id_key(str(record.directory_user_id)), idp_key(idp)]
    return (*found, email_key(address)) if address else tuple(found)


def _changed_at(record: UserRecord, *, is_new: bool) -> datetime:
    """Return when a person changed last, or appeared."""
    return (record.listed_at or record.created_at) if is_new else record.updated_at


def _of_row(drift: Drift, row: RosterRow, reason: str | None = None) -> Finding:
    return Finding(
        drift,
        line=row.line,
        app_id=row.app_id,
        matched_by=matched_by(row),
        directory_user_id=row.directory_user_id,
        idp_id=row.idp_id,
        email=row.email,
        reason=reason,
    )


def _several(row: RosterRow, ids: Sequence[str]) -> Finding:
    found = _of_row(Drift.AMBIGUOUS, row, "several_people")
    return replace(found, candidates=tuple(ids[:_MOST_CANDIDATES]))


def _about(drift: Drift, directory: Directory, record: UserRecord) -> Finding:
    body = user_body(directory, record)
    return Finding(drift, directory_user_id=body.id, user_id=record.id, idp_id=body.idp_id, email=body.email)


def _repeated(directory: Directory, record: UserRecord, lines: Sequence[int]) -> Finding:
    return replace(_about(Drift.AMBIGUOUS, directory, record), reason="several_rows", lines=tuple(lines))


def _departed(
    connection: Connection, reconciliation_id: str, events: Iterable[staging.Gone]
) -> dict[str, Past]:
    """Return whom pending rows mean among those who left; the last departure counts."""
    seen = [(event.position, person) for event in events if (person := departed(event.body)) is not None]
    keys = {key for _, person in seen for key in _person_keys(person.id, person.idp_id, person.email)}
    known = staging.pending_keys(connection, reconciliation_id, keys) if keys else {}
    found: dict[str, Past] = {}
    for position, person in seen:
        for key in _person_keys(person.id, person.idp_id, person.email):
            if key not in known:
                continue
            before = found.get(key) or known[key]
            past = Past(position, person.id, person.idp_id, person.email)
            if before is not None and key.startswith("e:") and before.idp_id != person.idp_id:
                # Two people had this address, one after the other.
                ids = dict.fromkeys((*(before.candidates or (before.directory_user_id,)), person.id))
                past = replace(past, candidates=tuple(ids)[:_MOST_CANDIDATES])
            elif before is not None:
                past = replace(past, candidates=before.candidates)
            found[key] = past
    return found


def _person_keys(directory_user_id: str, idp_id: str, address: str | None) -> list[str]:
    """Return the keys under which rows may mean somebody."""
    keys = [id_key(directory_user_id)]
    if idp_id:
        keys.append(idp_key(index_key(idp_id, folded=False)))
    if address:
        keys.append(email_key(index_key(address)))
    return keys


def _left(staged: StagedRow, former: Sequence[str]) -> Finding | None:
    """Return what a row of nobody in the product view comes to; None if app and directory agree."""
    row, past = staged.row, staged.past
    if past is None and not former:
        return _of_row(Drift.EXTRA, row, "unknown_to_directory")
    if not row.active:
        return None
    if past is not None and past.candidates:
        found = _of_row(Drift.AMBIGUOUS, row, "several_people")
        return replace(found, candidates=past.candidates)
    gone = _of_row(Drift.GONE_BUT_ACTIVE, row, "left")
    if past is not None:
        return replace(
            gone,
            directory_user_id=past.directory_user_id,
            position=past.position,
            idp_id=row.idp_id or past.idp_id or None,
            email=row.email or past.email,
        )
    if row.directory_user_id:
        # The first id of a person in the view is made of their SCIM id.
        return replace(gone, user_id=former[0])
    # No event is left that tells under which id they were known.
    return gone
