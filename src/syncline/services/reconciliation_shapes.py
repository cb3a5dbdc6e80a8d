"""Reconciliations and their findings as the REST API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from syncline.core import wire
from syncline.core.errors import ValidationFailed
from syncline.core.rosters import MAX_PROBLEMS, RowProblem
from syncline.store.reconciliations import Correction, Found, Reconciliation, State

_NAMED = 5


def shown(found: Reconciliation) -> wire.Reconciliation:
    """Return a reconciliation as it is told to whoever may see it; never the secret."""
    return wire.Reconciliation(
        id=found.id,
        directory_id=found.directory_id,
        state=found.state.value,
        source="url" if found.source == "url" else "upload",
        taken_at=wire.iso(found.taken_at),
        rows=found.rows,
        counts=wire.ReconciliationCounts(
            **{name: found.counts.get(name, 0) for name in wire.ReconciliationCounts.__struct_fields__}
        ),
        progress=wire.ReconciliationProgress(
            done=found.done,
            total=None if found.state in (State.RECEIVING, State.FETCHING) else found.total,
        ),
        corrections=[shown_correction(name, one) for name, one in found.corrections.items()],
        problems=[
            wire.ReconciliationProblem(
                line=one.line, field=one.error.field, code=one.error.code, message=one.text
            )
            for one in found.problems
        ],
        error=found.error,
        created_at=wire.iso(found.created_at),
        finished_at=None if found.finished_at is None else wire.iso(found.finished_at),
    )


def shown_correction(name: str, one: Correction) -> wire.ReconciliationCorrection:
    """Return what came of the findings of a class."""
    return wire.ReconciliationCorrection(
        class_=name,
        state="complete" if one.state == "complete" else "running",
        emitted=one.emitted,
        skipped=dict(one.skipped),
        requested_at=wire.iso(one.requested_at),
        finished_at=None if one.finished_at is None else wire.iso(one.finished_at),
    )


def with_findings(found: wire.Reconciliation, findings: Sequence[Found]) -> wire.ReconciliationResult:
    """Return a reconciliation with its first findings."""
    fields = {name: getattr(found, name) for name in found.__struct_fields__ if name != "object"}
    return wire.ReconciliationResult(**fields, findings=[shown_finding(one) for one in findings])


def shown_finding(found: Found) -> wire.ReconciliationFinding:
    """Return a finding as it is told."""
    finding = found.finding
    return wire.ReconciliationFinding(
        id=found.id,
        class_=finding.drift.value,
        line=finding.line,
        app_id=finding.app_id,
        matched_by=cast("None", finding.matched_by),
        directory_user_id=finding.directory_user_id,
        idp_id=finding.idp_id,
        email=finding.email,
        reason=finding.reason,
        differences=[
            wire.FindingDifference(field=name, app=one.app, directory=one.directory)
            for name, one in finding.differences.items()
        ],
        candidates=list(finding.candidates),
        lines=list(finding.lines),
        outcome=found.outcome,
        settled_at=None if found.settled_at is None else wire.iso(found.settled_at),
    )


def refusal(problems: Sequence[RowProblem], more: bool) -> ValidationFailed:
    """Return the error of a roster with bad rows, each with its line."""
    errors = [
        replace(one.error, field=f"rows[{one.line}].{one.error.field}") for one in problems[:MAX_PROBLEMS]
    ]
    return ValidationFailed(errors, summary(problems, more), code="roster_invalid")


def summary(problems: Sequence[RowProblem], more: bool) -> str:
    """Return a sentence about bad rows."""
    named = "; ".join(f"line {one.line}, {one.error.field}: {one.text}" for one in problems[:_NAMED])
    count = f"more than {len(problems)}" if more else str(len(problems))
    rest = " …" if len(problems) > _NAMED else ""
    return f"The roster is refused as a whole because of {count} bad rows: {named}{rest}"
