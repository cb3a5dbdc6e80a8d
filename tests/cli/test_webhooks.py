"""`syncline webhooks` against a running Syncline and a receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cli.shell import Done, Shell
from tests.support.receiver import Receiver, Reply, receiver
from tests.support.waiting import wait_until

CREATED = "organization.created"


@pytest.fixture
async def machine() -> AsyncIterator[Receiver]:
    """What an endpoint points to."""
    async with receiver() as running:
        yield running


async def webhooks(shell: Shell, *arguments: str) -> Done:
    return await shell.aside("webhooks", *arguments, "--json")


async def made(shell: Shell, machine: Receiver, *more: str) -> dict[str, Any]:
    done = await webhooks(shell, "create", machine.url(), "--events", CREATED, *more)
    assert done.code == 0, done.err
    [endpoint] = done.records
    return endpoint


async def test_an_endpoint_from_its_creation_to_its_end(shell: Shell, machine: Receiver) -> None:
    endpoint = await made(shell, machine)
    assert endpoint["secret"].startswith("whsec_")
    [listed] = (await webhooks(shell, "list")).records
    assert (listed["id"], listed["state"]) == (endpoint["id"], "active")
    [tested] = (await webhooks(shell, "test", endpoint["id"])).records
    assert (tested["outcome"], tested["status"], tested["test"]) == ("success", 200, True)
    assert [request.event["event"] for request in machine.received] == [CREATED]
    [rotated] = (await webhooks(shell, "rotate", endpoint["id"])).records
    assert rotated["secret"] not in ("", endpoint["secret"])
    refused = await webhooks(shell, "delete", endpoint["id"])
    assert refused.code == 2
    assert "--yes" in refused.complaint
    assert (await webhooks(shell, "delete", endpoint["id"], "--yes")).code == 0
    gone = await webhooks(shell, "show", endpoint["id"])
    assert gone.code == 1
    assert "entity_not_found" in gone.complaint


async def test_pausing_loses_nothing_and_enabling_goes_on_where_it_is_told(
    shell: Shell, machine: Receiver
) -> None:
    endpoint = await made(shell, machine)
    [paused] = (await webhooks(shell, "pause", endpoint["id"])).records
    assert paused["state"] == "paused"
    missed = shell.organizations("One", "Two", "Three")
    assert (await webhooks(shell, "enable", endpoint["id"], "--from", missed[1])).code == 0
    await wait_until(lambda: len(machine.received) >= 2, reason="two webhooks")
    assert machine.ids() == missed[1:]
    wrong = await webhooks(shell, "enable", endpoint["id"], "--from", "later")
    assert wrong.code == 2
    assert "--from takes" in wrong.complaint


async def test_attempts_say_why_and_a_retry_tries_now(shell: Shell, machine: Receiver) -> None:
    machine.answer = lambda _: Reply(500, body="no room")
    endpoint = await made(shell, machine)
    [event_id] = shell.organizations("One")
    await wait_until(
        lambda: shell.api("GET", f"/webhook_endpoints/{endpoint['id']}")["health"]["waiting"] == 1,
        reason="a delivery that waits",
    )
    [waiting] = (await webhooks(shell, "deliveries", endpoint["id"])).records
    assert (waiting["event_id"], waiting["state"]) == (event_id, "waiting")
    failed = await webhooks(shell, "test", endpoint["id"])
    assert failed.code == 1
    assert "500" in failed.complaint
    found = (await webhooks(shell, "attempts", endpoint["id"], "--event-id", event_id)).records
    assert {(one["outcome"], one["status"], one["response"]) for one in found} == {("failed", 500, "no room")}
    machine.answer = lambda _: Reply()
    retried = await webhooks(shell, "retry", endpoint["id"], "--wait")
    assert retried.code == 0, retried.err
    assert retried.records[0]["count"] == 1
    assert (await webhooks(shell, "deliveries", endpoint["id"])).records == []
    assert machine.ids()[-1] == event_id


def test_what_an_endpoint_is_like_is_shown_to_people(shell: Shell) -> None:
    url = "http://127.0.0.1:9/hook"
    created = shell.run("webhooks", "create", url, "--events", CREATED, "--ordering", "strict", "--paused")
    assert created.code == 0, created.err
    assert "whsec_" in created.out
    endpoint_id = next(word for word in created.out.split() if word.startswith("we_"))
    shown = shell.run("webhooks", "show", endpoint_id)
    lines = dict(line.split(maxsplit=1) for line in shown.out.splitlines())
    assert lines["endpoint_url"] == url
    assert lines["state"] == "paused"
    assert lines["ordering"] == "strict"
    assert lines["circuit"] == "closed"
    assert created.out.split("whsec_")[1].split()[0] not in shown.out
    assert url in shell.run("webhooks", "list").out
    assert shell.run("webhooks", "attempts", endpoint_id).out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["create", "http://127.0.0.1:9/x", "--events", "dsync.nothing"], 2, "dsync.nothing"),
        (["create", "ftp://x", "--events", CREATED], 2, "invalid_url"),
        (["show", "../organizations"], 2, "no id of an endpoint"),
        (["show", "we_01KA0Z3W8M6Q4T2R9X7V5B3N1A"], 1, "entity_not_found"),
        (["pause", "we_01KA0Z3W8M6Q4T2R9X7V5B3N1A"], 1, "entity_not_found"),
    ],
)
def test_what_is_refused_is_one_line(shell: Shell, arguments: list[str], code: int, says: str) -> None:
    done = shell.run("webhooks", *arguments)
    assert done.code == code
    assert says in done.complaint
    assert len(done.err.splitlines()) == 1


async def replay(shell: Shell, endpoint: dict[str, Any], *arguments: str) -> Done:
    return await shell.aside("events", "replay", "--endpoint", endpoint["id"], *arguments, "--json")


async def test_replays_send_past_events_again_with_their_ids(shell: Shell, machine: Receiver) -> None:
    endpoint = await made(shell, machine)
    began = datetime.now(UTC).isoformat()
    ids = shell.organizations("One", "Two", "Three", "Four")
    await wait_until(lambda: machine.ids() == ids, reason="four webhooks")

    async def comes_again(expected: list[str], *arguments: str) -> None:
        machine.received.clear()
        done = await replay(shell, endpoint, *arguments)
        assert done.code == 0, done.err
        assert done.records[0]["count"] == len(expected)
        await wait_until(lambda: machine.ids() == expected, reason=f"the replay {arguments}")

    await comes_again(ids[1:2], ids[1])
    await comes_again(ids[1:3], "--after", ids[0], "--before", ids[3])
    # The organization that every test begins with is older than the endpoint, and may be asked for too.
    await comes_again(shell.events(CREATED)[:3], "--before", ids[2])
    await comes_again(ids, "--after", began)
    nothing = await replay(shell, endpoint, "--after", ids[0], "--before", ids[1])
    assert nothing.code == 1
    assert "no event in that range" in nothing.complaint


async def test_what_was_given_up_is_sent_again(shell: Shell, machine: Receiver) -> None:
    machine.answer = lambda _: Reply(500)
    endpoint = await made(shell, machine)
    [event_id] = shell.organizations("One")
    await wait_until(
        lambda: shell.api("GET", f"/webhook_endpoints/{endpoint['id']}")["health"]["waiting"] == 1,
        reason="a delivery that waits",
    )
    # To start from now gives up what waits.
    assert (await webhooks(shell, "enable", endpoint["id"], "--from", "now")).code == 0
    [dead] = (await webhooks(shell, "deliveries", endpoint["id"], "--state", "dead")).records
    assert dead["event_id"] == event_id
    machine.answer = lambda _: Reply()
    machine.received.clear()
    assert (await replay(shell, endpoint, "--dead")).records[0]["count"] == 1
    await wait_until(lambda: machine.ids() == [event_id], reason="the dead delivery")
    again = await replay(shell, endpoint, "--dead")
    assert again.code == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "what to send again"),
        (["event_1", "--dead"], "what to send again"),
        (["--after", "yesterday"], "--after takes"),
        (["--before", ""], "--before takes"),
    ],
)
def test_a_replay_of_nothing_in_particular_is_refused(shell: Shell, arguments: list[str], says: str) -> None:
    done = shell.run("events", "replay", "--endpoint", "we_01KA0Z3W8M6Q4T2R9X7V5B3N1A", *arguments)
    assert done.code == 2
    assert says in done.complaint
