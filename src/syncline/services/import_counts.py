"""Count what became of records, and note the problems among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from syncline.core.imports import Outcome
from syncline.services.import_results import RecordResult
from syncline.store import imports as store
from syncline.store.imports import Import

MAX_PROBLEMS = 1_000
_OF_DIRECTORIES = ("directory_live", "directory_missing", "directory_left_out")
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
        for outcome, number in _numbers(one).items():
            found = counts.setdefault(_PLURALS.get(one.type, "records"), {})
            found[outcome] = found.get(outcome, 0) + number
        if one.code is not None:
            problems.append(_problem(one))
    return store.counted(current, counts, problems, MAX_PROBLEMS)


def _numbers(one: RecordResult) -> dict[str, int]:
    numbers = {one.outcome.value: one.number}
    if one.outcome in (Outcome.CREATED, Outcome.UNCHANGED):
        unchanged = one.number - one.created - one.lost
        numbers = {"created": one.created, "unchanged": unchanged, "refused": one.lost}
    return {outcome: number for outcome, number in numbers.items() if number}


def _problem(one: RecordResult) -> dict[str, Any]:
    found = {"type": one.type, "id": one.source_id, "code": one.code, "message": one.message}
    if one.code in _OF_DIRECTORIES and one.directory_id is not None:
        # Once for the directory, not for each of its people.
        found |= {"type": "directory", "id": one.directory_id}
    return found
