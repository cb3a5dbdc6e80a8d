"""Which events told what a person shows now: searched in the log from the newest back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from syncline.core import history, wire
from syncline.core.paging import Span
from syncline.services.history import actor_of, cause_of
from syncline.store import history as store
from syncline.store.database import Connection
from syncline.store.history import About, Entry

_TYPES = (*history.OF_PEOPLE, *history.OF_MEMBERSHIPS)
_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a search goes: so many events are read at once, and so many are looked at in all."""

    at_once: int = 500
    at_most: int = 50_000


@dataclass(slots=True)
class Announcements:
    """The event that told each field, and each membership by the id of the group, as far as it was found.

    `unsearched_before` is the time before which events were not looked at, as there are too many; None if
    the search went as far as the log.
    """

    fields: dict[str, wire.Announcement] = field(default_factory=dict)
    memberships: dict[str, wire.Announcement] = field(default_factory=dict)
    unsearched_before: str | None = None


def announcements(
    connection: Connection,
    environment_id: str,
    directory_user_id: str,
    *,
    fields: Collection[str],
    groups: Collection[str],
    reach: Reach,
) -> Announcements:
    """Search for the events that told fields of a person and memberships in groups of the product view.

    The search ends with the event that announced the person, once everything is found, with the log, or
    after as many events as its reach allows.
    """
    search = _Search(connection, environment_id, set(fields), set(groups))
    about = About(directory_user_id, "user_id", _TYPES)
    last: Entry | None = None
    for number, event in enumerate(_events(connection, environment_id, about, reach.at_once)):
        if number == reach.at_most:
            assert last is not None
            search.found.unsearched_before = wire.iso(last.told.recorded_at)
            break
        if search.is_over_with(event):
            break
        last = event
    return search.found


def _events(connection: Connection, environment_id: str, about: About, at_once: int) -> Iterator[Entry]:
    """Yield the events of a person, the newest first, of which some are in memory at a time."""
    below: str | None = None
    while True:
        events = store.entries(connection, environment_id, about, Span(at_once, below=below), at_once)
        yield from events
        if len(events) < at_once:
            return
        below = events[-1].event_id


class _Search:
    """What is looked for, and what of it was found."""

    def __init__(
        self, connection: Connection, environment_id: str, fields: set[str], groups: set[str]
    ) -> None:
        self._connection = connection
        self._environment = environment_id
        self._fields = fields
        self._groups = groups
        self.found = Announcements()

    def is_over_with(self, event: Entry) -> bool:
        """Look at the next older event and tell whether no older one is needed."""
        told = event.told
        if told.type in history.OF_MEMBERSHIPS:
            self._take_membership(event)
        elif told.type == history.USER_CREATED:
            self._take_fields(event, set(self._fields))
            return True
        else:
            changed = history.changes(told.type, _decode(told.body), of_user=True)
            self._take_fields(event, self._fields & {change.field for change in changed})
        return not self._fields and not self._groups

    def _take_membership(self, event: Entry) -> None:
        group = event.told.group_id
        if event.told.type == history.JOINED and group in self._groups:
            assert group is not None
            self._groups.discard(group)
            self.found.memberships[group] = self._announced(event)

    def _take_fields(self, event: Entry, names: set[str]) -> None:
        if names:
            self._fields -= names
            self.found.fields |= dict.fromkeys(names, self._announced(event))

    def _announced(self, event: Entry) -> wire.Announcement:
        told = event.told
        rules: Mapping[str, str] = {}
        if told.actor is not None:
            rules = store.rule_causes(self._connection, self._environment, [told.cause])
        return wire.Announcement(
            event_id=event.event_id,
            event=told.type,
            actor=actor_of(told.actor, told.cause, rules),
            cause=cause_of(told.cause),
            recorded_at=wire.iso(told.recorded_at),
        )
