"""Small pieces of Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; an empty string without rows."""
    body = [f"| {' | '.join(_cell(text) for text in row)} |" for row in rows]
    if not body:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body])


def code(language: str, text: str) -> str:
    """Return a fenced block."""
    return f"```{language}\n{text.rstrip()}\n```"


def pretty(value: Any) -> str:
    """Return JSON for people: indented, with short objects and lists on one line."""
    return _pretty(value, "")


def joined(*parts: str) -> str:
    """Return the parts that are not empty, with a blank line between them."""
    return "\n\n".join(part for part in parts if part)


def paragraphs(docstring: str | None) -> str:
    """Return a docstring as paragraphs, without the indentation and line ends of the source."""
    blocks = re.split(r"\n\s*\n", (docstring or "").strip())
    return "\n\n".join(re.sub(r"\s+", " ", block).strip() for block in blocks if block.strip())


def slug(text: str) -> str:
    """Return text as part of an address."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


_WIDTH = 88


def _pretty(value: Any, indent: str) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or len(indent) + len(flat) <= _WIDTH:
        return flat
    inner = indent + "  "
    if isinstance(value, dict):
        items = [
            f"{inner}{json.dumps(key, ensure_ascii=False)}: {_pretty(part, inner)}"
            for key, part in value.items()
        ]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + _pretty(part, inner) for part in value) + f"\n{indent}]"
