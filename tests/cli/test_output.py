"""What the commands print, on a terminal and in a pipe."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from syncline.cli import keys
from syncline.cli.output import Output, directory_of, printable, subject
from syncline.services.environments import DEFAULT_NAME

EVENT: dict[str, Any] = {
    "id": "event_1",
    "event": "dsync.group.user_added",
    "created_at": "2026-03-02T08:21:44.010Z",
    "data": {
        "directory_id": "directory_1",
        "user": {"email": "mira@x.example"},
        "group": {"name": "Dispatch"},
    },
}


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let standard output and error be a terminal."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_colors_are_for_terminals_whose_owner_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch)
    assert "\x1b[32m" in Output().outcome("200", good=True)
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert Output().outcome("200", good=True) == "200"


def test_a_pipe_gets_plain_lines_and_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.progress(1, 2, "deliveries")
    output.line(output.feed(EVENT, "Northwind", output.outcome("500", good=False)))
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.split() == [
        *printed.out.split()[:1],
        "dsync.group.user_added",
        "mira@x.example",
        "→",
        "Dispatch",
        "Northwind",
        "500",
    ]


def test_progress_is_a_line_that_goes_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(monkeypatch)
    output = Output()
    output.progress(1, 4, "deliveries")
    output.close()
    shown = capsys.readouterr().err
    assert "[#####...............] 1/4 deliveries" in shown
    assert shown.endswith("\r\x1b[2K")


def test_text_of_strangers_cannot_command_a_terminal() -> None:
    assert printable("a\x1b[2Jb\x9bc\u202ed\x07") == "a�[2Jb�c�d�"
    assert printable("Zoë → 東京\n") == "Zoë → 東京\n"


@pytest.mark.parametrize(
    ("data", "who", "directory"),
    [
        (
            {"idp_id": "7", "state": "active", "email": None, "directory_id": "directory_1"},
            "7",
            "directory_1",
        ),
        ({"object": "directory", "id": "directory_2", "name": "Northwind"}, "Northwind", "directory_2"),
        ({"object": "organization", "id": "org_1", "name": "Fabrikam"}, "Fabrikam", None),
        ({"reason": "late", "organization_domain": {"domain": "x.example"}}, "x.example", None),
        (
            {"id": "directory_token_1", "directory_id": "directory_1", "token_suffix": "x9Qf"},
            "token …x9Qf",
            "directory_1",
        ),
        ([], "", None),
    ],
)
def test_an_event_says_whom_and_which_directory_it_is_about(
    data: Any, who: str, directory: str | None
) -> None:
    assert subject({"data": data}) == who
    assert directory_of({"data": data}) == directory


def test_the_command_line_starts_without_what_a_developer_command_does_not_need() -> None:
    """Every start loaded the database layer and the HTTP client, which took seconds on a busy machine."""
    heavy = ("sqlalchemy", "aiohttp", "uvicorn", "cryptography", "syncline.services", "syncline.store")
    program = f"import sys; from syncline import cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_default_environment_is_the_one_that_the_server_makes() -> None:
    assert keys.DEFAULT_NAME == DEFAULT_NAME
