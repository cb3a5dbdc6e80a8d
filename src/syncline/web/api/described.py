"""What the OpenAPI document says about fields and query parameters, written where they are declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Meta

from syncline.core.paging import DEFAULT_LIMIT, MAX_LIMIT, Order

_TEXT: Mapping[str, Any] = {"type": "string"}
_TEXTS: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}}
_MOMENT: Mapping[str, Any] = {"type": "string", "format": "date-time"}


def note(description: str, *examples: Any, **schema: Any) -> Meta:
    """Return what is said about a field: a sentence, examples, and further words of its JSON schema."""
    return Meta(description=description, examples=list(examples) or None, extra_json_schema=schema or None)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter: its name, what it does, and the JSON schema of its value."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: _TEXT)


def texts(name: str, description: str) -> Parameter:
    """Return an array parameter, which may come comma-joined, repeated or in brackets."""
    return Parameter(
        name, f"{description} Several are joined by commas, or the parameter is repeated.", _TEXTS
    )


def moment(name: str, description: str) -> Parameter:
    """Return a parameter that takes an RFC 3339 time."""
    return Parameter(name, description, _MOMENT)


def paging(order: Order = Order.DESC) -> tuple[Parameter, ...]:
    """Return what every list takes; `order` is how it is sorted unless it is told otherwise."""
    return (
        Parameter(
            "limit",
            "How many items a page holds at most.",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        ),
        Parameter(
            "order",
            "`desc` is newest first, `asc` oldest first; `normal` is newest first with the meanings of "
            "`after` and `before` swapped.",
            {"type": "string", "enum": [one.value for one in Order], "default": order.value},
        ),
        Parameter("after", "An id: the page holds what comes after it in the list, without it."),
        Parameter("before", "An id: the page holds what comes before it in the list, without it."),
    )


PAGING = paging()
"""The parameters of a list that shows the newest first."""
