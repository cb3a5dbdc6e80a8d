"""Every session of the pages and of the README runs, and prints what is shown."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from scripts.docs_site.directives import RUNNING
from tests.docs.conftest import Running
from tests.docs.sessions import ROOT, Session, Step, contains_in_order, matches, steps

pytestmark = pytest.mark.e2e
NewSession = Callable[..., AbstractContextManager[Session]]


def _pages(*, running: bool) -> list[Path]:
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    texts = {path: path.read_text("utf-8") for path in found}
    return [path for path, text in texts.items() if steps(text) and text.startswith(RUNNING) is running]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", _pages(running=False), ids=_name)
def test_a_page_that_starts_from_nothing(page: Path, new_session: NewSession) -> None:
    with new_session() as session:
        session.play(steps(page.read_text("utf-8")))


@pytest.mark.parametrize("page", _pages(running=True), ids=_name)
def test_a_page_that_needs_a_running_syncline(page: Path, running: Running, new_session: NewSession) -> None:
    with new_session(running.variables(page.stem), running.ports) as session:
        session.play(steps(page.read_text("utf-8")))


def test_scripts_run_is_the_command_that_stands_for_it_here() -> None:
    assert 'exec .venv/bin/syncline up --demo "$@"' in (ROOT / "scripts" / "run").read_text("utf-8")


def test_a_session_is_read_as_commands_and_their_outputs() -> None:
    text = "```console title=\"one, keeps running\"\n$ a \\\n  b\nc\n$ d 'e\nf'\n```\n\n```bash\n$ no\n```\n"
    assert steps(text) == [
        Step("a \\\n  b", ("c",), 2, "one", True),
        Step("d 'e\nf'", (), 5, "one", True),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "is_same"),
    [
        (["id=key_01…  name=x"], "id=key_01ABC name=x\n", True),
        (["id=key_01…  name=x"], "id=key_01ABC name=y\n", False),
        (["a", "…", "b"], "a\nmore\nand more\nb\n", True),
        (["a", "b"], "a\nmore\nb\n", False),
        (["a"], "a\nb\n", False),
        (['{"a":1,…,"c":"…"}'], '{"a":1,"b":2,"c":"x"}', True),
        (['{"a":1,…,', ' "b":2}'], '{"a":1,"b":2}', True),
        (['{"a":1,…}'], '{"a":2,"b":2}', False),
        (['{"a":1}'], '{"a":1,"b":2}', False),
        (["14:32:08 up"], "09:00:59  up", True),
        (["http://127.0.0.1:45623/"], "http://127.0.0.1:9/", False),
    ],
)
def test_an_output_is_compared_with_what_is_shown(shown: list[str], printed: str, is_same: bool) -> None:
    assert matches(shown, printed) is is_same


def test_lines_of_something_that_keeps_running_keep_their_order() -> None:
    assert contains_in_order(["a", "…", "c…"], "a\nb\ncd\n")
    assert not contains_in_order(["c", "a"], "a\nb\nc\n")


def test_a_page_that_shows_something_else_is_noticed(new_session: NewSession) -> None:
    wrong = "```console\n$ echo two\none\n```\n"
    with new_session() as session, pytest.raises(AssertionError, match="line 2"):
        session.play(steps(wrong))
    failing = "```console\n$ false\n```\n"
    with new_session() as session, pytest.raises(AssertionError, match="ended with 1"):
        session.play(steps(failing))
