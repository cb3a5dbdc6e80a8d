"""Organizations (`api.md` §2.5)."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.services.organizations import DomainData, OrganizationChanges, OrganizationFilter
from syncline.web.api.routing import PAGING, Answer, Call, Route, listed


class DomainInput(msgspec.Struct, frozen=True):
    """A domain to set: verified at the caller's word, or pending."""

    domain: str
    state: Literal["pending", "verified"]


class OrganizationInput(msgspec.Struct, frozen=True):
    """What may be said about an organization; what is left out stays as it is."""

    name: str | UnsetType = UNSET
    domain_data: list[DomainInput] | UnsetType = UNSET
    domains: list[str] | UnsetType = UNSET
    external_id: str | UnsetType | None = UNSET
    stripe_customer_id: str | UnsetType | None = UNSET
    metadata: dict[str, str | None] | UnsetType | None = UNSET
    allow_profiles_outside_organization: bool | UnsetType = UNSET


def _changes(given: OrganizationInput) -> OrganizationChanges:
    domains: list[DomainData] | UnsetType = UNSET
    if given.domain_data is not UNSET:
        domains = [DomainData(one.domain, one.state == "verified") for one in given.domain_data]
    elif given.domains is not UNSET:
        domains = [DomainData(name) for name in given.domains]
    return OrganizationChanges(
        name=given.name,
        domains=domains,
        external_id=given.external_id,
        stripe_customer_id=given.stripe_customer_id,
        metadata=given.metadata,
        allow_profiles_outside_organization=given.allow_profiles_outside_organization,
    )


async def _list(call: Call) -> Answer:
    wanted = OrganizationFilter(domains=call.texts("domains"), search=call.text("search"))
    return Answer(
        200, listed(await call.services.organizations.list(call.environment_id, wanted, call.page()))
    )


async def _create(call: Call) -> Answer:
    changes = _changes(call.read(OrganizationInput))
    return Answer(201, await call.services.organizations.create(call.environment_id, changes, call.cause))


async def _get(call: Call) -> Answer:
    return Answer(200, await call.services.organizations.get(call.environment_id, call.path["id"]))


async def _by_external_id(call: Call) -> Answer:
    found = await call.services.organizations.by_external_id(call.environment_id, call.path["external_id"])
    return Answer(200, found)


async def _update(call: Call) -> Answer:
    changes = _changes(call.read(OrganizationInput))
    organizations = call.services.organizations
    return Answer(200, await organizations.update(call.environment_id, call.path["id"], changes, call.cause))


async def _delete(call: Call) -> Answer:
    await call.services.organizations.delete(call.environment_id, call.path["id"], call.cause)
    return Answer(202)


ROUTES = (
    Route(
        "GET",
        "/organizations",
        _list,
        "List organizations",
        [wire.Organization],
        query=(*PAGING, "domains", "search"),
    ),
    Route(
        "POST",
        "/organizations",
        _create,
        "Create an organization",
        wire.Organization,
        201,
        takes=OrganizationInput,
    ),
    Route(
        "GET",
        "/organizations/external_id/{external_id}",
        _by_external_id,
        "Get an organization by its external id",
        wire.Organization,
    ),
    Route("GET", "/organizations/{id}", _get, "Get an organization", wire.Organization),
    Route(
        "PUT",
        "/organizations/{id}",
        _update,
        "Update an organization",
        wire.Organization,
        takes=OrganizationInput,
    ),
    Route("DELETE", "/organizations/{id}", _delete, "Delete an organization and its directories", status=202),
)
