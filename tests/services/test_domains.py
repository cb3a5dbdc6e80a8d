"""Domains are proved by a record that a real name server answers, and by nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from syncline.core.errors import BadRequest, Conflict, NotFound, ValidationFailed
from syncline.core.model import Cause
from syncline.services.container import Services
from syncline.services.organizations import DomainData, OrganizationChanges
from syncline.store import log
from tests.support.dns_server import DnsServer, dns_server
from tests.support.kernels import kernel, system_clock

CAUSE = Cause("request_test")


@dataclass(slots=True)
class Clock:
    """The time, which a test may move on."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


@dataclass(frozen=True, slots=True)
class World:
    """An environment with two organizations, a name server, and a clock that moves."""

    services: Services
    names: DnsServer
    clock: Clock
    environment_id: str
    organization_id: str
    other_id: str

    async def events(self) -> list[tuple[str, str]]:
        await self.services.sealer.seal_now(self.environment_id)
        rows = await self.services.kernel.database.read(
            lambda connection: log.read(connection, self.environment_id, log.LogFilter(), 1000)
        )
        found = []
        for row in rows:
            data = json.loads(row.body)
            state = data.get("state") or data.get("organization_domain", {}).get("state", "")
            found.append((row.type, state))
        return [entry for entry in found if entry[0].startswith("organization_domain")]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    clock = Clock()
    async with dns_server() as names, kernel(database_url, clock=clock, dns_server=names.address) as parts:
        services = Services(parts)
        environment = await services.environments.create("domains")
        made = [
            await services.organizations.create(environment.id, OrganizationChanges(name=name), CAUSE)
            for name in ("Northwind", "Fabrikam")
        ]
        yield World(services, names, clock, environment.id, made[0].id, made[1].id)


async def test_the_record_verifies_the_domain(world: World) -> None:
    domains = world.services.domains
    made = await domains.create(world.environment_id, world.organization_id, "Northwind.Example.", CAUSE)
    assert made.domain == "northwind.example"
    assert await domains.check_due() == 1
    assert (await domains.get(world.environment_id, made.id)).state == "pending"
    assert await domains.check_due() == 0
    world.names.records["northwind.example"] = [
        "v=spf1 -all",
        f"{made.verification_prefix}={made.verification_token}",
    ]
    assert (await domains.verify(world.environment_id, made.id, CAUSE)).state == "pending"
    assert await domains.check_due() == 1
    assert (await domains.get(world.environment_id, made.id)).state == "verified"
    assert await world.events() == [
        ("organization_domain.created", "pending"),
        ("organization_domain.verified", "verified"),
    ]
    with pytest.raises(BadRequest) as refused:
        await domains.verify(world.environment_id, made.id, CAUSE)
    assert refused.value.code == "domain_already_verified"


async def test_the_record_may_stand_below_the_prefix(world: World) -> None:
    made = await world.services.domains.create(
        world.environment_id, world.organization_id, "a.example", CAUSE
    )
    name = f"{made.verification_prefix}.a.example"
    world.names.records[name] = [f"verification_token={made.verification_token}"]
    await world.services.domains.check_due()
    assert (await world.services.domains.get(world.environment_id, made.id)).state == "verified"


async def test_a_wrong_record_fails_after_thirty_days_and_can_be_tried_again(world: World) -> None:
    domains = world.services.domains
    made = await domains.create(world.environment_id, world.organization_id, "a.example", CAUSE)
    world.names.records["a.example"] = [f"{made.verification_prefix}=wrong"]
    await domains.check_due()
    world.clock.ahead = timedelta(days=31)
    await domains.check_due()
    assert (await domains.get(world.environment_id, made.id)).state == "failed"
    assert (await domains.verify(world.environment_id, made.id, CAUSE)).state == "pending"
    world.names.records["a.example"] = [f"{made.verification_prefix}={made.verification_token}"]
    await domains.check_due()
    assert [name for name, _ in await world.events()] == [
        "organization_domain.created",
        "organization_domain.verification_failed",
        "organization_domain.updated",
        "organization_domain.verified",
    ]


async def test_a_domain_belongs_to_one_organization(world: World) -> None:
    domains, environment = world.services.domains, world.environment_id
    made = await domains.create(environment, world.organization_id, "a.example", CAUSE)
    with pytest.raises(Conflict):
        await domains.create(environment, world.other_id, "A.example", CAUSE)
    changes = OrganizationChanges(domains=[DomainData("a.example")])
    with pytest.raises(Conflict):
        await world.services.organizations.update(environment, world.other_id, changes, CAUSE)
    await domains.delete(environment, made.id, CAUSE)
    assert (
        await domains.create(environment, world.other_id, "a.example", CAUSE)
    ).organization_id == world.other_id
    with pytest.raises(NotFound):
        await domains.get(environment, made.id)


@pytest.mark.parametrize(
    "name", ["", "localhost", "a b.example", "-a.example", "a..example", "x" * 300, "1.2.3.4"]
)
async def test_what_is_no_domain_is_refused(world: World, name: str) -> None:
    with pytest.raises(ValidationFailed):
        await world.services.domains.create(world.environment_id, world.organization_id, name, CAUSE)
    assert await world.events() == []


async def test_an_organizations_domains_are_set_as_a_list(world: World) -> None:
    organizations, environment = world.services.organizations, world.environment_id

    async def set_domains(*names: tuple[str, bool]) -> list[tuple[str, str]]:
        changes = OrganizationChanges(domains=[DomainData(name, verified) for name, verified in names])
        changed = await organizations.update(environment, world.organization_id, changes, CAUSE)
        return [(domain.domain, domain.state) for domain in changed.domains]

    assert await set_domains(("a.example", False), ("b.example", True)) == [
        ("a.example", "pending"),
        ("b.example", "verified"),
    ]
    assert await set_domains(("a.example", True)) == [("a.example", "verified")]
    before = len(await world.events())
    assert await set_domains(("a.example", True)) == [("a.example", "verified")]
    assert len(await world.events()) == before
    assert sorted(name.rpartition(".")[2] for name, _ in await world.events()) == [
        "created",
        "created",
        "deleted",
        "updated",
        "verified",
    ]
