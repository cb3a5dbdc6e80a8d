"""Values brought into the type of their attribute: the value in that type, or null where it cannot be.

Nothing here raises on any JSON value, and nothing is rounded: text that a number cannot hold exactly is no
number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from syncline.core.json import Json, js_number
from syncline.core.scim.filter.values import parse_instant

Coercion: TypeAlias = Callable[[Json], Json]

_LONGEST_NUMBER = 300
# A date of XML Schema may name its time zone (XML Schema 1.1, part 2, §3.3.9); it is that day all the same.
_WITH_ZONE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2})")
_TRUE = frozenset({"true", "yes", "y", "1", "on"})
_FALSE = frozenset({"false", "no", "n", "0", "off"})


def as_text(value: Json) -> str | None:
    """Return a value as text: numbers as they are written in JSON, booleans as `true` and `false`."""
    if value.__class__ is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        try:
            return str(value)
        except ValueError:
            return None
    if isinstance(value, float):
        return js_number(value) if math.isfinite(value) else None
    return as_text(value[0]) if isinstance(value, list) and len(value) == 1 else None


def as_number(value: Json) -> Json:
    """Return a number, also one that is written as text (`12`, `-0.5`, `1e3`)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return _number_of(value.strip())
    return as_number(value[0]) if isinstance(value, list) and len(value) == 1 else None


def as_boolean(value: Json) -> Json:
    """Return a boolean, also one that is written as text or as 0 and 1."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return bool(value) if value in (0, 1) else None
    if isinstance(value, str):
        return boolean_of(value)
    return as_boolean(value[0]) if isinstance(value, list) and len(value) == 1 else None


def boolean_of(text: str) -> bool | None:
    """Return what a word of the usual ones says: true, yes, y, 1, on, and their opposites."""
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else None


def as_date(value: Json) -> Json:
    """Return `2026-01-15` for a date and `2026-01-15T12:00:00.000Z` for a moment, both from ISO 8601."""
    if isinstance(value, str):
        text = value.strip()
        day = _day_of(text)
        return day.isoformat() if day is not None else _moment(text)
    return as_date(value[0]) if isinstance(value, list) and len(value) == 1 else None


def as_time(value: Json) -> Json:
    """Return a moment; a mere date is noon of that day, so that it is the same day nearly everywhere."""
    found = as_date(value)
    return f"{found}T12:00:00.000Z" if isinstance(found, str) and len(found) == 10 else found


def as_list(value: Json) -> Json:
    """Return a list: itself, or the only value in one."""
    if isinstance(value, list):
        return value
    return None if value is None else [value]


def as_object(value: Json) -> Json:
    """Return an object, also the only one of a list."""
    if isinstance(value, dict):
        return value
    return as_object(value[0]) if isinstance(value, list) and len(value) == 1 else None


COERCIONS: Mapping[str, Coercion] = {
    "string": as_text,
    "number": as_number,
    "boolean": as_boolean,
    "date": as_date,
    "list": as_list,
    "object": as_object,
}
"""The way into each type, by the name of the type."""


def iso_moment(moment: datetime) -> str:
    """Return a UTC moment as the API writes it, with exactly three fraction digits."""
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def _number_of(text: str) -> int | float | None:
    if not text or len(text) > _LONGEST_NUMBER or not text.isascii() or "_" in text:
        return None
    digits = text[1:] if text[0] in "+-" else text
    if digits.isdigit():
        return int(text)
    try:
        exact = Decimal(text)
        number = float(exact)
    except (InvalidOperation, ValueError, OverflowError):
        return None
    if not math.isfinite(number) or Decimal(repr(number)) != exact:
        return None
    return number


def _day_of(text: str) -> date | None:
    if _WITH_ZONE.fullmatch(text):
        text = text[:10]
    if len(text) != 10 or text[4] != "-" or text[7] != "-" or not text.isascii():
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _moment(text: str) -> str | None:
    found = parse_instant(text)
    return None if found is None else iso_moment(found)
