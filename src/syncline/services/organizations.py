"""Organizations, the app's customers: created, changed and deleted with their domains and directories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.core.errors import BadRequest, FieldError, NotFound, ValidationFailed
from syncline.core.events import (
    DomainCreated,
    DomainDeleted,
    DomainUpdated,
    DomainVerified,
    Event,
    OrganizationCreated,
    OrganizationDeleted,
    OrganizationUpdated,
    draft,
)
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Cause, EventDraft
from syncline.core.paging import Page, PageRequest
from syncline.services.directories import remove_directories
from syncline.services.domains import checked_name, drafts_of, new_domain, shown, taken
from syncline.services.kernel import Kernel
from syncline.store import directories as directory_store
from syncline.store import log
from syncline.store import organizations as store
from syncline.store.database import Connection, UniqueViolation
from syncline.store.organizations import Domain, Organization
from syncline.store.organizations import OrganizationFilter as OrganizationFilter

MAX_NAME = 255
MAX_EXTERNAL_ID = 128
MAX_DOMAINS = 1_000
MAX_PAIRS, MAX_METADATA_KEY, MAX_METADATA_VALUE = 50, 40, 600
_KIND = "Organization"


@dataclass(frozen=True, slots=True)
class DomainData:
    """A domain as a caller gives it; `verified` at the caller's word."""

    domain: str
    verified: bool = False


_DomainChange = tuple[Sequence[Domain], Sequence[tuple[Event, Domain]]]


@dataclass(frozen=True, slots=True)
class OrganizationChanges:
    """What a caller says about an organization; `UNSET` leaves a thing as it is.

    `metadata` merges key by key, None deletes one; an empty or missing mapping (None) deletes all.
    """

    name: str | UnsetType = UNSET
    domains: Sequence[DomainData] | UnsetType = UNSET
    external_id: str | UnsetType | None = UNSET
    stripe_customer_id: str | UnsetType | None = UNSET
    metadata: Mapping[str, str | None] | UnsetType | None = UNSET
    allow_profiles_outside_organization: bool | UnsetType = UNSET


class Organizations:
    """The organizations of environments."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def create(
        self, environment_id: str, given: OrganizationChanges, cause: Cause
    ) -> wire.Organization:
        """Make an organization with its domains. Emits `organization.created`, then one event per domain.

        Raises `ValidationFailed`, `BadRequest` (`invalid_metadata`, `external_id_already_used`,
        `stripe_customer_id_already_used`) and `Conflict` for a domain that another organization has.
        """
        now = self._kernel.clock()
        blank = Organization(
            environment_id=environment_id,
            id=self._kernel.ids.new(Prefix.ORGANIZATION),
            name="",
            external_id=None,
            stripe_customer_id=None,
            allow_profiles_outside_organization=False,
            created_at=now,
            updated_at=now,
        )
        if given.name is UNSET:
            raise ValidationFailed([FieldError("name", "name_required")])
        made = applied(blank, given)
        wanted = _checked_domains(given)

        def work(connection: Connection) -> wire.Organization:
            self._refuse_taken_ids(connection, made)
            store.add(connection, made)
            domains, events = self._set_domains(connection, made, [], wanted)
            body = organization_body(made, domains)
            log.append(connection, [_draft(OrganizationCreated(body), made), *drafts_of(events)], cause)
            return body

        return await self._commit(environment_id, work)

    async def get(self, environment_id: str, organization_id: str) -> wire.Organization:
        """Return an organization. Raises `NotFound`."""

        def work(connection: Connection) -> wire.Organization:
            return _bodies(
                connection, environment_id, [_required(connection, environment_id, organization_id)]
            )[0]

        return await self._kernel.database.read(work)

    async def by_external_id(self, environment_id: str, external_id: str) -> wire.Organization:
        """Return the organization with an external id, compared exactly. Raises `NotFound`."""

        def work(connection: Connection) -> wire.Organization:
            found = None
            if len(external_id) <= MAX_EXTERNAL_ID and "\0" not in external_id:
                found = store.by_external_id(connection, environment_id, external_id)
            if found is None:
                raise NotFound(_KIND, external_id)
            return _bodies(connection, environment_id, [found])[0]

        return await self._kernel.database.read(work)

    async def list(
        self, environment_id: str, wanted: OrganizationFilter, page: PageRequest
    ) -> Page[wire.Organization]:
        """Return organizations. Raises `ValidationFailed` for a cursor that is no id of one."""
        page = page.of(Prefix.ORGANIZATION)
        wanted = replace(wanted, domains=tuple(name.strip().rstrip(".").lower() for name in wanted.domains))
        if any("\0" in text for text in (*wanted.domains, wanted.search or "")):
            return Page([])

        def work(connection: Connection) -> Page[wire.Organization]:
            found = page.read(
                lambda span: store.page(connection, environment_id, wanted, span), key=lambda one: one.id
            )
            return Page(_bodies(connection, environment_id, found.items), found.before, found.after)

        return await self._kernel.database.read(work)

    async def update(
        self, environment_id: str, organization_id: str, given: OrganizationChanges, cause: Cause
    ) -> wire.Organization:
        """Change an organization; domains that are given are its new full list.

        Emits events of the domains that changed, then `organization.updated`; nothing if nothing changed.
        Raises as `create` does, and `NotFound`.
        """
        wanted = _checked_domains(given)

        def work(connection: Connection) -> wire.Organization:
            before = _required(connection, environment_id, organization_id, lock=True)
            after = applied(before, given)
            held = store.domains_of(connection, environment_id, [before.id])[before.id]
            self._refuse_taken_ids(connection, after)
            change: _DomainChange = (held, ())
            if given.domains is not UNSET:
                change = self._set_domains(connection, after, held, wanted)
            domains, events = change
            if after == before and not events:
                return organization_body(before, held)
            after = replace(after, updated_at=self._kernel.clock())
            store.change(connection, after)
            body = organization_body(after, domains)
            log.append(connection, [*drafts_of(events), _draft(OrganizationUpdated(body), after)], cause)
            return body

        return await self._commit(environment_id, work)

    async def delete(self, environment_id: str, organization_id: str, cause: Cause) -> None:
        """Delete an organization and its directories: `dsync.deleted` for each, then `organization.deleted`.

        Raises `NotFound`.
        """

        def work(connection: Connection) -> None:
            gone = _required(connection, environment_id, organization_id, lock=True)
            held = store.domains_of(connection, environment_id, [gone.id])[gone.id]
            directories = directory_store.lock_of_organization(connection, environment_id, gone.id)
            remove_directories(self._kernel, connection, directories, cause)
            now = self._kernel.clock()
            store.remove(connection, gone, now)
            body = organization_body(replace(gone, updated_at=now), held)
            log.append(connection, [_draft(OrganizationDeleted(body), replace(gone, updated_at=now))], cause)

        await self._kernel.commit(environment_id, work)

    async def _commit(
        self, environment_id: str, work: Callable[[Connection], wire.Organization]
    ) -> wire.Organization:
        try:
            return await self._kernel.commit(environment_id, work)
        except UniqueViolation as error:
            text = str(error)
            if "domain" in text:
                raise taken("given") from None
            column = "stripe_customer_id" if "stripe" in text else "external_id"
            raise _used(column) from None

    @staticmethod
    def _refuse_taken_ids(connection: Connection, wanted: Organization) -> None:
        for column in ("external_id", "stripe_customer_id"):
            value = getattr(wanted, column)
            if value is None:
                continue
            holder = store.holder(connection, wanted.environment_id, column, value)
            if holder is not None and holder != wanted.id:
                raise _used(column)

    def _set_domains(
        self,
        connection: Connection,
        organization: Organization,
        held: Sequence[Domain],
        wanted: Mapping[str, bool],
    ) -> _DomainChange:
        environment_id = organization.environment_id
        owners = store.taken_domains(connection, environment_id, wanted)
        for name, owner in owners.items():
            if owner != organization.id:
                raise taken(name)
        now = self._kernel.clock()
        events: list[tuple[Event, Domain]] = []
        kept: list[Domain] = []
        for domain in held:
            if domain.domain not in wanted:
                store.remove_domain(connection, domain)
                gone = replace(domain, updated_at=now)
                events.append((DomainDeleted(shown(gone)), gone))
            elif wanted[domain.domain] and domain.state != "verified":
                proved = replace(
                    domain, state="verified", strategy="manual", next_check_at=None, updated_at=now
                )
                store.change_domain(connection, proved)
                events.append((DomainUpdated(shown(proved)), proved))
                events.append((DomainVerified(shown(proved)), proved))
                kept.append(proved)
            else:
                kept.append(domain)
        present = {domain.domain for domain in held}
        for name, verified in wanted.items():
            if name not in present:
                made = new_domain(self._kernel, environment_id, organization.id, name, verified=verified)
                store.add_domain(connection, made)
                events.append((DomainCreated(shown(made)), made))
                kept.append(made)
        return kept, events


def organization_body(organization: Organization, domains: Sequence[Domain]) -> wire.Organization:
    """Return an organization as the REST API and events show it."""
    return wire.Organization(
        id=organization.id,
        name=organization.name,
        allow_profiles_outside_organization=organization.allow_profiles_outside_organization,
        domains=[shown(domain) for domain in domains],
        metadata=organization.metadata,
        external_id=organization.external_id,
        stripe_customer_id=organization.stripe_customer_id or UNSET,
        created_at=wire.iso(organization.created_at),
        updated_at=wire.iso(organization.updated_at),
    )


def _bodies(
    connection: Connection, environment_id: str, found: Sequence[Organization]
) -> list[wire.Organization]:
    domains = store.domains_of(connection, environment_id, [one.id for one in found])
    return [organization_body(one, domains[one.id]) for one in found]


def _required(
    connection: Connection, environment_id: str, organization_id: str, *, lock: bool = False
) -> Organization:
    known = is_id(Prefix.ORGANIZATION, organization_id)
    found = store.get(connection, environment_id, organization_id, lock=lock) if known else None
    if found is None:
        raise NotFound(_KIND, organization_id)
    return found


def applied(before: Organization, given: OrganizationChanges) -> Organization:
    """Return an organization with changes, domains aside. Raises `ValidationFailed` and `BadRequest`."""
    wrong = []
    after = before
    if given.name is not UNSET:
        if not given.name.strip():
            wrong.append(FieldError("name", "name_required"))
        elif len(given.name) > MAX_NAME:
            wrong.append(FieldError("name", "name_too_long"))
        after = replace(after, name=given.name)
    for column in ("external_id", "stripe_customer_id"):
        value = getattr(given, column)
        if value is UNSET:
            continue
        if value is not None and (not 0 < len(value) <= MAX_EXTERNAL_ID or not _is_plain(value)):
            wrong.append(FieldError(column, f"{column}_invalid"))
        after = replace(after, **{column: value})
    if given.allow_profiles_outside_organization is not UNSET:
        after = replace(after, allow_profiles_outside_organization=given.allow_profiles_outside_organization)
    if wrong:
        raise ValidationFailed(wrong)
    if given.metadata is not UNSET:
        after = replace(after, metadata=_merged(before.metadata, given.metadata))
    return after


def _merged(before: Mapping[str, str], given: Mapping[str, str | None] | None) -> dict[str, str]:
    if not given:
        return {}
    merged = {**before, **given}
    kept = {key: value for key, value in merged.items() if value is not None}
    fits = len(kept) <= MAX_PAIRS and all(
        0 < len(key) <= MAX_METADATA_KEY
        and len(value) <= MAX_METADATA_VALUE
        and _is_plain(key)
        and (not value or _is_plain(value))
        for key, value in kept.items()
    )
    if not fits:
        raise BadRequest(
            f"Metadata takes up to {MAX_PAIRS} pairs of ASCII text: keys of up to {MAX_METADATA_KEY} and "
            f"values of up to {MAX_METADATA_VALUE} characters.",
            code="invalid_metadata",
        )
    return kept


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _checked_domains(given: OrganizationChanges) -> dict[str, bool]:
    """Return the wanted domains and whether each is verified, in order. Raises `ValidationFailed`."""
    if given.domains is UNSET:
        return {}
    if len(given.domains) > MAX_DOMAINS:
        raise ValidationFailed([FieldError("domain_data", "domain_data_invalid")])
    return {checked_name(one.domain): one.verified for one in given.domains}


def _used(column: str) -> BadRequest:
    return BadRequest(f"Another organization has this {column}.", code=f"{column}_already_used")


def _draft(event: Event, about: Organization) -> EventDraft:
    return draft(
        event,
        environment_id=about.environment_id,
        organization_id=about.id,
        recorded_at=about.updated_at,
    )
