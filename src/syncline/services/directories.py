"""Directories as their owners manage them: made, listed, changed, deleted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from msgspec import UNSET

from syncline.core import wire
from syncline.core.decide import Minting, shown
from syncline.core.departures import changed_leaving
from syncline.core.errors import FieldError, NotFound, ValidationFailed
from syncline.core.evaluation import Evaluation
from syncline.core.events import ChangeEvents, DirectoryDeleted, draft
from syncline.core.ids import Prefix, bare, is_id, ulid_time_ms
from syncline.core.model import (
    Cause,
    ChangeSet,
    Directory,
    DirectoryId,
    DirectoryState,
    EnvironmentId,
    InactiveUsers,
    Membership,
    UserChange,
)
from syncline.core.paging import Page, PageRequest
from syncline.core.settle import settle
from syncline.core.working_set import Missing, Needs, WorkingSet
from syncline.obs.logging import get_logger
from syncline.providers.registry import BUILT_METHODS, DIRECTORY_TYPES, Method
from syncline.services.batch import settle_floors
from syncline.services.evaluations import reissue
from syncline.services.kernel import Kernel
from syncline.services.membership_switch import switch
from syncline.services.tokens import issue, locked, present
from syncline.store import directories as store
from syncline.store import evaluations as evaluation_store
from syncline.store import log
from syncline.store.database import Connection
from syncline.store.directories import DirectoryFilter as DirectoryFilter
from syncline.store.product_reads import inactive_users
from syncline.store.types import from_ms, to_ms
from syncline.store.working_loads import load_needs
from syncline.store.working_rows import Dirty, flush

_logger = get_logger(__name__)

MAX_NAME = 255
_KEY_BYTES = 8
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class ScimAddress:
    """Where a provider pushes to, by protocol version."""

    endpoint: str
    endpoint_v1: str


@dataclass(frozen=True, slots=True)
class ManagedDirectory:
    """A directory with what only its owner asks for; `scim` is None for types that are pulled.

    `bearer_token` is there in the answer that made it, and never again.
    """

    directory: wire.Directory
    inactive_users: InactiveUsers
    membership: Membership
    scim: ScimAddress | None
    bearer_token: str | None = None


class Directories:
    """The directories of environments. Everything that changes one locks its row first."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def create(
        self,
        environment_id: str,
        organization_id: str,
        name: str,
        type_: str,
        cause: Cause,
        *,
        inactive: str | None = None,
        membership: str | None = None,
    ) -> ManagedDirectory:
        """Make a directory and, for SCIM, its first bearer token. Emits `dsync.token.created`.

        `inactive` is `delete` or `keep`, by default the environment's; `membership` is `direct`, the
        default, or `effective`. Raises `ValidationFailed` (`type_unsupported` for a type that is known and
        not built) and `NotFound` for the organization.
        """
        _check(name, type_, inactive, membership)

        def work(connection: Connection) -> ManagedDirectory:
            known = is_id(Prefix.ORGANIZATION, organization_id) and store.hold_organization(
                connection, environment_id, organization_id
            )
            if not known:
                raise NotFound("Organization", organization_id)
            policy = InactiveUsers(inactive or store.default_policy(connection, environment_id))
            directory = replace(
                self._new(environment_id, organization_id, name.strip(), type_, policy),
                membership=Membership(membership or Membership.DIRECT),
            )
            # Whoever changes what the environment's people are evaluated by waits, or has done so before.
            evaluation_store.lock(connection, environment_id)
            store.add(connection, directory)
            made = issue(self._kernel, connection, directory, cause)
            reissue(self._kernel, connection, environment_id, cause, [directory.id])
            return self._managed(connection, directory, made.secret)

        made = await self._kernel.commit(environment_id, work)
        _logger.info("directory.created", directory_id=made.directory.id, cause=cause.id)
        return made

    async def get(self, environment_id: str, directory_id: str) -> wire.Directory:
        """Return a directory. Raises `NotFound`."""
        return await self._kernel.database.read(
            lambda connection: _shown(
                connection, environment_id, [present(connection, environment_id, directory_id)]
            )[0]
        )

    async def list(
        self, environment_id: str, wanted: DirectoryFilter, page: PageRequest
    ) -> Page[wire.Directory]:
        """Return directories. Raises `ValidationFailed` for a cursor that is no id of a directory."""
        page = page.of(Prefix.DIRECTORY)
        if any("\x00" in (text or "") for text in (wanted.organization_id, wanted.search, wanted.domain)):
            # PostgreSQL cannot even compare with it, and nothing stored holds it.
            return Page([])

        def work(connection: Connection) -> Page[wire.Directory]:
            found = page.read(
                lambda span: store.page(connection, environment_id, wanted, span=span),
                key=lambda directory: directory.id,
            )
            return Page(_shown(connection, environment_id, found.items), found.before, found.after)

        return await self._kernel.database.read(work)

    async def update(
        self,
        environment_id: str,
        directory_id: str,
        cause: Cause,
        *,
        name: str | None = None,
        inactive: str | None = None,
        membership: str | None = None,
    ) -> ManagedDirectory:
        """Change a directory; None leaves a thing as it is.

        Another policy for inactive people takes effect in the same transaction: those who leave the product
        view get `dsync.user.deleted`, those who enter it `dsync.user.created` with a new id, memberships
        told as always. Another choice of memberships does as well: those through other groups begin or
        cease to be shown, each with its event. Raises `NotFound` and `ValidationFailed`.
        """
        _check(name, None, inactive, membership)

        def work(connection: Connection) -> ManagedDirectory:
            before = locked(connection, environment_id, directory_id)
            if membership is not None:
                before = switch(self._kernel, connection, before, Membership(membership), cause)
            after = replace(
                before,
                name=before.name if name is None else name.strip(),
                inactive_users=before.inactive_users if inactive is None else InactiveUsers(inactive),
            )
            if after != before:
                after = replace(after, updated_at=self._now())
                store.change(connection, after)
            if after.inactive_users is not before.inactive_users:
                _apply_policy(self._kernel, connection, after, cause)
            return self._managed(connection, after)

        changed = await self._kernel.commit(environment_id, work)
        if membership is not None:
            self._kernel.reevaluations.notify(environment_id)
        _logger.info("directory.updated", directory_id=directory_id, cause=cause.id)
        return changed

    async def delete(self, environment_id: str, directory_id: str, cause: Cause) -> None:
        """Delete a directory with its people and groups. Emits `dsync.deleted` and nothing else.

        From then on its SCIM address refuses every token. Raises `NotFound`.
        """
        await self._kernel.commit(
            environment_id,
            lambda connection: remove_directories(
                self._kernel, connection, [locked(connection, environment_id, directory_id)], cause
            ),
        )
        _logger.info("directory.deleted", directory_id=directory_id, cause=cause.id)

    async def request_pull(self, environment_id: str, directory_id: str) -> None:
        """Queue a pull. Raises `NotFound`, and `ValidationFailed` for a directory that is pushed to."""
        await self._kernel.database.read(lambda connection: present(connection, environment_id, directory_id))
        raise ValidationFailed(
            [],
            "The directory gets its people pushed by its provider; there is nothing to pull.",
            code="directory_sync_unsupported",
        )

    def _new(
        self, environment_id: str, organization_id: str, name: str, type_: str, policy: InactiveUsers
    ) -> Directory:
        directory_id = DirectoryId(self._kernel.ids.new(Prefix.DIRECTORY))
        created_at = from_ms(ulid_time_ms(bare(directory_id)))
        return Directory(
            environment_id=EnvironmentId(environment_id),
            organization_id=organization_id,
            id=directory_id,
            # Providers may change the letter case of an address, so the key has one case only.
            external_key=self._kernel.random(_KEY_BYTES).hex(),
            name=name,
            type=type_,
            state=DirectoryState.VALIDATING,
            inactive_users=policy,
            settings={},
            created_at=created_at,
            updated_at=created_at,
        )

    def _managed(
        self, connection: Connection, directory: Directory, secret: str | None = None
    ) -> ManagedDirectory:
        address = None
        if DIRECTORY_TYPES.get(directory.type, Method.SCIM) is Method.SCIM:
            address = scim_address(self._kernel.base_url, directory.id)
        body = _shown(connection, directory.environment_id, [directory])[0]
        return ManagedDirectory(body, directory.inactive_users, directory.membership, address, secret)

    def _now(self) -> datetime:
        return from_ms(to_ms(self._kernel.clock()))


def scim_address(base_url: str, directory_id: str) -> ScimAddress:
    """Return the SCIM addresses of a directory: with its bare id, as a provider may refuse an underscore."""
    key = bare(directory_id)
    return ScimAddress(f"{base_url}/scim/v2/{key}", f"{base_url}/scim/v1/{key}")


def remove_directories(
    kernel: Kernel, connection: Connection, directories: Collection[Directory], cause: Cause
) -> None:
    """Delete directories that this transaction has locked: `dsync.deleted` for each, in the order given.

    Their tokens are revoked without events, as nothing follows `dsync.deleted`.
    """
    now = from_ms(to_ms(kernel.clock()))
    drafts = []
    for directory in directories:
        gone = replace(directory, state=DirectoryState.DELETING, updated_at=now, deleted_at=now)
        store.change(connection, gone)
        store.revoke_tokens(connection, gone.scope, now)
        drafts.append(
            draft(
                DirectoryDeleted(gone),
                environment_id=gone.environment_id,
                organization_id=gone.organization_id,
                directory_id=gone.id,
                recorded_at=now,
            )
        )
    log.append(connection, drafts, cause)


def _apply_policy(kernel: Kernel, connection: Connection, directory: Directory, cause: Cause) -> None:
    """Settle the place of every inactive person in the product view under the directory's policy."""
    ids = inactive_users(connection, directory.scope)
    for start in range(0, len(ids), _CHUNK):
        _apply_policy_to(kernel, connection, directory, ids[start : start + _CHUNK], cause)


def _apply_policy_to(
    kernel: Kernel, connection: Connection, directory: Directory, ids: Sequence[str], cause: Cause
) -> None:
    minting = Minting(directory.updated_at, kernel.ids.ulid)
    rows, dirty = WorkingSet(directory), Dirty()
    load_needs(connection, rows, Needs(users=set(ids), user_groups=set(ids)))
    evaluation = kernel.evaluations.of(connection, directory)
    is_raw = kernel.evaluations.shows_raw(connection, directory)
    events = ChangeEvents(directory, rows.users, rows.groups, minting.now, raw=is_raw)
    inbox = []
    for user_id in ids:
        before = rows.user(user_id)
        assert before is not None
        after = shown(
            replace(before, version=before.version + 1, updated_at=minting.now),
            before,
            directory.inactive_users,
            minting,
        )
        if after.directory_user_id == before.directory_user_id:
            continue
        changes = _settled(connection, UserChange(before, after), rows, evaluation)
        dirty.add(changes, rows.apply(changes, minting.now), cause)
        dirty.past_people += changed_leaving(directory, changes.user, raw=is_raw)
        inbox.extend(log.inbox_rows(events.of(changes, sorted(rows.groups_of(user_id))), cause))
    flush(connection, rows, dirty, minting.now)
    settle_floors(kernel, connection, rows, dirty, minting.now)
    log.append_rows(connection, inbox)


def _settled(
    connection: Connection, change: UserChange, rows: WorkingSet, evaluation: Evaluation | None
) -> ChangeSet:
    while True:
        try:
            return settle(ChangeSet(user=change), rows, evaluation, change.after.updated_at)
        except Missing as missing:
            load_needs(connection, rows, missing.needs)


def _check(name: str | None, type_: str | None, inactive: str | None, membership: str | None) -> None:
    wrong = []
    if name is not None and not name.strip():
        wrong.append(FieldError("name", "name_required"))
    if name is not None and len(name.strip()) > MAX_NAME:
        wrong.append(FieldError("name", "name_too_long"))
    if type_ is not None and type_ not in DIRECTORY_TYPES:
        wrong.append(FieldError("type", "type_unknown"))
    if inactive is not None and inactive not in list(InactiveUsers):
        wrong.append(FieldError("inactive_users", "inactive_users_invalid"))
    if membership is not None and membership not in list(Membership):
        wrong.append(FieldError("membership", "membership_invalid"))
    if wrong:
        raise ValidationFailed(wrong)
    if type_ is not None and DIRECTORY_TYPES[type_] not in BUILT_METHODS:
        raise ValidationFailed(
            [FieldError("type", "type_unsupported")],
            "Directories of this type are pulled, and Syncline has no connector for it yet. Where people can "
            "be pushed by SCIM, choose a type that is.",
            code="type_unsupported",
        )


def _shown(
    connection: Connection, environment_id: str, directories: Sequence[Directory]
) -> list[wire.Directory]:
    """Return directories as the REST API shows them, with the counts of what they show."""
    counted = store.counts(connection, directories)
    domains = store.first_domains(connection, environment_id, directories)
    return [
        _body(directory, counted[directory.id], domains.get(directory.organization_id))
        for directory in directories
    ]


def _body(directory: Directory, counts: store.Counts, domain: str | None) -> wire.Directory:
    return wire.Directory(
        id=directory.id,
        organization_id=directory.organization_id,
        external_key=directory.external_key,
        type=directory.type,
        state=directory.state.value,
        name=directory.name,
        domain=UNSET if domain is None else domain,
        metadata=wire.DirectoryMetadata(
            users=wire.DirectoryUserCounts(active=counts.active, inactive=counts.inactive),
            groups=counts.groups,
        ),
        created_at=wire.iso(directory.created_at),
        updated_at=wire.iso(directory.updated_at),
    )
