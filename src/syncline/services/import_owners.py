"""Take in organizations with their domains, and directories with their tokens and addresses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from syncline.core.errors import Conflict, SynclineError
from syncline.core.events import DirectoryActivated, DomainCreated, Event, OrganizationCreated, draft
from syncline.core.ids import Prefix, is_id
from syncline.core.imports import (
    DirectoryRecord,
    OrganizationRecord,
    Outcome,
    RecordRefused,
    own_id,
    read_time,
)
from syncline.core.model import (
    Cause,
    Directory,
    DirectoryId,
    DirectoryState,
    EnvironmentId,
    EventDraft,
    InactiveUsers,
    Membership,
)
from syncline.providers import generic
from syncline.providers.registry import BUILT_METHODS, DIRECTORY_TYPES
from syncline.services.directories import MAX_NAME
from syncline.services.domains import checked_name, drafts_of, new_domain, shown
from syncline.services.kernel import Kernel
from syncline.services.organizations import OrganizationChanges, applied, organization_body
from syncline.services.scim_aliases import add_path, checked_path
from syncline.services.token_import import KnownToken, adopt, read_known
from syncline.store import directories, log, organizations, scim_access
from syncline.store import imports as store
from syncline.store import scim_aliases as paths
from syncline.store.database import Connection
from syncline.store.organizations import Domain, Organization

Made = tuple[tuple[Outcome, str | None], RecordRefused | None]
"""What became of a record, its id here, and the part of it that could not be taken in, if any."""

_KEY = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_LINKED = frozenset({"linked", "active"})


class ImportOwners:
    """Organizations and directories of imports. Raises `RecordRefused` and `SynclineError`."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def organization(
        self, environment_id: str, record: OrganizationRecord, announced: bool, cause: Cause
    ) -> Made:
        """Make an organization with its domains, unless it is there."""
        id_ = own_id(Prefix.ORGANIZATION, record.id, within=environment_id)
        now = self._kernel.clock()
        blank = Organization(
            environment_id=environment_id,
            id=id_,
            name="",
            external_id=None,
            stripe_customer_id=None,
            allow_profiles_outside_organization=False,
            created_at=read_time(record.created_at) or now,
            updated_at=now,
        )
        made = applied(
            blank,
            OrganizationChanges(
                name=record.name,
                external_id=record.external_id or None,
                stripe_customer_id=record.stripe_customer_id or None,
                metadata=record.metadata,
            ),
        )

        def work(connection: Connection) -> Made:
            there = _there(connection, "organizations", environment_id, id_)
            if there is not None:
                return there, None
            for column in ("external_id", "stripe_customer_id"):
                value = getattr(made, column)
                if value and organizations.holder(connection, environment_id, column, value) is not None:
                    raise RecordRefused(f"{column}_already_used", f"Another organization has this {column}.")
            organizations.add(connection, made)
            domains, lost = self._domains(connection, made, record)
            if announced:
                events: list[tuple[Event, Domain]] = [(DomainCreated(shown(one)), one) for one in domains]
                created = _about(OrganizationCreated(organization_body(made, domains)), made)
                log.append(connection, [created, *drafts_of(events)], cause)
            return (Outcome.CREATED, id_), lost

        return await self._kernel.commit(environment_id, work)

    def _domains(
        self, connection: Connection, owner: Organization, record: OrganizationRecord
    ) -> tuple[list[Domain], RecordRefused | None]:
        made: list[Domain] = []
        lost: RecordRefused | None = None
        for given in record.domains:
            try:
                name = checked_name(given.domain)
            except SynclineError:
                lost = RecordRefused("domain_invalid", f"'{given.domain[:100]}' is no domain name.")
                continue
            if organizations.taken_domains(connection, owner.environment_id, [name]):
                lost = RecordRefused("domain_already_exists", f"Another organization has '{name}'.")
                continue
            domain = new_domain(
                self._kernel, owner.environment_id, owner.id, name, verified=given.state == "verified"
            )
            known = given.id is not None and is_id(Prefix.ORGANIZATION_DOMAIN, given.id)
            if given.id is not None and known and not store.domain_exists(connection, given.id):
                domain = replace(domain, id=given.id)
            organizations.add_domain(connection, domain)
            made.append(domain)
        return made, lost

    async def directory(
        self, environment_id: str, record: DirectoryRecord, announced: bool, live: bool, cause: Cause
    ) -> Made:
        """Make a directory, unless it is there, and let its tokens and addresses lead to it."""
        if record.state == "deleting":
            raise RecordRefused("directory_deleting", "The directory is being deleted at its source.")
        _check(record)
        id_ = own_id(Prefix.DIRECTORY, record.id, within=environment_id)
        owner = own_id(Prefix.ORGANIZATION, record.organization_id, within=environment_id)
        created_at = read_time(record.created_at) or self._kernel.clock()
        tokens = [(read_known(one.token, one.digest), one.label) for one in record.bearer_tokens]
        wanted_paths = [checked_path(path) for path in record.scim_aliases]

        def work(connection: Connection) -> Made:
            there = _there(connection, "directories", environment_id, id_)
            if there is not None and there[0] is not Outcome.UNCHANGED:
                return there, None
            if there is None:
                made = self._new(connection, environment_id, record, id_, owner, created_at)
                directories.add(connection, made)
                if announced and made.state is DirectoryState.LINKED:
                    _announce(connection, made, self._kernel.clock(), cause)
            directory = directories.lock(connection, environment_id, id_)
            assert directory is not None
            if there is not None and not live and store.is_live(connection, directory.scope):
                return there, None
            added, lost = self._tokens(connection, directory, tokens, cause, announced)
            led, unled = self._paths(connection, environment_id, id_, wanted_paths)
            outcome = Outcome.CREATED if there is None or added or led else Outcome.UNCHANGED
            return (outcome, id_), lost or unled

        return await self._kernel.commit(environment_id, work)

    def _new(
        self,
        connection: Connection,
        environment_id: str,
        record: DirectoryRecord,
        id_: str,
        owner: str,
        created_at: datetime,
    ) -> Directory:
        if not directories.hold_organization(connection, environment_id, owner):
            raise RecordRefused("organization_missing", "The organization is not there; import it first.")
        key = record.external_key or self._kernel.random(8).hex()
        if store.key_is_taken(connection, key):
            raise RecordRefused("external_key_taken", "Another directory has this external_key.")
        policy = record.inactive_users or directories.default_policy(connection, environment_id)
        linked = record.state in _LINKED
        return Directory(
            environment_id=EnvironmentId(environment_id),
            organization_id=owner,
            id=DirectoryId(id_),
            external_key=key,
            name=record.name.strip(),
            type=record.provider,
            # Whatever else it was there, here it waits for its provider.
            state=DirectoryState.LINKED if linked else DirectoryState.VALIDATING,
            inactive_users=InactiveUsers(policy),
            membership=Membership(record.membership or Membership.DIRECT),
            settings={},
            created_at=created_at,
            updated_at=self._kernel.clock(),
            activated_at=created_at if linked else None,
        )

    def _tokens(
        self,
        connection: Connection,
        directory: Directory,
        tokens: Sequence[tuple[KnownToken, str | None]],
        cause: Cause,
        announced: bool,
    ) -> tuple[int, RecordRefused | None]:
        added = 0
        lost: RecordRefused | None = None
        for known, label in tokens:
            holder = store.token_holder(connection, known.digest)
            if holder == directory.id:
                continue
            if holder is not None:
                lost = RecordRefused("bearer_token_exists", "One of the tokens opens another directory.")
                continue
            adopt(
                self._kernel,
                connection,
                directory,
                known,
                cause,
                label=label or "imported",
                announced=announced,
            )
            added += 1
        return added, lost

    def _paths(
        self, connection: Connection, environment_id: str, id_: str, wanted: Sequence[str]
    ) -> tuple[int, RecordRefused | None]:
        added = 0
        lost: RecordRefused | None = None
        for path in wanted:
            holder = paths.path_holder(connection, path.lower())
            if holder == id_:
                continue
            # Each path is noted on the directory as it was left by the one before.
            directory = directories.lock(connection, environment_id, id_)
            assert directory is not None
            try:
                add_path(self._kernel, connection, directory, path)
            except Conflict as error:
                lost = RecordRefused(error.code, f"The path {path} leads to another directory.")
                continue
            added += 1
        return added, lost


def _check(record: DirectoryRecord) -> None:
    if record.provider not in DIRECTORY_TYPES:
        raise RecordRefused(
            "provider_unknown",
            f"There is no directory type '{record.provider[:60]}'. For a provider that pushes by SCIM, give "
            f"'{generic.PROFILE.type}'.",
        )
    if DIRECTORY_TYPES[record.provider] not in BUILT_METHODS:
        raise RecordRefused(
            "type_unsupported",
            f"Directories of the type '{record.provider}' are pulled, and Syncline has no connector for it "
            "yet. Leave the directory where it is and import it once there is one, or have its people pushed "
            "by SCIM into a new directory.",
        )
    if not 0 < len(record.name.strip()) <= MAX_NAME:
        raise RecordRefused("name_invalid", f"name must have 1 to {MAX_NAME} characters.")
    if record.inactive_users is not None and record.inactive_users not in list(InactiveUsers):
        raise RecordRefused("inactive_users_invalid", "inactive_users must be `delete` or `keep`.")
    if record.membership is not None and record.membership not in list(Membership):
        raise RecordRefused("membership_invalid", "membership must be `direct` or `effective`.")
    if record.external_key is not None and _KEY.fullmatch(record.external_key) is None:
        raise RecordRefused("external_key_invalid", "external_key may hold letters, digits and - only.")


def _there(
    connection: Connection, table: str, environment_id: str, id_: str
) -> tuple[Outcome, str | None] | None:
    """Return what becomes of a record whose id is taken, None if it is free. Raises `RecordRefused`."""
    found = store.holder(connection, table, id_)
    if found is None:
        return None
    home, live = found
    if home != environment_id:
        raise RecordRefused("id_taken", "Something else has this id already.")
    return (Outcome.UNCHANGED, id_) if live else (Outcome.SKIPPED, None)


def _about(event: Event, about: Organization) -> EventDraft:
    return draft(
        event,
        environment_id=about.environment_id,
        organization_id=about.id,
        recorded_at=about.updated_at,
    )


def _announce(connection: Connection, made: Directory, now: datetime, cause: Cause) -> None:
    domains = scim_access.domains_of(connection, made.environment_id, made.organization_id)
    drafted = draft(
        DirectoryActivated(made, domains),
        environment_id=made.environment_id,
        organization_id=made.organization_id,
        directory_id=made.id,
        recorded_at=now,
    )
    log.append(connection, [drafted], cause)
