"""A test event over HTTP: signed, sent once, recorded, and nothing else changed (`api.md` §11)."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from standardwebhooks import Webhook
from workos import WorkOSClient

from syncline.services.endpoint_tests import MAX_UNDER_WAY
from tests.support.api import Api, api
from tests.support.receiver import Gate, Received, Receiver, Reply, receiver
from tests.support.waiting import wait_until

ATTEMPT_KEYS = {
    "object",
    "id",
    "endpoint_id",
    "event_id",
    "event",
    "test",
    "attempt",
    "outcome",
    "status",
    "error",
    "duration_ms",
    "started_at",
    "next_attempt_at",
    "request",
    "response",
}
TYPES = ["dsync.user.created", "dsync.group.user_added", "dsync.deleted"]


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        yield made


@pytest.fixture
async def hooks() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


async def endpoint(here: Api, url: str, **more: object) -> dict[str, Any]:
    """Make an endpoint and return it."""
    answer = await here.call("POST", "/webhook_endpoints", {"endpoint_url": url, "events": TYPES} | more)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def sent_to(here: Api, made: dict[str, Any], body: object = None) -> dict[str, Any]:
    """Send a test event and return what the call answers."""
    answer = await here.call("POST", f"/webhook_endpoints/{made['id']}/test", body)
    assert answer.status_code == 200, answer.text
    attempt: dict[str, Any] = answer.json()
    assert attempt.keys() == ATTEMPT_KEYS
    return attempt


async def test_a_test_is_a_signed_event_of_the_first_type_and_answers_what_came_back(
    here: Api, hooks: Receiver
) -> None:
    hooks.answer = lambda _: Reply(202, body="taken\x00, thank you")
    made = await endpoint(here, hooks.url())
    attempt = await sent_to(here, made)
    [request] = hooks.received
    assert (attempt["event"], attempt["event_id"]) == ("dsync.user.created", request.id)
    assert (attempt["outcome"], attempt["status"], attempt["error"]) == ("success", 202, None)
    assert attempt["response"] == "taken, thank you"
    assert (attempt["test"], attempt["attempt"], attempt["next_attempt_at"]) == (True, 1, None)
    assert request.event["context"] == {"test": True}
    assert request.event["data"]["object"] == "directory_user"
    Webhook(made["secret"]).verify(request.body, dict(request.headers))
    verified = WorkOSClient(api_key="sk_test", client_id="client_test").webhooks.verify_event(
        event_body=request.body,
        event_signature=request.headers["workos-signature"],
        secret=made["secret"],
    )
    assert type(verified).__name__ == "DsyncUserCreated"


async def test_what_is_shown_of_the_request_is_what_was_sent_without_the_signatures(
    here: Api, hooks: Receiver
) -> None:
    made = await endpoint(here, hooks.url())
    shown = (await sent_to(here, made))["request"]["headers"]
    [request] = hooks.received
    for name in ("webhook-id", "webhook-timestamp", "syncline-event-id", "syncline-attempt"):
        assert shown[name] == request.headers[name]
    assert shown["webhook-signature"] == "[redacted]"
    sent = re.sub(r"v1=[0-9a-f]{64}", "v1=[redacted]", request.headers["workos-signature"])
    assert shown["workos-signature"] == sent


async def test_a_secret_that_the_receiver_repeats_is_not_shown(here: Api, hooks: Receiver) -> None:
    made = await endpoint(here, hooks.url())
    hooks.answer = lambda _: Reply(500, body=f"no such secret: {made['secret']}")
    attempt = await sent_to(here, made)
    assert attempt["response"] == "no such secret: [redacted]"
    assert made["secret"] not in (await here.call("GET", f"/webhook_endpoints/{made['id']}/attempts")).text


@pytest.mark.parametrize("state", ["paused", "disabled"])
async def test_an_endpoint_that_stands_still_can_be_tested_and_stays_so(
    here: Api, hooks: Receiver, state: str
) -> None:
    hooks.answer = lambda _: Reply(410)
    made = await endpoint(here, hooks.url(), format="cloudevents")
    address = f"/webhook_endpoints/{made['id']}"
    await here.call("PATCH", address, {"state": state})
    before = await here.get(address)
    attempt = await sent_to(here, made, {"event": "dsync.group.user_added"})
    assert (attempt["outcome"], attempt["status"]) == ("gone", 410)
    assert attempt["error"] == "The endpoint answered 410."
    [request] = hooks.received
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert (request.event["type"], request.event["test"]) == ("dsync.group.user_added", True)
    assert await here.get(address) == before
    assert (await here.get("/events"))["data"] == []


async def test_a_test_that_fails_is_an_answer_too_and_is_not_repeated(here: Api, unused_port: int) -> None:
    made = await endpoint(here, f"http://127.0.0.1:{unused_port}/")
    attempt = await sent_to(here, made)
    assert (attempt["outcome"], attempt["status"], attempt["response"]) == ("failed", None, None)
    assert attempt["error"] == "The connection was refused."
    listed = await here.get(f"/webhook_endpoints/{made['id']}/attempts")
    assert listed["data"] == [attempt]
    assert (await here.get(f"/webhook_endpoints/{made['id']}"))["health"]["recent_attempts"] == 0


async def test_a_compressed_answer_stays_compressed(here: Api) -> None:
    bomb = gzip.compress(bytes(20_000_000))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
        writer.write(head.encode() + bomb)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        made = await endpoint(here, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        assert (await sent_to(here, made))["response"] == "[16384 bytes encoded as gzip]"


async def test_only_a_type_that_the_endpoint_gets_can_be_tested(here: Api, hooks: Receiver) -> None:
    made = await endpoint(here, hooks.url())
    address = f"/webhook_endpoints/{made['id']}/test"
    for event in ("dsync.group.created", "nothing.known", ""):
        assert await here.refused(422, "POST", address, {"event": event}) == [
            "validation_failed",
            "event_invalid",
        ]
    never = await endpoint(here, hooks.url("/never"), events=["user.created", "connection.activated"])
    for body in ({}, {"event": "user.created"}):
        assert await here.refused(422, "POST", f"/webhook_endpoints/{never['id']}/test", body) == [
            "validation_failed",
            "event_unsupported",
        ]
    mixed = await endpoint(here, hooks.url("/mixed"), events=["user.created", "dsync.deleted"])
    assert (await sent_to(here, mixed))["event"] == "dsync.deleted"
    assert [request.path for request in hooks.received] == ["/mixed"]


async def test_tests_never_take_all_connections(here: Api, hooks: Receiver) -> None:
    gate = Gate()
    hooks.answer = gate.reply
    made = [await endpoint(here, hooks.url(f"/{number}")) for number in range(MAX_UNDER_WAY)]
    waiting = [asyncio.create_task(sent_to(here, one)) for one in made]
    await wait_until(lambda: len(hooks.received) == MAX_UNDER_WAY)
    refused = await here.call("POST", f"/webhook_endpoints/{made[0]['id']}/test")
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) > 0
    gate.open()
    assert {attempt["outcome"] for attempt in await asyncio.gather(*waiting)} == {"success"}
    hooks.answer = lambda _: Reply()
    assert (await sent_to(here, made[0]))["outcome"] == "success"


async def test_an_endpoint_that_is_deleted_during_a_test_leaves_nothing(here: Api, hooks: Receiver) -> None:
    made = await endpoint(here, hooks.url())

    async def delete(_: Received) -> Reply:
        assert (await here.call("DELETE", f"/webhook_endpoints/{made['id']}")).status_code == 204
        return Reply()

    hooks.answer = delete
    assert (await sent_to(here, made))["outcome"] == "success"
    assert await here.refused(404, "GET", f"/webhook_endpoints/{made['id']}/attempts") == ["entity_not_found"]


async def test_attempts_are_paged_newest_first_and_filtered(here: Api, hooks: Receiver) -> None:
    made, other = await endpoint(here, hooks.url()), await endpoint(here, hooks.url("/other"))
    statuses = iter([200, 500, 429, 200, 204])
    hooks.answer = lambda _: Reply(next(statuses))
    attempts = [await sent_to(here, made) for _ in range(4)]
    await sent_to(here, other)
    address = f"/webhook_endpoints/{made['id']}/attempts"
    first = await here.get(f"{address}?limit=3")
    assert first["data"] == attempts[:0:-1]
    assert first["list_metadata"] == {"before": None, "after": attempts[1]["id"]}
    rest = await here.get(f"{address}?limit=3&after={attempts[1]['id']}")
    assert rest["data"] == attempts[:1]
    assert (await here.get(f"{address}?order=asc"))["data"] == attempts
    for query, expected in (
        ("outcome=success", [attempts[3], attempts[0]]),
        ("outcome=busy", [attempts[2]]),
        ("outcome=timeout", []),
        (f"event_id={attempts[1]['event_id']}", [attempts[1]]),
        (f"event_id={attempts[1]['event_id']}&outcome=success", []),
        ("event_id=nothing", []),
    ):
        assert (await here.get(f"{address}?{query}"))["data"] == expected, query
    assert await here.refused(422, "GET", f"{address}?outcome=lost") == [
        "validation_failed",
        "outcome_invalid",
    ]
    assert await here.refused(422, "GET", f"{address}?after=we_1") == ["validation_failed", "after_invalid"]


async def test_the_answer_to_a_repeated_test_is_the_first_one(here: Api, hooks: Receiver) -> None:
    made = await endpoint(here, hooks.url())
    same = {"Idempotency-Key": "once"}
    address = f"/webhook_endpoints/{made['id']}/test"
    answers = [await here.call("POST", address, {}, headers=same) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(hooks.received) == 1
    assert json.loads(hooks.received[0].body)["id"] == answers[0].json()["event_id"]
