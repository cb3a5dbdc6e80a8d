"""Ids that are none, on every route that takes one: far too long, or with a NUL in them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from syncline.web.api.app import ROUTES
from syncline.web.api.routing import Route
from tests.support.api import Api, api

BODIES: dict[tuple[str, str], object] = {
    ("PUT", "/organizations/{id}"): {"name": "Acme"},
    ("PATCH", "/directories/{id}"): {"name": "People"},
    ("PUT", "/directories/{id}/attribute_map"): {"sources": {}},
    ("POST", "/directories/{id}/reconcile"): {"users": []},
    ("POST", "/directories/{id}/reconciliations/{reconciliation_id}/rows"): {"users": []},
    ("POST", "/directories/{id}/reconciliations/{reconciliation_id}/correct"): {"class": "missing"},
    ("PUT", "/directories/{id}/role_rules"): {"rules": []},
    ("POST", "/directories/{id}/role_rules/preview"): {"rules": []},
    ("PUT", "/authorization/roles/{slug}/permissions"): {"permissions": []},
    ("POST", "/authorization/roles/{slug}/permissions"): {"slug": "read"},
    ("POST", "/authorization/organizations/{organization_id}/roles"): {"name": "Auditor"},
    ("PUT", "/authorization/organizations/{organization_id}/roles/{own_slug}/permissions"): {
        "permissions": []
    },
    ("POST", "/authorization/organizations/{organization_id}/roles/{own_slug}/permissions"): {"slug": "read"},
    ("PUT", "/authorization/organizations/{organization_id}/role_priority"): {"slugs": []},
    ("POST", "/authorization/organizations/{organization_id}/role_priority/preview"): {"slugs": []},
    ("POST", "/webhook_endpoints/{id}/replay"): {"dead": True},
}
WITH_IDS = [route for route in ROUTES if "{" in route.path]
LONG = "org_" + "7" * 70_000


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        yield made


def address(route: Route, id_: str) -> str:
    return "/".join(id_ if part.startswith("{") else part for part in route.path.split("/"))


@pytest.mark.parametrize("id_", ["%00", "we_01KA0YPX7B9D1F3H5K7M9Q1S3%00", "%F0%9F%92%A9", "7" * 7_000])
async def test_an_id_that_is_none_is_not_found(here: Api, id_: str) -> None:
    for route in WITH_IDS:
        answer = await here.call(route.method, address(route, id_), BODIES.get((route.method, route.path)))
        named = f"{route.method} {route.path}"
        assert answer.status_code == 404, f"{named}: {answer.text}"
        assert answer.json()["code"] == "entity_not_found", named
        assert len(answer.text) < 500, named


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/directories", {"name": "People", "type": "generic scim v2.0"}),
        ("/organization_domains", {"domain": "acme.example"}),
    ],
)
async def test_an_endless_organization_id_is_answered_shortly(
    here: Api, path: str, body: dict[str, str]
) -> None:
    answer = await here.call("POST", path, body | {"organization_id": LONG})
    assert answer.status_code == 404, answer.text
    assert answer.json()["message"].startswith("Organization not found: 'org_777")
    assert len(answer.text) < 500
