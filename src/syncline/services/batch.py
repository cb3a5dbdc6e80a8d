"""Decide and write one batch of SCIM commands inside one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from syncline import faults
from syncline.core.claims import claim_after
from syncline.core.commands import Decision
from syncline.core.decide import Minting
from syncline.core.departures import changed_leaving
from syncline.core.events import ChangeEvents
from syncline.core.import_commands import AnyCommand
from syncline.core.import_decide import decide, first_needs
from syncline.core.model import Cause, ChangeSet, Directory, DirectoryId, Scope
from syncline.core.scim import errors
from syncline.core.scim.errors import ScimError
from syncline.core.scim.resource import GroupRef, UserView, group_label
from syncline.core.settle import settle, settle_needs
from syncline.core.working_set import Missing, Needs, WorkingSet
from syncline.services.kernel import Kernel
from syncline.services.resource_aliases import add_aliases
from syncline.services.sealing import event_ids
from syncline.store import at_once, held_changes, log, reevaluations
from syncline.store.at_once import Known
from syncline.store.database import Connection
from syncline.store.log import Sealed
from syncline.store.scim_reads import user_view
from syncline.store.working_loads import load_needs, lock_directories
from syncline.store.working_rows import Dirty, flush

_RETRY_AFTER = 1


@dataclass(frozen=True, slots=True)
class Request:
    """One command in a batch: whose it is, and why it came.

    `token` is the digest of the bearer token it came with, None if nobody needs to look at that any more.
    `aliased`: whether ids of another service were exchanged in it, None if that is no question.
    """

    scope: Scope
    command: AnyCommand
    cause: Cause
    token: str | None = None
    aliased: bool | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """A command that was carried out: its decision, what it changed and, for a user, what to answer with."""

    decision: Decision
    changes: ChangeSet
    user: UserView | None = None


Outcome = Done | ScimError


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One outcome for each command, and the events that came of them, in order, by environment."""

    outcomes: list[Outcome]
    inbox: dict[str, list[dict[str, Any]]]


def run_batch(kernel: Kernel, connection: Connection, requests: Sequence[Request]) -> BatchResult:
    """Carry out the commands in order.

    A command that is refused leaves no trace. Everything else that goes wrong raises, and the transaction
    with it; deadlocks repeat the whole call. The caller writes the events into the log or its inbox.
    """
    directories = lock_directories(connection, {request.scope.directory_id for request in requests})
    batch = _Batch(kernel, connection, directories)
    batch.load(requests)
    outcomes = [batch.carry_out(request) for request in requests]
    batch.write()
    return BatchResult(outcomes, batch.inbox)


@dataclass(frozen=True, slots=True)
class AtOnce:
    """A batch written by one statement: its outcomes, the directory as it was left, its sealed events."""

    result: BatchResult
    known: Known
    sealed: Sealed | None


def run_at_once(
    kernel: Kernel, connection: Connection, requests: Sequence[Request], known: Known
) -> AtOnce | None:
    """Carry out commands of one directory, read without locks; None if that came to nothing.

    Nothing has been written then, and the commands have to be carried out by `run_batch`.
    """
    directory = known.directory
    batch = _Batch(kernel, connection, {directory.id: directory})
    batch.load(requests)
    outcomes = [batch.carry_out(request) for request in requests]
    faults.hit("apply.before_commit")
    dirty = batch.dirty[directory.id]
    if not dirty:
        still = at_once.is_current(connection, known)
        return AtOnce(BatchResult(outcomes, {}), known, None) if still else None
    if not at_once.is_possible(dirty):
        return None
    events = batch.inbox.get(directory.environment_id, [])
    written = at_once.write(
        connection, known, batch.rows[directory.id], dirty, events, batch.now, event_ids(kernel.random)
    )
    return None if written is None else AtOnce(BatchResult(outcomes, {}), written.known, written.sealed)


class _Batch:
    def __init__(
        self, kernel: Kernel, connection: Connection, directories: dict[DirectoryId, Directory]
    ) -> None:
        self._kernel = kernel
        self._connection = connection
        self.now = kernel.clock()
        self.rows = {id_: WorkingSet(directory) for id_, directory in directories.items()}
        self.dirty = {id_: Dirty() for id_ in directories}
        self.inbox: dict[str, list[dict[str, Any]]] = {}
        self._live: dict[str, datetime | None] = {}
        self._evaluations = {
            id_: kernel.evaluations.of(connection, directory) for id_, directory in directories.items()
        }

    def load(self, requests: Sequence[Request]) -> None:
        """Load what the commands will surely need, a few statements for each directory."""
        needs: dict[DirectoryId, Needs] = {}
        tokens: dict[DirectoryId, set[str]] = {}
        for request in requests:
            directory_id = request.scope.directory_id
            needs.setdefault(directory_id, Needs()).update(first_needs(request.command))
            if request.token is not None:
                tokens.setdefault(directory_id, set()).add(request.token)
        for directory_id, wanted in needs.items():
            if directory_id in self.rows:
                rows = self.rows[directory_id]
                wanted.update(settle_needs(wanted, rows.directory, self._evaluations[directory_id]))
                shown = tokens.get(directory_id, ())
                self._live |= load_needs(self._connection, self.rows[directory_id], wanted, shown)

    def carry_out(self, request: Request) -> Outcome:
        """Decide one command and make its effects visible to the ones after it."""
        rows = self.rows.get(request.scope.directory_id)
        if rows is None or rows.directory.environment_id != request.scope.environment_id:
            return errors.unauthorized()
        if request.token is not None and not self._is_live(request.token):
            return errors.unauthorized()
        if request.aliased is False and rows.directory.has_aliases:
            # An import was faster: what the command calls unknown may have a resource by now.
            return errors.unavailable(_RETRY_AFTER)
        try:
            decision, changes = self._decide(request.command, rows)
        except ScimError as refusal:
            return refusal
        if changes:
            self._take(rows, decision, changes, request.cause)
            decision = self._claim(request, rows, decision, changes)
        return Done(decision, changes, _user_view(rows, decision))

    def _claim(self, request: Request, rows: WorkingSet, decision: Decision, changes: ChangeSet) -> Decision:
        """Let memberships begin that waited for what a command made, and return where that leaves it."""
        while True:
            try:
                following = claim_after(request.command, changes, rows)
                break
            except Missing as missing:
                load_needs(self._connection, rows, missing.needs)
        if following is None:
            return decision
        claimed, begun = self._decide(following, rows)
        if not begun:
            return decision
        self._take(rows, claimed, begun, request.cause)
        user = None if decision.user is None else rows.users.get(decision.user.id)
        group = None if decision.group is None else rows.groups.get(decision.group.id)
        held = decision.group_ids if user is None else tuple(sorted(rows.groups_of(user.id)))
        waits = decision.parked - len(begun.pending_removed) if decision.parked else 0
        return replace(decision, user=user, group=group, group_ids=held, parked=waits)

    def _is_live(self, token: str) -> bool:
        if token not in self._live:
            return False
        expires_at = self._live[token]
        return expires_at is None or expires_at > self.now

    def write(self) -> None:
        """Write every change."""
        for directory_id, rows in sorted(self.rows.items()):
            dirty = self.dirty[directory_id]
            flush(self._connection, rows, dirty, self.now)
            if dirty.aliases:
                add_aliases(self._connection, rows.directory.scope, dirty.aliases)
            settle_floors(self._kernel, self._connection, rows, dirty, self.now)

    def _decide(self, command: AnyCommand, rows: WorkingSet) -> tuple[Decision, ChangeSet]:
        evaluation = self._evaluations[rows.directory.id]
        while True:
            try:
                decision, changes = decide(command, rows, Minting(self.now, self._kernel.ids.ulid))
                settle(changes, rows, evaluation, self.now)
            except Missing as missing:
                load_needs(self._connection, rows, missing.needs)
                continue
            if changes.user is not None and decision.user is not None:
                decision = replace(decision, user=changes.user.after)
            return decision, changes

    def _take(self, rows: WorkingSet, decision: Decision, changes: ChangeSet, cause: Cause) -> None:
        touched = rows.apply(changes, self.now)
        self.dirty[rows.directory.id].add(changes, touched, cause)
        if decision.silent:
            return
        evaluation = self._evaluations[rows.directory.id]
        is_raw = evaluation is not None and evaluation.raw_attributes
        self.dirty[rows.directory.id].past_people += changed_leaving(rows.directory, changes.user, raw=is_raw)
        drafts = ChangeEvents(rows.directory, rows.users, rows.groups, self.now, raw=is_raw).of(
            changes, decision.group_ids
        )
        events = log.inbox_rows(drafts, cause)
        if events:
            self.inbox.setdefault(rows.directory.environment_id, []).extend(events)


def settle_floors(
    kernel: Kernel, connection: Connection, rows: WorkingSet, dirty: Dirty, now: datetime
) -> None:
    """Write what floors held back and let go, and have everybody evaluated where that is needed."""
    scope = rows.directory.scope
    if dirty.released:
        held_changes.release(connection, scope, sorted(dirty.released), now)
    for (user_id, role), cause_id in sorted(dirty.held_back.items()):
        held_changes.hold(connection, scope, [(user_id, role)], cause_id, now, kernel.ids.new)
    for cause in dirty.reevaluate:
        reevaluations.begin(connection, rows.directory, cause, now)


def _user_view(rows: WorkingSet, decision: Decision) -> UserView | None:
    if decision.user is None:
        return None
    return user_view(decision.user, _held(rows, decision.group_ids))


def _held(rows: WorkingSet, group_ids: Sequence[str]) -> list[GroupRef]:
    held = (rows.groups.get(group_id) for group_id in group_ids)
    return [GroupRef(group.id, group_label(group.document)) for group in held if group is not None]
