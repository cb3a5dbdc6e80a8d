"""The history of a person or a group: the events about them, as changes with who and what brought them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec

from syncline.core import history, wire
from syncline.core.errors import NotFound
from syncline.core.explain import text_of
from syncline.core.history import Change, Kind
from syncline.core.ids import Prefix, bare, is_id, ulid_time_ms
from syncline.core.paging import Page, PageRequest, Span
from syncline.services.kernel import Kernel
from syncline.store import history as store
from syncline.store import log, product_reads
from syncline.store.database import Connection
from syncline.store.history import About, Entry
from syncline.store.types import from_ms

# A filter by field is met in memory, so the log is read some events at a time.
_READ = 200
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_Actor = Literal["provider", "api_key", "operator", "admin", "system", "role_rules", "attribute_map"]
_ACTORS: Mapping[str, _Actor] = {"api": "api_key", "dashboard": "operator", "admin_portal": "admin"}


@dataclass(frozen=True, slots=True)
class Told:
    """A page of a history; `truncated_before`: what lies before this time is not known any more."""

    page: Page[wire.HistoryEntry]
    truncated_before: str | None


class History:
    """What the log tells of people and groups, also of those who are gone."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def of_user(
        self, environment_id: str, directory_user_id: str, page: PageRequest, field: str | None = None
    ) -> Told:
        """Return the changes of a person and their memberships, of one field if it is named.

        Raises `NotFound` when neither the directory nor the log knows the person, and `ValidationFailed` for
        a cursor that is no id of an event.
        """
        about = About(directory_user_id, "user_id", (*history.OF_PEOPLE, *history.OF_MEMBERSHIPS))
        return await self._told(environment_id, about, "Directory user", page, field)

    async def of_group(
        self, environment_id: str, directory_group_id: str, page: PageRequest, field: str | None = None
    ) -> Told:
        """Return the changes of a group and who came and went, of one field if it is named.

        Raises as `of_user` does.
        """
        about = About(directory_group_id, "group_id", (*history.OF_GROUPS, *history.OF_MEMBERSHIPS))
        return await self._told(environment_id, about, "Directory group", page, field)

    async def _told(
        self, environment_id: str, about: About, kind: str, page: PageRequest, field: str | None
    ) -> Told:
        page = page.of(Prefix.EVENT)

        def work(connection: Connection) -> Told:
            reading = _Reading(connection, environment_id, about, field)
            if not reading.is_known():
                raise NotFound(kind, about.id)
            found = page.read(reading.fetch, key=lambda shown: shown.id)
            return Told(found, truncated_before(connection, environment_id, about.id))

        return await self._kernel.database.snapshot(work)


class _Reading:
    """One history being read."""

    def __init__(
        self, connection: Connection, environment_id: str, about: About, field: str | None = None
    ) -> None:
        self._connection = connection
        self._environment = environment_id
        self._about = about
        self._of_user = about.column == "user_id"
        self._field = field

    def is_known(self) -> bool:
        """Tell whether the person or group is there, or was and left an event."""
        prefix = Prefix.DIRECTORY_USER if self._of_user else Prefix.DIRECTORY_GROUP
        if not is_id(prefix, self._about.id):
            return False
        if self._of_user:
            row = product_reads.user(self._connection, self._environment, self._about.id)
            return row is not None or store.is_told(self._connection, self._environment, self._about)
        group = product_reads.group(self._connection, self._environment, bare(self._about.id))
        return group is not None or store.is_told(self._connection, self._environment, self._about)

    def fetch(self, span: Span) -> list[wire.HistoryEntry]:
        """Return the entries of a span of event ids that hold what is asked for."""
        found: list[wire.HistoryEntry] = []
        left = span
        while True:
            limit = span.limit if self._field is None else max(span.limit, _READ)
            events = store.entries(self._connection, self._environment, self._about, left, limit)
            found += self._shown(events)
            if len(events) < limit or len(found) >= span.limit:
                return found[: span.limit]
            end = events[-1].event_id
            left = Span(
                span.limit,
                above=span.above if span.descending else end,
                below=end if span.descending else span.below,
                descending=span.descending,
            )

    def _shown(self, events: Sequence[Entry]) -> list[wire.HistoryEntry]:
        causes = {event.told.cause for event in events if event.told.actor is not None}
        rules = store.rule_causes(self._connection, self._environment, causes) if causes else {}
        shown = (shown_entry(event, rules, of_user=self._of_user, field=self._field) for event in events)
        return [one for one in shown if one is not None]


def truncated_before(connection: Connection, environment_id: str, id_: str) -> str | None:
    """Return the time before which events are gone, None if something is younger than all of those."""
    head = log.head(connection, environment_id)
    if not head.trimmed_position or ulid_time_ms(bare(id_)) > head.trimmed_event_ms:
        return None
    return wire.iso(from_ms(head.trimmed_event_ms))


def shown_entry(
    event: Entry, rules: Mapping[str, str], *, of_user: bool, field: str | None = None
) -> wire.HistoryEntry | None:
    """Return an event as an entry of a history, None if it has nothing of a field that is asked for.

    `rules` are the causes that changed role rules or an attribute map, with which of the two.
    """
    told = event.told
    data = _decode(told.body)
    changes = history.changes(told.type, data, of_user=of_user)
    if field is not None:
        changes = [change for change in changes if _is_named(change.field, field)]
        if not changes:
            return None
    kind = history.KINDS[told.type]
    person = history.embedded(data, "user")
    erased = person is not None and history.is_erased(person)
    return wire.HistoryEntry(
        id=event.event_id,
        event=told.type,
        kind=kind.value,
        text=_text(kind, changes, of_user=of_user, erased=erased),
        changes=[
            wire.HistoryChange(field=change.field, before=change.before, after=change.after)
            for change in changes
        ],
        actor=actor_of(told.actor, told.cause, rules),
        cause=cause_of(told.cause),
        erased=erased,
        recorded_at=wire.iso(told.recorded_at),
    )


def actor_of(actor: str | None, cause: str, rules: Mapping[str, str]) -> wire.HistoryActor:
    """Return who brought a change about, from what the event keeps about it."""
    if actor is None:
        return wire.HistoryActor(kind="provider", id=None, name=None)
    who = _decode(actor)
    kind = cast("_Actor", rules.get(cause)) or _ACTORS.get(str(who.get("source")), "system")
    return wire.HistoryActor(kind=kind, id=who.get("id"), name=who.get("name"))


def cause_of(cause: str) -> wire.HistoryCause:
    """Return what a change came with, such as a `request` of a provider or of the API, or a `run`."""
    kind, separator, _ = cause.rpartition("_")
    return wire.HistoryCause(kind=kind if separator else "other", id=cause)


def _is_named(field: str, wanted: str) -> bool:
    return wanted in (field, field.removeprefix(f"{history.CUSTOM}."))


def _text(kind: Kind, changes: Sequence[Change], *, of_user: bool, erased: bool) -> str:
    if kind in (Kind.JOINED, Kind.LEFT):
        return _membership_text(kind, changes[0], of_user=of_user)
    if erased:
        return f"{kind.value.capitalize()}; what it said was erased with the person."
    if kind is Kind.CREATED:
        return "Appeared in the directory." if of_user else "Created."
    if kind is Kind.DELETED:
        return "Left the directory." if of_user else "Deleted, and its memberships with it."
    if not changes:
        return "Changed in something that is not shown."
    return "; ".join(
        f"{change.field}: {text_of(change.before)} → {text_of(change.after)}" for change in changes
    )


def _membership_text(kind: Kind, change: Change, *, of_user: bool) -> str:
    other = change.after if kind is Kind.JOINED else change.before
    name = other.get("name") if isinstance(other, dict) else None
    if of_user:
        verb = "Became a member of" if kind is Kind.JOINED else "Is no longer a member of"
        return f"{verb} {name}."
    verb = "became a member" if kind is Kind.JOINED else "is no longer a member"
    return f"{name or 'Somebody'} {verb}."
