"""Why a person is a member of groups: named by the provider, or the way through the groups in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncline.core import explain, wire
from syncline.core.ids import Prefix, make_id
from syncline.core.model import Directory, GroupRecord, Membership, UserRecord
from syncline.core.nesting import path
from syncline.core.paging import Span
from syncline.core.scim.resource import group_label
from syncline.store import nested_groups, product_reads
from syncline.store.database import Connection

_GROUPS_AT_MOST = 1_000


def shown_groups(connection: Connection, person: UserRecord, directory: Directory) -> list[GroupRecord]:
    """Return the groups that the directory shows a person as a member of: those that rules look at."""
    shown = [(person, directory)]
    return product_reads.groups_of(connection, directory.environment_id, shown)[person.id]


def explained_memberships(
    connection: Connection,
    person: UserRecord,
    directory: Directory,
    told: Mapping[str, wire.Announcement],
) -> list[wire.ExplainedMembership]:
    """Return why a person is in each group, shown or not; `told` are events by the id of the group."""
    scope = directory.scope
    held = product_reads.groups(
        connection,
        directory.environment_id,
        Span(_GROUPS_AT_MOST, descending=False),
        member=(scope, person.id),
        effective=True,
    )
    names = {group.id: group_label(group.document) for group, _ in held}
    direct = nested_groups.direct_groups(connection, scope, [person.id])[person.id]
    graph = nested_groups.edges_around(connection, scope, person.id)
    effective = directory.membership is Membership.EFFECTIVE
    return [
        _membership(
            group,
            [wire.MembershipStep(id=_group_id(id_), name=names[id_]) for id_ in way if id_ in names],
            direct=group.id in direct,
            shown=effective or group.id in direct,
            announced=told.get(group.directory_group_id),
        )
        for group, _ in held
        for way in (path(direct, group.id, graph),)
    ]


def _membership(
    group: GroupRecord,
    way: Sequence[wire.MembershipStep],
    *,
    direct: bool,
    shown: bool,
    announced: wire.Announcement | None,
) -> wire.ExplainedMembership:
    name = group_label(group.document)
    return wire.ExplainedMembership(
        id=group.directory_group_id,
        name=name,
        direct=direct,
        shown=shown,
        path=way,
        announced=announced,
        sentence=explain.membership_text(name, way, announced),
    )


def _group_id(scim_id: str) -> str:
    return make_id(Prefix.DIRECTORY_GROUP, scim_id)
