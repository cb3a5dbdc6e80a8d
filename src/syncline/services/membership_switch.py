"""Another choice of what memberships a directory shows, with everything that follows, in one transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from syncline.core.events import ChangeEvents
from syncline.core.model import Cause, ChangeSet, Directory, GroupRecord, Membership, Pair
from syncline.core.nesting import Graph, closure
from syncline.services.kernel import Kernel
from syncline.store import directories as store
from syncline.store import log, reevaluations
from syncline.store import nested_groups as nested
from syncline.store.database import Connection
from syncline.store.types import from_ms, to_ms

_CHUNK = 500


def switch(
    kernel: Kernel, connection: Connection, directory: Directory, wanted: Membership, cause: Cause
) -> Directory:
    """Let a directory that this transaction has locked show other memberships; return it as it is then.

    Memberships that hold through another group only begin or cease to be shown, with
    `dsync.group.user_added` or `dsync.group.user_removed` for each, by person and then by group. Roles
    follow in the background. What is kept in memory is the edges between groups and the groups they name.
    """
    if wanted is directory.membership:
        return directory
    after = replace(directory, membership=wanted, updated_at=from_ms(to_ms(kernel.clock())))
    store.change(connection, after)
    evaluation = kernel.evaluations.of(connection, after)
    is_raw = kernel.evaluations.shows_raw(connection, after)
    graph: Graph = nested.edges(connection, after.scope)
    groups: dict[str, GroupRecord | None] = {}
    last = ""
    while people := nested.people_below(connection, after.scope, last, _CHUNK):
        last = people[-1]
        pairs = _nested_pairs(connection, after, people, graph, groups)
        touched = nested.touch_people(connection, after, sorted({person for _, person in pairs}))
        events = ChangeEvents(after, touched, groups, after.updated_at, raw=is_raw)
        log.append(connection, events.of(_shown(pairs, wanted)), cause)
    if evaluation is not None and evaluation.roles is not None:
        reevaluations.begin(connection, after, cause, after.updated_at)
    return after


def _nested_pairs(
    connection: Connection,
    directory: Directory,
    people: Collection[str],
    graph: Graph,
    groups: dict[str, GroupRecord | None],
) -> list[Pair]:
    """Return the memberships that hold through another group only; adds their groups to `groups`."""
    direct = nested.direct_groups(connection, directory.scope, people)
    pairs = [
        (group, person) for person in people for group in closure(direct[person], graph) - direct[person]
    ]
    unknown = {group for group, _ in pairs} - groups.keys()
    groups.update(nested.live_groups(connection, directory.scope, unknown))
    return [pair for pair in pairs if pair[0] in groups]


def _shown(pairs: list[Pair], wanted: Membership) -> ChangeSet:
    if wanted is Membership.EFFECTIVE:
        return ChangeSet(joined=pairs, left=[])
    return ChangeSet(joined=[], left=pairs)
