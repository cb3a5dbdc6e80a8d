"""What rows of a roster and people of a directory come to: findings, and who has left whom rows mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from syncline.core.events import user_body
from syncline.core.model import Directory, UserRecord
from syncline.core.reconcile import Drift, Finding, departed, email_key, id_key, idp_key, matched_by
from syncline.core.rosters import RosterRow
from syncline.core.text import index_key
from syncline.store import reconciliation_rows as staging
from syncline.store.database import Connection
from syncline.store.reconciliation_rows import Past, StagedRow

_MOST_CANDIDATES = 10


def keys_of(record: UserRecord, idp: str, address: str | None) -> tuple[str, ...]:
    """Return the keys under which rows may mean somebody of the view, from their index keys."""
    found = [id_key(str(record.directory_user_id)), idp_key(idp)]
    return (*found, email_key(address)) if address else tuple(found)


def changed_at(record: UserRecord, *, is_new: bool) -> datetime:
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


def several(row: RosterRow, ids: Sequence[str]) -> Finding:
    """Return the finding of a row that may mean several people."""
    found = _of_row(Drift.AMBIGUOUS, row, "several_people")
    return replace(found, candidates=tuple(ids[:_MOST_CANDIDATES]))


def about(drift: Drift, directory: Directory, record: UserRecord) -> Finding:
    """Return a finding about a person whom no row means."""
    body = user_body(directory, record)
    return Finding(drift, directory_user_id=body.id, user_id=record.id, idp_id=body.idp_id, email=body.email)


def repeated(directory: Directory, record: UserRecord, lines: Sequence[int]) -> Finding:
    """Return the finding of a person whom several rows mean."""
    return replace(about(Drift.AMBIGUOUS, directory, record), reason="several_rows", lines=tuple(lines))


def who_departed(
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


def left(staged: StagedRow, former: Sequence[str]) -> Finding | None:
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
