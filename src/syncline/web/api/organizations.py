"""Organizations (`api.md` §2.5)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from syncline.core import wire
from syncline.services.organizations import (
    MAX_NAME,
    MAX_PAIRS,
    DomainData,
    OrganizationChanges,
    OrganizationFilter,
)
from syncline.web.api.described import PAGING, Parameter, note, texts
from syncline.web.api.routing import Answer, Call, Route, listed


class DomainInput(msgspec.Struct, frozen=True):
    """A domain to set: verified at the caller's word, or pending."""

    domain: Annotated[str, note("The domain name.", "northwind.example")]
    state: Annotated[
        Literal["pending", "verified"],
        note("`verified` takes your word for it, `pending` asks for a DNS record.", "pending"),
    ]


_NAME = note("Its name; it need not be unique.", "Northwind", maxLength=MAX_NAME)


class OrganizationInput(msgspec.Struct, frozen=True, kw_only=True):
    """What may be changed about an organization; what is left out stays as it is."""

    name: Annotated[str | UnsetType, _NAME] = UNSET
    domain_data: Annotated[
        list[DomainInput] | UnsetType,
        note("Its domains: the new full list.", [{"domain": "northwind.example", "state": "pending"}]),
    ] = UNSET
    domains: Annotated[
        list[str] | UnsetType, note("Its domains, all of them pending; prefer `domain_data`.")
    ] = UNSET
    external_id: Annotated[
        str | UnsetType | None,
        note("Your own id of the customer, unique in the environment; null clears it.", "cust-42"),
    ] = UNSET
    stripe_customer_id: Annotated[
        str | UnsetType | None, note("Its id at Stripe, kept for you; null clears it.")
    ] = UNSET
    metadata: Annotated[
        dict[str, str | None] | UnsetType | None,
        note(
            f"Up to {MAX_PAIRS} pairs of ASCII text, merged by key: null deletes one, `{{}}` deletes all.",
            {"plan": "gold"},
        ),
    ] = UNSET
    allow_profiles_outside_organization: Annotated[
        bool | UnsetType, note("Kept and returned for clients that send it; it has no effect.")
    ] = UNSET


class NewOrganizationInput(OrganizationInput, frozen=True, kw_only=True):
    """An organization to make."""

    name: Annotated[str, _NAME]


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
    changes = _changes(call.read(NewOrganizationInput))
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
        query=(
            *PAGING,
            texts("domains", "Only organizations that have one of these domains."),
            Parameter("search", "Only organizations whose name contains this text, in any letter case."),
        ),
    ),
    Route(
        "POST",
        "/organizations",
        _create,
        "Create an organization",
        wire.Organization,
        201,
        takes=NewOrganizationInput,
        about="Emits `organization.created`, then `organization_domain.created` for each domain.",
        refusals=(
            (400, "invalid_metadata"),
            (400, "external_id_already_used"),
            (400, "stripe_customer_id_already_used"),
            (409, "domain_already_exists"),
        ),
    ),
    Route(
        "GET",
        "/organizations/external_id/{external_id}",
        _by_external_id,
        "Get an organization by its external id",
        wire.Organization,
        about="The external id is compared exactly.",
    ),
    Route("GET", "/organizations/{id}", _get, "Get an organization", wire.Organization),
    Route(
        "PUT",
        "/organizations/{id}",
        _update,
        "Update an organization",
        wire.Organization,
        takes=OrganizationInput,
        about=(
            "Only what is in the body changes. Emits events of the domains that changed, then "
            "`organization.updated`; nothing if nothing changed."
        ),
        refusals=(
            (400, "invalid_metadata"),
            (400, "external_id_already_used"),
            (400, "stripe_customer_id_already_used"),
            (409, "domain_already_exists"),
        ),
    ),
    Route(
        "DELETE",
        "/organizations/{id}",
        _delete,
        "Delete an organization and its directories",
        status=202,
        about="Emits `dsync.deleted` for each directory, then `organization.deleted`.",
    ),
)
