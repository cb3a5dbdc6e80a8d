"""What was asked and answered, and what webhooks arrived: written to disk before the next step is taken.

A journal is a file of JSON lines. A line is on the disk (fsync) before the request that it announces is sent,
and the answer's line before the next request, so that whatever dies afterwards cannot make the oracle forget.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from syncline.core.signing import SignatureRefused, verify_standard, verify_workos

Register: TypeAlias = tuple[str, ...]
"""Something that holds one value: a person of a directory, a group, a membership."""

Value: TypeAlias = str | bool | None
"""What a register holds; None and False are the values of what is not there."""

Effects: TypeAlias = Sequence[tuple[Register, Value]]


class Outcome(StrEnum):
    """What is known of a request. One without an answer stays `unknown` for ever."""

    UNKNOWN = "unknown"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"


@dataclass(slots=True)
class Asked:
    """One request that changes something: the values it writes, and what became of it.

    `recorded` numbers the requests of a journal in the order in which they were announced.
    """

    recorded: int
    effects: Effects
    outcome: Outcome = Outcome.UNKNOWN


class Lines:
    """An append-only file of JSON lines, durable line by line; safe to call from several threads."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._durable = durable
        self._lock = threading.Lock()

    def append(self, line: Mapping[str, Any]) -> None:
        """Write one line and, if the journal is durable, wait for the disk."""
        with self._lock:
            os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")
            if self._durable:
                os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole lines of a journal; a last line that was cut off is left out."""
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield json.loads(line)


class Requests:
    """The acknowledged set: every changing request before it is sent, and its outcome.

    Requests on one register must follow each other: the next begins when the last one is known or given up.
    """

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)
        self._lock = threading.Lock()
        self.asked: list[Asked] = []

    def begin(self, effects: Effects) -> Asked:
        """Write down what a request is about to do."""
        with self._lock:
            asked = Asked(len(self.asked), effects)
            self.asked.append(asked)
        self._lines.append({"n": asked.recorded, "effects": [[list(key), value] for key, value in effects]})
        return asked

    def end(self, asked: Asked, outcome: Outcome) -> None:
        """Write down what a request's answer said; call nothing for a request without an answer."""
        self._lines.append({"n": asked.recorded, "outcome": outcome.value})
        asked.outcome = outcome

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def read_requests(path: Path) -> list[Asked]:
    """Read a journal of requests back, as after a crash of the test itself."""
    found: dict[int, Asked] = {}
    for line in read_lines(path):
        if "effects" in line:
            effects = [(tuple(key), value) for key, value in line["effects"]]
            found[line["n"]] = Asked(line["n"], effects)
        else:
            found[line["n"]].outcome = Outcome(line["outcome"])
    return [found[number] for number in sorted(found)]


@dataclass(frozen=True, slots=True)
class Receipt:
    """One webhook as it arrived; `refused` says why its signatures were not accepted, empty if they were."""

    endpoint: str
    event_id: str
    type: str
    directory_id: str | None
    directory_sequence: int | None
    sequence: int
    digest: str
    attempt: int
    refused: str = ""
    answered: int = 200


class Receipts:
    """The receiver's journal: every webhook in the order of arrival, with its signatures checked."""

    def __init__(self, path: Path | None = None, *, durable: bool = False) -> None:
        self._lines = Lines(path, durable=durable) if path is not None else None
        self.all: list[Receipt] = []

    def take(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[str],
        *,
        answered: int = 200,
        now: float | None = None,
    ) -> Receipt:
        """Keep one webhook; `secrets` are those its endpoint may sign with, `now` is in seconds."""
        event = json.loads(body)
        context = event["context"]
        lowered = {name.lower(): value for name, value in headers.items()}
        receipt = Receipt(
            endpoint=endpoint,
            event_id=event["id"],
            type=event["event"],
            directory_id=directory_of(event),
            directory_sequence=context.get("directory_sequence"),
            sequence=context["sequence"],
            digest=digest(body),
            attempt=int(lowered.get("syncline-attempt", "0")),
            refused=_refusal(lowered, body, secrets, time.time() if now is None else now),
            answered=answered,
        )
        self.all.append(receipt)
        if self._lines is not None:
            self._lines.append({name: getattr(receipt, name) for name in receipt.__slots__})
        return receipt

    def close(self) -> None:
        """Close the file."""
        if self._lines is not None:
            self._lines.close()


def digest(body: bytes) -> str:
    """Return the digest under which a body is compared."""
    return hashlib.sha256(body).hexdigest()


def directory_of(event: Mapping[str, Any]) -> str | None:
    """Return the directory that an event is about, None for one of an organization."""
    data = event["data"]
    if event["event"] in ("dsync.activated", "dsync.deleted"):
        return str(data["id"])
    found = data.get("directory_id")
    return str(found) if found is not None else None


def _refusal(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> str:
    """Return why a webhook's signatures must not be believed, empty if both families are right."""
    try:
        verify_standard(secrets, headers, body, now_s=int(now))
    except SignatureRefused as refused:
        return str(refused)
    header = headers.get("workos-signature", "")
    reasons = []
    for secret in secrets:
        try:
            verify_workos(secret, header, body, now_ms=int(now * 1000))
            return ""
        except SignatureRefused as refused:
            reasons.append(str(refused))
    return "; ".join(reasons) or "no secret is known"
