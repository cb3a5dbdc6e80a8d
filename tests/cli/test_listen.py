"""`syncline listen`: every event at least once, in order, signed, whatever stops."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from standardwebhooks.webhooks import Webhook
from workos import WorkOSClient

from syncline.faults import EXIT_STATUS
from syncline.services.container import Services
from syncline.store import log
from tests.cli.shell import Shell
from tests.support.live import eventually
from tests.support.processes import Process
from tests.support.receiver import Received, Receiver, Reply, receiver
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e
CREATED = "organization.created"


@pytest.fixture
async def machine() -> AsyncIterator[Receiver]:
    """The program of a developer, on loopback."""
    async with receiver() as running:
        yield running


def listener(shell: Shell, machine: Receiver, *more: str, **settings: str) -> Process:
    """Start a listener for organizations that were created."""
    return shell.start(
        "listen", "--forward-to", machine.url(), "--events", CREATED, "--json", *more, **settings
    )


def records(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]


async def has_begun(process: Process) -> dict[str, Any]:
    """Wait for the first line and return it."""
    await wait_until(lambda: records(process) or process.process.poll() is not None, 30, reason="a beginning")
    assert records(process), process.output()
    return records(process)[0]


async def has_got(machine: Receiver, ids: Sequence[str]) -> None:
    await wait_until(lambda: machine.ids()[-1:] == list(ids[-1:]), 30, reason=f"the event {ids[-1]}")


def stop(process: Process) -> None:
    """Press Ctrl-C."""
    process.process.send_signal(signal.SIGINT)
    assert process.process.wait(10) == 0, process.output()


def cursor_file(shell: Shell) -> Path:
    [path] = (shell.folder / "state" / "listen").rglob("*.json")
    return path


async def test_events_come_signed_in_order_and_the_next_start_goes_on_there(
    shell: Shell, machine: Receiver
) -> None:
    before = shell.organizations("Before the first start")
    with listener(shell, machine) as process:
        begun = await has_begun(process)
        first = shell.organizations("One", "Two", "Three")
        await has_got(machine, first)
        await wait_until(lambda: len(records(process)) == 4, reason="three lines of the feed")
        stop(process)
    assert machine.ids() == first
    assert before[0] not in machine.ids()
    shown = [(one["event"]["id"], one["status"], one["taken"]) for one in records(process)[1:]]
    assert shown == [(id_, 200, True) for id_ in first]
    path = cursor_file(shell)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    while_down = shell.organizations("Four", "Five")
    with listener(shell, machine) as process:
        assert (await has_begun(process))["secret"] == begun["secret"]
        await has_got(machine, while_down)
        stop(process)
    assert machine.ids() == first + while_down
    for request in machine.at("/hook"):
        # The official verifiers, of both families; what is signed is what the Events API holds.
        Webhook(begun["secret"]).verify(request.body, dict(request.headers))
        WorkOSClient(api_key="sk_unused", client_id="client_unused").webhooks.verify_event(
            event_body=request.body,
            event_signature=request.headers["workos-signature"],
            secret=begun["secret"],
        )
        assert request.event in shell.api("GET", "/events?limit=100")["data"]


async def test_a_failing_receiver_gets_the_same_event_again_before_any_other(
    shell: Shell, machine: Receiver
) -> None:
    answers = iter([500, 302, 200, 503])

    def answer(_: Received) -> Reply:
        return Reply(next(answers, 200), {"Location": machine.url("/elsewhere")})

    machine.answer = answer
    with listener(shell, machine) as process:
        await has_begun(process)
        made = shell.organizations("One", "Two")
        await wait_until(lambda: len(machine.received) == 5, 30, reason="five requests")
        await wait_until(lambda: len(records(process)) == 6, reason="five lines of the feed")
        stop(process)
    assert machine.ids() == [made[0]] * 3 + [made[1]] * 2
    assert [request.attempt for request in machine.received] == [1, 2, 3, 1, 2]
    assert [one["status"] for one in records(process)[1:]] == [500, 302, 200, 503, 200]


async def test_killed_between_forwarding_and_remembering_the_event_comes_again_and_none_is_lost(
    shell: Shell, machine: Receiver
) -> None:
    with listener(shell, machine, faults="listen.after_forward=exit@2") as process:
        await has_begun(process)
        made = shell.organizations("One", "Two", "Three")
        await wait_until(lambda: process.process.poll() is not None, 30, reason="the end of the process")
        assert process.process.returncode == EXIT_STATUS
    assert machine.ids() == made[:2]
    with listener(shell, machine) as process:
        await has_got(machine, made)
        stop(process)
    assert machine.ids() == [made[0], made[1], made[1], made[2]]


async def test_killed_while_the_receiver_works_nothing_is_lost(shell: Shell, machine: Receiver) -> None:
    with listener(shell, machine) as process:
        await has_begun(process)

        def kill(_: Received) -> Reply:
            process.process.kill()
            return Reply()

        machine.answer = kill
        made = shell.organizations("One", "Two")
        await wait_until(lambda: process.process.poll() is not None, 30, reason="the end of the process")
    machine.answer = lambda _: Reply()
    with listener(shell, machine) as process:
        await has_got(machine, made)
        stop(process)
    assert machine.ids() == [made[0], made[0], made[1]]


async def test_what_the_filters_leave_out_is_behind_the_listener(shell: Shell, machine: Receiver) -> None:
    own = shell.tenant.directory_id
    with shell.start("listen", "--forward-to", machine.url(), "--directory", own, "--json") as process:
        await has_begun(process)
        left_out = shell.organizations("Left out")
        shell.api("POST", f"/directories/{own}/bearer_tokens", {"label": "wanted"})
        await wait_until(lambda: len(machine.received) == 1, 30, reason="the event of the directory")
        await wait_until(
            lambda: json.loads(cursor_file(shell).read_text())["cursor"] == shell.events()[-1],
            reason="the cursor at the head",
        )
        stop(process)
    assert [request.event["event"] for request in machine.received] == ["dsync.token.created"]
    assert left_out[0] not in machine.ids()


async def test_syncline_may_go_and_come_back(shell: Shell, machine: Receiver, unused_port: int) -> None:
    server = urlsplit(shell.live.url).port or 0
    relay = await relaying(unused_port, server)
    with listener(shell, machine, url=f"http://127.0.0.1:{unused_port}") as process:
        await has_begun(process)
        relay.close()
        await wait_until(lambda: "does not answer" in process.output(), 30, reason="a remark")
        made = shell.organizations("Meanwhile", "Later")
        relay = await relaying(unused_port, server)
        await has_got(machine, made)
        stop(process)
    relay.close()
    assert machine.ids() == made
    assert "answers again" in process.output()


async def relaying(port: int, target: int) -> asyncio.Server:
    """Listen on a port and pass each connection, which serves one answer, to another port."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", target)
        head = await reader.readuntil(b"\r\n\r\n")
        to_server.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        writer.write(await from_server.read())
        await writer.drain()
        writer.close()
        to_server.close()

    return await asyncio.start_server(relay, "127.0.0.1", port)


async def test_a_second_listener_does_not_take_events_away(shell: Shell, machine: Receiver) -> None:
    with listener(shell, machine) as process:
        await has_begun(process)
        second = await shell.aside("listen", "--forward-to", machine.url())
        assert second.code == 2
        assert "Another `syncline listen`" in second.complaint
        asked = await shell.aside("listen", "--print-secret")
        assert (asked.code, asked.out.strip()) == (0, records(process)[0]["secret"])
        own = await shell.aside("listen", "--print-secret", "--cursor-file", str(shell.folder / "other.json"))
        assert own.code == 0, own.err
        stop(process)


def test_an_expired_cursor_is_an_error_that_says_what_to_do_and_stays_as_it_is(shell: Shell) -> None:
    made = shell.organizations("One", "Two", "Three")
    path = shell.folder / "place.json"
    begun = shell.run("listen", "--print-secret", "--after", made[0], "--cursor-file", str(path))
    assert begun.code == 0, begun.err
    remembered = path.read_text()

    async def trim(services: Services) -> None:
        future = datetime.now(UTC) + timedelta(days=1)
        await services.kernel.database.write(
            lambda connection: log.trim(connection, shell.tenant.environment_id, future, 3)
        )

    shell.live.run(trim)
    expired = shell.run("listen", "--forward-to", "9", "--cursor-file", str(path))
    assert expired.code == 1
    assert "--from start" in expired.complaint
    assert made[0] in expired.complaint
    assert path.read_text() == remembered
    assert shell.run("events", "get", made[0]).code == 1


def test_an_unknown_cursor_and_a_file_of_something_else_are_refused_and_stay(shell: Shell) -> None:
    made = shell.organizations("One")
    path = shell.folder / "place.json"
    unknown = shell.run(
        "listen", "--print-secret", "--after", made[0][:-4] + "ZZZZ", "--cursor-file", str(path)
    )
    assert unknown.code == 1
    assert "not an event of this environment" in unknown.complaint
    assert not path.exists()
    for text in (
        "",
        "no json",
        '["list"]',
        '{"cursor": 3}',
        '{"url": "http://127.0.0.1:1", "secret": "x", "cursor": null}',
    ):
        path.write_text(text)
        refused = shell.run("listen", "--forward-to", "9", "--cursor-file", str(path))
        assert refused.code == 2
        assert str(path) in refused.complaint
        assert path.read_text() == text


def test_a_key_that_replaces_another_goes_on_where_the_other_was(shell: Shell) -> None:
    made = shell.organizations("One", "Two")
    begun = shell.run("listen", "--print-secret", "--after", made[0])

    async def successor(services: Services) -> str:
        return (await services.api_keys.create(shell.tenant.environment_id, "successor")).value

    rolled = shell.run("listen", "--print-secret", api_key=shell.live.run(successor))
    assert rolled.out == begun.out
    stranger = shell.live.tenant(f"{shell.tenant.environment_id} stranger")
    assert shell.run("listen", "--print-secret", api_key=stranger.api_key).out != begun.out
    places = [json.loads(path.read_text()) for path in (shell.folder / "state").rglob("*.json")]
    assert [place["cursor"] for place in places].count(made[0]) == 2


def test_watching_remembers_nothing(shell: Shell) -> None:
    shell.organizations("One")
    with shell.start("listen", "--no-forward", "--from", "start") as process:
        eventually(lambda: CREATED in process.output(), "the event in the feed", 30)
        stop(process)
    assert "whsec_" not in process.output()
    assert not (shell.folder / "state").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--forward-to"),
        (["--forward-to", "ftp://x"], "ftp://x"),
        (["--forward-to", "http://"], "http://"),
        (["--forward-to", "9", "--from", "later"], "--from"),
        (["--forward-to", "9", "--from", "now", "--after", "event_1"], "not both"),
        (["--forward-to", "9", "--secret", "short"], "--secret"),
        (["--forward-to", "9", "--events", "dsync.nothing"], "events_unknown"),
    ],
)
def test_what_cannot_be_used_is_one_line(shell: Shell, arguments: list[str], says: str) -> None:
    done = shell.run("listen", *arguments)
    assert done.code == 2
    assert says in done.complaint
    assert len(done.err.splitlines()) == 1
