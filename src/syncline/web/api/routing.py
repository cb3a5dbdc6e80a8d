"""Routes as data, and one call of one route: what handlers read of a request, and what they answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec

from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.json import Json
from syncline.core.model import Cause
from syncline.core.paging import DEFAULT_LIMIT, MAX_LIMIT, Order, Page, PageRequest
from syncline.services.api_keys import ApiCaller
from syncline.services.container import Services
from syncline.web.api.described import Parameter

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

_FIELD = re.compile(r"`\$\.?([^`]*)`$")
_LONGEST_NAME = 100
_NAMED = re.compile(r"field `([^`]+)`")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body: a wire object, plain JSON, ready bytes, or nothing."""

    status: int
    body: Any = None


@dataclass(slots=True)
class Call:
    """One authenticated call."""

    services: Services
    caller: ApiCaller
    cause: Cause
    path: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    body: dict[str, Json] = field(default_factory=dict)
    # The content type, and the body as it came where a route takes that type as it is.
    media: str = ""
    upload: bytes = b""

    @property
    def environment_id(self) -> str:
        """The environment that the caller's key opens."""
        return self.caller.environment_id

    def text(self, name: str) -> str | None:
        """Return a query parameter, the last of several; None if absent or empty."""
        found = [value for key, value in self.query if key == name and value]
        return found[-1] if found else None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return an array parameter, sent comma-joined, repeated or in brackets."""
        joined = [value for key, value in self.query if key == name]
        return tuple(part for value in joined for part in value.split(",") if part)

    def moment(self, name: str) -> datetime | None:
        """Return a time parameter. Raises `ValidationFailed` for what is no RFC 3339 time."""
        text = self.text(name)
        return None if text is None else read_moment(text, name)

    def page(self, *, default_order: Order = Order.DESC) -> PageRequest:
        """Return the page that is asked for. Raises `ValidationFailed`."""
        wrong = []
        limit_text = self.text("limit")
        limit = DEFAULT_LIMIT
        if limit_text is not None:
            limit = (
                int(limit_text)
                if limit_text.isascii() and limit_text.isdigit() and len(limit_text) < 9
                else 0
            )
            if not 1 <= limit <= MAX_LIMIT:
                wrong.append(FieldError("limit", "limit_invalid"))
        order_text = self.text("order")
        if order_text is not None and order_text not in list(Order):
            wrong.append(FieldError("order", "order_invalid"))
        if wrong:
            raise ValidationFailed(wrong)
        order = Order(order_text) if order_text is not None else default_order
        return PageRequest(limit=limit, order=order, after=self.text("after"), before=self.text("before"))

    def read(self, into: type[S]) -> S:
        """Return the body as a Struct. Raises `ValidationFailed` naming the field."""
        try:
            return msgspec.convert(self.body, into)
        except msgspec.ValidationError as error:
            raise ValidationFailed([_field_error(str(error))]) from None


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the API: how it is addressed, what it needs, and how it is documented.

    `about` is what a caller has to know beyond the summary, `refusals` the statuses and codes that are
    particular to the call, `cursors` what a list's metadata holds. `media` are content types other than
    JSON that the call takes as they are, up to `largest` bytes.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: Any = None
    status: int = 200
    takes: type[msgspec.Struct] | None = None
    query: tuple[Parameter, ...] = ()
    scope: str | None = None
    about: str = ""
    refusals: tuple[tuple[int, str], ...] = ()
    cursors: tuple[str, ...] = ("before", "after")
    media: tuple[str, ...] = ()
    largest: int = 0

    @property
    def needs(self) -> str:
        """The scope a key must have."""
        return self.scope or ("read" if self.method == "GET" else "write")

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's segments; parameters in braces."""
        return tuple(self.path.strip("/").split("/"))


def listed(page: Page[Any]) -> dict[str, Any]:
    """Return the list envelope of a page (`api.md` §1.3)."""
    return {
        "object": "list",
        "data": list(page.items),
        "list_metadata": {"before": page.before, "after": page.after},
    }


def read_query(raw: bytes) -> list[tuple[str, str]]:
    """Return the query parameters in order, brackets dropped from names.

    Raises `ValidationFailed` for text that is not UTF-8 or holds NUL.
    """
    found = []
    for part in raw.split(b"&"):
        name, _, value = part.partition(b"=")
        if not name:
            continue
        try:
            key, text = (unquote_to_bytes(side.replace(b"+", b" ")).decode() for side in (name, value))
        except UnicodeDecodeError:
            raise ValidationFailed([FieldError("query", "query_invalid")]) from None
        key = key.removesuffix("[]")
        if "\0" in text:
            named = key or "query"
            raise ValidationFailed([FieldError(named, f"{named}_invalid")])
        found.append((key, text))
    return found


def read_moment(text: str, name: str) -> datetime:
    """Return an RFC 3339 time in UTC. Raises `ValidationFailed`."""
    try:
        found = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise ValidationFailed([FieldError(name, f"{name}_invalid")]) from None
    if found.tzinfo is None:
        raise ValidationFailed([FieldError(name, f"{name}_invalid")])
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ValidationFailed([FieldError(name, f"{name}_invalid")]) from None


def _field_error(message: str) -> FieldError:
    """Return the field and code of a msgspec complaint."""
    named = _NAMED.search(message)
    where = _FIELD.search(message)
    inside = where.group(1) if where else ""
    if named is not None:
        # A client may send a name of any length; it is repeated to be found, not to be read.
        name = (f"{inside}.{named.group(1)}" if inside else named.group(1))[:_LONGEST_NAME]
        return FieldError(name, f"{name}_{'required' if 'missing' in message else 'unknown'}")
    name = inside or "body"
    return FieldError(name, f"{name}_invalid")
