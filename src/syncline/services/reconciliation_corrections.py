"""Emit the events that an app has missed, for one class of findings: each at most once, none that is untrue.

A batch is one transaction: the directory is locked, every finding is looked at again, the events go into the
inbox and the findings are settled, or nothing of all that happens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from syncline import faults
from syncline.core.events import (
    Event,
    UserCreated,
    UserDeleted,
    UserUpdated,
    builtins,
    draft,
    user_body,
)
from syncline.core.ids import bare
from syncline.core.model import Cause, Directory, EventDraft, UserRecord
from syncline.core.reconcile import (
    Difference,
    Drift,
    Finding,
    as_the_app_has_it,
    differences,
    email_key,
    idp_key,
)
from syncline.core.text import index_key
from syncline.core.wire import DirectoryUser
from syncline.services.kernel import Kernel
from syncline.services.reconciliation_run import Claim
from syncline.services.tokens import locked
from syncline.store import log
from syncline.store import reconciliation_rows as staging
from syncline.store import reconciliations as store
from syncline.store.database import Connection
from syncline.store.engine import database_now
from syncline.store.reconciliations import Correction, Found, Reconciliation
from syncline.store.types import from_ms, to_ms
from syncline.store.working_rows import raise_revision

MOST = 200
EMITTED = "emitted"
# Why there was nothing to emit any more.
RETURNED, LEFT, SETTLED, TOLD, FORGOTTEN = "returned", "left", "agrees", "told_already", "id_unknown"


class _Outcome(NamedTuple):
    """What a finding comes to: the event that was missed, or why there is none."""

    said: str
    event: EventDraft | None = None


class Corrections:
    """The corrections that were asked for of one claimed reconciliation."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._kernel = claim.kernel

    async def carry_on(self, drift: Drift) -> Reconciliation:
        """Settle the next batch of a class and return the reconciliation after it. Raises `NotFound`."""

        def work(connection: Connection, current: Reconciliation) -> Reconciliation:
            directory = locked(connection, current.environment_id, current.directory_id)
            batch = store.open_findings(connection, current.id, drift, min(self._claim.batch, MOST))
            if not batch:
                return finished(current, drift, database_now(connection))
            outcomes = _Batch(self._kernel, connection, current, directory).of(batch)
            events = [one.event for one in outcomes.values() if one.event is not None]
            raise_revision(connection, directory.scope)
            log.append(connection, events, cause_of(current))
            now = database_now(connection)
            store.settle(connection, current.id, {id_: one.said for id_, one in outcomes.items()}, now)
            faults.hit("reconciliation.before_commit")
            return _counted(current, drift, outcomes)

        after = await self._claim.step(work, emits=True)
        faults.hit("reconciliation.after_events")
        return after


def cause_of(of: Reconciliation) -> Cause:
    """Return the cause of corrective events, which tells that they are some, and of which reconciliation."""
    return Cause(of.id, actor_id=of.id, actor_source="system", actor_name="reconciliation")


def finished(of: Reconciliation, drift: Drift, now: datetime) -> Reconciliation:
    """Return a reconciliation with a correction that has nothing left to do."""
    done = replace(of.corrections[drift.value], state="complete", finished_at=now)
    return replace(of, corrections={**of.corrections, drift.value: done})


def _counted(of: Reconciliation, drift: Drift, outcomes: Mapping[str, _Outcome]) -> Reconciliation:
    before: Correction = of.corrections[drift.value]
    said = Counter(one.said for one in outcomes.values())
    emitted = said.pop(EMITTED, 0)
    after = replace(before, emitted=before.emitted + emitted, skipped=dict(Counter(before.skipped) + said))
    return replace(of, corrections={**of.corrections, drift.value: after})


class _Batch:
    """Findings of one class, looked at again under the lock of the directory."""

    def __init__(
        self, kernel: Kernel, connection: Connection, of: Reconciliation, directory: Directory
    ) -> None:
        self._connection = connection
        self._of = of
        self._directory = directory
        self._raw = kernel.evaluations.shows_raw(connection, directory)
        self._now = from_ms(to_ms(kernel.clock()))
        self._told: set[str] = set()

    def of(self, batch: Sequence[Found]) -> dict[str, _Outcome]:
        """Return what each finding comes to, by its id, in order."""
        findings = {found.id: found.finding for found in batch}
        ids = {one.directory_user_id for one in findings.values() if one.directory_user_id}
        shown = staging.shown_by_id(self._connection, self._directory.scope, ids)
        drift = batch[0].finding.drift
        self._told = store.told(self._connection, self._of.id, drift, ids)
        if drift is Drift.GONE_BUT_ACTIVE:
            outcomes = self._gone(findings, shown)
        else:
            outcomes = {id_: self._missed(one, shown) for id_, one in findings.items()}
        return outcomes

    def _missed(self, finding: Finding, shown: Mapping[str, UserRecord]) -> _Outcome:
        id_ = finding.directory_user_id or ""
        record = shown.get(id_)
        if record is None:
            return _Outcome(LEFT)
        body = self._body(record)
        if finding.drift is Drift.MISSING:
            return self._once(id_, UserCreated(body))
        still = _still(finding.differences, body)
        if not still:
            return _Outcome(SETTLED)
        return self._once(id_, UserUpdated(as_the_app_has_it(body, still), body))

    def _gone(self, findings: Mapping[str, Finding], shown: Mapping[str, UserRecord]) -> dict[str, _Outcome]:
        scope = self._directory.scope
        positions = {one.position for one in findings.values() if one.position is not None}
        bodies = staging.departure_bodies(self._connection, scope, positions)
        former_ids = {one.user_id or bare(one.directory_user_id or "") for one in findings.values()}
        former = staging.people_by_id(self._connection, scope, former_ids - {""})
        keys = {key for one in findings.values() for key in _other_keys(one)}
        back = staging.candidates(self._connection, scope, keys)
        outcomes = {}
        for id_, finding in findings.items():
            record = shown.get(finding.directory_user_id or "")
            if record is not None:
                outcomes[id_] = self._inactive(record)
            elif any(back.get(key) for key in _other_keys(finding)):
                outcomes[id_] = _Outcome(RETURNED)
            else:
                body = None if finding.position is None else bodies.get(finding.position)
                known = former.get(finding.user_id or bare(finding.directory_user_id or ""))
                outcomes[id_] = self._departure(finding, body, known)
        return outcomes

    def _inactive(self, record: UserRecord) -> _Outcome:
        body = self._body(record)
        if body.state == "active":
            return _Outcome(RETURNED)
        state = {"state": Difference("active", "inactive")}
        return self._once(body.id, UserUpdated(as_the_app_has_it(body, state), body))

    def _departure(self, finding: Finding, body: str | None, known: UserRecord | None) -> _Outcome:
        """Return the event of a departure as it was sent, or as it would have been."""
        id_ = finding.directory_user_id
        if id_ is None or (body is None and known is None):
            return _Outcome(FORGOTTEN)
        if body is None:
            assert known is not None
            return self._once(id_, UserDeleted(user_body(self._directory, known, id_, raw=self._raw)))
        if id_ in self._told:
            return _Outcome(TOLD)
        self._told.add(id_)
        return _Outcome(EMITTED, replace(self._draft(UserDeleted.name, id_), body=body))

    def _once(self, id_: str, event: Event) -> _Outcome:
        if id_ in self._told:
            return _Outcome(TOLD)
        self._told.add(id_)
        made = draft(
            event,
            environment_id=self._directory.environment_id,
            organization_id=self._directory.organization_id,
            directory_id=self._directory.id,
            recorded_at=self._now,
            user_id=id_,
        )
        return _Outcome(EMITTED, made)

    def _draft(self, type_: str, id_: str) -> EventDraft:
        return EventDraft(
            environment_id=self._directory.environment_id,
            organization_id=self._directory.organization_id,
            directory_id=self._directory.id,
            type=type_,
            body="",
            recorded_at=self._now,
            user_id=id_,
        )

    def _body(self, record: UserRecord) -> DirectoryUser:
        return user_body(self._directory, record, raw=self._raw)


def _still(found: Mapping[str, Difference], body: DirectoryUser) -> dict[str, Difference]:
    """Return the differences that are still there, with what the directory says now."""
    return differences({name: one.app for name, one in found.items()}, builtins(body))


def _other_keys(finding: Finding) -> list[str]:
    """Return the keys under which an app that does not go by the directory's ids would find the person."""
    if finding.matched_by == "idp_id" and finding.idp_id:
        return [idp_key(index_key(finding.idp_id, folded=False))]
    if finding.matched_by == "email" and finding.email:
        return [email_key(index_key(finding.email))]
    return []
