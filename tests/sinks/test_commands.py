"""`syncline sinks` on a database: what it prints, what it refuses, and that no secret is shown."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from syncline.cli.keys import app as keys
from syncline.cli.sinks import app
from syncline.core.errors import SynclineError


class Shell:
    """Runs commands in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def json(self, *words: str) -> Any:
        """Return what a command prints with --json."""
        return json.loads(self.text(*words, "--json"))

    def text(self, *words: str) -> str:
        """Return what a command prints."""
        result = CliRunner().invoke(app, list(words))
        if isinstance(result.exception, SynclineError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture
def shell(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    monkeypatch.setenv("SYNCLINE_DATABASE_URL", database_url)
    monkeypatch.setenv("SYNCLINE_DATA", str(tmp_path / "data"))
    # The first key makes the environment.
    assert CliRunner().invoke(keys, ["create"]).exit_code == 0
    yield Shell(tmp_path)
    # Commands set logging up for a process of their own.
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


def test_a_sink_from_its_making_to_its_end(shell: Shell) -> None:
    path = str(shell.folder / "events.ndjson")
    made = shell.json("create", "ndjson", "copy", "--path", path, "--event", "dsync.user.created")
    assert (made["kind"], made["target"], made["state"]) == ("ndjson", path, "active")
    assert made["events"] == ["dsync.user.created"]
    assert shell.json("pause", "copy")["state"] == "paused"
    assert shell.json("show", made["id"]) == shell.json("list")[0]
    assert shell.json("resume", "copy")["state"] == "active"
    assert shell.json("rewind", "copy", "--from", "start")["position"] == 0
    assert "state=active" in shell.text("list")
    shell.text("delete", "copy")
    assert shell.json("list") == []


def test_passwords_come_from_files_and_are_never_printed(shell: Shell) -> None:
    secret = shell.folder / "password"
    secret.write_text("open sesame\n")
    login = ("--user", "app", "--password-file", str(secret))
    printed = shell.text("create", "nats", "bus", "--server", "tls://nats.example", *login)
    printed += shell.text(
        *("create", "kafka", "stream", "--broker", "kafka.example:9093", "--topic", "events"),
        *("--mechanism", "SCRAM-SHA-512", *login),
    )
    printed += shell.text("list", "--json") + shell.text("show", "bus")
    assert "tls://nats.example syncline.>" in printed
    assert "open sesame" not in printed
    database = shell.folder / "data"
    assert not any(b"open sesame" in file.read_bytes() for file in database.rglob("*") if file.is_file())


REFUSED = {
    ("create", "ndjson", "Bad Name", "--path", "/x"): "lower-case",
    ("create", "nats", "x", "--server", "http://a"): "not nats://",
    ("create", "nats", "x", "--server", "nats://a", "--password-file", "/nowhere"): "cannot be read",
    ("create", "kafka", "x", "--broker", "a", "--topic", "t", "--user", "u"): "together",
    ("show", "nothing"): "not found",
    ("rewind", "nothing"): "either --from or --after",
    ("list", "--environment", "nowhere"): "Environment not found",
}


def test_what_cannot_be_done_is_said_in_a_sentence_and_changes_nothing(shell: Shell) -> None:
    for words, complaint in REFUSED.items():
        with pytest.raises(SynclineError, match=complaint):
            shell.text(*words)
    assert shell.json("list") == []
