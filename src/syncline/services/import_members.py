"""Take in who is in a group: people, and groups inside of it."""

from __future__ import annotations

from dataclasses import replace

from syncline.core.ids import Prefix, bare
from syncline.core.import_commands import ImportMembers
from syncline.core.imports import MembershipRecord, Outcome, RecordRefused, own_id
from syncline.core.model import Cause, Directory
from syncline.core.scim.errors import ScimError
from syncline.services.apply import Writer
from syncline.services.import_results import RecordResult, refused, result_of
from syncline.services.kernel import Kernel
from syncline.store import imports as store
from syncline.store import scim_aliases as aliases
from syncline.store.database import Connection


class ImportMemberships:
    """Memberships of imports, written by the one writer."""

    def __init__(self, kernel: Kernel, writer: Writer) -> None:
        self._kernel = kernel
        self._writer = writer

    async def take_in(
        self, directory: Directory, record: MembershipRecord, announced: bool, cause: Cause
    ) -> RecordResult:
        """Add members to a group of the directory; those that are in it stay.

        Raises `Overloaded` and `DatabaseUnavailable`.
        """
        group = bare(own_id(Prefix.DIRECTORY_GROUP, record.group_id, within=directory.id))
        scope = directory.scope

        def work(connection: Connection) -> tuple[bool, list[str], set[str]]:
            found = _found_members(connection, directory, record)
            present = aliases.present(connection, scope, [group])
            held = store.members_among(connection, scope, group, found)
            return present.get(group, False), found, held

        there, members, held = await self._kernel.database.read(work)
        total = record.number
        if not there:
            gone = RecordRefused("group_missing", "The group is not there.")
            return replace(refused(record, gone), number=total)
        wanted = [id_ for id_ in members if id_ not in held]
        if wanted:
            command = ImportMembers(group, tuple(wanted), announced)
            try:
                await self._writer.submit(scope, command, cause, members=False)
            except ScimError as refusal:
                return replace(
                    refused(record, RecordRefused(str(refusal.status), refusal.detail)), number=total
                )
        outcome = Outcome.CREATED if wanted else Outcome.UNCHANGED
        result = replace(
            result_of(record, outcome, f"directory_group_{group}"), number=total, created=len(wanted)
        )
        if len(members) < total:
            lost = total - len(members)
            told = f"{lost} of {total} members are not in the directory."
            return replace(result, code="member_unknown", message=told, lost=lost)
        return result


def _found_members(connection: Connection, directory: Directory, record: MembershipRecord) -> list[str]:
    """Return the SCIM ids of live members of the directory, by the ids that their records had."""
    scope = directory.scope
    own = {old: own_id(Prefix.DIRECTORY_USER, old, within=directory.id) for old in record.user_ids}
    people = store.people_by_id(connection, list(own.values()))
    known = aliases.resources_of(connection, scope, [*record.user_ids, *record.member_group_ids])
    found: list[str] = []
    for old, product_id in own.items():
        home, resource = people.get(product_id, (None, None))
        found.append(resource if resource and home == directory.id else known.get(old, bare(product_id)))
    for old in record.member_group_ids:
        found.append(known.get(old, bare(own_id(Prefix.DIRECTORY_GROUP, old, within=directory.id))))
    live = aliases.present(connection, scope, found)
    return [id_ for id_ in dict.fromkeys(found) if live.get(id_)]
