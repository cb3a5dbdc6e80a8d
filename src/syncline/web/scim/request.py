"""A SCIM request as received: raw path, query, headers and body, read under limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from syncline.core.errors import MalformedJson, MalformedText
from syncline.core.json import Json, parse_json
from syncline.core.redact import may_name_a_password, without_passwords
from syncline.core.scim import errors
from syncline.core.scim.quirks import quirk

AsgiScope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

MAX_URL = 32 * 1024
SMALL_BODY = 1024 * 1024
LARGE_BODY = 10 * 1024 * 1024
BODY_SECONDS = 15.0
MAX_STRING = 64 * 1024
MAX_KEY_STRING = 1024
MAX_ATTRIBUTES = 1000
_VERSIONS = {b"v2": False, b"v1": True, b"v2.0": False, b"v1.1": True}
_KEY_STRINGS = frozenset({"username", "displayname", "externalid"})


@dataclass(frozen=True, slots=True)
class ScimRequest:
    """The parts of a request that handlers look at; names of headers and query are in lower case."""

    method: str
    is_v1: bool
    directory: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    receive: Receive


@quirk("M-03", "a trailing slash")
def read_target(scope: AsgiScope) -> tuple[bool, str, tuple[str, ...]]:
    """Return (is it 1.1, directory, further segments) of the raw path.

    Percent-encoded characters are decoded within a segment only, so they never lead to another route.
    Raises `ScimError` 404 for an address that is not SCIM, 414 for one that is too long.
    """
    raw: bytes = scope.get("raw_path") or str(scope["path"]).encode()
    if len(raw) + len(scope.get("query_string", b"")) > MAX_URL:
        raise errors.uri_too_long()
    parts = raw.partition(b"?")[0].split(b"/")
    # ["", "scim", "v2", directory, …]
    if len(parts) < 4 or parts[1] != b"scim" or parts[2] not in _VERSIONS or not parts[3]:
        raise errors.no_such_endpoint()
    return _VERSIONS[parts[2]], _segment(parts[3]), _segments(parts[4:])


def is_below_v1(raw: bytes) -> bool:
    """Tell whether a raw path lies where SCIM 1.1 is spoken, be it an address of ours or one led to us."""
    parts = raw.lower().split(b"/", 3)
    return len(parts) == 4 and parts[1] == b"scim" and _VERSIONS.get(parts[2]) is True


def read_rest(raw: bytes) -> tuple[str, ...]:
    """Return the segments of what follows a directory's address. Raises `ScimError` 404."""
    return _segments(raw.partition(b"?")[0].split(b"/")[1:])


def _segments(parts: list[bytes]) -> tuple[str, ...]:
    if parts and parts[-1] == b"":
        parts.pop()
    return tuple(_segment(part) for part in parts)


def _segment(raw: bytes) -> str:
    decoded = unquote_to_bytes(raw)
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        raise errors.no_such_endpoint() from None
    if "\0" in text or "/" in text or not text:
        raise errors.no_such_endpoint()
    return text


@quirk("G-11", "spaces in any spelling")
@quirk("M-04", "names in any letter case")
@quirk("E-14", "parameters without a value")
def read_query(raw: bytes) -> dict[str, str]:
    """Return the query parameters, names in lower case; the last of several counts.

    Raises `ScimError` 400 `invalidValue` for text that is not UTF-8 or holds NUL.
    """
    found: dict[str, str] = {}
    for part in raw.split(b"&"):
        name, _, value = part.partition(b"=")
        if name:
            found[_decoded(name).lower()] = _decoded(value)
    return found


def _decoded(raw: bytes) -> str:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise errors.invalid_value("The query is not valid UTF-8.") from None
    if "\0" in text:
        raise errors.invalid_value("The query contains the character NUL.")
    return text


def read_headers(scope: AsgiScope) -> dict[str, str]:
    """Return the headers, names in lower case, repeated ones joined by a comma."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


async def read_body(request: ScimRequest, limit: int) -> dict[str, Json]:
    """Return the JSON object of the body.

    Raises `ScimError`: 415 for another media type or an encoding, 413 above the limit, 408 past the
    deadline, 400 for what is no JSON object or breaks a limit on lengths.
    """
    _check_media_type(request.headers)
    raw = await _read(request, limit)
    if not raw.strip():
        raise errors.invalid_syntax("The request needs a body.")
    try:
        body = parse_json(raw)
    except MalformedText as error:
        raise errors.invalid_value(error.message) from None
    except MalformedJson as error:
        raise errors.invalid_syntax(error.message) from None
    if not isinstance(body, dict):
        raise errors.invalid_syntax("The body must be a JSON object.")
    if len(raw) > MAX_KEY_STRING:
        _check_lengths(body)
    if may_name_a_password(raw):
        # Before anything else sees it: a password is neither stored nor announced (O-02).
        return without_passwords(body)
    return body


async def _read(request: ScimRequest, limit: int) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > limit:
        raise errors.too_large(f"The body is larger than {limit} bytes.")
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise errors.request_timeout("The connection was closed before the body was complete.")
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise errors.too_large(f"The body is larger than {limit} bytes.")
                chunks.append(chunk)
                if not message.get("more_body"):
                    return b"".join(chunks)
    except TimeoutError:
        raise errors.request_timeout() from None


@quirk("G-10", "any JSON media type and charset")
def _check_media_type(headers: Mapping[str, str]) -> None:
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise errors.unsupported_media_type()
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    subtype = media.partition("/")[2]
    if media and subtype != "json" and not subtype.endswith("+json"):
        raise errors.unsupported_media_type()


def _check_lengths(body: dict[str, Json]) -> None:
    """Refuse texts and numbers of attributes that no directory has; iterative, whatever the nesting."""
    if len(body) > MAX_ATTRIBUTES:
        raise errors.invalid_value(f"The body has more than {MAX_ATTRIBUTES} attributes.")
    todo: list[tuple[str, Json]] = list(body.items())
    while todo:
        name, value = todo.pop()
        if isinstance(value, str):
            limit = MAX_KEY_STRING if name.rpartition(":")[2].lower() in _KEY_STRINGS else MAX_STRING
            if len(value) > limit:
                raise errors.invalid_value(f"{errors.shorten(name, 60)} is longer than {limit} characters.")
        elif isinstance(value, list):
            todo.extend((name, entry) for entry in value)
        elif isinstance(value, dict):
            if len(value) > MAX_ATTRIBUTES:
                raise errors.invalid_value(
                    f"{errors.shorten(name, 60)} has more than {MAX_ATTRIBUTES} attributes."
                )
            todo.extend(value.items())
