"""What became of the records of an import, one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from syncline.core.imports import (
    DirectoryRecord,
    GroupRecord,
    MembershipRecord,
    OrganizationRecord,
    Outcome,
    Record,
    RecordRefused,
    UserRecord,
)

_TYPES = {
    OrganizationRecord: "organization",
    DirectoryRecord: "directory",
    UserRecord: "user",
    GroupRecord: "group",
    MembershipRecord: "membership",
}


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of a record: its id in the source, ours, and why it was not taken in, if so.

    `number` is how many things it was: the members of a membership, else 1; `created` how many are new, and
    `lost` how many could not be taken in although the record could. `directory_id` is the one in the source,
    for what belongs to one.
    """

    type: str
    source_id: str
    outcome: Outcome
    id: str | None = None
    code: str | None = None
    message: str | None = None
    number: int = 1
    created: int = 0
    lost: int = 0
    directory_id: str | None = None


def result_of(record: Record, outcome: Outcome, id_: str | None) -> RecordResult:
    """Return what became of a record, by the id that it has here, None where it has none."""
    number = record.number if isinstance(record, MembershipRecord) else 1
    return RecordResult(
        _TYPES[type(record)],
        record.group_id if isinstance(record, MembershipRecord) else record.id,
        outcome,
        id_,
        number=number,
        created=number if outcome is Outcome.CREATED else 0,
        directory_id=None
        if isinstance(record, OrganizationRecord | DirectoryRecord)
        else record.directory_id,
    )


def refused(record: Record, refusal: RecordRefused) -> RecordResult:
    """Return that a record was refused, and why."""
    return replace(result_of(record, Outcome.REFUSED, None), code=refusal.code, message=refusal.message)


def deleted(record: Record) -> RecordResult:
    """Return that a record was skipped because its object was deleted here."""
    told = "It was deleted here after it had been imported."
    return replace(result_of(record, Outcome.SKIPPED, None), code="deleted", message=told)


def in_use(record: Record) -> RecordResult:
    """Return that a record was skipped because its directory is in use."""
    told = "Its provider pushes into the directory already; say `live` to add to it all the same."
    return replace(result_of(record, Outcome.SKIPPED, None), code="directory_live", message=told)
