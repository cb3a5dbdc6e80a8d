"""Count what became of records, and note the problems among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from syncline.core.imports import Outcome
from syncline.services.import_records import RecordResult
from syncline.store import imports as store
from syncline.store.imports import Import

MAX_PROBLEMS = 1_000
_PLURALS = {
    "organization": "organizations",
    "directory": "directories",
    "user": "users",
    "group": "groups",
    "membership": "memberships",
}


def counted(current: Import, results: Sequence[RecordResult]) -> Import:
    """Return an import with results counted and their problems noted, the first thousand of them."""
    counts: dict[str, dict[str, int]] = {}
    problems: list[dict[str, Any]] = []
    for one in results:
        found = counts.setdefault(_PLURALS.get(one.type, "records"), {})
        for outcome, number in _numbers(one).items():
            found[outcome] = found.get(outcome, 0) + number
        if one.code is not None:
            problems.append(_problem(one))
    return store.counted(current, counts, problems, MAX_PROBLEMS)


def _numbers(one: RecordResult) -> dict[str, int]:
    if one.outcome in (Outcome.CREATED, Outcome.UNCHANGED):
        numbers = {"created": one.created, "unchanged": one.number - one.created}
        return {outcome: number for outcome, number in numbers.items() if number}
    return {one.outcome.value: one.number}


def _problem(one: RecordResult) -> dict[str, Any]:
    found = {"type": one.type, "id": one.source_id, "code": one.code, "message": one.message}
    if one.code in ("directory_live", "directory_missing") and one.directory_id is not None:
        # Once for the directory, not for each of its people.
        found |= {"type": "directory", "id": one.directory_id}
    return found
