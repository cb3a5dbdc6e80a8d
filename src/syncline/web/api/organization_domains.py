"""Organization domains (`api.md` §2.6)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from syncline.core import wire
from syncline.web.api.described import note
from syncline.web.api.routing import Answer, Call, Route


class OrganizationDomainInput(msgspec.Struct, frozen=True):
    """A domain to add to an organization."""

    organization_id: Annotated[str, note("The organization it belongs to.", "org_01KA0YPX7B9D1F3H5K7M9Q1S3T")]
    domain: Annotated[str, note("The domain name.", "northwind.example")]


async def _create(call: Call) -> Answer:
    given = call.read(OrganizationDomainInput)
    domains = call.services.domains
    return Answer(
        201, await domains.create(call.environment_id, given.organization_id, given.domain, call.cause)
    )


async def _get(call: Call) -> Answer:
    return Answer(200, await call.services.domains.get(call.environment_id, call.path["id"]))


async def _verify(call: Call) -> Answer:
    return Answer(201, await call.services.domains.verify(call.environment_id, call.path["id"], call.cause))


async def _delete(call: Call) -> Answer:
    await call.services.domains.delete(call.environment_id, call.path["id"], call.cause)
    return Answer(204)


ROUTES = (
    Route(
        "POST",
        "/organization_domains",
        _create,
        "Add a domain to an organization",
        wire.OrganizationDomain,
        201,
        takes=OrganizationDomainInput,
        about=(
            "The answer names the record to publish: a TXT record on the domain, or on "
            "`<verification_prefix>.<domain>`, with the value `<verification_prefix>=<verification_token>`. "
            "Emits `organization_domain.created`."
        ),
        refusals=((404, "entity_not_found"), (409, "domain_already_exists")),
    ),
    Route("GET", "/organization_domains/{id}", _get, "Get a domain", wire.OrganizationDomain),
    Route(
        "POST",
        "/organization_domains/{id}/verify",
        _verify,
        "Start the verification of a domain",
        wire.OrganizationDomain,
        201,
        about=(
            "The record is looked up at once and then again and again for 30 days; after that the state is "
            "`failed`, and this call starts anew."
        ),
        refusals=((400, "domain_already_verified"),),
    ),
    Route(
        "DELETE",
        "/organization_domains/{id}",
        _delete,
        "Remove a domain",
        status=204,
        about="Emits `organization_domain.deleted`.",
    ),
)
