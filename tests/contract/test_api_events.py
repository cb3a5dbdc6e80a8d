"""The Events API over HTTP: exact envelopes, cursors, filters and refusals (`api.md` §2.4, §3.7)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from syncline.core.json import stringify
from syncline.store import log
from tests.support.api import Api, api
from tests.support.kernels import seed

TIMES = ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00.000Z", "2000-01-01T02:00:00%2B02:00")


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    """An environment with six events: three people, a group, two memberships."""
    async with api(database_url) as made:
        people = [await made.world.user(f"user{n}") for n in range(3)]
        await made.world.group("Dispatch", people[:2])
        await made.world.rows()
        yield made


async def listed(here: Api, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = await here.get(f"/events?limit=100&{query}")
    return found


def types(page: dict[str, Any]) -> list[str]:
    return [event["event"].removeprefix("dsync.") for event in page["data"]]


async def test_an_event_has_exactly_the_keys_of_the_contract(here: Api) -> None:
    page = await listed(here)
    assert page.keys() == {"object", "data", "list_metadata"}
    assert types(page) == ["user.created"] * 3 + ["group.created"] + ["group.user_added"] * 2
    for n, event in enumerate(page["data"], 1):
        assert event.keys() == {"object", "id", "event", "data", "created_at", "context"}
        assert event["object"] == "event"
        assert event["context"] == {"sequence": n, "directory_sequence": n}
    assert page["list_metadata"] == {"before": None, "after": None, "cursor": page["data"][-1]["id"]}


async def test_the_body_is_the_text_javascript_would_write(here: Api) -> None:
    await here.world.user("åsa", title='ΔΩ \u2028 / \\ " \b', displayName="€")
    await here.world.rows()
    text = (await here.call("GET", "/events?limit=100")).text
    assert stringify(json.loads(text)) == text


async def test_a_change_by_an_api_call_names_the_key(here: Api) -> None:
    await here.call("POST", "/organizations", {"name": "Fabrikam"})
    await here.world.rows()
    event = (await listed(here))["data"][-1]
    assert event["event"] == "organization.created"
    actor = event["context"]["actor"]
    assert (actor["source"], actor["name"]) == ("api", "tests")
    assert actor["id"].startswith("key_")


async def test_a_poller_sees_every_event_once(here: Api) -> None:
    seen: list[str] = []
    query = "limit=4"
    while True:
        page = await here.get(f"/events?{query}")
        seen += [event["id"] for event in page["data"]]
        if page["list_metadata"]["after"] is None:
            break
        assert page["list_metadata"]["after"] == seen[-1]
        query = f"limit=4&after={seen[-1]}"
    assert seen == [event["id"] for event in (await listed(here))["data"]]
    empty = await here.get(f"/events?after={seen[-1]}")
    assert empty["data"] == []
    assert empty["list_metadata"] == {"before": None, "after": None, "cursor": seen[-1]}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("events=dsync.group.created", ["group.created"]),
        ("events=dsync.group.created,dsync.group.user_added", ["group.created", *["group.user_added"] * 2]),
        ("events=dsync.group.created%2Cdsync.deleted", ["group.created"]),
        ("events[]=dsync.group.created&events[]=dsync.deleted", ["group.created"]),
        ("events%5B%5D=dsync.group.created", ["group.created"]),
        ("events=dsync.group.created&events=dsync.group.deleted", ["group.created"]),
        ("events=user.created", []),
        ("events=connection.activated,dsync.group.created", ["group.created"]),
        ("events=dsync.group.created&limit=1", ["group.created"]),
        ("order=desc&events=dsync.group.created", ["group.created"]),
    ],
)
async def test_filters_by_type_in_every_spelling(here: Api, query: str, expected: list[str]) -> None:
    page = await here.get(f"/events?{query}")
    assert types(page) == expected
    assert page["list_metadata"]["after"] is None


async def test_an_empty_filter_is_no_filter(here: Api) -> None:
    assert await listed(here, "events=&organization_id=&range_start=&after=") == await listed(here)


@pytest.mark.parametrize("start", TIMES)
async def test_ranges_take_any_offset(here: Api, start: str) -> None:
    assert len((await listed(here, f"range_start={start}"))["data"]) == 6
    assert (await listed(here, f"range_end={start}"))["data"] == []


async def test_a_range_goes_on_with_a_cursor_as_the_sdk_pages(here: Api) -> None:
    first = await here.get("/events?range_start=2000-01-01T00:00:00.000Z&limit=4")
    after = first["list_metadata"]["after"]
    rest = await here.get(f"/events?range_start=2000-01-01T00:00:00.000Z&limit=4&after={after}")
    assert len(first["data"] + rest["data"]) == 6
    assert rest["list_metadata"]["after"] is None


async def test_organizations_are_kept_apart(here: Api) -> None:
    other = await seed(here.world.services.kernel, environment_id=here.world.environment)
    await here.world.user("eve", at=other)
    await here.world.rows()
    [event] = (await listed(here, f"organization_id={other.organization_id}"))["data"]
    assert event["data"]["username"] == "eve"
    assert event["context"] == {"sequence": 7, "directory_sequence": 1}
    assert len((await listed(here, f"organization_id={here.world.place.organization_id}"))["data"]) == 6
    unknown = await listed(here, "organization_id=org_01KA0YPX7B9D1F3H5K7M9Q1S3T")
    assert (unknown["data"], unknown["list_metadata"]["after"]) == ([], None)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("events=dsync.user.crated", "events_unknown"),
        ("events=dsync.user.created,nonsense", "events_unknown"),
        ("limit=0", "limit_invalid"),
        ("order=sideways", "order_invalid"),
        ("range_start=yesterday", "range_start_invalid"),
        ("range_end=2026-01-01T00:00:00", "range_end_invalid"),
        ("range_end=0001-01-01T00:00:00%2B14:00", "range_end_invalid"),
        ("organization_id=%00", "organization_id_invalid"),
    ],
)
async def test_a_wrong_query_is_named(here: Api, query: str, code: str) -> None:
    assert await here.refused(422, "GET", f"/events?{query}") == ["validation_failed", code]


async def test_a_cursor_that_never_was_is_a_400_and_one_behind_retention_a_410(here: Api) -> None:
    every = [event["id"] for event in (await listed(here))["data"]]
    unknown = every[-1][:-4] + "ZZZZ"
    assert await here.refused(400, "GET", f"/events?after={unknown}") == ["cursor_unknown"]
    assert await here.refused(400, "GET", "/events?before=nonsense") == ["cursor_unknown"]
    future = datetime.now(UTC) + timedelta(days=1)
    await here.world.services.kernel.database.write(
        lambda connection: log.trim(connection, here.world.environment, future, 4)
    )
    answer = await here.call("GET", f"/events?after={every[0]}")
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_expired")
    assert every[4] in answer.json()["message"]
    assert len((await listed(here, f"after={every[4]}"))["data"]) == 1
    assert await here.refused(400, "GET", f"/events?after={unknown}") == ["cursor_unknown"]
