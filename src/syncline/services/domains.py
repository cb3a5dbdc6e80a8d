"""Domains of organizations, and the DNS record that proves who owns them."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, cast

from msgspec import UNSET

from syncline.core import wire
from syncline.core.errors import BadRequest, Conflict, FieldError, NotFound, ValidationFailed
from syncline.core.events import (
    DomainCreated,
    DomainDeleted,
    DomainUpdated,
    DomainVerificationFailed,
    DomainVerified,
    Event,
    draft,
)
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Cause, EventDraft
from syncline.net.dns import DnsFailure
from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.store import log
from syncline.store import organizations as store
from syncline.store.database import Connection, UniqueViolation
from syncline.store.organizations import Domain

VERIFICATION_PERIOD = timedelta(days=30)
MAX_NAME = 253
_CHECKED_AT_ONCE = 50
_NAME = re.compile(r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_KIND = "Organization Domain"
_logger = get_logger(__name__)


class Domains:
    """Adds, verifies and removes the domains of organizations."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def create(
        self, environment_id: str, organization_id: str, name: str, cause: Cause
    ) -> wire.OrganizationDomain:
        """Add a domain that is to be proved by DNS. Emits `organization_domain.created`.

        Raises `NotFound` for the organization, `ValidationFailed`, and `Conflict` (`domain_already_exists`).
        """
        name = checked_name(name)
        made = new_domain(self._kernel, environment_id, organization_id, name, verified=False)

        def work(connection: Connection) -> None:
            known = is_id(Prefix.ORGANIZATION, organization_id) and store.get(
                connection, environment_id, organization_id, lock=True
            )
            if not known:
                raise NotFound("Organization", organization_id)
            if store.taken_domains(connection, environment_id, [name]):
                raise taken(name)
            store.add_domain(connection, made)
            log.append(connection, [domain_draft(DomainCreated(shown(made)), made)], cause)

        try:
            await self._kernel.commit(environment_id, work)
        except UniqueViolation:
            raise taken(name) from None
        return shown(made)

    async def get(self, environment_id: str, domain_id: str) -> wire.OrganizationDomain:
        """Return a domain. Raises `NotFound`."""
        return shown(
            await self._kernel.database.read(
                lambda connection: _required(connection, environment_id, domain_id)
            )
        )

    async def verify(self, environment_id: str, domain_id: str, cause: Cause) -> wire.OrganizationDomain:
        """Start the verification, again if it has failed; the next check is due at once.

        Emits `organization_domain.updated` if the state changes. Raises `NotFound`, and `BadRequest`
        (`domain_already_verified`).
        """
        now = self._kernel.clock()

        def work(connection: Connection) -> Domain:
            before = _required(connection, environment_id, domain_id, lock=True)
            if before.state == "verified":
                raise BadRequest("The domain is verified already.", code="domain_already_verified")
            started = now if before.state == "failed" or before.started_at is None else before.started_at
            after = replace(before, state="pending", started_at=started, next_check_at=now)
            drafts = []
            if before.state != after.state:
                after = replace(after, updated_at=now)
                drafts.append(domain_draft(DomainUpdated(shown(after)), after))
            store.change_domain(connection, after)
            log.append(connection, drafts, cause)
            return after

        return shown(await self._kernel.commit(environment_id, work))

    async def delete(self, environment_id: str, domain_id: str, cause: Cause) -> None:
        """Remove a domain. Emits `organization_domain.deleted`. Raises `NotFound`."""

        def work(connection: Connection) -> None:
            gone = _required(connection, environment_id, domain_id, lock=True)
            store.remove_domain(connection, gone)
            log.append(connection, [domain_draft(DomainDeleted(shown(gone)), gone)], cause)

        await self._kernel.commit(environment_id, work)

    async def check_due(self) -> int:
        """Look up the records of domains whose check is due, and return how many were looked at."""
        now = self._kernel.clock()
        due = await self._kernel.database.read(
            lambda connection: store.due_domains(connection, now, _CHECKED_AT_ONCE)
        )
        for pending in due:
            proved = await self._is_proved(pending)
            await self._settle(pending, proved)
        return len(due)

    async def _is_proved(self, pending: Domain) -> bool | None:
        """Tell whether the record is there; None if nobody could say."""
        names = [pending.domain, *([f"{pending.prefix}.{pending.domain}"] if pending.prefix else [])]
        accepted = {
            f"{prefix}={pending.token}" for prefix in (pending.prefix, "verification_token") if prefix
        }
        answered = False
        for name in names:
            try:
                found = await self._kernel.dns.txt(name)
            except DnsFailure as failure:
                _logger.info("domain.lookup_failed", domain_id=pending.id, error=str(failure))
                continue
            answered = True
            if accepted & {text.strip() for text in found}:
                return True
        return False if answered else None

    async def _settle(self, pending: Domain, proved: bool | None) -> None:
        now = self._kernel.clock()
        cause = Cause(self._kernel.ids.new(Prefix.REQUEST))

        def work(connection: Connection) -> None:
            before = store.domain(connection, pending.environment_id, pending.id, lock=True)
            if before is None or before.state != "pending" or before.token != pending.token:
                return
            after, event = _settled(before, proved, now)
            store.change_domain(connection, after)
            if event is not None:
                log.append(connection, [domain_draft(event, after)], cause)

        await self._kernel.commit(pending.environment_id, work)


def _settled(before: Domain, proved: bool | None, now: datetime) -> tuple[Domain, Event | None]:
    if proved:
        after = replace(before, state="verified", next_check_at=None, updated_at=now)
        return after, DomainVerified(shown(after))
    age = now - (before.started_at or before.created_at)
    if proved is False and age > VERIFICATION_PERIOD:
        after = replace(before, state="failed", next_check_at=None, updated_at=now)
        return after, DomainVerificationFailed("domain_verification_period_expired", shown(after))
    step = timedelta(seconds=30) if age < timedelta(hours=1) else min(age / 10, timedelta(hours=1))
    return replace(before, next_check_at=now + step), None


def new_domain(
    kernel: Kernel, environment_id: str, organization_id: str, name: str, *, verified: bool
) -> Domain:
    """Return a domain to add: verified at an operator's word, or pending with a record to publish."""
    now = kernel.clock()
    return Domain(
        environment_id=environment_id,
        organization_id=organization_id,
        id=kernel.ids.new(Prefix.ORGANIZATION_DOMAIN),
        domain=name,
        state="verified" if verified else "pending",
        strategy="manual" if verified else "dns",
        prefix=None if verified else f"syncline-{base64.b32encode(kernel.random(5)).decode().lower()}",
        token=None if verified else base64.urlsafe_b64encode(kernel.random(18)).decode(),
        started_at=None if verified else now,
        next_check_at=None if verified else now,
        created_at=now,
        updated_at=now,
    )


def checked_name(name: str) -> str:
    """Return a domain name in lower case. Raises `ValidationFailed` for what is none."""
    text = name.strip().rstrip(".").lower()
    if len(text) > MAX_NAME:
        text = ""
    try:
        text = text.encode("idna").decode() if not text.isascii() else text
    except UnicodeError:
        text = ""
    if _NAME.fullmatch(text) is None:
        raise ValidationFailed([FieldError("domain", "domain_invalid")])
    return text


def taken(name: str) -> Conflict:
    """Return the refusal of a domain that an organization of the environment has."""
    return Conflict(f"The domain '{name}' belongs to an organization already.", code="domain_already_exists")


def shown(found: Domain) -> wire.OrganizationDomain:
    """Return a domain as the REST API and events show it."""
    return wire.OrganizationDomain(
        id=found.id,
        organization_id=found.organization_id,
        domain=found.domain,
        state=cast(Literal["pending", "verified", "failed"], found.state),
        verification_strategy=cast(Literal["dns", "manual"], found.strategy),
        verification_token=found.token or UNSET,
        verification_prefix=found.prefix or UNSET,
        created_at=wire.iso(found.created_at),
        updated_at=wire.iso(found.updated_at),
    )


def domain_draft(event: Event, about: Domain) -> EventDraft:
    """Return the inbox form of an event about a domain."""
    return draft(
        event,
        environment_id=about.environment_id,
        organization_id=about.organization_id,
        recorded_at=about.updated_at,
    )


def drafts_of(events: Sequence[tuple[Event, Domain]]) -> list[EventDraft]:
    """Return the inbox forms of events about domains, in order."""
    return [domain_draft(event, about) for event, about in events]


def _required(connection: Connection, environment_id: str, domain_id: str, *, lock: bool = False) -> Domain:
    known = is_id(Prefix.ORGANIZATION_DOMAIN, domain_id)
    found = store.domain(connection, environment_id, domain_id, lock=lock) if known else None
    if found is None:
        raise NotFound(_KIND, domain_id)
    return found
