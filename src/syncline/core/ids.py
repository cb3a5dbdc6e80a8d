"""Ids: `<prefix>_<ULID>`, 26 upper-case Crockford base-32 characters that sort by time (`api.md` §1.2)."""

from __future__ import annotations

import re
from enum import StrEnum

from ulid_transform import bytes_to_ulid, ulid_to_bytes

RANDOMNESS_BYTES = 10
MAX_TIME_MS = (1 << 48) - 1

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
# 26 characters hold 130 bits, a ULID has 128: the first character is at most 7.
_ULID = re.compile(f"[0-7][{_ALPHABET}]{{25}}")


class Prefix(StrEnum):
    """The kinds of objects that have ids, by the text before the ULID."""

    ORGANIZATION = "org"
    ORGANIZATION_DOMAIN = "org_domain"
    DIRECTORY = "directory"
    DIRECTORY_USER = "directory_user"
    DIRECTORY_GROUP = "directory_group"
    DIRECTORY_TOKEN = "directory_token"
    EVENT = "event"
    ROLE = "role"
    PERMISSION = "perm"
    ENVIRONMENT = "environment"
    CLIENT = "client"
    WEBHOOK_ENDPOINT = "we"
    IT_CONTACT = "it_contact"
    API_KEY = "key"
    ATTEMPT = "attempt"
    REQUEST = "request"
    RUN = "run"
    HELD = "held"
    LINK = "link"
    EVENT_SINK = "sink"
    ERASURE = "erasure"
    ATTRIBUTE = "attribute"
    ROLE_RULE = "role_rule"
    RECONCILIATION = "reconciliation"
    FINDING = "finding"
    IMPORT = "import"
    SCIM_ALIAS = "scim_alias"


def new_ulid(at_ms: int, randomness: bytes) -> str:
    """Return the ULID of a moment in milliseconds since 1970 and exactly ten random bytes.

    Raises `ValueError` for a moment that 48 bits cannot hold or another number of bytes.
    """
    if not 0 <= at_ms <= MAX_TIME_MS:
        raise ValueError(f"a ULID cannot hold the time {at_ms}")
    if len(randomness) != RANDOMNESS_BYTES:
        raise ValueError(f"a ULID takes {RANDOMNESS_BYTES} random bytes, not {len(randomness)}")
    return bytes_to_ulid(at_ms.to_bytes(6, "big") + randomness)


def make_id(prefix: Prefix, ulid: str) -> str:
    """Return the id of an object from its kind and its ULID."""
    return f"{prefix.value}_{ulid}"


def is_ulid(text: str) -> bool:
    """Tell whether a text is a ULID in its canonical spelling."""
    return _ULID.fullmatch(text) is not None


def is_id(prefix: Prefix, text: str) -> bool:
    """Tell whether a text is an id of that kind: `org` does not accept the id of an `org_domain`."""
    head, separator, tail = text.rpartition("_")
    return bool(separator) and head == prefix.value and is_ulid(tail)


def bare(object_id: str) -> str:
    """Return the id without its prefix; a ULID alone stays as it is."""
    return object_id.rpartition("_")[2]


def ulid_bytes(ulid: str) -> bytes:
    """Return the 16 bytes of a ULID, which sort as its characters do; `ValueError` if it is none."""
    if not is_ulid(ulid):
        raise ValueError("not a ULID")
    return ulid_to_bytes(ulid)


def ulid_of(value: bytes) -> str:
    """Return the ULID of 16 bytes; `ValueError` for another number of them."""
    return bytes_to_ulid(value)


def ulid_time_ms(ulid: str) -> int:
    """Return the moment inside a ULID, in milliseconds since 1970; `ValueError` if it is none."""
    if not is_ulid(ulid):
        raise ValueError("not a ULID")
    number = 0
    for character in ulid[:10]:
        number = number << 5 | _VALUES[character]
    return number
