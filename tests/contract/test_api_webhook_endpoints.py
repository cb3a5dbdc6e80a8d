"""Webhook endpoints over HTTP: exact shapes, options, filters, refusals (`api.md` §2.8, §3.6, §11)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.api import Api, api
from tests.support.kernels import seed

KEYS = {
    "object",
    "id",
    "endpoint_url",
    "secret",
    "status",
    "state",
    "events",
    "format",
    "ordering",
    "concurrency",
    "directory_ids",
    "organization_ids",
    "created_at",
    "updated_at",
}
URL = "http://127.0.0.1:9/hook"
NOBODY = "01KA0YPX7B9D1F3H5K7M9Q1S3T"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        yield made


async def made(here: Api, **more: object) -> dict[str, Any]:
    """Make an endpoint and return it."""
    answer = await here.call(
        "POST", "/webhook_endpoints", {"endpoint_url": URL, "events": ["dsync.deleted"]} | more
    )
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_an_endpoint_has_the_keys_of_the_contract_and_the_options_behind_them(here: Api) -> None:
    new = await made(here)
    assert new.keys() == KEYS
    defaults = {
        "format": "workos",
        "ordering": "lanes",
        "concurrency": 1,
        "directory_ids": None,
        "organization_ids": None,
    }
    assert {key: new[key] for key in defaults} == defaults
    listed = (await here.get("/webhook_endpoints"))["data"]
    assert [one.keys() for one in listed] == [KEYS]
    shown = await here.get(f"/webhook_endpoints/{new['id']}")
    assert shown.keys() == KEYS | {"health"}


async def test_options_are_kept_shown_and_changed_one_by_one(here: Api) -> None:
    directory, organization = here.world.place.directory.id, here.world.place.organization_id
    wishes = {
        "format": "cloudevents",
        "ordering": "strict",
        "concurrency": 4,
        "directory_ids": [directory],
        "organization_ids": [organization],
        "state": "paused",
    }
    new = await made(here, **wishes)
    assert {key: new[key] for key in wishes} == wishes
    assert new["status"] == "enabled"
    address = f"/webhook_endpoints/{new['id']}"
    for change in (
        {"format": "workos"},
        {"ordering": "none"},
        {"concurrency": 10},
        {"directory_ids": None},
        {"organization_ids": None},
        {"directory_ids": [directory, directory]},
    ):
        answer = await here.call("PATCH", address, change)
        assert answer.status_code == 200, answer.text
        wishes |= {key: [directory] if isinstance(value, list) else value for key, value in change.items()}
        shown = await here.get(address)
        assert {key: shown[key] for key in wishes} == wishes


IMPOSSIBLE: list[tuple[dict[str, object], str]] = [
    ({"format": "xml"}, "format_invalid"),
    ({"format": None}, "format_invalid"),
    ({"ordering": "random"}, "ordering_invalid"),
    ({"concurrency": 0}, "concurrency_invalid"),
    ({"concurrency": 11}, "concurrency_invalid"),
    ({"concurrency": True}, "concurrency_invalid"),
    ({"concurrency": "2"}, "concurrency_invalid"),
    ({"directory_ids": []}, "directory_ids_invalid"),
    ({"directory_ids": "directory_1"}, "directory_ids_invalid"),
    ({"directory_ids": [f"directory_{NOBODY}"]}, "directory_ids_unknown"),
    ({"directory_ids": [""]}, "directory_ids_unknown"),
    ({"organization_ids": []}, "organization_ids_invalid"),
    ({"organization_ids": [f"org_{NOBODY}"]}, "organization_ids_unknown"),
    ({"organization_ids": ["org_1"] * 1_001}, "organization_ids_invalid"),
    ({"state": "gone"}, "state_invalid"),
    ({"state": "sleeping"}, "state_invalid"),
]


async def test_an_option_that_cannot_be_is_named_and_changes_nothing(here: Api) -> None:
    new = await made(here)
    before = (await here.get("/webhook_endpoints"))["data"]
    for wish, code in IMPOSSIBLE:
        body = {"endpoint_url": "http://127.0.0.1:9/other", "events": ["dsync.deleted"]} | wish
        assert (await here.refused(422, "POST", "/webhook_endpoints", body))[1:] == [code], wish
        assert (await here.refused(422, "PATCH", f"/webhook_endpoints/{new['id']}", wish))[1:] == [code], wish
    assert (await here.get("/webhook_endpoints"))["data"] == before


async def test_a_filter_takes_no_directory_or_organization_of_another_environment(here: Api) -> None:
    other = await seed(here.world.services.kernel)
    for wish, code in (
        ({"directory_ids": [here.world.place.directory.id, other.directory.id]}, "directory_ids_unknown"),
        ({"organization_ids": [other.organization_id]}, "organization_ids_unknown"),
    ):
        body = {"endpoint_url": URL, "events": ["dsync.deleted"]} | wish
        assert await here.refused(422, "POST", "/webhook_endpoints", body) == [
            "invalid_request_parameters",
            code,
        ]


async def test_a_directory_that_is_gone_is_as_unknown_as_one_that_never_was(here: Api) -> None:
    directory = here.world.place.directory.id
    new = await made(here, directory_ids=[directory])
    assert (await here.call("DELETE", f"/directories/{directory}")).status_code == 202
    address = f"/webhook_endpoints/{new['id']}"
    assert await here.refused(422, "PATCH", address, {"directory_ids": [directory]}) == [
        "invalid_request_parameters",
        "directory_ids_unknown",
    ]
    # The filter that it is in stays, and everything else can still be changed.
    answer = await here.call("PATCH", address, {"concurrency": 2})
    assert (answer.status_code, answer.json()["directory_ids"]) == (200, [directory])


async def test_unknown_keys_are_ignored_where_the_vendor_has_the_call_and_refused_on_our_own(
    here: Api,
) -> None:
    new = await made(here, color="red")
    address = f"/webhook_endpoints/{new['id']}"
    assert (await here.call("PATCH", address, {"color": "red"})).status_code == 200
    for ours in ("rotate_secret", "end_overlap", "test", "retry"):
        assert await here.refused(422, "POST", f"{address}/{ours}", {"color": "red"}) == [
            "validation_failed",
            "color_unknown",
        ]
    assert (await here.get(address))["updated_at"] == new["updated_at"]


async def test_a_key_that_may_only_read_changes_nothing(here: Api) -> None:
    new = await made(here)
    reader = {"Authorization": f"Bearer {await here.key(['read'])}"}
    address = f"/webhook_endpoints/{new['id']}"
    for path in ("attempts", "deliveries"):
        assert (await here.call("GET", f"{address}/{path}", headers=reader)).status_code == 200
    for path in ("end_overlap", "test", "retry"):
        assert (await here.call("POST", f"{address}/{path}", {}, headers=reader)).status_code == 403


async def test_the_overlap_of_a_rotation_can_be_ended(here: Api) -> None:
    new = await made(here)
    address = f"/webhook_endpoints/{new['id']}"
    rotated = (await here.call("POST", f"{address}/rotate_secret", {"overlap_seconds": 3600})).json()
    ended = await here.call("POST", f"{address}/end_overlap")
    assert ended.status_code == 200
    assert ended.json()["secret"] == f"whsec_…{rotated['secret'][-4:]}"
    assert ended.json()["updated_at"] > rotated["updated_at"]
    again = await here.call("POST", f"{address}/end_overlap", {})
    assert again.json() == ended.json()
