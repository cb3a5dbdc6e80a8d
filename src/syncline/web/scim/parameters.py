"""What the query of a read, or the body of a search, asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from syncline.core.json import Json
from syncline.core.scim import errors
from syncline.core.scim.filter import Filter, parse_filter
from syncline.core.scim.names import AttributePath
from syncline.core.scim.project import parse_attribute_list
from syncline.core.scim.quirks import quirk
from syncline.core.scim.schema import ResourceKind
from syncline.core.scim.sort import Sort, parse_sort

DEFAULT_COUNT, MAX_COUNT = 100, 1000
MAX_OPERATIONS = 1000
_FAR = 2**53
_INTEGER = re.compile(r" *([+-]?[0-9]+) *", re.ASCII)


@dataclass(frozen=True, slots=True)
class Projection:
    """Which attributes of a resource an answer shows."""

    attributes: tuple[AttributePath, ...] = ()
    excluded: tuple[AttributePath, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """A search over one or both kinds of resources."""

    filters: Mapping[ResourceKind, Filter | None]
    projections: Mapping[ResourceKind, Projection]
    sort: Sort | None
    start_index: int
    count: int
    cursor: str | None


def projection(query: Mapping[str, Json], kind: ResourceKind) -> Projection:
    """Read `attributes` and `excludedAttributes`. Raises `ScimError` 400 `invalidPath`."""
    return Projection(
        parse_attribute_list(_names(query.get("attributes")), kind),
        parse_attribute_list(_names(query.get("excludedattributes")), kind),
    )


@quirk("G-14", "values outside their range")
def search(query: Mapping[str, Json], kinds: Iterable[ResourceKind]) -> Search:
    """Read a search; names are in lower case. Raises `ScimError` 400 naming the parameter."""
    kinds = tuple(kinds)
    text = _text(query, "filter")
    cursor = _text(query, "cursor")
    count = _count(query, is_cursor=cursor is not None)
    return Search(
        filters={kind: parse_filter(text, kind) if text else None for kind in kinds},
        projections={kind: projection(query, kind) for kind in kinds},
        sort=parse_sort(_text(query, "sortby"), _text(query, "sortorder"), kinds),
        start_index=max(1, min(_integer(query, "startindex", 1), _FAR)),
        count=count,
        cursor=cursor,
    )


def _count(query: Mapping[str, Json], *, is_cursor: bool) -> int:
    try:
        return min(max(_integer(query, "count", DEFAULT_COUNT), 0), MAX_COUNT)
    except errors.ScimError as error:
        raise (errors.invalid_count(error.detail) if is_cursor else error) from None


def _integer(query: Mapping[str, Json], name: str, default: int) -> int:
    value = query.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= 4000:
        found = _INTEGER.fullmatch(value)
        if found is not None:
            return int(found[1])
    raise errors.invalid_value(f"{name} must be an integer.")


def _text(query: Mapping[str, Json], name: str) -> str | None:
    value = query.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise errors.invalid_value(f"{name} must be a string.")
    return value


def _names(value: Json) -> str | list[str]:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return [str(entry) for entry in value]
    raise errors.invalid_value("attributes and excludedAttributes must be names.")
