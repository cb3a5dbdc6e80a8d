"""What a filter means on a resource in memory; the SQL compiler must agree with this file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from syncline.core.json import Json
from syncline.core.scim.filter.nodes import (
    And,
    Comparison,
    Filter,
    Literal,
    Not,
    Operator,
    Or,
    Present,
    ValuePath,
)
from syncline.core.scim.filter.values import fold_value, parse_instant
from syncline.core.scim.names import AttributePath
from syncline.core.scim.schema import Attribute, AttributeType, ResourceKind
from syncline.core.text import fold

_Reader: TypeAlias = Callable[[AttributePath], list[Json]]


def matches(term: Filter | None, resource: Mapping[str, Json], kind: ResourceKind) -> bool:
    """Tell whether a rendered resource satisfies a filter parsed for its kind; `None` matches all.

    An attribute that no schema defines is treated as absent, even if the resource carries it.
    """
    meta = resource.get("meta")
    if isinstance(meta, dict) and meta.get("resourceType") not in (None, kind.value):
        return False
    return term is None or _holds(term, lambda path: values_at(resource, path))


def matches_entry(term: Filter, entry: Json) -> bool:
    """Tell whether one entry of a multi-valued attribute satisfies a value filter.

    A bare text or number is an entry with nothing but a `value`. Names are found in any letter case, and
    sub-attributes that no schema defines are found too: PATCH may address what a client stored.
    """
    fields = entry if isinstance(entry, dict) else {"value": entry}
    return _holds(term, lambda path: _contents(_field(fields, path.sub or "value")))


def values_at(resource: Mapping[str, Json], path: AttributePath) -> list[Json]:
    """Return the values at a path that are not empty; none for a path without a definition."""
    if path.definition is None:
        return []
    entries = _entries(resource, path)
    if path.sub is None:
        return entries
    return [value for entry in entries if isinstance(entry, dict) for value in _contents(entry.get(path.sub))]


def is_empty(value: Json) -> bool:
    """Tell whether a value counts as absent: null, "", [] and objects that hold nothing else (G-07)."""
    if value is None or value == "":
        return True
    if isinstance(value, list):
        return all(is_empty(entry) for entry in value)
    return isinstance(value, dict) and all(is_empty(entry) for entry in value.values())


def _holds(term: Filter, read: _Reader) -> bool:
    """Evaluate a tree, whose depth the parser has bounded."""
    match term:
        case Comparison():
            return _compare(term, read(term.path))
        case Present(path):
            return bool(read(path))
        case And(terms):
            return all(_holds(part, read) for part in terms)
        case Or(terms):
            return any(_holds(part, read) for part in terms)
        case Not(inner):
            return not _holds(inner, read)
        case ValuePath(path, inner):
            return any(_entry_holds(inner, entry) for entry in read(path))


def _entry_holds(term: Filter, entry: Json) -> bool:
    if not isinstance(entry, dict):
        return False
    return _holds(
        term,
        lambda path: _contents(entry.get(path.sub or "")) if path.definition is not None else [],
    )


def _entries(resource: Mapping[str, Json], path: AttributePath) -> list[Json]:
    holder: Json | Mapping[str, Json] = resource if path.urn is None else resource.get(path.urn)
    return _contents(holder.get(path.name)) if isinstance(holder, Mapping) else []


def _contents(value: Json) -> list[Json]:
    return [entry for entry in (value if isinstance(value, list) else [value]) if not is_empty(entry)]


def _field(entry: Mapping[str, Json], name: str) -> Json:
    if name in entry:
        return entry[name]
    folded = name.lower()
    return next((value for key, value in entry.items() if key.lower() == folded), None)


def _compare(term: Comparison, values: list[Json]) -> bool:
    definition = term.path.definition
    if term.operator is Operator.NE:
        return not values or any(not _same(definition, value, term.value) for value in values)
    if term.operator is Operator.EQ:
        return any(_same(definition, value, term.value) for value in values)
    if term.operator.is_ordering:
        return any(_ordered(definition, value, term) for value in values)
    return any(_contains(definition, value, term) for value in values)


def _same(definition: Attribute | None, stored: Json, literal: Literal) -> bool:
    if isinstance(stored, bool) or isinstance(literal, bool):
        return _boolean(stored) is not None and _boolean(stored) is _boolean(literal)
    if isinstance(stored, int | float) and isinstance(literal, int | float):
        return stored == literal
    if isinstance(stored, dict | list):
        return False
    if _is_date(definition):
        return parse_instant(str(stored)) == parse_instant(str(literal))
    return fold_value(definition, str(stored)) == fold_value(definition, str(literal))


def _boolean(value: Json) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def _ordered(definition: Attribute | None, stored: Json, term: Comparison) -> bool:
    literal = term.value
    if isinstance(stored, bool) or isinstance(literal, bool):
        return False
    if isinstance(stored, int | float) and isinstance(literal, int | float):
        return _stands(term.operator, (stored > literal) - (stored < literal))
    if not isinstance(stored, str) or not isinstance(literal, str):
        return False
    if _is_date(definition):
        left, right = parse_instant(stored), parse_instant(literal)
        if left is None or right is None:
            return False
        return _stands(term.operator, (left > right) - (left < right))
    mine, theirs = fold_value(definition, stored), fold_value(definition, literal)
    return _stands(term.operator, (mine > theirs) - (mine < theirs))


def _stands(operator: Operator, sign: int) -> bool:
    match operator:
        case Operator.GT:
            return sign > 0
        case Operator.GE:
            return sign >= 0
        case Operator.LT:
            return sign < 0
        case _:
            return sign <= 0


def _contains(definition: Attribute | None, stored: Json, term: Comparison) -> bool:
    # A moment has no parts to look for (RFC 7644 §3.4.2.2 gives it the ordering operators).
    if not isinstance(stored, str) or isinstance(term.value, bool) or _is_date(definition):
        return False
    exact = definition is not None and definition.case_exact
    text, part = (stored, str(term.value)) if exact else (fold(stored), fold(str(term.value)))
    if term.operator is Operator.SW:
        return text.startswith(part)
    return text.endswith(part) if term.operator is Operator.EW else part in text


def _is_date(definition: Attribute | None) -> bool:
    return definition is not None and definition.type is AttributeType.DATE_TIME
