"""`syncline events` against a running Syncline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from syncline.cli import events_stream
from tests.cli.shell import Shell


def test_tail_prints_what_the_events_api_holds_in_order_and_ends_where_told(shell: Shell) -> None:
    made = shell.organizations("Northwind One", "Northwind Two", "Northwind Three")
    done = shell.run("events", "tail", "--from", "start", "--no-follow", "--json")
    assert done.code == 0, done.err
    assert [event["id"] for event in done.records] == shell.events()
    limited = shell.run("events", "tail", "--from", made[0], "--limit", "1", "--json")
    assert [event["id"] for event in limited.records] == [made[1]]


def test_tail_goes_through_pages_and_filters_without_losing_any(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_stream, "PAGE", 3)
    for number in range(10):
        shell.api("POST", "/organizations", {"name": f"Customer {number}"})
    done = shell.run("events", "tail", "--from", "start", "--no-follow", "--json")
    names = [event["data"]["name"] for event in done.records if event["event"] == "organization.created"]
    assert names[-10:] == [f"Customer {number}" for number in range(10)]
    own = shell.tenant.directory_id
    filtered = shell.run("events", "tail", "--from", "start", "--no-follow", "--json", "--directory", own)
    assert {event["event"] for event in filtered.records} == {"dsync.token.created"}
    by_type = shell.run(
        "events", "tail", "--from", "start", "--no-follow", "--json", "--events", "dsync.token.created"
    )
    assert by_type.records == filtered.records


def test_tail_from_a_time_begins_there(shell: Shell) -> None:
    made = shell.organizations("Northwind")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    earlier = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    none = shell.run("events", "tail", "--from", later, "--no-follow", "--json")
    assert (none.code, none.out) == (0, "")
    all_ = shell.run("events", "tail", "--from", earlier, "--no-follow", "--json")
    assert [event["id"] for event in all_.records][-1:] == made


def test_what_strangers_typed_does_not_reach_the_terminal_as_a_command(shell: Shell) -> None:
    shell.organizations("North\x1b[31mwind\x9b2J")
    for arguments in (("--no-follow",), ("--no-follow", "--json")):
        done = shell.run("events", "tail", "--from", "start", *arguments)
        assert "wind" in done.out
        assert "\x1b" not in done.out
        assert "\x9b" not in done.out


def test_get_prints_one_event_wherever_it_lies_in_the_log(shell: Shell) -> None:
    shell.organizations("Northwind One", "Northwind Two")
    for event_id in shell.events():
        done = shell.run("events", "get", event_id, "--json")
        assert done.code == 0, done.err
        assert [event["id"] for event in done.records] == [event_id]


def test_get_of_an_event_of_nobody_or_of_another_environment_fails(shell: Shell) -> None:
    other = shell.live.tenant(f"{shell.tenant.environment_id} other")
    made = shell.organizations("Northwind")
    theirs = shell.run("events", "tail", "--from", "start", "--limit", "1", "--json", api_key=other.api_key)
    for event_id in (theirs.records[0]["id"], made[0][:-4] + "ZZZZ", "nonsense"):
        done = shell.run("events", "get", event_id)
        assert done.code == 1
        assert f"no event {event_id}" in done.complaint
        assert done.out == ""


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "says"),
    [
        (["tail"], {"api_key": ""}, 2, "SYNCLINE_API_KEY"),
        (["tail"], {"api_key": "sk_test_nobodys_key_at_all"}, 2, "does not accept the API key"),
        (["tail"], {"url": "http://127.0.0.1:1"}, 2, "does not answer at http://127.0.0.1:1"),
        (["tail"], {"url": "localhost"}, 2, "SYNCLINE_URL"),
        (["tail", "--api-key-file", "/nowhere"], {}, 2, "--api-key-file"),
        (["tail", "--events", "dsync.nothing"], {}, 2, "events_unknown"),
        (["tail", "--from", "yesterday"], {}, 2, "--from takes"),
        (["tail", "--from", "event_01KA0Z3W8M6Q4T2R9X7V5B3N1A"], {}, 1, "--from start"),
    ],
)
def test_what_cannot_be_done_is_one_line_that_says_what_to_do(
    shell: Shell, arguments: list[str], settings: dict[str, str], code: int, says: str
) -> None:
    done = shell.run("events", *arguments, "--no-follow" if "tail" in arguments else "", **settings)
    assert done.code == code
    assert says in done.complaint
    assert len(done.err.splitlines()) == 1


def test_the_key_may_come_from_a_file(shell: Shell) -> None:
    path = shell.folder / "key"
    path.write_text(shell.tenant.api_key + "\n", encoding="utf-8")
    made = shell.organizations("Northwind")
    done = shell.run("events", "get", made[0], "--api-key-file", str(path), "--json", api_key="")
    assert [event["id"] for event in done.records] == made


@pytest.mark.e2e
def test_a_reader_that_has_enough_ends_the_command_quietly(shell: Shell) -> None:
    made = shell.organizations("Northwind")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNCLINE_")}
    settings = {f"SYNCLINE_{name.upper()}": value for name, value in shell.settings.items()}
    with subprocess.Popen(
        [sys.executable, "-m", "syncline", "events", "tail", "--from", "start", "--json"],
        env=kept | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [json.loads(process.stdout.readline())["id"] for _ in range(3)]
        assert lines[-1:] == made
        process.stdout.close()
        shell.organizations("Fabrikam")
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
