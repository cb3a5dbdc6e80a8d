"""The examples of the reference: calls are sent as they stand, answers and events are like the real ones."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jsonschema_rs
import pytest
from workos import WorkOSClient

from scripts.docs_site import api, attribute_examples, examples, import_examples, providers, role_examples
from scripts.docs_site.api import Operation
from syncline.core.events import CATALOG, OWN_PREFIX
from syncline.core.json import stringify
from syncline.core.signing import new_endpoint_secret, workos_signature
from tests.support.databases import SqliteDatabases
from tests.support.live import Live, Tenant, eventually, serving

# There is no kind of directory that is pulled, and the page says that every call is refused.
REFUSED = {("POST", "/directories/{id}/sync"): 422}


@pytest.fixture(scope="module")
def live(sqlite_databases: SqliteDatabases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(sqlite_databases.migrated(tmp_path_factory.mktemp("examples"))) as made:
        yield made


def operation_id(operation: Operation) -> str:
    return f"{operation.route.method} {operation.route.path}"


@dataclass(frozen=True, slots=True)
class Customer:
    """A tenant with one of everything, and its ids by those of the examples."""

    key: str
    ids: Mapping[str, str]


@pytest.fixture(scope="module")
def reader(live: Live) -> Customer:
    """The customer whom all reading calls share; the one with the external id of the examples."""
    tenant = live.tenant("reader")
    _give_external_id(live, tenant)
    ids = _real_ids(live, tenant)
    address = f"{live.url}/webhook_endpoints/{ids[examples.ENDPOINT_ID]}/deliveries"
    headers = {"Authorization": f"Bearer {tenant.api_key}"}
    eventually(lambda: bool(httpx.get(address, headers=headers).json()["data"]), "a delivery that waits")
    return Customer(tenant.api_key, ids)


@pytest.fixture
def customer(operation: Operation, live: Live, request: pytest.FixtureRequest) -> Customer:
    """A customer of its own for a call that changes something."""
    if operation.route.method == "GET":
        shared: Customer = request.getfixturevalue("reader")
        return shared
    tenant = live.tenant(operation_id(operation))
    ids = _real_ids(live, tenant)
    if operation.route.path.endswith(("/rows", "/start")):
        # Calls of a roster that is still coming.
        ids[examples.RECONCILIATION_ID] = _open_reconciliation(live, tenant)
    if operation.route.path.endswith("/versions/{version}/preview"):
        _change_attributes(live, tenant, ids[attribute_examples.ATTRIBUTE_ID])
    if operation.route.path == "/imports/{id}/retry":
        ids[import_examples.IMPORT_ID] = _failed_import(live, tenant)
    return Customer(tenant.api_key, ids)


@pytest.mark.parametrize("operation", api.operations(), ids=operation_id)
def test_an_example_call_is_answered_as_its_page_says(
    operation: Operation, customer: Customer, live: Live, curl: str
) -> None:
    command = api.curl(operation).replace(examples.BASE_URL, live.url).replace("curl ", f"{curl} ", 1)
    for shown_id, real_id in customer.ids.items():
        command = command.replace(shown_id, real_id)
    status, answer = _sent(command, customer.key)
    assert status == REFUSED.get((operation.route.method, operation.route.path), operation.route.status), (
        answer
    )
    shown = api.answer_example(operation)
    assert (shown is None) is (operation.route.answers is None)
    if shown is None:
        assert answer == ""
        return
    schema = _schema(operation)
    assert list(schema.iter_errors(shown)) == []
    if status == operation.route.status:
        assert list(schema.iter_errors(json.loads(answer))) == []
        assert _keys(json.loads(answer)) == _keys(shown)


def _give_external_id(live: Live, tenant: Tenant) -> None:
    answer = httpx.put(
        f"{live.url}/organizations/{tenant.organization_id}",
        json={"external_id": "cust-42"},
        headers={"Authorization": f"Bearer {tenant.api_key}"},
    )
    assert answer.status_code == 200


def _real_ids(live: Live, tenant: Tenant) -> dict[str, str]:
    """Make one of everything and return the ids by those of the examples."""
    organization, directory = tenant.organization_id, tenant.directory_id
    with httpx.Client(base_url=live.url, headers={"Authorization": f"Bearer {tenant.api_key}"}) as client:

        def made(path: str, body: Mapping[str, object]) -> str:
            answer = client.post(path, json=body)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

        # Nobody listens there, so that what is sent fails and waits.
        hook = {"endpoint_url": "https://127.0.0.1:9/", "events": ["organization_domain.created"]}
        endpoint = made("/webhook_endpoints", hook)
        domain = made("/organization_domains", {"organization_id": organization, "domain": "first.example"})
        ids = {
            examples.ORGANIZATION_ID: organization,
            examples.DOMAIN_ID: domain,
            examples.DIRECTORY_ID: directory,
            examples.ENDPOINT_ID: endpoint,
            examples.KEY_ID: made("/api_keys", {"name": "spare"}),
            examples.TOKEN_ID: client.get(f"/directories/{directory}/bearer_tokens").json()["data"][0]["id"],
        }
        for slug in (role_examples.SLUG, "dispatcher"):
            made("/authorization/roles", {"slug": slug, "name": slug.title()})
        own_roles = f"/authorization/organizations/{organization}/roles"
        made(own_roles, {"slug": role_examples.OWN_SLUG, "name": "Auditor"})
        permissions = {"permissions": [role_examples.PERMISSION]}
        for role in (f"/authorization/roles/{role_examples.SLUG}", f"{own_roles}/{role_examples.OWN_SLUG}"):
            assert client.put(f"{role}/permissions", json=permissions).status_code == 200
        condition = {"kind": "group_name", "operator": "equals", "value": "Night shift"}
        rules = {
            "rules": [{"condition": condition, "role": role_examples.SLUG}],
            "floors": [{"role": role_examples.SLUG, "minimum": 1}],
        }
        assert client.put(f"/directories/{directory}/role_rules", json=rules).status_code == 200
        base = f"{live.url}/scim/v2/{tenant.directory_key}"
        headers = {"Authorization": f"Bearer {tenant.scim_token}"}
        email = {"value": "mira@northwind.example", "primary": True, "type": "work"}
        person = httpx.post(f"{base}/Users", json={"userName": "mira", "emails": [email]}, headers=headers)
        # Whoever is the last planner keeps the role: a change that waits for somebody.
        night = {"displayName": "Night shift", "members": [{"value": person.json()["id"]}]}
        passing = httpx.post(f"{base}/Groups", json=night, headers=headers).json()["id"]
        assert httpx.delete(f"{base}/Groups/{passing}", headers=headers).status_code == 204
        held = client.get(f"/directories/{directory}/held_changes").json()["data"]
        ids[role_examples.HELD_ID] = held[0]["id"]
        group = {"displayName": "Dispatch", "members": [{"value": person.json()["id"]}]}
        assert httpx.post(f"{base}/Groups", json=group, headers=headers).status_code == 201
        roster = {"users": [{"email": "mira@northwind.example", "job_title": "Trainee"}]}
        ids[examples.RECONCILIATION_ID] = made(f"/directories/{directory}/reconcile", roster)
        source = {"path": "department", "transforms": ["trim"]}
        named = {"key": "department_name", "required": True, "sources": [source]}
        ids[attribute_examples.ATTRIBUTE_ID] = made("/attributes", named)
        own = {"sources": {"email": ['emails[type eq "work"].value', "$email"]}}
        assert client.put(f"/directories/{directory}/attribute_map", json=own).status_code == 200
        ids[import_examples.IMPORT_ID] = made("/imports", {"source": "records"})
        old_path = {"path": f"/old/{directory}"}
        ids[import_examples.ALIAS_ID] = made(f"/directories/{directory}/scim_aliases", old_path)
        ids[examples.USER_ID] = client.get("/directory_users").json()["data"][0]["id"]
        ids[examples.GROUP_ID] = client.get("/directory_groups").json()["data"][0]["id"]
        return ids


def _change_attributes(live: Live, tenant: Tenant, attribute_id: str) -> None:
    """Define and map attributes otherwise than in the first versions."""
    with httpx.Client(base_url=live.url, headers={"Authorization": f"Bearer {tenant.api_key}"}) as client:
        directory = f"/directories/{tenant.directory_id}"
        fixed = {"sources": [{"value": "Logistics"}]}
        assert client.patch(f"/attributes/{attribute_id}", json=fixed).status_code == 200
        own = {"sources": {"email": [{"value": "all@northwind.example"}]}}
        assert client.put(f"{directory}/attribute_map", json=own).status_code == 200
        job = f"{directory}/reevaluation"
        eventually(lambda: client.get(job).json()["state"] == "complete", "everybody to be evaluated")


def _failed_import(live: Live, tenant: Tenant) -> str:
    """An import of a source that does not accept the key."""
    with httpx.Client(base_url=live.url, headers={"Authorization": f"Bearer {tenant.api_key}"}) as client:
        asked = {"source": "workos", "base_url": live.url, "api_key": "sk_of_nobody"}
        made = str(client.post("/imports", json=asked).json()["id"])
        eventually(lambda: client.get(f"/imports/{made}").json()["state"] == "failed", "an import to fail")
        return made


def _open_reconciliation(live: Live, tenant: Tenant) -> str:
    answer = httpx.post(
        f"{live.url}/directories/{tenant.directory_id}/reconcile",
        json={"upload": True},
        headers={"Authorization": f"Bearer {tenant.api_key}"},
    )
    return str(answer.json()["id"])


def _sent(command: str, key: str) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-c", f"{command} -s -w '\\n%{{http_code}}'"],
        env={"SYNCLINE_API_KEY": key},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def _schema(operation: Operation) -> jsonschema_rs.Draft202012Validator:
    document = api.openapi()
    answer = document["paths"][operation.route.path][operation.route.method.lower()]["responses"]
    schema = answer[str(operation.route.status)]["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator({"components": document["components"], **schema})


def _keys(value: Any) -> Any:
    """Return the form of an answer: its keys, and those of the first of each list."""
    if isinstance(value, dict):
        opaque = ("metadata", "context", "data") if value.get("object") in ("event", "organization") else ()
        return {key: None if key in opaque else _keys(part) for key, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_keys(value[0])]
    return None


@pytest.mark.parametrize("path", [path for path, _ in providers.pages()])
def test_the_directory_of_a_providers_page_can_be_made(
    path: str, live: Live, reader: Customer, curl: str
) -> None:
    [command] = re.findall(r"```bash\n(.*?)```", dict(providers.pages())[path], re.DOTALL)
    organization = reader.ids[examples.ORGANIZATION_ID]
    command = command.strip().replace("org_…", organization).replace(examples.BASE_URL, live.url)
    status, answer = _sent(command.replace("curl ", f"{curl} ", 1), reader.key)
    assert status == 201, answer
    assert json.loads(answer)["scim"]["bearer_token"].startswith("scim_")


@pytest.mark.parametrize("name", CATALOG)
def test_the_official_sdk_reads_an_example_event(name: str) -> None:
    shown = examples.event(CATALOG[name])
    body = stringify(shown).encode()
    secret = new_endpoint_secret(b"x" * 32)
    client = WorkOSClient(api_key="sk_unused", client_id="client_any")
    read = client.webhooks.verify_event(
        event_body=body,
        event_signature=workos_signature(secret, int(time.time() * 1000), body),
        secret=secret,
    )
    assert (type(read).__name__ == "EventSchemaUnknown") is name.startswith(OWN_PREFIX)
    assert read.to_dict()["event"] == name


def test_an_example_of_a_person_is_what_a_real_one_looks_like(live: Live) -> None:
    tenant = live.tenant("events")
    base = f"{live.url}/scim/v2/{tenant.directory_key}"
    headers = {"Authorization": f"Bearer {tenant.scim_token}"}
    rules = f"{live.url}/directories/{tenant.directory_id}/role_rules"
    key = {"Authorization": f"Bearer {tenant.api_key}"}
    assert httpx.put(rules, json={"rules": []}, headers=key).is_success
    mira = httpx.post(f"{base}/Users", json={"userName": "mira@northwind.example"}, headers=headers).json()[
        "id"
    ]
    change = {"Operations": [{"op": "add", "path": "title", "value": "Planner"}]}
    assert httpx.patch(f"{base}/Users/{mira}", json=change, headers=headers).is_success
    group = {"displayName": "Dispatch", "members": [{"value": mira}]}
    assert httpx.post(f"{base}/Groups", json=group, headers=headers).is_success
    assert httpx.delete(f"{base}/Users/{mira}", headers=headers).is_success
    listed = httpx.get(f"{live.url}/events?limit=100", headers={"Authorization": f"Bearer {tenant.api_key}"})
    events = {event["event"]: event for event in listed.json()["data"]}
    compared = set(events) & {name for name in CATALOG if name.startswith("dsync.")}
    assert {
        "dsync.activated",
        "dsync.user.updated",
        "dsync.group.user_added",
        "dsync.user.deleted",
    } <= compared
    for name in compared:
        assert set(events[name]["data"]) == set(examples.event(CATALOG[name])["data"]), name
        assert set(events[name]["context"]) - {"actor"} == {"sequence", "directory_sequence"}
