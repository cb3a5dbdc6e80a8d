"""What pages say about tests is so: every test that is named as a proof exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.sessions import ROOT

PAGES = ("docs/reliability.md", "docs/security.md", "docs/architecture.md", "docs/scim-conformance.md")
_NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@cache
def _tests(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text("utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


@pytest.mark.parametrize("page", PAGES)
def test_every_proof_that_a_page_names_exists(page: str) -> None:
    for file, name in _NAMED.findall((ROOT / page).read_text("utf-8")):
        assert (ROOT / file).is_file(), file
        assert _tests(ROOT / file), f"{file} holds no tests"
        assert not name or name in _tests(ROOT / file), f"{file}::{name}"


def test_every_promise_has_a_proof_or_says_that_it_has_none() -> None:
    parts = re.split(r"^## (P\d+) ", (ROOT / "docs/reliability.md").read_text("utf-8"), flags=re.MULTILINE)
    promises = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(promises) == [f"P{number}" for number in range(1, 11)]
    for promise, text in promises.items():
        assert _NAMED.search(text) or "Not built yet" in text, promise
