"""Says what is wrong with a received webhook: its header, its time, its secret or its body."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from syncline.cli.client import UNUSABLE, CommandFailed, read_time
from syncline.core.errors import MalformedJson
from syncline.core.json import parse_json, stringify
from syncline.core.signing import (
    SECRET_PREFIX,
    STANDARD_TOLERANCE_S,
    WORKOS_HEADER,
    WORKOS_TOLERANCE_MS,
    SignatureRefused,
    verify_standard,
    verify_workos,
)

Problem = Literal["header", "timestamp", "secret", "body", "secret_or_body"]
STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")
_WORKOS_TIME = re.compile(r"t=([0-9]{1,15}), ?v1=[0-9a-f]{64}")
# Milliseconds have this many digits since 2001, seconds only from the year 2286 on.
_MILLISECOND_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came: header names in lower case, the body as bytes, and when it came."""

    headers: Mapping[str, str]
    body: bytes
    now_ms: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What one header family says: nothing is wrong, or what is."""

    family: str
    problem: Problem | None
    text: str


Check = Callable[[str, bytes], bool]
"""Tells whether a secret and a body make the signature that was received; its age does not count."""


def findings(received: Received, secrets: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding for each header family that the request has."""
    if WORKOS_HEADER.lower() in received.headers:
        yield _workos(received, secrets)
    if any(name in received.headers for name in STANDARD):
        yield _standard(received, secrets)


def read_received(body: Path, signature: str | None, headers: Sequence[str], at: str | None) -> Received:
    """Return the request that options of the command line describe. Raises `CommandFailed`."""
    named: dict[str, str] = {} if signature is None else {WORKOS_HEADER.lower(): signature}
    for text in headers:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise CommandFailed(f"--header takes 'Name: value', not '{text}'.", UNUSABLE)
        named[name.strip().lower()] = value.strip()
    moment = datetime.now(UTC) if at is None else _moment(at)
    try:
        raw = sys.stdin.buffer.read() if str(body) == "-" else body.read_bytes()
    except OSError as error:
        raise CommandFailed(f"--body cannot be read: {error}", UNUSABLE) from None
    return Received(named, raw, int(moment.timestamp() * 1000))


def _moment(text: str) -> datetime:
    shown = read_time(text)
    if shown is None:
        raise CommandFailed(f"--at takes an RFC 3339 time, not '{text}'.", UNUSABLE)
    return datetime.fromisoformat(shown)


def _workos(received: Received, secrets: Sequence[str]) -> Finding:
    header = received.headers[WORKOS_HEADER.lower()].strip()
    found = _WORKOS_TIME.fullmatch(header)
    if found is None:
        return Finding(
            WORKOS_HEADER,
            "header",
            f"The header is '{header[:120]}', not 't=<milliseconds>, v1=<64 hex digits>'.",
        )
    at_ms = int(found[1])
    if len(found[1]) < _MILLISECOND_DIGITS:
        return Finding(WORKOS_HEADER, "timestamp", f"t={at_ms} is in seconds; it is to be in milliseconds.")

    def check(secret: str, body: bytes) -> bool:
        try:
            verify_workos(secret, header, body, now_ms=at_ms)
        except SignatureRefused:
            return False
        return True

    age = _age(received.now_ms - at_ms, WORKOS_TOLERANCE_MS)
    return _judge(WORKOS_HEADER, check, received, secrets, age)


def _standard(received: Received, secrets: Sequence[str]) -> Finding:
    family = "Standard Webhooks"
    missing = [name for name in STANDARD if not received.headers.get(name)]
    if missing:
        return Finding(family, "header", f"The request has no {' and no '.join(missing)}.")
    text = received.headers["webhook-timestamp"].strip()
    if not (text.isascii() and text.isdecimal()) or len(text) >= _MILLISECOND_DIGITS:
        return Finding(family, "timestamp", f"webhook-timestamp is '{text[:40]}', not a time in seconds.")
    if "v1," not in received.headers["webhook-signature"]:
        return Finding(family, "header", "webhook-signature holds no signature of version 1: 'v1,<base64>'.")

    def check(secret: str, body: bytes) -> bool:
        try:
            verify_standard([secret], received.headers, body, now_s=int(text))
        except SignatureRefused:
            return False
        return True

    age = _age(received.now_ms - int(text) * 1000, STANDARD_TOLERANCE_S * 1000)
    return _judge(family, check, received, secrets, age)


def _judge(family: str, check: Check, received: Received, secrets: Sequence[str], age: str | None) -> Finding:
    """Return what is wrong; the age only counts once the signature is right."""
    if any(check(secret, received.body) for secret in secrets):
        if age is not None:
            return Finding(family, "timestamp", f"Secret and body are right, and {age}")
        return Finding(family, None, "The signature is right, and so is its time.")
    for secret in secrets:
        for other, what in _other_secrets(secret):
            if check(other, received.body):
                return Finding(family, "secret", f"The secret is almost right: {what}.")
        for body, what in _other_bodies(received.body):
            if check(secret, body):
                return Finding(family, "body", f"The body was altered after it was sent: {what}.")
    return _guess(family, received)


def _guess(family: str, received: Received) -> Finding:
    """Return what can be said where nothing near to what was received makes the signature."""
    try:
        event = parse_json(received.body)
    except MalformedJson as error:
        return Finding(family, "body", f"The body is not what was sent: it is no JSON. {error.message}")
    sent_id, own_id = received.headers.get("webhook-id"), event.get("id") if isinstance(event, dict) else None
    if sent_id and own_id != sent_id:
        return Finding(family, "body", f"The body is of {own_id}, the headers are of {sent_id}.")
    if stringify(event).encode() != received.body:
        return Finding(
            family, "body", "The body was written anew: it is not the text that Syncline sends, compact JSON."
        )
    return Finding(
        family,
        "secret_or_body",
        "The signature is of another secret, or a value in the body was changed. The body has the form that "
        "Syncline sends, so look at the secret first: of another endpoint, or from before a rotation?",
    )


def _other_secrets(secret: str) -> Iterator[tuple[str, str]]:
    if secret != secret.strip():
        yield secret.strip(), "it has spaces or a line end around it"
    bare = secret.strip()
    if bare.startswith(SECRET_PREFIX):
        yield bare.removeprefix(SECRET_PREFIX), f"the sender's has no {SECRET_PREFIX} in front"
    else:
        yield SECRET_PREFIX + bare, f"{SECRET_PREFIX} belongs in front"
    yield bare.strip("\"'"), "it has quotation marks around it"


def _other_bodies(body: bytes) -> Iterator[tuple[bytes, str]]:
    if body != body.rstrip():
        yield body.rstrip(), "it has a line end or spaces at its end that were not sent"
    yield body.removeprefix(b"\xef\xbb\xbf"), "it has a byte order mark that was not sent"
    yield body.replace(b"\r\n", b"\n"), "line ends were changed"
    yield body + b"\n", "its last line end is missing"
    try:
        written = stringify(parse_json(body)).encode()
    except MalformedJson:
        return
    yield written, "it was parsed and written anew; verify the bytes as they were received"


def _age(milliseconds: int, allowed: int) -> str | None:
    if abs(milliseconds) <= allowed:
        return None
    side = "before" if milliseconds > 0 else "after"
    return (
        f"it was signed {_duration(abs(milliseconds))} {side} now, more than the {allowed // 1000} s that "
        "are allowed: an old request, or a clock that is wrong. --at TIME checks as of another time."
    )


def _duration(milliseconds: int) -> str:
    seconds = milliseconds // 1000
    for size, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{seconds} s"
