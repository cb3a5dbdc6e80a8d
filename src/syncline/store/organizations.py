"""Organizations and their domains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, func, insert, select, update

from syncline.core.paging import Span
from syncline.core.text import fold
from syncline.store import tables as t
from syncline.store.jsontext import dump, load
from syncline.store.spans import within
from syncline.store.types import among

_organizations, _domains = t.organizations.c, t.organization_domains.c


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of an organization."""

    environment_id: str
    organization_id: str
    id: str
    domain: str
    state: str
    strategy: str
    prefix: str | None
    token: str | None
    started_at: datetime | None
    next_check_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization without its domains."""

    environment_id: str
    id: str
    name: str
    external_id: str | None
    stripe_customer_id: str | None
    allow_profiles_outside_organization: bool
    metadata: dict[str, str] = field(default_factory=dict)
    created_at: datetime = field(kw_only=True)
    updated_at: datetime = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class OrganizationFilter:
    """What a list of organizations is narrowed to."""

    domains: tuple[str, ...] = ()
    search: str | None = None


def add(connection: Connection, organization: Organization) -> None:
    """Insert an organization; a taken external id raises the unique violation."""
    connection.execute(insert(t.organizations), _values(organization))


def change(connection: Connection, organization: Organization) -> None:
    """Write every changeable column."""
    connection.execute(_mine(update(t.organizations), organization).values(_values(organization)))


def remove(connection: Connection, organization: Organization, at: datetime) -> None:
    """Mark an organization as deleted and remove its domains and its own roles."""
    connection.execute(_mine(update(t.organizations), organization).values(deleted_at=at, updated_at=at))
    connection.execute(
        delete(t.organization_domains).where(
            _domains.environment_id == organization.environment_id,
            _domains.organization_id == organization.id,
        )
    )
    roles = t.roles.c
    connection.execute(
        delete(t.roles).where(
            roles.environment_id == organization.environment_id, roles.organization_id == organization.id
        )
    )


def get(
    connection: Connection, environment_id: str, organization_id: str, *, lock: bool = False
) -> Organization | None:
    """Return a live organization."""
    return _one(connection, _live(environment_id).where(_organizations.id == organization_id), lock)


def by_external_id(connection: Connection, environment_id: str, external_id: str) -> Organization | None:
    """Return the live organization with that external id."""
    return _one(connection, _live(environment_id).where(_organizations.external_id == external_id), False)


def holder(connection: Connection, environment_id: str, column: str, value: str) -> str | None:
    """Return the live organization that holds a value of `external_id` or `stripe_customer_id`."""
    found: str | None = connection.execute(
        select(_organizations.id).where(
            _organizations.environment_id == environment_id,
            t.organizations.c[column] == value,
            _organizations.deleted_at.is_(None),
        )
    ).scalar_one_or_none()
    return found


def page(
    connection: Connection, environment_id: str, wanted: OrganizationFilter, span: Span
) -> list[Organization]:
    """Return live organizations."""
    statement = _live(environment_id)
    asked: dict[str, Any] = {}
    if wanted.domains:
        asked["domains"] = list(wanted.domains)
        statement = statement.where(
            exists().where(
                _domains.environment_id == environment_id,
                _domains.organization_id == _organizations.id,
                among(_domains.domain, "domains"),
            )
        )
    if wanted.search:
        position = func.strpos if connection.dialect.name == "postgresql" else func.instr
        statement = statement.where(position(_organizations.name_key, fold(wanted.search)) > 0)
    rows = connection.execute(within(statement, _organizations.id, span), asked)
    return [_organization(row) for row in rows]


def domains_of(
    connection: Connection, environment_id: str, organization_ids: Sequence[str]
) -> dict[str, list[Domain]]:
    """Return the domains of organizations, oldest first."""
    found: dict[str, list[Domain]] = {id_: [] for id_ in organization_ids}
    statement = (
        select(t.organization_domains)
        .where(_domains.environment_id == environment_id, among(_domains.organization_id, "ids"))
        .order_by(_domains.id)
    )
    for row in connection.execute(statement, {"ids": list(organization_ids)}):
        found[row.organization_id].append(_domain(row))
    return found


def taken_domains(connection: Connection, environment_id: str, names: Iterable[str]) -> dict[str, str]:
    """Return which of these domains belong to an organization, and to which."""
    statement = select(_domains.domain, _domains.organization_id).where(
        _domains.environment_id == environment_id, among(_domains.domain, "names")
    )
    return {row.domain: row.organization_id for row in connection.execute(statement, {"names": list(names)})}


def domain(
    connection: Connection, environment_id: str, domain_id: str, *, lock: bool = False
) -> Domain | None:
    """Return a domain of the environment."""
    statement = select(t.organization_domains).where(
        _domains.environment_id == environment_id, _domains.id == domain_id
    )
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else _domain(row)


def due_domains(connection: Connection, now: datetime, limit: int) -> list[Domain]:
    """Return pending domains of all environments whose next check is due."""
    statement = (
        select(t.organization_domains)
        .where(_domains.next_check_at <= now, _domains.state == "pending")
        .order_by(_domains.next_check_at)
        .limit(limit)
    )
    return [_domain(row) for row in connection.execute(statement)]


def add_domain(connection: Connection, new: Domain) -> None:
    """Insert a domain; one that is taken in the environment raises the unique violation."""
    connection.execute(insert(t.organization_domains), _domain_values(new))


def change_domain(connection: Connection, changed: Domain) -> None:
    """Write every column of a domain."""
    connection.execute(
        update(t.organization_domains)
        .where(_domains.environment_id == changed.environment_id, _domains.id == changed.id)
        .values(_domain_values(changed))
    )


def remove_domain(connection: Connection, gone: Domain) -> None:
    """Remove a domain."""
    connection.execute(
        delete(t.organization_domains).where(
            _domains.environment_id == gone.environment_id, _domains.id == gone.id
        )
    )


def _live(environment_id: str) -> Select[Any]:
    return select(t.organizations).where(
        _organizations.environment_id == environment_id, _organizations.deleted_at.is_(None)
    )


def _one(connection: Connection, statement: Select[Any], lock: bool) -> Organization | None:
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else _organization(row)


def _mine(statement: Any, organization: Organization) -> Any:
    return statement.where(
        _organizations.environment_id == organization.environment_id, _organizations.id == organization.id
    )


def _values(organization: Organization) -> dict[str, Any]:
    return {
        "environment_id": organization.environment_id,
        "id": organization.id,
        "name": organization.name,
        "name_key": fold(organization.name),
        "external_id": organization.external_id,
        "stripe_customer_id": organization.stripe_customer_id,
        "allow_profiles_outside_organization": organization.allow_profiles_outside_organization,
        "metadata": dump(dict(organization.metadata)),
        "created_at": organization.created_at,
        "updated_at": organization.updated_at,
    }


def _organization(row: Any) -> Organization:
    return Organization(
        environment_id=row.environment_id,
        id=row.id,
        name=row.name,
        external_id=row.external_id,
        stripe_customer_id=row.stripe_customer_id,
        allow_profiles_outside_organization=row.allow_profiles_outside_organization,
        metadata={key: str(value) for key, value in load(row.metadata).items()},
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _domain_values(found: Domain) -> dict[str, Any]:
    return {
        "environment_id": found.environment_id,
        "organization_id": found.organization_id,
        "id": found.id,
        "domain": found.domain,
        "state": found.state,
        "verification_strategy": found.strategy,
        "verification_prefix": found.prefix,
        "verification_token": found.token,
        "verification_started_at": found.started_at,
        "next_check_at": found.next_check_at,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
    }


def _domain(row: Any) -> Domain:
    return Domain(
        environment_id=row.environment_id,
        organization_id=row.organization_id,
        id=row.id,
        domain=row.domain,
        state=row.state,
        strategy=row.verification_strategy,
        prefix=row.verification_prefix,
        token=row.verification_token,
        started_at=row.verification_started_at,
        next_check_at=row.next_check_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
