"""Every route with the ids of another environment answers exactly as for ids that never existed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from syncline.web.api.app import ROUTES
from syncline.web.api.routing import Route
from tests.support.live import Live, Tenant, serving

_PREFIXES = {
    "organizations": "org",
    "organization_domains": "org_domain",
    "directories": "directory",
    "directory_users": "directory_user",
    "directory_groups": "directory_group",
    "webhook_endpoints": "we",
    "api_keys": "key",
    "attributes": "attribute",
    "imports": "import",
}
_NOBODY = "01KA0YPX7B9D1F3H5K7M9Q1S3T"
_BODIES: dict[str, dict[str, object]] = {
    "PUT /organizations/{id}": {"name": "Taken over"},
    "PATCH /directories/{id}": {"name": "Taken over"},
    "PUT /directories/{id}/attribute_map": {"sources": {}},
    "PATCH /webhook_endpoints/{id}": {"status": "disabled"},
    "POST /webhook_endpoints/{id}/replay": {"dead": True},
    "PUT /directories/{id}/role_rules": {"rules": []},
    "POST /directories/{id}/role_rules/preview": {"rules": []},
    "PUT /authorization/roles/{slug}/permissions": {"permissions": []},
    "POST /authorization/roles/{slug}/permissions": {"slug": "taken:over"},
    "POST /authorization/organizations/{organization_id}/roles": {"name": "Taken over"},
    "PUT /authorization/organizations/{organization_id}/roles/{own_slug}/permissions": {"permissions": []},
    "POST /authorization/organizations/{organization_id}/roles/{own_slug}/permissions": {"slug": "x"},
    "PUT /authorization/organizations/{organization_id}/role_priority": {"slugs": ["member"]},
    "POST /authorization/organizations/{organization_id}/role_priority/preview": {"slugs": ["member"]},
    "POST /directories/{id}/reconcile": {"users": []},
    "POST /directories/{id}/reconciliations/{reconciliation_id}/rows": {"users": []},
    "POST /directories/{id}/reconciliations/{reconciliation_id}/correct": {"class": "missing"},
}


@dataclass(frozen=True, slots=True)
class Two:
    """Two tenants of one service, and an object of every kind that belongs to the second."""

    live: Live
    mine: Tenant
    theirs: Tenant
    foreign: dict[str, str]

    def call(self, tenant: Tenant, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {tenant.api_key}"}
        return httpx.request(method, self.live.url + path, json=body, headers=headers)


@pytest.fixture
def two(database_url: str) -> Iterator[Two]:
    with serving(database_url) as live:
        mine, theirs = live.tenant("mine"), live.tenant("theirs")
        made = Two(
            live, mine, theirs, {"organizations": theirs.organization_id, "directories": theirs.directory_id}
        )
        scim = {"Authorization": f"Bearer {theirs.scim_token}"}
        base = f"{live.url}/scim/v2/{theirs.directory_key}"
        user = httpx.post(f"{base}/Users", json={"userName": "mira"}, headers=scim).json()["id"]
        group = {"displayName": "Dispatch", "members": [{"value": user}]}
        made.foreign["directory_groups"] = (
            "directory_group_" + httpx.post(f"{base}/Groups", json=group, headers=scim).json()["id"]
        )
        made.foreign["directory_users"] = f"directory_user_{user}"
        domain = {"organization_id": theirs.organization_id, "domain": "theirs.example"}
        made.foreign["organization_domains"] = made.call(
            theirs, "POST", "/organization_domains", domain
        ).json()["id"]
        endpoint = {"endpoint_url": "https://theirs.example/hook", "events": ["dsync.deleted"]}
        made.foreign["webhook_endpoints"] = made.call(theirs, "POST", "/webhook_endpoints", endpoint).json()[
            "id"
        ]
        made.foreign["api_keys"] = made.call(theirs, "GET", "/api_keys").json()["data"][0]["id"]
        made.foreign["attributes"] = made.call(theirs, "POST", "/attributes", {"key": "pool"}).json()["id"]
        made.foreign["token"] = made.call(
            theirs, "GET", f"/directories/{theirs.directory_id}/bearer_tokens"
        ).json()["data"][0]["id"]
        made.foreign["reconciliation"] = made.call(
            theirs, "POST", f"/directories/{theirs.directory_id}/reconcile", {"users": []}
        ).json()["id"]
        made.foreign["imports"] = made.call(theirs, "POST", "/imports", {"source": "records"}).json()["id"]
        made.foreign["alias"] = made.call(
            theirs, "POST", f"/directories/{theirs.directory_id}/scim_aliases", {"path": "/old/scim"}
        ).json()["id"]
        made.foreign["role"] = "planner"
        _give_roles(made, {"Authorization": f"Bearer {theirs.scim_token}"}, user)
        yield made


def _give_roles(two: Two, scim: dict[str, str], user: str) -> None:
    """Give the second tenant roles of both kinds, rules, and a change that a floor holds."""
    theirs = two.theirs
    own = f"/authorization/organizations/{theirs.organization_id}/roles"
    for path, slug in (("/authorization/roles", "planner"), (own, "org-planner")):
        assert two.call(theirs, "POST", path, {"slug": slug, "name": "Planner"}).status_code == 201
        body = {"permissions": ["routes:edit"]}
        assert two.call(theirs, "PUT", f"{path}/{slug}/permissions", body).status_code == 200
    condition = {"kind": "group_name", "operator": "equals", "value": "Night shift"}
    rules = {
        "rules": [{"condition": condition, "role": "planner"}],
        "floors": [{"role": "planner", "minimum": 1}],
    }
    directory = f"/directories/{theirs.directory_id}"
    assert two.call(theirs, "PUT", f"{directory}/role_rules", rules).status_code == 200
    base = f"{two.live.url}/scim/v2/{theirs.directory_key}/Groups"
    group = {"displayName": "Night shift", "members": [{"value": user}]}
    passing = httpx.post(base, json=group, headers=scim).json()["id"]
    assert httpx.delete(f"{base}/{passing}", headers=scim).status_code == 204
    two.foreign["held"] = two.call(theirs, "GET", f"{directory}/held_changes").json()["data"][0]["id"]


def filled(route: Route, ids: dict[str, str]) -> str:
    path = route.path.replace("{token_id}", ids["token"])
    if "{id}" in path:
        path = path.replace("{id}", ids[route.segments[0]])
    path = path.replace("{reconciliation_id}", ids["reconciliation"])
    path = path.replace("{version}", "1").replace("{alias_id}", ids["alias"])
    path = path.replace("{organization_id}", ids["organizations"]).replace("{held_id}", ids["held"])
    path = path.replace("{slug}", ids["role"]).replace("{own_slug}", f"org-{ids['role']}")
    path = path.replace("{permission}", "routes:edit")
    return path.replace("{external_id}", "theirs")


def told(answer: httpx.Response) -> tuple[int, str]:
    """Status and text, with every id made equal."""
    text = re.sub(r"[a-z_]+_[0-9A-HJKMNP-TV-Z]{26}", "ID", answer.text)
    return answer.status_code, re.sub(r"\b(org-)?(planner|nobody)\b", "SLUG", text)


def test_every_route_answers_a_foreign_id_as_one_that_never_was(two: Two) -> None:
    nobody = {kind: f"{prefix}_{_NOBODY}" for kind, prefix in _PREFIXES.items()}
    nobody["token"] = f"directory_token_{_NOBODY}"
    nobody["held"] = f"held_{_NOBODY}"
    nobody["role"] = "nobody"
    nobody["alias"] = f"scim_alias_{_NOBODY}"
    nobody["reconciliation"] = f"reconciliation_{_NOBODY}"
    tried = 0
    for route in ROUTES:
        if "{" not in route.path:
            continue
        body = _BODIES.get(f"{route.method} {route.path}", {} if route.takes else None)
        foreign = two.call(two.mine, route.method, filled(route, two.foreign), body)
        never = two.call(two.mine, route.method, filled(route, nobody), body)
        assert told(foreign) == told(never), f"{route.method} {route.path}"
        assert foreign.status_code == 404, f"{route.method} {route.path}: {foreign.text}"
        tried += 1
    assert tried > 20
    for kind in ("organizations", "directories", "webhook_endpoints"):
        assert two.call(two.theirs, "GET", f"/{kind}/{two.foreign[kind]}").status_code == 200


def test_lists_hold_and_filters_find_nothing_of_others(two: Two) -> None:
    for route in ROUTES:
        if route.method != "GET" or "{" in route.path:
            continue
        answer = two.call(two.mine, "GET", f"{route.path}?limit=100")
        assert answer.status_code == 200
        for foreign in (*two.foreign.values(), two.theirs.environment_id):
            assert foreign not in answer.text, route.path
    empty = two.call(two.mine, "GET", f"/directories?organization_id={two.theirs.organization_id}")
    assert empty.json()["data"] == []
    for query in (
        f"/directory_users?directory={two.theirs.directory_id}",
        f"/directory_users?group={two.foreign['directory_groups']}",
        f"/directory_groups?directory={two.theirs.directory_id}",
        f"/directory_groups?user={two.foreign['directory_users']}",
    ):
        assert two.call(two.mine, "GET", query).status_code == 404
    events = two.call(two.theirs, "GET", "/events").json()["data"]
    assert two.call(two.mine, "GET", f"/events?after={events[0]['id']}").status_code == 400


def test_creating_below_a_foreign_organization_is_a_404(two: Two) -> None:
    for path, body in (
        ("/directories", {"name": "x", "type": "generic scim v2.0"}),
        ("/organization_domains", {"domain": "x.example"}),
    ):
        body["organization_id"] = two.theirs.organization_id
        assert two.call(two.mine, "POST", path, body).status_code == 404


def test_scim_with_a_foreign_token_or_directory_is_one_401(two: Two) -> None:
    answers = set()
    for directory, token in (
        (two.theirs.directory_key, two.mine.scim_token),
        (two.mine.directory_key, two.theirs.scim_token),
        (_NOBODY, two.mine.scim_token),
        (two.mine.directory_key, "scim_wrong"),
        (two.mine.directory_key, two.mine.api_key),
    ):
        for method, path in (
            ("GET", "/Users"),
            ("POST", "/Groups"),
            ("GET", "/Nothing"),
            ("GET", "/Schemas"),
        ):
            answer = httpx.request(
                method,
                f"{two.live.url}/scim/v2/{directory}{path}",
                headers={"Authorization": f"Bearer {token}"},
            )
            answers.add((answer.status_code, answer.text, answer.headers["www-authenticate"]))
    assert len(answers) == 1
    assert answers.pop()[0] == 401


def test_the_scim_ids_of_another_directory_never_existed(two: Two) -> None:
    user = two.foreign["directory_users"].removeprefix("directory_user_")
    base = f"{two.live.url}/scim/v2/{two.mine.directory_key}"
    headers = {"Authorization": f"Bearer {two.mine.scim_token}"}
    for method, body in (
        ("GET", None),
        ("PUT", {"userName": "x"}),
        ("PATCH", {"Operations": [{"op": "replace", "path": "title", "value": "x"}]}),
        ("DELETE", None),
    ):
        foreign = httpx.request(method, f"{base}/Users/{user}", json=body, headers=headers)
        never = httpx.request(method, f"{base}/Users/{_NOBODY}", json=body, headers=headers)
        assert foreign.status_code == never.status_code == 404
        assert foreign.text.replace(user, "ID") == never.text.replace(_NOBODY, "ID")
    listed = httpx.get(f"{base}/Users", headers=headers).json()
    assert listed["totalResults"] == 0
