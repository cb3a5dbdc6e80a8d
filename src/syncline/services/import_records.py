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
from syncline.core.ids import Prefix
from syncline.core.import_commands import ImportCommand, ImportGroup, ImportUser
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
from syncline.services.import_members import ImportMemberships
from syncline.services.import_owners import ImportOwners
from syncline.services.import_results import RecordResult, deleted, in_use, refused, result_of
from syncline.services.kernel import Kernel
from syncline.store import directories
from syncline.store import imports as store
from syncline.store import scim_aliases as aliases
from syncline.store.database import Connection, UniqueViolation

_AT_ONCE = 100
_PREFIXES = {UserRecord: Prefix.DIRECTORY_USER, GroupRecord: Prefix.DIRECTORY_GROUP}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """`announced`: whether events tell of what is made. `live`: add to directories in use as well."""

    announced: bool = False
    live: bool = False


class ImportRecords:
    """Writes records; people, groups and memberships by the one writer, all else by itself."""

    def __init__(self, kernel: Kernel, writer: Writer) -> None:
        self._kernel = kernel
        self._writer = writer
        self._owners = ImportOwners(kernel)
        self._memberships = ImportMemberships(kernel, writer)

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
            return refused(record, refusal)
        except Overloaded:
            raise
        except SynclineError as error:
            return refused(record, RecordRefused(error.code, error.message))
        except UniqueViolation:
            return refused(record, RecordRefused("id_taken", "Something else has this id already."))
        outcome, id_ = made
        result = result_of(record, outcome, id_)
        if outcome is Outcome.SKIPPED:
            return deleted(record)
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
            return [refused(record, missing) for record in records]
        if live and not options.live:
            return [in_use(record) for record in records]
        if isinstance(first, MembershipRecord):
            return [
                await self._memberships.take_in(directory, record, options.announced, cause)
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
        return results

    async def _settle(
        self, directory: Directory, known: _Known, one: _Wanted | RecordResult, cause: Cause
    ) -> RecordResult:
        if isinstance(one, RecordResult):
            return one
        return known.verdict(directory, one) or await self._submit(directory.scope, one, cause)

    async def _submit(self, scope: Scope, one: _Wanted, cause: Cause) -> RecordResult:
        try:
            applied = await self._writer.submit(scope, one.command, cause, members=False)
        except ScimError as refusal:
            wrong = RecordRefused(refusal.scim_type or str(refusal.status), refusal.detail)
            return refused(one.record, wrong)
        made, person = applied.decision.changed, applied.decision.user
        # Whoever has no place in the product view gets another id on their return.
        shown = one.ids.product_id if person is None else person.directory_user_id
        return result_of(one.record, Outcome.CREATED if made else Outcome.UNCHANGED, shown)


@dataclass(frozen=True, slots=True)
class _Wanted:
    record: UserRecord | GroupRecord
    ids: ResourceIds
    command: ImportCommand


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database holds of the ids of some records."""

    present: Mapping[str, bool]
    shown: Mapping[str, str | None]
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
            return refused(record, RecordRefused("id_taken", "Something else has this id already."))
        if ids.alias is not None and self.aliases.get(ids.alias, ids.resource_id) != ids.resource_id:
            return refused(record, RecordRefused("scim_id_taken", "Another resource has this scim_id."))
        live = self.present.get(ids.resource_id)
        if live is None:
            return None
        if live:
            # Whoever has no id of another service yet gets the one that the provider knows.
            is_named = ids.alias is None or ids.alias in self.aliases
            shown = self.shown.get(ids.resource_id, ids.product_id)
            return result_of(record, Outcome.UNCHANGED, shown) if is_named else None
        return deleted(record)


def _known(connection: Connection, directory: Directory, wanted: Sequence[_Wanted]) -> _Known:
    scope, ids = directory.scope, [one.ids for one in wanted]
    resources = [one.resource_id for one in ids]
    groups = [one.ids.resource_id for one in wanted if isinstance(one.record, GroupRecord)]
    return _Known(
        present=aliases.present(connection, scope, resources),
        shown=store.shown_ids(connection, scope, resources),
        people=store.people_by_id(connection, [one.product_id for one in ids]),
        elsewhere=frozenset(store.groups_elsewhere(connection, scope, groups)) if groups else frozenset(),
        aliases=aliases.resources_of(connection, scope, [one.alias for one in ids if one.alias]),
    )


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
                ids.alias,
            )
        else:
            command = ImportGroup(
                ids.resource_id, normalize_group(record.resource), created_at, options.announced, ids.alias
            )
    except RecordRefused as refusal:
        return refused(record, refusal)
    except ScimError as error:
        return refused(record, RecordRefused(error.scim_type or "invalidValue", error.detail))
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
