"""Copies without secrets, for logs and for the records of requests and attempts.

Three measures together, since each alone misses something: keys that name a secret, texts that look like one,
and whole bodies, which logs never carry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from syncline.core.json import Json

REDACTED = "[redacted]"

_SECRET_WORDS = frozenset(
    {
        "assertion",
        "authorization",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "otp",
        "passcode",
        "passphrase",
        "passwd",
        "password",
        "pwd",
        "secret",
        "secrets",
        "token",
        "tokens",
    }
)
_SECRET_PAIRS = frozenset(
    {"access key", "api key", "encryption key", "private key", "recovery codes", "session id", "signing key"}
)
_SECRET_ENDINGS = ("apikey", "cookie", "password", "privatekey", "secret", "token")
# What stands last says what a key holds: a `token_id` and a `passwordLastSet` hold no secret.
_HARMLESS_LAST_WORDS = frozenset(
    {
        "at",
        "by",
        "change",
        "changed",
        "count",
        "digest",
        "expires",
        "hint",
        "id",
        "prefix",
        "set",
        "state",
        "type",
    }
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# Every repetition is bounded or consumes what it looks at, so that hostile text costs linear time.
_SECRET_TEXT = re.compile(
    r"""
    \b(?:sk|scim|whsec)_[A-Za-z0-9+/_-]{16,}={0,2}
    | \b(?:Bearer|Basic|Digest|Negotiate)[ \t]{1,8}[A-Za-z0-9._~+/=:-]{8,}
    | \beyJ[A-Za-z0-9_-]{8,1000}+\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?
    | (?<=token=)[A-Za-z0-9._~%+/-]{8,}
    | -----BEGIN\ [A-Z ]{0,40}PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]{0,40}PRIVATE\ KEY-----|\Z)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_USER_INFO = re.compile(r"(?<=://)[^/?#\s@:]*:[^/?#\s@]*@")

_PASSWORD = re.compile(rb"password", re.IGNORECASE)
_BODY_KEYS = frozenset({"body", "payload", "raw", "document", "content", "request_body", "response_body"})


@lru_cache(maxsize=4096)
def names_a_secret(key: str) -> bool:
    """Tell whether a key by its name holds a secret: `clientSecret`, `x-api-key`, `urn:…:User:password`."""
    words = [word.lower() for word in _WORD.findall(key[:512])]
    if not words:
        return False
    if any(pair in _SECRET_PAIRS for pair in map(" ".join, pairwise(words))):
        return True
    if words[-1] in _HARMLESS_LAST_WORDS:
        return False
    return not _SECRET_WORDS.isdisjoint(words) or words[-1].endswith(_SECRET_ENDINGS)


def redact_text(text: str) -> str:
    """Return the text with tokens, Authorization values, private keys and passwords in addresses replaced."""
    return _USER_INFO.sub(f"{REDACTED}@", _SECRET_TEXT.sub(REDACTED, text))


def redact_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the headers, names in lower case, with the values of those that authenticate replaced.

    A header sent several times becomes one with its values joined by a comma.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    shown: dict[str, str] = {}
    for name, value in pairs:
        lowered = name.lower()
        kept = REDACTED if names_a_secret(lowered) else redact_text(value)
        shown[lowered] = f"{shown[lowered]}, {kept}" if lowered in shown else kept
    return shown


def redact_url(url: str) -> str:
    """Return an address without user, password and fragment, and without query values that name a secret."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return REDACTED
    shown = "&".join(
        f"{quote(name, safe='')}={REDACTED if names_a_secret(name) else quote(redact_text(value), safe='')}"
        for name, value in query
    )
    host = parts.netloc.rpartition("@")[2]
    return redact_text(urlunsplit((parts.scheme, host, parts.path, shown, "")))


def redact_json(value: Json) -> Json:
    """Return a copy of a JSON value for the record of a request: everything but secrets.

    Also covers SCIM operations that name the attribute in `path` and carry the secret in `value`.
    """
    if isinstance(value, dict):
        return _redact_object(value)
    if isinstance(value, list):
        return [redact_json(item) for item in value]
    return redact_text(value) if isinstance(value, str) else value


def may_name_a_password(raw: bytes) -> bool:
    """Tell whether a JSON text could have a key that `without_passwords` drops; never a wrong no."""
    return b"\\u" in raw or _PASSWORD.search(raw) is not None


def without_passwords(body: Mapping[str, Json]) -> dict[str, Json]:
    """Return a SCIM body without passwords, which are dropped before anything else is done (O-02).

    Drops every attribute of that name, at any depth and in any extension, however it is qualified, and every
    PATCH operation on one. Takes bodies within the parser's limits of depth.
    """
    return {key: _without_passwords(value) for key, value in body.items() if not _is_password(key)}


def redact_event(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of one log line: no secrets, no bodies, no bytes."""
    return {key: _log_value(key, value) for key, value in fields.items()}


def _without_passwords(value: Json) -> Json:
    if isinstance(value, dict):
        return without_passwords(value)
    if isinstance(value, list):
        return [_without_passwords(item) for item in value if not _sets_a_password(item)]
    return value


def _is_password(name: str) -> bool:
    """Tell whether a key or a path names a password: `urn:…:User:password`, `password.value`, `Password`."""
    last = name.rpartition(":")[2].lower()
    return "password" in last and "password" in (part.strip() for part in re.split(r"[.\[]", last))


def _sets_a_password(item: Json) -> bool:
    return isinstance(item, dict) and any(
        key.lower() == "path" and isinstance(path, str) and _is_password(path) for key, path in item.items()
    )


def _redact_object(value: dict[str, Json]) -> dict[str, Json]:
    path = value.get("path", value.get("Path"))
    hidden_value = isinstance(path, str) and names_a_secret(path)
    shown: dict[str, Json] = {}
    for key, child in value.items():
        secret = names_a_secret(key) or (hidden_value and key.lower() == "value")
        shown[key] = REDACTED if secret and child not in (None, "") else redact_json(child)
    return shown


def _log_value(key: str, value: object) -> object:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"[{len(value)} bytes]"
    if key.lower() in _BODY_KEYS:
        return "[omitted]"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if names_a_secret(key):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {str(inner): _log_value(str(inner), child) for inner, child in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_log_value("", child) for child in value]
    return redact_text(str(value))
