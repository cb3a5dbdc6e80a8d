"""Take in the records of an import, in order: each by itself, and every one safe to repeat.

An import adds and never changes: what is there stays. A directory that its provider pushes into already is
left alone, unless the import is told to add to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from syncline.core.errors import Overloaded, SynclineError
from syncline.core.ids import Prefix, bare
from syncline.core.import_commands import ImportCommand, ImportGroup, ImportMembers, ImportUser
from syncline.core.imports import (
    DirectoryRecord,
    GroupRecord,
    MembershipRecord,
    OrganizationRecord,
    Outcome,
    Record,
    RecordRefused,
    ResourceIds,
    UserRecord,
    own_id,
    read_record,
    read_time,
    resource_ids,
)
from syncline.core.json import Json
from syncline.core.model import Cause, Directory, Scope
from syncline.core.scim.errors import ScimError
from syncline.core.scim.normalize import normalize_group, normalize_user
from syncline.services.apply import Writer
from syncline.services.import_owners import ImportOwners
from syncline.services.kernel import Kernel
from syncline.services.resource_aliases import add_aliases
from syncline.store import directories
from syncline.store import imports as store
from syncline.store import scim_aliases as aliases
from syncline.store.database import Connection, UniqueViolation

_AT_ONCE = 100
_PREFIXES = {UserRecord: Prefix.DIRECTORY_USER, GroupRecord: Prefix.DIRECTORY_GROUP}
_TYPES = {
    OrganizationRecord: "organization",
    DirectoryRecord: "directory",
    UserRecord: "user",
    GroupRecord: "group",
    MembershipRecord: "membership",
}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """`announced`: whether events tell of what is made. `live`: add to directories in use as well."""

    announced: bool = False
    live: bool = False


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of a record: its id in the source, ours, and why it was not taken in, if so.

    `number` is how many things it was: the people of a membership, else 1; `created` how many are new.
    `directory_id` is the one in the source, for what belongs to one.
    """

    type: str
    source_id: str
    outcome: Outcome
    id: str | None = None
    code: str | None = None
    message: str | None = None
    number: int = 1
    created: int = 0
    directory_id: str | None = None


class ImportRecords:
    """Writes records; people, groups and memberships by the one writer, all else by itself."""

    def __init__(self, kernel: Kernel, writer: Writer) -> None:
        self._kernel = kernel
        self._writer = writer
        self._owners = ImportOwners(kernel)

    async def take_in(
        self, environment_id: str, values: Sequence[Json], options: ImportOptions, cause: Cause
    ) -> list[RecordResult]:
        """Take in records and return what became of each, in their order.

        Raises `Overloaded` and `DatabaseUnavailable`: then some may be in, and all can be given again.
        """
        read = [_read(value) for value in values]
        results: list[RecordResult] = []
        for _, group in groupby(read, key=_run_key):
            run = list(group)
            first = run[0]
            if isinstance(first, RecordResult):
                results += [one for one in run if isinstance(one, RecordResult)]
                continue
            records = [one for one in run if not isinstance(one, RecordResult)]
            if isinstance(first, OrganizationRecord | DirectoryRecord):
                for record in records:
                    results.append(await self._owner(environment_id, record, options, cause))
            else:
                results += await self._of_directory(environment_id, records, options, cause)
        return results

    async def _owner(
        self, environment_id: str, record: Record, options: ImportOptions, cause: Cause
    ) -> RecordResult:
        announced = options.announced
        try:
            if isinstance(record, OrganizationRecord):
                made, notes = await self._owners.organization(environment_id, record, announced, cause)
            else:
                assert isinstance(record, DirectoryRecord)
                made, notes = await self._owners.directory(
                    environment_id, record, announced, options.live, cause
                )
        except RecordRefused as refusal:
            return _refused(record, refusal)
        except Overloaded:
            raise
        except SynclineError as error:
            return _refused(record, RecordRefused(error.code, error.message))
        except UniqueViolation:
            return _refused(record, RecordRefused("id_taken", "Something else has this id already."))
        outcome, id_ = made
        result = _result(record, outcome, id_)
        return result if notes is None else replace(result, code=notes.code, message=notes.message)

    async def _of_directory(
        self, environment_id: str, records: Sequence[Record], options: ImportOptions, cause: Cause
    ) -> list[RecordResult]:
        first = records[0]
        assert isinstance(first, UserRecord | GroupRecord | MembershipRecord)
        directory_id = own_id(Prefix.DIRECTORY, first.directory_id, within=environment_id)

        def work(connection: Connection) -> tuple[Directory | None, bool]:
            found = directories.get(connection, environment_id, directory_id)
            return found, found is not None and store.is_live(connection, found.scope)

        directory, live = await self._kernel.database.read(work)
        if directory is None:
            missing = RecordRefused("directory_missing", "The directory is not there; import it first.")
            return [_refused(record, missing) for record in records]
        if live and not options.live:
            return [_live(record) for record in records]
        if isinstance(first, MembershipRecord):
            return [
                await self._members(directory, record, options, cause)
                for record in records
                if isinstance(record, MembershipRecord)
            ]
        return await self._resources(
            directory,
            [record for record in records if isinstance(record, UserRecord | GroupRecord)],
            options,
            cause,
        )

    async def _resources(
        self,
        directory: Directory,
        records: Sequence[UserRecord | GroupRecord],
        options: ImportOptions,
        cause: Cause,
    ) -> list[RecordResult]:
        """Take in people, or groups, of one directory."""
        prepared = [_prepared(directory, record, options) for record in records]
        wanted = [one for one in prepared if isinstance(one, _Wanted)]
        known = await self._kernel.database.read(lambda connection: _known(connection, directory, wanted))
        results: list[RecordResult] = []
        for start in range(0, len(prepared), _AT_ONCE):
            part = prepared[start : start + _AT_ONCE]
            results += await asyncio.gather(*(self._settle(directory, known, one, cause) for one in part))
        await self._name(directory.scope, prepared, results)
        return results

    async def _settle(
        self, directory: Directory, known: _Known, one: _Wanted | RecordResult, cause: Cause
    ) -> RecordResult:
        if isinstance(one, RecordResult):
            return one
        return known.verdict(directory, one) or await self._submit(directory.scope, one, cause)

    async def _name(
        self, scope: Scope, prepared: Sequence[_Wanted | RecordResult], results: Sequence[RecordResult]
    ) -> None:
        """Let providers find what is there by the ids that they have."""
        settled = (Outcome.CREATED, Outcome.UNCHANGED)
        named = {
            one.ids.alias: one.ids.resource_id
            for one, result in zip(prepared, results, strict=True)
            if isinstance(one, _Wanted) and one.ids.alias is not None and result.outcome in settled
        }
        if named:
            await self._kernel.database.write(lambda connection: add_aliases(connection, scope, named))

    async def _submit(self, scope: Scope, one: _Wanted, cause: Cause) -> RecordResult:
        try:
            applied = await self._writer.submit(scope, one.command, cause, members=False)
        except ScimError as refusal:
            wrong = RecordRefused(refusal.scim_type or str(refusal.status), refusal.detail)
            return _refused(one.record, wrong)
        made = applied.decision.changed
        return _result(one.record, Outcome.CREATED if made else Outcome.UNCHANGED, one.ids.product_id)

    async def _members(
        self, directory: Directory, record: MembershipRecord, options: ImportOptions, cause: Cause
    ) -> RecordResult:
        group = bare(own_id(Prefix.DIRECTORY_GROUP, record.group_id, within=directory.id))
        scope = directory.scope

        def work(connection: Connection) -> tuple[bool, list[str], set[str]]:
            found = _found_people(connection, directory, record.user_ids)
            present = aliases.present(connection, scope, [group])
            held = store.members_among(connection, scope, group, found)
            return present.get(group, False), found, held

        there, people, held = await self._kernel.database.read(work)
        total = len(record.user_ids)
        if not there:
            gone = RecordRefused("group_missing", "The group is not there.")
            return replace(_refused(record, gone), number=total)
        wanted = [id_ for id_ in people if id_ not in held]
        if wanted:
            command = ImportMembers(group, tuple(wanted), options.announced)
            try:
                await self._writer.submit(scope, command, cause, members=False)
            except ScimError as refusal:
                return replace(
                    _refused(record, RecordRefused(str(refusal.status), refusal.detail)), number=total
                )
        outcome = Outcome.CREATED if wanted else Outcome.UNCHANGED
        result = replace(
            _result(record, outcome, f"directory_group_{group}"), number=total, created=len(wanted)
        )
        if len(people) < total:
            lost = f"{total - len(people)} of {total} people are not in the directory."
            return replace(result, code="member_unknown", message=lost)
        return result


@dataclass(frozen=True, slots=True)
class _Wanted:
    record: UserRecord | GroupRecord
    ids: ResourceIds
    command: ImportCommand


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database holds of the ids of some records."""

    present: Mapping[str, bool]
    people: Mapping[str, tuple[str, str]]
    elsewhere: frozenset[str]
    aliases: Mapping[str, str]

    def verdict(self, directory: Directory, wanted: _Wanted) -> RecordResult | None:
        """Return what becomes of a record because of what is there, None if it is to be made."""
        record, ids = wanted.record, wanted.ids
        holder = self.people.get(ids.product_id)
        if (holder is not None and holder != (directory.id, ids.resource_id)) or (
            ids.resource_id in self.elsewhere
        ):
            return _refused(record, RecordRefused("id_taken", "Something else has this id already."))
        if ids.alias is not None and self.aliases.get(ids.alias, ids.resource_id) != ids.resource_id:
            return _refused(record, RecordRefused("scim_id_taken", "Another resource has this scim_id."))
        live = self.present.get(ids.resource_id)
        if live is None:
            return None
        if live:
            return _result(record, Outcome.UNCHANGED, ids.product_id)
        gone = "It was deleted here after it had been imported."
        return replace(_result(record, Outcome.SKIPPED, None), code="deleted", message=gone)


def _known(connection: Connection, directory: Directory, wanted: Sequence[_Wanted]) -> _Known:
    scope, ids = directory.scope, [one.ids for one in wanted]
    resources = [one.resource_id for one in ids]
    groups = [one.ids.resource_id for one in wanted if isinstance(one.record, GroupRecord)]
    return _Known(
        present=aliases.present(connection, scope, resources),
        people=store.people_by_id(connection, [one.product_id for one in ids]),
        elsewhere=frozenset(store.groups_elsewhere(connection, scope, groups)) if groups else frozenset(),
        aliases=aliases.resources_of(connection, scope, [one.alias for one in ids if one.alias]),
    )


def _found_people(connection: Connection, directory: Directory, user_ids: Sequence[str]) -> list[str]:
    """Return the SCIM ids of live people of the directory, by the ids that their records had."""
    scope = directory.scope
    own = {old: own_id(Prefix.DIRECTORY_USER, old, within=directory.id) for old in user_ids}
    people = store.people_by_id(connection, list(own.values()))
    known = aliases.resources_of(connection, scope, user_ids)
    found: list[str] = []
    for old, product_id in own.items():
        home, resource = people.get(product_id, (None, None))
        found.append(resource if resource and home == directory.id else known.get(old, bare(product_id)))
    live = aliases.present(connection, scope, found)
    return [id_ for id_ in dict.fromkeys(found) if live.get(id_)]


def _prepared(
    directory: Directory, record: UserRecord | GroupRecord, options: ImportOptions
) -> _Wanted | RecordResult:
    try:
        created_at = read_time(record.created_at) or directory.created_at
        ids = resource_ids(_PREFIXES[type(record)], record.id, record.scim_id, within=directory.id)
        command: ImportCommand
        if isinstance(record, UserRecord):
            command = ImportUser(
                ids.resource_id,
                ids.product_id,
                normalize_user(record.resource),
                created_at,
                options.announced,
            )
        else:
            command = ImportGroup(
                ids.resource_id, normalize_group(record.resource), created_at, options.announced
            )
    except RecordRefused as refusal:
        return _refused(record, refusal)
    except ScimError as error:
        return _refused(record, RecordRefused(error.scim_type or "invalidValue", error.detail))
    return _Wanted(record, ids, command)


def _read(value: Json) -> Record | RecordResult:
    try:
        return read_record(value)
    except RecordRefused as refusal:
        kind = value.get("type") if isinstance(value, dict) else None
        source_id = value.get("id") if isinstance(value, dict) else None
        return RecordResult(
            str(kind or "record")[:40],
            str(source_id or "")[:128],
            Outcome.REFUSED,
            code=refusal.code,
            message=refusal.message,
        )


def _run_key(one: Record | RecordResult) -> tuple[str, str]:
    if isinstance(one, UserRecord | GroupRecord | MembershipRecord):
        return type(one).__name__, one.directory_id
    return type(one).__name__, ""


def _result(record: Record, outcome: Outcome, id_: str | None) -> RecordResult:
    source_id = record.group_id if isinstance(record, MembershipRecord) else record.id
    number = len(record.user_ids) if isinstance(record, MembershipRecord) else 1
    created = number if outcome is Outcome.CREATED else 0
    return RecordResult(
        _TYPES[type(record)],
        source_id,
        outcome,
        id_,
        number=number,
        created=created,
        directory_id=None
        if isinstance(record, OrganizationRecord | DirectoryRecord)
        else record.directory_id,
    )


def _refused(record: Record, refusal: RecordRefused) -> RecordResult:
    return replace(_result(record, Outcome.REFUSED, None), code=refusal.code, message=refusal.message)


def _live(record: Record) -> RecordResult:
    in_use = "Its provider pushes into the directory already; say `live` to add to it all the same."
    return replace(_result(record, Outcome.SKIPPED, None), code="directory_live", message=in_use)
