"""The order of resources under `sortBy` (RFC 7644 §3.4.2.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from syncline.core.json import Json
from syncline.core.scim.errors import ScimError, invalid_path, invalid_value, shorten
from syncline.core.scim.filter.evaluate import is_empty
from syncline.core.scim.filter.values import fold_value, parse_instant
from syncline.core.scim.names import AttributePath, parse_attribute
from syncline.core.scim.schema import AttributeType, ResourceKind

SortKey: TypeAlias = tuple[bool, int, float, str]


@dataclass(frozen=True, slots=True)
class Sort:
    """A requested order: the attribute per kind (`None` where the kind has no such attribute), direction."""

    paths: Mapping[ResourceKind, AttributePath | None]
    descending: bool = False


def parse_sort(sort_by: str | None, sort_order: str | None, kinds: Iterable[ResourceKind]) -> Sort | None:
    """Read `sortBy` and `sortOrder`; `None` if no order was asked for.

    Raises `ScimError` 400 `invalidPath` if none of the kinds has the attribute or it has no single value to
    order by, and 400 `invalidValue` for a `sortOrder` that is neither `ascending` nor `descending`.
    """
    if sort_by is None or not sort_by.strip():
        return None
    order = (sort_order or "ascending").strip().lower()
    if order not in ("ascending", "descending"):
        raise invalid_value(f"sortOrder is '{shorten(order, 40)}' instead of ascending or descending.")
    paths: dict[ResourceKind, AttributePath | None] = {}
    refusal: ScimError | None = None
    for kind in kinds:
        try:
            paths[kind] = parse_sort_path(sort_by, kind)
        except ScimError as error:
            paths[kind], refusal = None, error
    if refusal is not None and not any(paths.values()):
        raise refusal
    return Sort(paths, order == "descending")


def parse_sort_path(text: str, kind: ResourceKind) -> AttributePath:
    """Read one `sortBy`; `emails` means `emails.value`. Raises `ScimError` 400 `invalidPath`."""
    path = parse_attribute(text, kind)
    definition = path.definition
    if definition is not None and definition.is_complex and definition.sub("value") is not None:
        path = path.with_sub("value")
        definition = path.definition
    if definition is None or definition.is_complex or definition.type is AttributeType.BINARY:
        raise invalid_path(f"Resources of type {kind} cannot be sorted by '{shorten(text)}'.")
    return path


def sort_key(resource: Mapping[str, Json], path: AttributePath | None) -> SortKey:
    """Return a comparable key of a rendered resource; resources without a value come last, ascending.

    Of a multi-valued attribute the primary entry counts, else the first.
    """
    value = _value(resource, path) if path is not None else None
    if path is None or value is None or isinstance(value, dict | list):
        return (True, 0, 0.0, "")
    if isinstance(value, bool | int | float):
        return (False, 0, float(value), "")
    definition = path.definition
    if definition is not None and definition.type is AttributeType.DATE_TIME:
        instant = parse_instant(value)
        return (True, 0, 0.0, "") if instant is None else (False, 1, 0.0, instant.isoformat())
    return (False, 2, 0.0, fold_value(definition, value))


def sort_resources(resources: Iterable[dict[str, Json]], sort: Sort) -> list[dict[str, Json]]:
    """Return rendered resources in the requested order; equal ones keep the order they came in."""
    return sorted(
        resources,
        key=lambda resource: sort_key(resource, sort.paths.get(_kind(resource))),
        reverse=sort.descending,
    )


def _kind(resource: Mapping[str, Json]) -> ResourceKind:
    meta = resource.get("meta")
    is_group = isinstance(meta, dict) and meta.get("resourceType") == ResourceKind.GROUP
    return ResourceKind.GROUP if is_group else ResourceKind.USER


def _value(resource: Mapping[str, Json], path: AttributePath) -> Json:
    holder: Json | Mapping[str, Json] = resource if path.urn is None else resource.get(path.urn)
    value = holder.get(path.name) if isinstance(holder, Mapping) else None
    if isinstance(value, list):
        value = _preferred(value)
    if path.sub is not None:
        value = value.get(path.sub) if isinstance(value, dict) else None
    return None if is_empty(value) else value


def _preferred(entries: list[Json]) -> Json:
    for entry in entries:
        if isinstance(entry, dict) and entry.get("primary") is True:
            return entry
    return entries[0] if entries else None
