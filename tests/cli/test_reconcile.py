"""`syncline reconcile`: an app's roster against a directory, from files and addresses."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.cli.shell import Shell
from tests.support.waiting import wait_until_sync


@pytest.fixture
def place(shell: Shell) -> str:
    """A directory with two people, one of whom left again; its id."""
    tenant = shell.tenant
    base = f"{shell.live.url}/scim/v2/{tenant.directory_key}/Users"
    headers = {"Authorization": f"Bearer {tenant.scim_token}"}
    with httpx.Client(headers=headers) as scim:
        for name in ("mira", "gone"):
            emails = [{"value": f"{name}@northwind.example", "primary": True}]
            body = {"userName": name, "externalId": f"ext-{name}", "title": "Planner", "emails": emails}
            made = scim.post(base, json=body).json()["id"]
        scim.delete(f"{base}/{made}")
    wait_until_sync(lambda: len(shell.events("dsync.user.deleted")) == 1, reason="a departure")
    return tenant.directory_id


def roster(shell: Shell, name: str, text: str) -> str:
    path = shell.folder / name
    path.write_text(text, "utf-8")
    return str(path)


def test_a_table_is_compared_and_what_was_missed_is_emitted(shell: Shell, place: str) -> None:
    file = roster(
        shell,
        "roster.csv",
        "app_id,email,job_title\n"
        "1,mira@northwind.example,Trainee\n\n"
        "2,gone@northwind.example,Planner\n"
        "3,stranger@northwind.example,\n",
    )
    found = shell.run("reconcile", place, "--file", file)
    assert found.code == 0, found.err
    assert "3 rows" in found.out
    assert "job_title: 'Trainee' in the app, 'Planner' in the directory" in found.out
    lines = found.out.splitlines()
    assert lines.index("gone_but_active") < lines.index("stale_profile") < lines.index("extra")
    assert any("gone@northwind.example" in line and "line 4" in line for line in lines)
    assert "\x1b" not in found.out + found.err, "a pipe gets plain lines"

    known = len(shell.events("dsync.user.deleted"))
    done = shell.run("reconcile", place, "--file", file, "--correct", "gone_but_active", "--json")
    first, *findings = done.records
    assert first["state"] == "complete"
    assert [(one["class"], one["emitted"]) for one in first["corrections"]] == [("gone_but_active", 1)]
    assert [one["class"] for one in findings] == ["gone_but_active", "stale_profile", "extra"]
    assert findings[0]["outcome"] == "emitted"
    wait_until_sync(
        lambda: len(shell.events("dsync.user.deleted")) == known + 1, reason="the corrective event"
    )


def test_large_files_go_in_pieces_and_lines_keep_their_numbers(shell: Shell, place: str) -> None:
    name = "long\n" + "x" * 1_900
    people = "".join(f'"p{number}@northwind.example","{name}"\n' for number in range(300))
    assert len(people) > 512 * 1024, "more than one piece"
    file = roster(shell, "roster.csv", f"email,name\n{people}mira@northwind.example,\n")
    _, *findings = shell.run("reconcile", place, "--file", file, "--json").records
    strangers = [one["line"] for one in findings if one["class"] == "extra"]
    assert strangers == list(range(2, 602, 2))
    assert not [one for one in findings if one["class"] == "missing"]


def test_lines_and_lists_are_read_as_well(shell: Shell, place: str) -> None:
    row = {"email": "mira@northwind.example"}
    for name, text in (
        ("roster.ndjson", json.dumps(row)),
        ("roster.json", json.dumps({"users": [row]})),
        ("roster.txt", "email\nmira@northwind.example"),
    ):
        found = shell.run("reconcile", place, "--file", roster(shell, name, text))
        assert (found.code, "no differences" in found.out) == (0, True), found


def test_a_bad_row_is_named_and_leaves_nothing(shell: Shell, place: str) -> None:
    file = roster(shell, "roster.csv", "email\nmira@northwind.example\nnobody\n")
    found = shell.run("reconcile", place, "--file", file)
    assert found.code == 2
    assert "line 3" in found.complaint
    assert shell.api("GET", f"/directories/{place}/reconciliations")["data"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--file or with --roster-url"),
        (("--file", "/nowhere/roster.csv"), "cannot be read"),
        (("--file", "-", "--format", "xml"), "--format takes"),
        (("--file", "-", "--correct", "extra"), "no event for the class 'extra'"),
        (("--file", "-", "--taken-at", "yesterday"), "--taken-at takes"),
        (("--roster-url", "http://10.0.0.1/x"), "invalid_url"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    shell: Shell, place: str, arguments: tuple[str, ...], said: str
) -> None:
    found = shell.run("reconcile", place, *arguments)
    assert found.code == 2
    assert said in found.complaint


def test_an_empty_file_is_no_roster(shell: Shell, place: str, tmp_path: Path) -> None:
    for name in ("empty.csv", "empty.ndjson"):
        found = shell.run("reconcile", place, "--file", roster(shell, name, ""))
        assert found.code == 2, found
