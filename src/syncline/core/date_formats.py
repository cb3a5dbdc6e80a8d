"""Dates written in a stated order, as exports of personnel systems have them: `DD.MM.YYYY`, `epoch_ms`."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

from syncline.core.attribute_values import iso_moment

Read: TypeAlias = Callable[[str], str | None]

_TOKENS = ("YYYY", "MMM", "YY", "MM", "DD", "HH", "mm", "ss")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadFormat(ValueError):
    """A format that cannot be read, or that leaves the day open; the message is one sentence."""


def compile_format(text: str) -> Read:
    """Return the reader of a format: to an ISO date, or an ISO moment in UTC where it has hours.

    Tokens: YYYY, YY (2000 to 2069, then 1970 to 1999), MM, MMM (English, three letters), DD, HH, mm, ss; day,
    month and hours may have one digit where something stands behind. `epoch`, `epoch_ms`: seconds or
    milliseconds since 1970. Raises `BadFormat`.
    """
    if text in ("epoch", "epoch_ms"):
        return _epoch(1 if text == "epoch" else 1000)
    parts = _parts(text)
    tokens = [part for part in parts if part in _TOKENS]
    if len(set(tokens)) != len(tokens):
        raise BadFormat(f"The format '{text}' names a part of the date twice.")
    years, months = {"YYYY", "YY"} & set(tokens), {"MM", "MMM"} & set(tokens)
    if len(years) != 1 or len(months) != 1 or "DD" not in tokens:
        raise BadFormat(f"The format '{text}' must name year (YYYY, YY), month (MM, MMM) and day (DD) once.")
    if "HH" not in tokens and {"mm", "ss"} & set(tokens):
        raise BadFormat(f"The format '{text}' has minutes without hours (HH).")
    return lambda written: _value(_fields(written, parts))


def _parts(text: str) -> list[str]:
    parts: list[str] = []
    at = 0
    while at < len(text):
        token = next((token for token in _TOKENS if text.startswith(token, at)), text[at])
        if token.isalnum() and token not in _TOKENS and token != "T":
            raise BadFormat(f"The format '{text}' has '{token}', which is no part of a date.")
        parts.append(token)
        at += len(token)
    return parts


def _fields(written: str, parts: list[str]) -> dict[str, int] | None:
    """Return the number of every token, None where the text is written otherwise."""
    found: dict[str, int] = {}
    at = 0
    for number, part in enumerate(parts):
        if part not in _TOKENS:
            if not written.startswith(part, at):
                return None
            at += len(part)
            continue
        is_glued = number + 1 < len(parts) and parts[number + 1] in _TOKENS
        piece = _piece(written, at, part, is_glued=is_glued)
        value = _number(piece, part)
        if value is None:
            return None
        found[part] = value
        at += len(piece)
    return found if at == len(written) else None


def _piece(written: str, at: int, part: str, *, is_glued: bool) -> str:
    piece = written[at : at + len(part)]
    if len(part) == 2 and part != "YY" and not is_glued and not piece[1:].isdigit():
        return piece[:1]
    return piece


def _number(piece: str, part: str) -> int | None:
    if part == "MMM":
        return _MONTHS.index(piece.lower()) + 1 if piece.lower() in _MONTHS else None
    if not (piece.isascii() and piece.isdigit()) or (len(part) == 4 and len(piece) != 4):
        return None
    if part == "YY":
        return int(piece) + (1900 if int(piece) >= 70 else 2000) if len(piece) == 2 else None
    return int(piece)


def _value(found: dict[str, int] | None) -> str | None:
    if found is None:
        return None
    year, month = found.get("YYYY", found.get("YY", 0)), found.get("MM", found.get("MMM", 0))
    try:
        if "HH" not in found:
            return date(year, month, found["DD"]).isoformat()
        hour, minute, second = found["HH"], found.get("mm", 0), found.get("ss", 0)
        return iso_moment(datetime(year, month, found["DD"], hour, minute, second, tzinfo=UTC))
    except ValueError:
        return None


def _epoch(per_second: int) -> Read:
    def read(written: str) -> str | None:
        if len(written) > 25 or "_" in written:
            return None
        try:
            seconds = float(written) / per_second
            return iso_moment(_EPOCH + timedelta(seconds=seconds)) if math.isfinite(seconds) else None
        except (ValueError, OverflowError):
            return None

    return read
