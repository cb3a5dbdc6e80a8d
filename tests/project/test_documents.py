"""What the documents point at exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = ROOT / "docs" / "decisions"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8"))
    local = [link.partition("#")[0] for link in links if "://" not in link and not link.startswith("#")]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_every_decision_is_listed() -> None:
    pages = {path.name for path in DECISIONS.glob("[0-9]*.md")}
    listed = set(re.findall(r"\]\(([0-9][^)]+)\)", (DECISIONS / "README.md").read_text("utf-8")))
    assert listed == pages


def test_the_commands_named_in_documents_exist() -> None:
    named = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"\bscripts/([a-z_]+)\b", document.read_text("utf-8"))
    }
    assert named
    assert [name for name in sorted(named) if not list((ROOT / "scripts").glob(f"{name}*"))] == []
