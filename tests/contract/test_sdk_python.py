"""The official Python SDK, unmodified: only the address and the key are ours."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook
from workos import WorkOSClient
from workos._errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    UnprocessableEntityError,
)
from workos.common.models import DsyncUserCreated, OrganizationDomainDataState
from workos.organizations.models import OrganizationDomainData

from syncline.testing.sink import WebhookSink
from tests.support.live import Live, Tenant, eventually


@dataclass(frozen=True, slots=True)
class World:
    """A running service, a tenant with three people and two groups, and the SDK."""

    live: Live
    tenant: Tenant
    client: WorkOSClient

    def scim(self, method: str, path: str, body: object = None) -> dict[str, object]:
        answer = httpx.request(
            method,
            f"{self.live.url}/scim/v2/{self.tenant.directory_key}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.tenant.scim_token}"},
        )
        assert answer.is_success, answer.text
        found: dict[str, object] = answer.json() if answer.content else {}
        return found


def sdk(live: Live, key: str) -> WorkOSClient:
    return WorkOSClient(api_key=key, client_id="client_any", base_url=live.url)


_NUMBERS = count(1)


@pytest.fixture
def world(shared_live: Live) -> World:
    tenant = shared_live.tenant(f"sdk {next(_NUMBERS)}")
    made = World(shared_live, tenant, sdk(shared_live, tenant.api_key))
    people = [
        made.scim("POST", "/Users", {"userName": f"user{n}@northwind.example", "externalId": f"E{n}"})
        for n in range(3)
    ]
    for name in ("Dispatch", "Planning"):
        made.scim("POST", "/Groups", {"displayName": name, "members": [{"value": people[0]["id"]}]})
    return made


def seen(events: Iterable[Any]) -> list[Any]:
    """Events, none of which the SDK may fail to know."""
    found = list(events)
    assert not [event for event in found if type(event).__name__ == "EventSchemaUnknown"]
    return found


def test_organizations(world: World) -> None:
    organizations = world.client.organizations
    made = organizations.create_organization(
        name="Fabrikam",
        domain_data=[
            OrganizationDomainData(domain="fabrikam.example", state=OrganizationDomainDataState.PENDING)
        ],
        metadata={"plan": "gold"},
        external_id="cust-42",
    )
    assert made.domains[0].domain == "fabrikam.example"
    assert organizations.get_organization(made.id).metadata == {"plan": "gold"}
    assert organizations.get_organization_by_external_id("cust-42").id == made.id
    changed = organizations.update_organization(made.id, name="Fabrikam Inc", metadata={"tier": "1"})
    assert (changed.name, changed.metadata) == ("Fabrikam Inc", {"plan": "gold", "tier": "1"})
    assert [one.id for one in organizations.list_organizations(domains=["fabrikam.example"]).data] == [
        made.id
    ]
    assert [one.id for one in organizations.list_organizations(search="FABRI").data] == [made.id]
    with pytest.raises(BadRequestError):
        organizations.create_organization(name="Other", external_id="cust-42")
    with pytest.raises(ConflictError):
        organizations.create_organization(
            name="Other",
            domain_data=[
                OrganizationDomainData(domain="Fabrikam.example", state=OrganizationDomainDataState.VERIFIED)
            ],
        )
    organizations.delete_organization(made.id)
    with pytest.raises(NotFoundError):
        organizations.get_organization(made.id)


def test_a_walk_over_many_pages_sees_everything_once(world: World) -> None:
    organizations = world.client.organizations
    made = {organizations.create_organization(name=f"Customer {n}").id for n in range(23)}
    made.add(world.tenant.organization_id)
    walked = [one.id for one in organizations.list_organizations(limit=5).auto_paging_iter()]
    assert len(walked) == 24
    assert set(walked) == made
    ascending = [one.id for one in organizations.list_organizations(limit=7, order="asc").auto_paging_iter()]
    assert ascending == walked[::-1]


def test_organization_domains(world: World) -> None:
    domains = world.client.organization_domains
    made = domains.create_organization_domain(
        domain="northwind.example", organization_id=world.tenant.organization_id
    )
    assert made.state == "pending"
    assert made.verification_token
    assert domains.get_organization_domain(made.id).domain == "northwind.example"
    assert domains.verify_organization_domain(made.id).id == made.id
    with pytest.raises(ConflictError):
        domains.create_organization_domain(
            domain="northwind.example", organization_id=world.tenant.organization_id
        )
    domains.delete_organization_domain(made.id)
    with pytest.raises(NotFoundError):
        domains.get_organization_domain(made.id)


def test_directories_users_and_groups(world: World) -> None:
    sync, tenant = world.client.directory_sync, world.tenant
    [directory] = sync.list_directories(organization_id=tenant.organization_id).data
    assert (directory.id, directory.state) == (tenant.directory_id, "linked")
    assert sync.get_directory(directory.id).name == "Northwind"
    users = list(sync.list_users(directory=directory.id, limit=1).auto_paging_iter())
    assert sorted(str(user.email) for user in users) == [f"user{n}@northwind.example" for n in range(3)]
    groups = list(sync.list_groups(directory=directory.id, limit=1).auto_paging_iter())
    assert sorted(group.name for group in groups) == ["Dispatch", "Planning"]
    [member] = sync.list_users(group=groups[0].id).data
    assert member.email == "user0@northwind.example"
    assert sorted(group.name for group in sync.get_user(member.id).groups or []) == ["Dispatch", "Planning"]
    assert len(sync.list_groups(user=member.id).data) == 2
    assert sync.get_group(groups[0].id).name == groups[0].name
    [found] = sync.list_users(directory=directory.id, email="USER1@northwind.example").data
    assert found.idp_id == "E1"
    with pytest.raises(UnprocessableEntityError):
        sync.list_users(email="user1@northwind.example")
    with pytest.raises(UnprocessableEntityError):
        sync.create_directory_sync(directory.id)
    sync.delete_directory(directory.id)
    with pytest.raises(NotFoundError):
        sync.get_directory(directory.id)
    with pytest.raises(NotFoundError):
        sync.get_user(member.id)


def test_events_page_by_page_and_filtered(world: World) -> None:
    events = world.client.events
    eventually(
        lambda: len(seen(events.list_events(events=[], limit=100).data)) == 10, "every event in the log"
    )
    whole = seen(events.list_events(events=[], limit=3).auto_paging_iter())
    names = [event.event for event in whole]
    assert names[:3] == ["organization.created", "dsync.token.created", "dsync.activated"]
    assert names.count("dsync.user.created") == 3
    assert names.count("dsync.group.user_added") == 2
    assert len({event.id for event in whole}) == len(whole)
    added = seen(events.list_events(events=["dsync.group.user_added"], limit=1).auto_paging_iter())
    assert len(added) == 2
    rest = seen(events.list_events(events=[], after=whole[4].id, limit=100).data)
    assert [event.id for event in rest] == [event.id for event in whole[5:]]
    with pytest.raises(BadRequestError):
        events.list_events(events=[], after=whole[-1].id[:-8] + "ZZZZZZZZ")
    with pytest.raises(UnprocessableEntityError):
        events.list_events(events=["no.such.type"])


def test_webhook_endpoints_and_signatures(world: World) -> None:
    received: list[tuple[bytes, dict[str, str]]] = []

    async def start(_: object) -> tuple[WebhookSink, str]:
        sink = RecordingSink(received)
        return sink, await sink.start()

    sink, url = world.live.run(start)
    webhooks = world.client.webhooks
    made = webhooks.create_webhook_endpoint(endpoint_url=url, events=["dsync.user.created"])
    sink.secret = made.secret
    assert made.secret.startswith("whsec_")
    with pytest.raises(ConflictError):
        webhooks.create_webhook_endpoint(endpoint_url=url, events=["dsync.user.created"])
    [shown] = webhooks.list_webhook_endpoints().data
    assert shown.secret != made.secret
    world.scim("POST", "/Users", {"userName": "åsa@northwind.example", "title": 'ΔΩ \u2028 \\ / " €'})
    eventually(lambda: len(received) == 1, "the webhook")
    body, headers = received[0]
    event = webhooks.verify_event(
        event_body=body, event_signature=headers["WorkOS-Signature"], secret=made.secret
    )
    assert isinstance(event, DsyncUserCreated)
    listed = seen(world.client.events.list_events(events=["dsync.user.created"], limit=100).data)
    assert listed[-1].id == event.id
    encoded = base64.b64encode(base64.b64decode(made.secret.removeprefix("whsec_"))).decode()
    Webhook(encoded).verify(body, headers)
    with pytest.raises(ValueError, match="ignature"):
        webhooks.verify_event(
            event_body=body + b" ", event_signature=headers["WorkOS-Signature"], secret=made.secret
        )
    changed = webhooks.update_webhook_endpoint(made.id, status="disabled", events=["dsync.user.deleted"])
    assert (changed.status, changed.events) == ("disabled", ["dsync.user.deleted"])
    webhooks.delete_webhook_endpoint(made.id)
    assert webhooks.list_webhook_endpoints().data == []

    async def stop(_: object) -> None:
        await sink.close()

    world.live.run(stop)


class RecordingSink(WebhookSink):
    """Keeps bodies and headers as they came."""

    def __init__(self, received: list[tuple[bytes, dict[str, str]]]) -> None:
        super().__init__()
        self._received = received

    async def _receive(self, request):  # type: ignore[no-untyped-def]
        self._received.append((await request.read(), dict(request.headers)))
        return await super()._receive(request)


def test_roles_of_the_environment_and_of_an_organization(world: World) -> None:
    roles, organization = world.client.authorization, world.tenant.organization_id
    [member] = roles.list_environment_roles().data
    assert (member.slug, member.type.value) == ("member", "EnvironmentRole")
    made = roles.create_environment_role(slug="planner", name="Planner", description="Plans")
    assert roles.get_environment_role("planner") == made
    assert made.resource_type_slug == "organization"
    changed = roles.update_environment_role("planner", name="Chief", description=None)
    assert (changed.name, changed.description) == ("Chief", None)
    assert roles.set_environment_role_permissions("planner", permissions=["a"]).permissions == ["a"]
    assert roles.add_environment_role_permission("planner", body_slug="b").permissions == ["a", "b"]
    own = roles.create_organization_role(organization, name="Auditor", slug="org-auditor")
    assert own.type.value == "OrganizationRole"
    assert roles.create_organization_role(organization, name="Night").slug.startswith("org-night-")
    assert roles.get_organization_role(organization, "org-auditor") == own
    assert roles.get_organization_role(organization, "planner").slug == "planner"
    applying = [role.slug for role in roles.list_organization_roles(organization).data]
    assert (applying[:2], applying[3:]) == (["planner", "org-auditor"], ["member"])
    assert roles.update_organization_role(organization, "org-auditor", name="Reader").name == "Reader"
    set_ = roles.set_organization_role_permissions(organization, "org-auditor", permissions=["x"])
    assert set_.permissions == ["x"]
    added = roles.add_organization_role_permission(organization, "org-auditor", body_slug="y")
    assert added.permissions == ["x", "y"]
    roles.remove_organization_role_permission(organization, "org-auditor", "x")
    assert roles.get_organization_role(organization, "org-auditor").permissions == ["y"]
    roles.delete_organization_role(organization, "org-auditor")
    with pytest.raises(NotFoundError):
        roles.get_organization_role(organization, "org-auditor")
    with pytest.raises(ConflictError) as taken:
        roles.create_environment_role(slug="planner", name="x")
    assert taken.value.code == "role_slug_conflict"
    with pytest.raises(UnprocessableEntityError):
        roles.create_environment_role(slug="No Slug", name="x")
    kinds = ["role.created", "role.updated", "organization_role.deleted"]

    def told() -> list[Any]:
        return seen(world.client.events.list_events(events=kinds).auto_paging_iter())

    # Events get their places a moment after the calls.
    eventually(lambda: len(told()) == 5, "the events of five calls")
    assert [event.event for event in told()] == [kinds[0], *[kinds[1]] * 3, kinds[2]]
    assert (told()[-1].data.slug, told()[-1].data.permissions) == ("org-auditor", ["y"])


def test_people_show_their_roles(world: World) -> None:
    roles, directory = world.client.authorization, world.tenant.directory_id
    for slug in ("admin", "planner"):
        roles.create_environment_role(slug=slug, name=slug.title())
    conditions = {"admin": "Planning", "planner": "Dispatch"}
    rules = [
        {"condition": {"kind": "group_name", "operator": "equals", "value": name}, "role": role}
        for role, name in conditions.items()
    ]
    answer = httpx.put(
        f"{world.live.url}/directories/{directory}/role_rules",
        json={"rules": rules, "mode": "multiple"},
        headers={"Authorization": f"Bearer {world.tenant.api_key}"},
    )
    assert answer.status_code == 200

    def shown() -> dict[str, list[str]]:
        page = world.client.directory_sync.list_users(directory=directory, limit=100)
        return {str(user.email): [role.slug for role in user.roles or []] for user in page.data}

    wanted = {
        "user0@northwind.example": ["admin", "planner"],
        "user1@northwind.example": ["member"],
        "user2@northwind.example": ["member"],
    }
    eventually(lambda: shown() == wanted, "everybody is evaluated")
    first = world.client.directory_sync.list_users(directory=directory, limit=100).data[-1]
    assert first.role is not None
    assert first.role.slug == "admin"

    def told() -> list[Any]:
        events = world.client.events.list_events(events=["dsync.user.updated"]).auto_paging_iter()
        return [event.data for event in seen(events)]

    eventually(lambda: len(told()) == 3, "each is announced")
    assert [[role.slug for role in data.roles] for data in told()] == [
        ["admin", "planner"],
        *[["member"]] * 2,
    ]


def test_a_wrong_key_is_an_authentication_error(world: World) -> None:
    begun = time.monotonic()
    with pytest.raises(AuthenticationError):
        sdk(world.live, "sk_wrong_wrong_wrong_wrong").organizations.list_organizations()
    assert time.monotonic() - begun < 5


def test_a_repeated_post_with_one_key_has_one_effect(world: World) -> None:
    headers = {"Authorization": f"Bearer {world.tenant.api_key}", "Idempotency-Key": "k1"}
    body = {
        "organization_id": world.tenant.organization_id,
        "name": "Second",
        "type": "generic scim v2.0",
    }
    first = httpx.post(f"{world.live.url}/directories", json=body, headers=headers)
    again = httpx.post(f"{world.live.url}/directories", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true"
    other = httpx.post(f"{world.live.url}/directories", json=body | {"name": "x"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_mismatch")
    assert len(world.client.directory_sync.list_directories().data) == 2
