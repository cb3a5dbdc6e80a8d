"""A directory that lives in a working set only: real decisions and events, no database below them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from syncline.core.commands import Command, Decision
from syncline.core.decide import Minting, decide
from syncline.core.events import ChangeEvents
from syncline.core.ids import new_ulid
from syncline.core.model import Directory, DirectoryId, DirectoryState, EnvironmentId, InactiveUsers
from syncline.core.scim.errors import ScimError
from syncline.core.working_set import Missing, Needs, WorkingSet

_BEGINNING = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)
_BEGINNING_MS = 1_768_478_400_000

Event = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one command, and the events it caused, in order."""

    result: Decision | ScimError
    events: list[Event]


class CoreDirectory:
    """Begins empty, so whatever the working set does not know does not exist."""

    def __init__(self, inactive_users: InactiveUsers) -> None:
        self.rows = WorkingSet(_directory(inactive_users))
        self._minted = 0
        self._moment = _BEGINNING

    def submit(self, command: Command) -> Outcome:
        """Carry out one command."""
        self._moment += timedelta(seconds=1)
        minting = Minting(self._moment, self._new_id)
        while True:
            try:
                decision, changes = decide(command, self.rows, minting)
            except Missing as missing:
                self._admit(missing.needs)
            except ScimError as refusal:
                return Outcome(refusal, [])
            else:
                break
        if not changes:
            return Outcome(decision, [])
        self.rows.apply(changes, self._moment)
        made = ChangeEvents(self.rows.directory, self.rows.users, self.rows.groups, self._moment)
        drafts = made.of(changes, decision.group_ids)
        return Outcome(decision, [(draft.type, json.loads(draft.body)) for draft in drafts])

    def _new_id(self) -> str:
        self._minted += 1
        return new_ulid(_BEGINNING_MS + self._minted, self._minted.to_bytes(10, "big"))

    def _admit(self, needs: Needs) -> None:
        """Say of rows that were asked for that there are none."""
        rows, needs = self.rows, self.rows.missing(needs)
        for id_ in (*needs.users, *needs.members):
            rows.users.setdefault(id_, None)
        for id_ in (*needs.groups, *needs.members):
            rows.groups.setdefault(id_, None)
        rows.user_keys.update(dict.fromkeys(needs.user_keys))
        rows.pairs.update(dict.fromkeys(needs.pairs, False))
        for id_ in needs.group_members:
            rows.all_members.setdefault(id_, set())
        for id_ in needs.group_parents:
            rows.parents.setdefault(id_, set())
        for id_ in needs.user_groups:
            rows.user_groups.setdefault(id_, set())


def _directory(inactive_users: InactiveUsers) -> Directory:
    return Directory(
        environment_id=EnvironmentId("environment_01KA0YPX7B9D1F3H5K7M9Q1S3T"),
        organization_id="org_01KA0YPX7B9D1F3H5K7M9Q1S3T",
        id=DirectoryId("directory_01KA0YPX7B9D1F3H5K7M9Q1S3T"),
        external_key="k7m9q1s3t",
        name="Northwind",
        type="generic scim v2.0",
        state=DirectoryState.LINKED,
        inactive_users=inactive_users,
        settings={},
        created_at=_BEGINNING,
        updated_at=_BEGINNING,
    )
