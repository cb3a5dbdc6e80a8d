"""The errors of use-cases, each with the stable `code` and status that the REST API answers.

    SynclineError
    ├── BadRequest              400
    │   └── MalformedJson
    │       └── MalformedText
    ├── Unauthorized            401
    ├── Forbidden               403
    ├── NotFound                404
    ├── Conflict                409
    ├── CursorExpired           410
    ├── LinkUsed                410
    ├── PayloadTooLarge         413
    ├── ValidationFailed        422
    └── Overloaded              429 or 503
        └── RateLimited         429

SCIM has its own errors (`core.scim.errors`), because its bodies and keywords are another vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

_NO_HEADERS: Mapping[str, str] = {}


class SynclineError(Exception):
    """A request or an operation that is refused; `message` is one sentence for a person, without secrets."""

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that belong to the answer."""
        return _NO_HEADERS

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, code={self.code!r})"


class BadRequest(SynclineError):
    """400: the request cannot be understood or contradicts itself."""

    status = 400
    default_code = "bad_request"


class MalformedJson(BadRequest):
    """400: the text is not the JSON we accept (RFC 8259 plus the limits of `scim.md` §17)."""

    default_code = "malformed_json"


class MalformedText(MalformedJson):
    """400: JSON with text in it that is none: not UTF-8, half a surrogate pair, NUL."""


class Unauthorized(SynclineError):
    """401: no credential, or one that is wrong, expired or revoked; the sentence never tells which."""

    status = 401
    default_code = "unauthorized"

    def __init__(self, message: str = "Unauthorized", *, code: str | None = None) -> None:
        super().__init__(message, code=code)


class Forbidden(SynclineError):
    """403: the credential is good and lacks the permission."""

    status = 403
    default_code = "forbidden"


# What was asked for is repeated in the answer, but not all of it when it is no id at all.
_LONGEST_ID = 200


class NotFound(SynclineError):
    """404: nothing of that kind and id here; the same answer for foreign ids and ids that never existed."""

    status = 404
    default_code = "entity_not_found"

    def __init__(self, kind: str, entity_id: str) -> None:
        if len(entity_id) > _LONGEST_ID:
            entity_id = entity_id[:_LONGEST_ID] + "…"
        super().__init__(f"{kind} not found: '{entity_id}'.")
        self.kind = kind
        self.entity_id = entity_id


class Conflict(SynclineError):
    """409: the request contradicts something that exists; `code` tells what."""

    status = 409
    default_code = "conflict"


class CursorExpired(SynclineError):
    """410: the event cursor lies behind retention; `oldest_id` is the first event that is still there."""

    status = 410
    default_code = "cursor_expired"

    def __init__(self, oldest_id: str | None) -> None:
        rest = f" The oldest event is '{oldest_id}'." if oldest_id else " No event is left."
        super().__init__("The cursor is older than the retention of events." + rest)
        self.oldest_id = oldest_id


class LinkUsed(SynclineError):
    """410: a one-time link was exchanged before, was revoked, or has expired."""

    status = 410
    default_code = "link_used"


class PayloadTooLarge(SynclineError):
    """413: a body or a file exceeds its limit."""

    status = 413
    default_code = "payload_too_large"


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: `code` is `<field>_required`, `_invalid`, `_unknown` or `_too_long`."""

    field: str
    code: str


class ValidationFailed(SynclineError):
    """422: the JSON is well formed and a value in it has the wrong type, range, format or spelling."""

    status = 422
    default_code = "validation_failed"

    def __init__(
        self, errors: Sequence[FieldError], message: str = "Validation failed", *, code: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.errors: tuple[FieldError, ...] = tuple(errors)


class Overloaded(SynclineError):
    """503: the server cannot take more now; nothing was changed, try again after `retry_after` seconds."""

    status = 503
    default_code = "overloaded"

    def __init__(self, retry_after: int, message: str = "The server is busy; try again later.") -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def headers(self) -> Mapping[str, str]:
        """`Retry-After` in whole seconds: the Node SDK cannot read a date there."""
        return {"Retry-After": str(self.retry_after)}


class RateLimited(Overloaded):
    """429: this credential or directory sends more than its share."""

    status = 429
    default_code = "rate_limited"

    def __init__(self, retry_after: int, message: str = "Too many requests; try again later.") -> None:
        super().__init__(retry_after, message)
