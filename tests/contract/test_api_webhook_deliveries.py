"""What an endpoint has not taken, and sending it again, over HTTP (`api.md` §11)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import Api, api
from tests.support.deliveries import CREATED, QUICK, Schedule, Stage, dispatching
from tests.support.kernels import seed
from tests.support.receiver import Receiver, Reply, receiver
from tests.support.waiting import wait_until

A, B = "directory_A", "directory_B"
NEVER = "event_01KA0YPX7B9D1F3H5K7M9Q1S3T"
SLOWLY = replace(QUICK, delay=Schedule(pause=timedelta(hours=1)))
AT_ONCE_DEAD = replace(QUICK, delay=Schedule(attempts=1))


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        yield made


@pytest.fixture
def stage(here: Api) -> Stage:
    return Stage(here.world.services.kernel, here.world.environment)


@pytest.fixture
async def hooks() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


async def endpoint(here: Api, hooks: Receiver) -> str:
    """Make an endpoint and return its address."""
    body = {"endpoint_url": hooks.url(), "events": [CREATED]}
    answer = await here.call("POST", "/webhook_endpoints", body)
    assert answer.status_code == 201, answer.text
    return f"/webhook_endpoints/{answer.json()['id']}"


async def replayed(here: Api, address: str, body: dict[str, Any]) -> int:
    """Ask for a replay and return how many events it has."""
    answer = await here.call("POST", f"{address}/replay", body)
    assert answer.status_code == 202, answer.text
    shown = answer.json()
    assert shown == {"object": "queued_deliveries", "count": shown["count"], "lost": 0}
    return int(shown["count"])


async def lag(here: Api, address: str) -> tuple[int, int, int]:
    """Return how many events lie ahead, wait, and are dead."""
    health = (await here.get(address))["health"]
    return health["lag_events"], health["waiting"], health["dead"]


async def test_what_waits_is_listed_by_event_and_tried_on_request(
    here: Api, stage: Stage, hooks: Receiver
) -> None:
    address = await endpoint(here, hooks)
    hooks.answer = lambda _: Reply(500)
    async with dispatching(stage.kernel, SLOWLY):
        ids = await stage.emit(A, A, B)

        async def all_wait() -> bool:
            return await lag(here, address) == (0, 3, 0)

        await wait_until(all_wait)
        listed = (await here.get(f"{address}/deliveries?order=asc"))["data"]
        assert [one["event_id"] for one in listed] == ids
        assert {key: listed[0][key] for key in ("object", "event", "directory_id", "state")} == {
            "object": "delivery",
            "event": CREATED,
            "directory_id": A,
            "state": "waiting",
        }
        assert (listed[0]["attempts"], listed[0]["last_error"]) == (1, "The endpoint answered 500.")
        assert listed[0]["next_attempt_at"] > listed[0]["first_attempt_at"]
        assert (listed[1]["attempts"], listed[1]["next_attempt_at"]) == (0, None)
        newest = await here.get(f"{address}/deliveries?limit=2")
        assert [one["event_id"] for one in newest["data"]] == ids[:0:-1]
        assert newest["list_metadata"] == {"before": None, "after": ids[1]}
        assert (await here.get(f"{address}/deliveries?state=dead"))["data"] == []
        assert await here.refused(422, "GET", f"{address}/deliveries?state=lost") == [
            "validation_failed",
            "state_invalid",
        ]

        hooks.answer = lambda _: Reply()
        retried = await here.call("POST", f"{address}/retry")
        assert (retried.status_code, retried.json()["count"]) == (202, 3)

        async def nothing_waits() -> bool:
            return await lag(here, address) == (0, 0, 0)

        await wait_until(nothing_waits)
    assert (await here.get(f"{address}/deliveries"))["data"] == []


async def test_one_a_range_and_all_dead_can_be_sent_again(here: Api, stage: Stage, hooks: Receiver) -> None:
    address = await endpoint(here, hooks)
    hooks.answer = lambda _: Reply(500)
    async with dispatching(stage.kernel, AT_ONCE_DEAD):
        ids = await stage.emit(A, B, A, B)

        async def all_dead() -> bool:
            return await lag(here, address) == (0, 0, 4)

        await wait_until(all_dead)
        hooks.answer = lambda _: Reply()
        hooks.received.clear()
        assert await replayed(here, address, {"event_id": ids[1]}) == 1
        await wait_until(lambda: hooks.ids() == [ids[1]])
        assert await replayed(here, address, {"first_id": ids[1], "last_id": ids[2]}) == 2
        await wait_until(lambda: sorted(hooks.ids()) == sorted([ids[1], *ids[1:3]]))

        async def one_left_of_each() -> bool:
            dead = (await here.get(f"{address}/deliveries?state=dead&order=asc"))["data"]
            return [one["event_id"] for one in dead] == [ids[0], ids[3]]

        await wait_until(one_left_of_each)
        hooks.received.clear()
        assert await replayed(here, address, {"dead": True}) == 2
        await wait_until(lambda: sorted(hooks.ids()) == [ids[0], ids[3]])

        async def none_dead() -> bool:
            return await lag(here, address) == (0, 0, 0)

        await wait_until(none_dead)
        hooks.received.clear()
        assert await replayed(here, address, {"range_start": "2020-01-01T00:00:00Z"}) == 4
        await wait_until(lambda: sorted(hooks.ids()) == ids)
        past = {"range_start": "2020-01-01T00:00:00Z", "range_end": "2021-01-01T00:00:00Z"}
        assert await replayed(here, address, past) == 0
        assert await replayed(here, address, {"dead": True}) == 0


async def test_a_replay_that_cannot_be_is_refused(here: Api, stage: Stage, hooks: Receiver) -> None:
    address = f"{await endpoint(here, hooks)}/replay"
    [first, second] = await stage.emit(A, A)
    [theirs] = await Stage(stage.kernel, (await seed(stage.kernel)).environment_id).emit(A)
    early, late = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    for body, code in (
        ({}, "event_id_required"),
        ({"dead": False}, "event_id_required"),
        ({"last_id": second}, "event_id_required"),
        ({"dead": True, "event_id": first}, "event_id_required"),
        ({"event_id": first, "range_start": early}, "event_id_required"),
        ({"first_id": first, "range_start": early}, "range_start_invalid"),
        ({"first_id": first, "last_id": second, "range_end": late}, "range_end_invalid"),
        ({"range_start": late, "range_end": early}, "range_end_invalid"),
        ({"range_start": "soon"}, "range_start_invalid"),
        ({"first_id": second, "last_id": first}, "last_id_invalid"),
        ({"event": first}, "event_unknown"),
    ):
        assert await here.refused(422, "POST", address, body) == ["validation_failed", code], body
    for unknown in (NEVER, theirs, "event_1"):
        for body in ({"event_id": unknown}, {"first_id": unknown}, {"first_id": first, "last_id": unknown}):
            assert await here.refused(404, "POST", address, body) == ["entity_not_found"], body


async def test_an_endpoint_is_started_where_its_owner_says(here: Api, stage: Stage, hooks: Receiver) -> None:
    address = await endpoint(here, hooks)
    await here.call("PATCH", address, {"state": "paused"})
    ids = await stage.emit(A, B)
    assert await here.refused(422, "PATCH", address, {"resume_from": "now"}) == [
        "invalid_request_parameters",
        "resume_from_invalid",
    ]
    for point in ("yesterday", "", "2026-01-01", "2026-01-01T00:00:00"):
        body = {"state": "active", "resume_from": point}
        assert (await here.refused(422, "PATCH", address, body))[1] == "resume_from_invalid"
    assert await lag(here, address) == (2, 0, 0)
    for body, left in (
        ({"state": "active", "resume_from": ids[1]}, 1),
        ({"status": "enabled", "resume_from": ids[0]}, 2),
        ({"state": "active", "resume_from": "now"}, 0),
        ({"state": "active", "resume_from": "2020-01-01T00:00:00+01:00"}, 2),
        ({"state": "active", "resume_from": "stopped"}, 2),
    ):
        answer = await here.call("PATCH", address, body)
        assert (answer.status_code, answer.json()["state"]) == (200, "active"), answer.text
        assert (await lag(here, address))[0] == left, body
