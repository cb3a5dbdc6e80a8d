"""The memberships of one person with their evidence: direct, or the way through the groups in between."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from syncline.core import wire
from syncline.core.errors import NotFound
from syncline.core.events import group_body, user_body
from syncline.core.ids import Prefix, bare, is_id, make_id
from syncline.core.model import Directory, GroupRecord, Membership, UserRecord
from syncline.core.nesting import Graph, path
from syncline.core.paging import Page, PageRequest
from syncline.services.kernel import Kernel
from syncline.services.point_in_time import PointInTime, check_moment, part
from syncline.services.product import of_scim
from syncline.store import nested_groups as nested
from syncline.store import past
from syncline.store import product_reads as store
from syncline.store.database import Connection


class Memberships:
    """What groups a person is in, and why; of people in the product view only."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def list(
        self, environment_id: str, directory_user_id: str, page: PageRequest, at: datetime | None = None
    ) -> Page[wire.DirectoryMembership]:
        """Return every effective membership of a person, by group id, whatever the directory shows.

        With a moment, those that the directory showed then. What these followed from is known as far as the
        same has been so ever since: of what has ended nothing is kept. Raises `NotFound` for the person,
        `ValidationFailed` for a cursor that is no id of a group and for a moment of which the log does not
        tell.
        """
        page = page.of(Prefix.DIRECTORY_GROUP)
        if at is not None:
            return await self._then(environment_id, directory_user_id, page, at)

        def work(connection: Connection) -> Page[wire.DirectoryMembership]:
            found = None
            if is_id(Prefix.DIRECTORY_USER, directory_user_id):
                found = store.user(connection, environment_id, directory_user_id)
            if found is None:
                raise NotFound("Directory user", directory_user_id)
            person, directory = found
            held = page.read(
                lambda span: store.groups(
                    connection,
                    environment_id,
                    of_scim(span),
                    member=(directory.scope, person.id),
                    effective=True,
                ),
                key=lambda shown: shown[0].directory_group_id,
            )
            groups = [group for group, _ in held.items]
            return Page(
                _with_evidence(connection, directory, person.id, groups),
                held.before,
                held.after,
            )

        return await self._kernel.database.read(work)

    async def _then(
        self, environment_id: str, directory_user_id: str, page: PageRequest, at: datetime
    ) -> Page[wire.DirectoryMembership]:
        clock = self._kernel.clock()

        def work(connection: Connection) -> Page[wire.DirectoryMembership]:
            check_moment(connection, environment_id, at, clock, self._kernel.retention)
            view = PointInTime(connection, environment_id, at, user_body)
            person = view.user(directory_user_id)
            held = sorted(person.groups or (), key=lambda group: group.id)
            found = page.read(lambda span: part(held, span, lambda group: group.id), lambda group: group.id)
            now = store.user(connection, environment_id, directory_user_id)
            ways = _Ways() if now is None else _ways_since(connection, *now, at)
            return Page(_with_what_is_known(view, found.items, ways), found.before, found.after)

        return await self._kernel.database.snapshot(work)


def _with_evidence(
    connection: Connection, directory: Directory, person_id: str, groups: Sequence[GroupRecord]
) -> list[wire.DirectoryMembership]:
    direct = nested.direct_groups(connection, directory.scope, [person_id])[person_id]
    graph: Graph = nested.edges_around(connection, directory.scope, person_id)
    found = [(group, path(direct, group.id, graph)) for group in groups]
    known = {group.id: group for group in groups}
    unknown = {id_ for _, way in found for id_ in way} - known.keys()
    known |= nested.live_groups(connection, directory.scope, unknown)
    return [
        wire.DirectoryMembership(
            group=group_body(directory, group),
            direct=group.id in direct,
            shown=group.id in direct or directory.membership is Membership.EFFECTIVE,
            path=[_step(known[id_]) for id_ in way if id_ in known],
            path_known=True,
        )
        for group, way in found
    ]


def _step(group: GroupRecord) -> wire.MembershipStep:
    return wire.MembershipStep(id=group.directory_group_id, name=str(group.document["displayName"]))


@dataclass(frozen=True, slots=True)
class _Ways:
    """Direct memberships (SCIM ids) and nestings that have been there without a break since a moment."""

    direct: Set[str] = frozenset()
    graph: Graph = field(default_factory=dict)

    def to(self, group_id: str) -> tuple[str, ...]:
        """Return a way to a group that was there at the moment; empty if none is known."""
        return path(self.direct, group_id, self.graph)


def _ways_since(connection: Connection, person: UserRecord, directory: Directory, at: datetime) -> _Ways:
    scope = directory.scope
    direct = past.direct_since(connection, scope, person.id, at)
    return _Ways(direct, past.nested_since(connection, scope, person.id, at))


def _with_what_is_known(
    view: PointInTime, groups: Sequence[wire.DirectoryGroup], ways: _Ways
) -> list[wire.DirectoryMembership]:
    found = [(group, ways.to(bare(group.id))) for group in groups]
    names = view.group_names({id_ for _, way in found for id_ in way})
    return [
        wire.DirectoryMembership(
            group=group,
            # Who is no direct member any more may have been one: that a membership ended has no event where
            # the same person is still in the group by another way.
            direct=True if bare(group.id) in ways.direct else None,
            shown=True,
            path=[
                wire.MembershipStep(id=make_id(Prefix.DIRECTORY_GROUP, id_), name=names[id_])
                for id_ in way
                if id_ in names
            ],
            path_known=bool(way),
        )
        for group, way in found
    ]
