"""The product view as it was at a moment: what is there now, with the events since then undone.

Whoever had no event since then was as they are now. Of all others the first event after the moment tells
how they were before it. Memberships go pair by pair; those that ended with their group left no event and
are kept in a table of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from syncline.core import history, wire
from syncline.core.errors import FieldError, NotFound, ValidationFailed
from syncline.core.events import builtins, group_body
from syncline.core.history import Body
from syncline.core.ids import Prefix, bare, is_id, make_id
from syncline.core.model import Directory, GroupRecord, Membership, Scope, UserRecord
from syncline.core.paging import Span
from syncline.core.text import index_key
from syncline.store import environments, log, past, product_reads
from syncline.store import point_in_time as store
from syncline.store.database import Connection
from syncline.store.history import Told
from syncline.store.product_reads import ShownGroup, ShownUser, UserFilter
from syncline.store.types import from_ms

T = TypeVar("T")
Shown = Callable[[Directory, UserRecord], wire.DirectoryUser]

_AT_ONCE = 25
# Where one person is looked for, most candidates are somebody else.
_SEARCHED_AT_ONCE = 500
_USER, _GROUP = "Directory user", "Directory group"
_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list of people is narrowed to; `group` as it was then."""

    group: wire.DirectoryGroup | None = None
    idp_id: str | None = None
    email: str | None = None

    @property
    def is_search(self) -> bool:
        """Whether one person is looked for."""
        return self.idp_id is not None or self.email is not None

    def fits(self, person: Body) -> bool:
        """Tell whether a person is looked for, groups aside."""
        if self.idp_id is not None and person["idp_id"] != self.idp_id:
            return False
        email = person["email"]
        return self.email is None or (isinstance(email, str) and index_key(email) == index_key(self.email))


def check_moment(
    connection: Connection, environment_id: str, at: datetime, now: datetime, retention: timedelta
) -> None:
    """Refuse a moment of which the log does not tell: `ValidationFailed` with a code for each reason."""
    if at > now:
        raise _refused("at_in_future", "The time lies in the future.")
    since = environments.created_at(connection, environment_id)
    if since is None or at < since:
        raise _refused("at_before_environment", "The environment did not exist at that time.")
    # What the log keeps longer is not all that is needed.
    oldest = now - retention
    head = log.head(connection, environment_id)
    if head.trimmed_position:
        oldest = max(oldest, from_ms(head.trimmed_event_ms))
    if at < oldest:
        raise _refused("at_out_of_retention", f"What was before {wire.iso(oldest)} is not known any more.")


def _refused(code: str, message: str) -> ValidationFailed:
    return ValidationFailed([FieldError("at", "at_invalid")], message, code=code)


class PointInTime:
    """The view of one environment at a moment, read on a connection that sees one snapshot.

    With a directory only its people and groups are looked for.
    """

    def __init__(
        self,
        connection: Connection,
        environment_id: str,
        at: datetime,
        shown: Shown,
        directory: Scope | None = None,
    ) -> None:
        """`shown` makes the body of a person who is as they were, whose groups are added."""
        self._connection = connection
        self._environment = environment_id
        self._shown = shown
        self._directory = directory
        self._at = wire.iso(at)
        within = None if directory is None else directory.directory_id
        self._cut = store.cut(connection, environment_id, at, within)

    def user(self, directory_user_id: str) -> wire.DirectoryUser:
        """Return a person with their groups. Raises `NotFound`."""
        found = {}
        if is_id(Prefix.DIRECTORY_USER, directory_user_id):
            found = self._people([directory_user_id], Wanted())
        if directory_user_id not in found:
            raise NotFound(_USER, directory_user_id)
        return found[directory_user_id]

    def group(self, directory_group_id: str) -> wire.DirectoryGroup:
        """Return a group. Raises `NotFound`."""
        found = {}
        if is_id(Prefix.DIRECTORY_GROUP, directory_group_id):
            found = self._groups([directory_group_id])
        if directory_group_id not in found:
            raise NotFound(_GROUP, directory_group_id)
        return found[directory_group_id]

    def group_names(self, group_ids: Collection[str]) -> dict[str, str]:
        """Return the names that groups had, by SCIM id, of those that were there."""
        found = self._groups([make_id(Prefix.DIRECTORY_GROUP, id_) for id_ in group_ids])
        return {bare(id_): group.name for id_, group in found.items()}

    def users(self, wanted: Wanted, span: Span) -> list[wire.DirectoryUser]:
        """Return people of a span of ids with their groups, in its order."""
        members = self._past_members(wanted.group)

        def candidates(left: Span) -> list[list[str]]:
            now = [str(record.directory_user_id) for record, _ in self._users_now(wanted, left)]
            return [now, self._users_then(wanted, left), _in_span(members, left)]

        found: list[wire.DirectoryUser] = []
        for ids in _walk(span, candidates, _SEARCHED_AT_ONCE if wanted.is_search else _AT_ONCE):
            people = self._people(ids, wanted)
            found += [people[id_] for id_ in ids if id_ in people]
            if len(found) >= span.limit:
                break
        return found[: span.limit]

    def groups(self, span: Span) -> list[wire.DirectoryGroup]:
        """Return groups of a span of ids, in its order."""

        def candidates(left: Span) -> list[list[str]]:
            now = product_reads.groups(
                self._connection, self._environment, _of_scim(left), directory=self._directory
            )
            deleted = store.groups_deleted(self._connection, self._cut, left)
            return [[record.directory_group_id for record, _ in now], deleted]

        found: list[wire.DirectoryGroup] = []
        for ids in _walk(span, candidates, _AT_ONCE):
            groups = self._groups(ids)
            found += [groups[id_] for id_ in ids if id_ in groups]
            if len(found) >= span.limit:
                break
        return found[: span.limit]

    def _users_now(self, wanted: Wanted, span: Span) -> list[ShownUser]:
        """Return whom the same question finds now: who has changed since is a candidate anyway."""
        group = None
        effective = False
        if wanted.group is not None:
            shown = product_reads.group(self._connection, self._environment, bare(wanted.group.id))
            if shown is None:
                return []
            group, effective = (shown[1].scope, shown[0].id), shown[1].membership is Membership.EFFECTIVE
        asked = UserFilter(
            directory=self._directory,
            group=group,
            effective=effective,
            idp_id=wanted.idp_id,
            email=wanted.email,
        )
        return product_reads.users(self._connection, self._environment, asked, span)

    def _users_then(self, wanted: Wanted, span: Span) -> list[str]:
        """Return whom the same question does not find any more, though it may have then."""
        if wanted.group is not None:
            return store.members_who_left(self._connection, self._cut, span, wanted.group.id)
        asked = store.people_who_changed if wanted.is_search else store.people_who_left
        return asked(self._connection, self._cut, span)

    def _past_members(self, group: wire.DirectoryGroup | None) -> list[str]:
        if group is None:
            return []
        members = past.past_members(self._connection, self._cut, group.directory_id, bare(group.id))
        return sorted(members)

    def _people(self, ids: Sequence[str], wanted: Wanted) -> dict[str, wire.DirectoryUser]:
        """Return those of the people who were in the view and are wanted, by id."""
        firsts = store.first_of_people(self._connection, self._cut, ids)
        rows = {
            str(record.directory_user_id): (record, directory)
            for record, directory in product_reads.users_by_id(self._connection, self._environment, ids)
        }
        now = {id_: builtins(self._shown(directory, record)) for id_, (record, directory) in rows.items()}
        bodies = self._live(self._before(ids, firsts, now), {id_: rows[id_][1] for id_ in rows})
        self._settle_people(bodies, firsts)
        bodies = {id_: body for id_, body in bodies.items() if wanted.fits(body)}
        memberships = self._memberships(bodies, rows)
        if wanted.group is not None:
            bodies = {id_: body for id_, body in bodies.items() if wanted.group.id in memberships[id_]}
        held = self._groups_of(bodies, memberships)
        return {
            id_: msgspec.convert({**body, "groups": held[id_]}, wire.DirectoryUser)
            for id_, body in bodies.items()
        }

    def _groups(self, ids: Collection[str]) -> dict[str, wire.DirectoryGroup]:
        """Return those of the groups that were there, by id."""
        firsts = store.first_of_groups(self._connection, self._cut, ids)
        rows: dict[str, ShownGroup] = {
            record.directory_group_id: (record, directory)
            for record, directory in product_reads.groups_by_id(
                self._connection, self._environment, [bare(id_) for id_ in ids]
            )
        }
        now = {id_: builtins(group_body(directory, record)) for id_, (record, directory) in rows.items()}
        bodies = self._live(self._before(ids, firsts, now), {id_: rows[id_][1] for id_ in rows})
        unsettled = [id_ for id_, body in bodies.items() if str(body["updated_at"]) > self._at]
        lasts = store.last_about_groups(self._connection, self._cut, unsettled)
        for id_ in unsettled:
            _set_time(bodies[id_], self._at, [_updated(lasts.get(id_), "group")])
        return {id_: msgspec.convert(body, wire.DirectoryGroup) for id_, body in bodies.items()}

    def _before(
        self, ids: Collection[str], firsts: Mapping[str, Told], now: Mapping[str, Body]
    ) -> dict[str, Body]:
        found: dict[str, Body] = {}
        for id_ in ids:
            first = firsts.get(id_)
            body = now.get(id_) if first is None else _before(first)
            # Whoever came without an event, as by an import, was not there before they came.
            if body is not None and str(body["created_at"]) <= self._at:
                found[id_] = body
        return found

    def _live(self, bodies: dict[str, Body], directories: Mapping[str, Directory]) -> dict[str, Body]:
        """Leave out what belongs to other directories than asked for, or to one that is deleted now."""
        known = {directory.id for directory in directories.values()}
        asked = {str(body["directory_id"]) for body in bodies.values()} - known
        live = known | product_reads.live_directories(self._connection, self._environment, asked)
        if self._directory is not None:
            live &= {self._directory.directory_id}
        return {id_: body for id_, body in bodies.items() if body["directory_id"] in live}

    def _settle_people(self, bodies: dict[str, Body], firsts: Mapping[str, Told]) -> None:
        """Put in what people were like who changed as they left; and find out when all had changed last."""
        directories = {str(body["directory_id"]) for body in bodies.values()}
        left = [id_ for id_ in bodies if id_ in firsts and firsts[id_].type == history.USER_DELETED]
        for id_, before in past.people_before(self._connection, self._cut, directories, left).items():
            bodies[id_] = _decode(before)
        unsettled = [id_ for id_, body in bodies.items() if str(body["updated_at"]) > self._at]
        if not unsettled:
            return
        lasts = store.last_about_people(self._connection, self._cut, unsettled)
        ends = past.last_ends(self._connection, self._cut, directories, unsettled)
        for id_ in unsettled:
            end = wire.iso(ends[id_]) if id_ in ends else None
            _set_time(bodies[id_], self._at, [_updated(lasts.get(id_), "user"), end])

    def _groups_of(
        self, bodies: Mapping[str, Body], memberships: Mapping[str, set[str]]
    ) -> dict[str, list[wire.DirectoryGroup]]:
        """Return the groups that people were members of, by person, oldest first."""
        known = self._groups(sorted({group for id_ in bodies for group in memberships[id_]}))
        return {id_: [known[group] for group in sorted(memberships[id_]) if group in known] for id_ in bodies}

    def _memberships(self, bodies: Mapping[str, Body], rows: Mapping[str, ShownUser]) -> dict[str, set[str]]:
        moves = store.first_moves(self._connection, self._cut, list(bodies))
        directories = {str(body["directory_id"]) for body in bodies.values()}
        present = [rows[id_] for id_ in bodies if id_ in rows]
        held: dict[str, set[str]] = {id_: set() for id_ in bodies}
        groups: Mapping[str, list[GroupRecord]] = product_reads.groups_of(
            self._connection, self._environment, present
        )
        for record, _ in present:
            id_ = str(record.directory_user_id)
            held[id_] = {group.directory_group_id for group in groups[record.id]}
        for id_, group_id in past.past_groups(self._connection, self._cut, directories, list(bodies)):
            held[id_].add(make_id(Prefix.DIRECTORY_GROUP, group_id))
        for (id_, group), type_ in moves.items():
            (held[id_].add if type_ == history.LEFT else held[id_].discard)(group)
        return held


def _before(first: Told) -> Body | None:
    return history.before_first(
        first.type, _decode(first.body), wire.iso(first.recorded_at), by_provider=first.actor is None
    )


def _updated(last: Told | None, name: str) -> str | None:
    told = None if last is None else history.embedded(_decode(last.body), name)
    return None if told is None else str(told["updated_at"])


def _set_time(body: Body, at: str, known: Sequence[str | None]) -> None:
    """Give a body the last time up to the moment at which it is known to have changed."""
    times = [str(body["created_at"]), str(body["updated_at"]), *(time for time in known if time is not None)]
    body["updated_at"] = max(time for time in times if time <= at)


def part(items: Sequence[T], span: Span, key: Callable[[T], str]) -> list[T]:
    """Return what a span holds of items that are sorted by their ids, ascending."""
    inside = [
        item
        for item in items
        if (span.above is None or key(item) > span.above) and (span.below is None or key(item) < span.below)
    ]
    return (inside[::-1] if span.descending else inside)[: span.limit]


def _of_scim(span: Span) -> Span:
    """Return a span of directory group ids as one of SCIM ids, which sort alike."""
    above, below = (None if id_ is None else bare(id_) for id_ in (span.above, span.below))
    return replace(span, above=above, below=below)


def _in_span(ids: Sequence[str], span: Span) -> list[str]:
    return part(ids, span, lambda id_: id_)


def _walk(span: Span, candidates: Callable[[Span], list[list[str]]], at_once: int) -> Iterator[list[str]]:
    """Yield ids of a span in its order, some at a time, from several lists that are read in parts."""
    left = replace(span, limit=max(span.limit, at_once))
    while True:
        lists = candidates(left)
        # A list that filled its part may have more behind its last id, so nobody beyond that is due yet.
        ends = [ids[-1] for ids in lists if len(ids) == left.limit]
        end = None if not ends else max(ends) if span.descending else min(ends)
        ids = sorted({id_ for some in lists for id_ in some}, reverse=span.descending)
        if end is not None:
            ids = [id_ for id_ in ids if (id_ >= end if span.descending else id_ <= end)]
        yield ids
        if end is None:
            return
        left = replace(left, below=end) if span.descending else replace(left, above=end)
