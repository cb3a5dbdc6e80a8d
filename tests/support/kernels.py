"""A real kernel over a test database, and rows to start from."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, insert

from syncline.core.ids import Prefix, bare
from syncline.core.model import Directory, DirectoryId, DirectoryState, EnvironmentId, InactiveUsers
from syncline.net.dns import DnsClient
from syncline.net.http import OutboundClient
from syncline.net.policy import AddressPolicy
from syncline.obs.metrics import Metrics
from syncline.services.idsource import IdSource
from syncline.services.kernel import Kernel
from syncline.services.keyring import Keyring
from syncline.store import roles
from syncline.store import tables as t
from syncline.store.engine import open_database

BASE_URL = "https://syncline.example"


def system_clock() -> datetime:
    """The time now."""
    return datetime.now(UTC)


@asynccontextmanager
async def kernel(
    database_url: str,
    *,
    base_url: str = BASE_URL,
    clock: Callable[[], datetime] = system_clock,
    dns_server: str | None = None,
    outbound_allow: tuple[str, ...] = ("127.0.0.0/8", "::1/128"),
) -> AsyncIterator[Kernel]:
    """A kernel with real parts; outbound calls may reach loopback."""
    policy = AddressPolicy(outbound_allow)
    database = open_database(database_url)
    outbound = OutboundClient(policy)
    try:
        yield Kernel(
            database=database,
            clock=clock,
            random=os.urandom,
            ids=IdSource(clock, os.urandom),
            keyring=Keyring.from_secret("a key for tests that is long enough", ()),
            policy=policy,
            outbound=outbound,
            dns=DnsClient(dns_server),
            metrics=Metrics(),
            base_url=base_url,
        )
    finally:
        await outbound.close()
        await database.close()


@dataclass(frozen=True, slots=True)
class Seeded:
    """An environment, one of its organizations and one of that one's directories."""

    environment_id: EnvironmentId
    organization_id: str
    directory: Directory


async def seed(
    within: Kernel,
    *,
    inactive_users: InactiveUsers = InactiveUsers.DELETE,
    environment_id: str | None = None,
    state: DirectoryState = DirectoryState.LINKED,
    type_: str = "generic scim v2.0",
) -> Seeded:
    """Insert a directory with its organization, and its environment unless one is named."""
    now = within.clock()
    new = within.ids.new
    environment = EnvironmentId(environment_id or new(Prefix.ENVIRONMENT))
    organization = new(Prefix.ORGANIZATION)
    directory_id = DirectoryId(new(Prefix.DIRECTORY))
    directory = Directory(
        environment_id=environment,
        organization_id=organization,
        id=directory_id,
        external_key=bare(directory_id)[-12:].lower(),
        name="Northwind",
        type=type_,
        state=state,
        inactive_users=inactive_users,
        settings={},
        created_at=now,
        updated_at=now,
    )

    def work(connection: Connection) -> None:
        times = {"created_at": now, "updated_at": now}
        if environment_id is None:
            values = {
                "id": environment,
                "name": environment,
                "inactive_users": inactive_users,
                "settings": "{}",
            }
            connection.execute(insert(t.environments), values | times)
            roles.add_default(connection, environment, now)
        connection.execute(
            insert(t.organizations),
            {
                "environment_id": environment,
                "id": organization,
                "name": "Northwind",
                "name_key": "northwind",
                "allow_profiles_outside_organization": False,
                "metadata": "{}",
            }
            | times,
        )
        connection.execute(
            insert(t.directories),
            {
                "environment_id": environment,
                "organization_id": organization,
                "id": directory_id,
                "external_key": directory.external_key,
                "name": directory.name,
                "name_key": directory.name.lower(),
                "type": directory.type,
                "state": directory.state,
                "inactive_users": inactive_users,
                "settings": "{}",
            }
            | times,
        )

    await within.database.write(work)
    return Seeded(environment, organization, directory)
