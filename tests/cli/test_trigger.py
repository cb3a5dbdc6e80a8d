"""`syncline trigger` makes real changes in a sandbox and prints the event that comes of each."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from syncline.cli.trigger_recipes import RECIPES, UNTRIGGERED, Recipe
from syncline.cli.trigger_sandbox import Matches, Sandbox
from syncline.core.events import CATALOG
from tests.cli.shell import Shell


def token_file(shell: Shell) -> Path:
    [path] = (shell.folder / "state" / "sandbox").glob("*.json")
    return path


def test_every_type_of_the_vendor_can_be_triggered_or_says_why_not(shell: Shell) -> None:
    done = shell.run("trigger", "--list", "--json")
    listed = {one["event"] for one in done.records}
    assert listed | set(UNTRIGGERED) == {name for name in CATALOG if not name.startswith("syncline.")}
    for type_ in UNTRIGGERED:
        refused = shell.run("trigger", type_)
        assert refused.code == 2
        assert UNTRIGGERED[type_] in refused.complaint


def test_each_type_comes_and_is_that_of_the_change_just_made(shell: Shell) -> None:
    for type_ in RECIPES:
        before = shell.events()[-1]
        done = shell.run("trigger", type_, "--json")
        assert done.code == 0, f"{type_}: {done.err}"
        [event] = done.records
        assert event["event"] == type_
        assert event["id"] > before
        assert event["id"] in shell.events(type_)
    names = {one["name"] for one in shell.api("GET", "/organizations?limit=100")["data"]}
    assert all(name.startswith(("Syncline sandbox", "Northwind")) for name in names)


def test_the_sandbox_is_made_once_and_its_token_is_for_its_owner_only(shell: Shell) -> None:
    first = shell.run("trigger", "dsync.user.created", "--json").records[0]
    second = shell.run("trigger", "dsync.user.created", "--json").records[0]
    assert first["data"]["directory_id"] == second["data"]["directory_id"]
    assert first["data"]["id"] != second["data"]["id"]
    assert stat.S_IMODE(token_file(shell).stat().st_mode) == 0o600
    made = shell.events("dsync.token.created")
    updated = shell.run("trigger", "dsync.user.updated", "--json").records[0]
    assert updated["data"]["id"] in (first["data"]["id"], second["data"]["id"])
    assert shell.events("dsync.token.created") == made


@pytest.mark.parametrize("kept", ["", '{"directory_1": 3}', None, "revoked"])
def test_a_token_that_was_lost_or_revoked_is_made_anew(shell: Shell, kept: str | None) -> None:
    first = shell.run("trigger", "dsync.group.created", "--json").records[0]
    path, directory_id = token_file(shell), first["data"]["directory_id"]
    if kept is None:
        path.unlink()
    elif kept == "revoked":
        tokens = shell.api("GET", f"/directories/{directory_id}/bearer_tokens")["data"]
        for token in tokens:
            shell.api("DELETE", f"/directories/{directory_id}/bearer_tokens/{token['id']}")
    else:
        path.write_text(kept)
    again = shell.run("trigger", "dsync.group.created", "--json")
    assert again.code == 0, again.err
    assert again.records[0]["data"]["directory_id"] == directory_id
    assert directory_id in json.loads(path.read_text())


def test_an_event_that_does_not_come_is_a_failure(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    async def makes_no_event(sandbox: Sandbox) -> Matches:
        await sandbox.a_user()
        return lambda data: data["idp_id"] == "somebody else"

    monkeypatch.setitem(RECIPES, "dsync.user.updated", Recipe("changes nothing", makes_no_event))
    done = shell.run("trigger", "dsync.user.updated", "--timeout", "0.3")
    assert done.code == 1
    assert "no dsync.user.updated came" in done.complaint
    assert done.out == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--list"),
        (["dsync.user.craeted"], "Do you mean dsync.user.created?"),
        (["syncline.webhook_endpoint.disabled"], "cannot be triggered"),
        (["nonsense"], "no event type"),
    ],
)
def test_what_is_no_event_type_changes_nothing(shell: Shell, arguments: list[str], says: str) -> None:
    before = shell.events()
    done = shell.run("trigger", *arguments)
    assert done.code == 2
    assert says in done.complaint
    assert shell.events() == before


def test_a_key_that_may_only_read_is_told_so(shell: Shell) -> None:
    key = shell.live.run(
        lambda services: services.api_keys.create(shell.tenant.environment_id, "reader", ["read"])
    )
    done = shell.run("trigger", "dsync.user.created", api_key=key.value)
    assert done.code == 2
    assert "may not do this" in done.complaint
