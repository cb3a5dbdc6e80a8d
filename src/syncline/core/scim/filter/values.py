"""What a literal or a stored value is compared as: text keys and instants."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from syncline.core.scim.quirks import quirk
from syncline.core.scim.schema import Attribute
from syncline.core.text import fold

_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,12}))?)?"
    r"(?:([Zz])|([+-])([0-9]{2}):?([0-9]{2}))?"
)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def fold_value(attribute: Attribute | None, value: str) -> str:
    """Return the key under which texts of the attribute are equal: as is if `caseExact`, else folded."""
    return value if attribute is not None and attribute.case_exact else fold(value)


@quirk("M-08", "seven fraction digits, offsets, the year 0001")
def parse_instant(text: str) -> datetime | None:
    """Read an xsd:dateTime as an aware UTC instant, to the microsecond; `None` if it is none.

    Tolerates a missing offset (read as UTC), missing seconds, further fraction digits (cut off), a leap
    second, and offsets that would leave the calendar (clamped to its first or last instant).
    """
    found = _INSTANT.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute = (int(part) for part in found.groups()[:5])
    second = min(int(found[6] or 0), 60)
    try:
        local = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=_zone(found))
    except ValueError:
        return None
    extra = timedelta(microseconds=int((found[7] or "0")[:6].ljust(6, "0")), seconds=second // 60)
    try:
        return (local + extra).astimezone(UTC)
    except OverflowError:
        return _FIRST if year < 5000 else _LAST


def _zone(found: re.Match[str]) -> timezone:
    """Return the zone of a matched date; `ValueError` for an offset of a day or more."""
    if found[9] is None:
        return UTC
    offset = timedelta(hours=int(found[10]), minutes=int(found[11]))
    return timezone(-offset if found[9] == "-" else offset)
