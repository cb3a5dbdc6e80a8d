"""Members of groups that were changed lately, so that an answer need not read all of them again.

Every change of a group's members raises the group's version, whoever makes it. So the list of one version
never changes, and the one of the next version is that list and what the command between them changed. A list
that is not known, or of another version, is read (docs/decisions/017).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from syncline.core.model import ChangeSet, GroupRecord, Pair, Scope
from syncline.core.scim.resource import MemberIds

_KEPT = 32
# No answer shows more members than this.
_MOST_MEMBERS = 1_000
_Key = tuple[Scope, str]


class MemberLists:
    """The members of some groups by version; for the least recently changed ones they are forgotten."""

    def __init__(self) -> None:
        self._lists: OrderedDict[_Key, tuple[int, MemberIds]] = OrderedDict()

    def of(self, scope: Scope, group: GroupRecord) -> MemberIds | None:
        """Return the members of exactly this version of a group, None if they are not known."""
        version, members = self._lists.get((scope, group.id), (None, None))
        return members if version == group.version else None

    def note(self, scope: Scope, changes: ChangeSet) -> None:
        """Take in what a committed command changed, if the members before it are known."""
        assert changes.group is not None
        before, after = changes.group.before, changes.group.after
        members = MemberIds((), ()) if before is None else self.of(scope, before)
        if members is not None and after.deleted_at is None:
            people = _changed(members.people, changes.added, changes.removed)
            groups = _changed(members.groups, changes.edges_added, changes.edges_removed)
            self.put(scope, after.id, after.version, MemberIds(people, groups))

    def put(self, scope: Scope, group_id: str, version: int, members: MemberIds) -> None:
        """Remember the members that a version of a group has."""
        if len(members.people) + len(members.groups) > _MOST_MEMBERS:
            self._lists.pop((scope, group_id), None)
            return
        self._lists[scope, group_id] = version, members
        self._lists.move_to_end((scope, group_id))
        if len(self._lists) > _KEPT:
            self._lists.popitem(last=False)


def _changed(ids: Sequence[str], added: Iterable[Pair], removed: Iterable[Pair]) -> Sequence[str]:
    left, joined = {id_ for _, id_ in removed}, {id_ for _, id_ in added}
    return sorted(joined.union(ids) - left) if left or joined else ids
