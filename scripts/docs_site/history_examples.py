"""Examples of histories and explanations for the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.docs_site import role_examples
from syncline.core import wire

_EVENT_ID = "event_01KA0Z3W8M6Q4T2R9X7V5B3N1A"
_DIRECTORY_ID = "directory_01KA0YQ2C4E6G8J0M2P4R6T8V0"
_USER_ID = "directory_user_01KA0Z1B3D5F7H9K1M3P5R7T9V"
_GROUP_ID = "directory_group_01KA0Z2C4E6G8J0M2P4R6T8V0X"
_CHANGED = "2026-03-02T08:21:44.120Z"
_PROVIDER = wire.HistoryActor(kind="provider", id=None, name=None)
_CAUSE = wire.HistoryCause(kind="request", id="request_01KA0Z3W8K5M7P9R1T3V5X7Z9B")
_CREATED = wire.Announcement(
    event_id=_EVENT_ID, event="dsync.user.created", actor=_PROVIDER, cause=_CAUSE, recorded_at=_CHANGED
)
_JOINED = wire.Announcement(
    event_id=_EVENT_ID, event="dsync.group.user_added", actor=_PROVIDER, cause=_CAUSE, recorded_at=_CHANGED
)

ENTRY = wire.HistoryEntry(
    id=_EVENT_ID,
    event="dsync.group.user_added",
    kind="joined",
    text="Became a member of Dispatch.",
    changes=[
        wire.HistoryChange(field="groups", before=None, after={"id": _GROUP_ID, "name": "Dispatch"}),
    ],
    actor=_PROVIDER,
    cause=_CAUSE,
    erased=False,
    recorded_at=_CHANGED,
)
EXPLANATION = wire.Explanation(
    id=_USER_ID,
    directory_id=_DIRECTORY_ID,
    attributes=[
        wire.ExplainedAttribute(
            key="state",
            kind="standard",
            value="active",
            level="built_in",
            source=wire.ExplainedSource(number=1, path="active", value=None, transforms=[]),
            raw=True,
            pending=False,
            announced=_CREATED,
            sentence=(f"Active because the provider sent active: true (request {_CAUSE.id}, {_CHANGED})."),
        ),
    ],
    roles=[
        wire.ExplainedRole(
            role=role_examples.SLUG,
            name="Planner",
            rule=wire.ExplainedRule(
                id=role_examples.RULE_ID,
                number=1,
                text="is a member of a group that is named “Dispatch”",
            ),
            group=wire.ExplainedGroup(id=_GROUP_ID, name="Dispatch"),
            since=_CHANGED,
            held=False,
            announced=_CREATED,
            sentence=f"Planner, because of group Dispatch, rule 1, since {_CHANGED}.",
        ),
    ],
    absent_roles=[
        wire.AbsentRole(role="member", name="Member", rules=[], sentence="Not Member: no rule gives it."),
    ],
    memberships=[
        wire.ExplainedMembership(
            id=_GROUP_ID,
            name="Dispatch",
            direct=True,
            shown=True,
            path=[wire.MembershipStep(id=_GROUP_ID, name="Dispatch")],
            announced=_JOINED,
            sentence=f"A direct member of Dispatch (request {_CAUSE.id}, {_CHANGED}).",
        ),
    ],
    truncated_before=None,
    unsearched_before=None,
)

ANSWERS: Mapping[type[Any], Any] = {wire.HistoryEntry: ENTRY, wire.Explanation: EXPLANATION}
