"""What the developer commands print: a feed for people, one JSON object a line for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import typer

from syncline.config import color_is_unwanted

_TYPE = 28
_WHO = 40
_PLACE = 18


def printable(text: str) -> str:
    """Return text without characters that would move the cursor or color of a terminal.

    Events hold what strangers typed into a provider; an escape sequence in a name must stay text.
    """
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)


class Output:
    """Standard output for the results, standard error for remarks; colors only where a person looks."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._colors = sys.stdout.isatty() and not color_is_unwanted()
        self._is_watched = sys.stderr.isatty()
        self._has_progress = False

    def line(self, text: str) -> None:
        """Print a line of the result."""
        self._clear()
        typer.echo(text)

    def record(self, found: Mapping[str, Any]) -> None:
        """Print one JSON object on a line; in ASCII, so that no text in it can be a terminal's command."""
        self._clear()
        typer.echo(json.dumps(found, separators=(",", ":")))

    def document(self, found: Mapping[str, Any]) -> None:
        """Print one object: indented for people, on a line for programs."""
        if self.as_json:
            self.record(found)
        else:
            self.line(printable(json.dumps(found, indent=2, ensure_ascii=False)))

    def remark(self, text: str) -> None:
        """Print a line that is not part of the result."""
        self._clear()
        typer.echo(printable(text), err=True)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Print rows in columns."""
        shown = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
        for row in shown:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.line("  ".join(cells).rstrip())

    def progress(self, done: int, of: int | None, what: str) -> None:
        """Show how far a long work is, on a terminal only; the next line takes its place."""
        if not self._is_watched or self.as_json:
            return
        bar = ""
        if of:
            filled = min(20 * done // of, 20)
            bar = f"[{'#' * filled}{'.' * (20 - filled)}] "
        total = f"/{of}" if of is not None else ""
        sys.stderr.write(f"\r\x1b[2K{bar}{done}{total} {what}")
        sys.stderr.flush()
        self._has_progress = True

    def close(self) -> None:
        """Take the progress line away."""
        self._clear()

    def feed(self, event: Mapping[str, Any], place: str, *more: str) -> str:
        """Return one line about an event: time, type, who, directory, and what else is to be said."""
        at = datetime.fromisoformat(str(event["created_at"])).astimezone()
        cells = [
            self.styled(f"{at:%H:%M:%S}", dim=True),
            printable(str(event["event"])).ljust(_TYPE),
            _cut(subject(event), _WHO).ljust(_WHO),
            _cut(place, _WHO).ljust(_PLACE),
        ]
        return "  ".join([*cells, *more]).rstrip()

    def outcome(self, text: str, *, good: bool) -> str:
        """Return a text in the color of success or failure."""
        return self.styled(text, color="green" if good else "red")

    def styled(self, text: str, *, color: str | None = None, dim: bool = False) -> str:
        """Return a text in a color, where colors are wanted; what is not printable is taken out."""
        shown = printable(text)
        return typer.style(shown, fg=color, dim=dim or None) if self._colors else shown

    def _clear(self) -> None:
        if self._has_progress:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
            self._has_progress = False


def subject(event: Mapping[str, Any]) -> str:
    """Return whom or what an event is about, in a few words."""
    data = event.get("data")
    if not isinstance(data, dict):
        return ""
    person = data.get("user", data if "idp_id" in data and "state" in data else {})
    group = data.get("group", {})
    who = person.get("email") or person.get("username") or person.get("idp_id")
    named = data.get("domain") or data.get("organization_domain", {}).get("domain") or data.get("name")
    if data.get("token_suffix"):
        return f"token …{data['token_suffix']}"
    if who and group.get("name"):
        return f"{_cut(str(who), 20)} → {_cut(str(group['name']), 17)}"
    return str(who or group.get("name") or named or data.get("id") or "")


def directory_of(event: Mapping[str, Any]) -> str | None:
    """Return the id of the directory that an event is about, None for events of no directory."""
    data = event.get("data")
    if not isinstance(data, dict):
        return None
    found = data.get("id") if data.get("object") == "directory" else data.get("directory_id")
    return found if isinstance(found, str) else None


def _cut(text: str, width: int) -> str:
    shown = printable(text).replace("\n", " ").replace("\t", " ")
    return shown if len(shown) <= width else shown[: width - 1] + "…"
