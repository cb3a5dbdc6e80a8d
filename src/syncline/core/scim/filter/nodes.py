"""The tree of a filter, made to be walked: by the evaluator, by the SQL compiler, by PATCH.

    Filter = Comparison | Present | ValuePath | And | Or | Not

What the parser has already settled, so that no walker has to:
* paths are canonical; inside a `ValuePath` they name the parent as well (`emails` + sub `type`);
* `emails co "x"` has become `emails.value co "x"` wherever there is a sub-attribute `value`;
* `x eq null` has become `Not(Present(x))`, `x ne null` has become `Present(x)`;
* values have the type of their attribute: a quoted boolean is a `bool`, an unquoted number next to a string
  attribute is a `str`; next to a date attribute there is a readable date; ordering never meets a `bool`;
* `emails[type eq "work"].value eq "x"` (E-17) has become one value path over both terms;
* an `And` never holds an `And`, an `Or` never holds an `Or`; both hold at least two terms.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from syncline.core.scim.names import AttributePath

Literal: TypeAlias = str | bool | int | float


class Operator(StrEnum):
    """The comparison operators that take a value."""

    EQ = "eq"
    NE = "ne"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"

    @property
    def is_ordering(self) -> bool:
        """Whether the operator asks which of two values is greater."""
        return self in (Operator.GT, Operator.GE, Operator.LT, Operator.LE)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`path operator value`: holds if any value at the path compares so.

    `ne` also holds where the path has no value at all. A path without a definition has no value.
    """

    path: AttributePath
    operator: Operator
    value: Literal


@dataclass(frozen=True, slots=True)
class Present:
    """`path pr`: the path has a value that is not empty."""

    path: AttributePath


@dataclass(frozen=True, slots=True)
class ValuePath:
    """`path[term]`: a single entry of the (usually multi-valued) attribute satisfies the whole term."""

    path: AttributePath
    term: Filter


@dataclass(frozen=True, slots=True)
class And:
    """All terms hold."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one term holds."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The term does not hold."""

    term: Filter


Filter: TypeAlias = Comparison | Present | ValuePath | And | Or | Not


def conjunction(terms: list[Filter]) -> Filter:
    """Join terms by `and`, flattening what is already joined so; a single term stays itself."""
    flat: list[Filter] = []
    for term in terms:
        flat.extend(term.terms if isinstance(term, And) else (term,))
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def disjunction(terms: list[Filter]) -> Filter:
    """Join terms by `or`, flattening what is already joined so; a single term stays itself."""
    flat: list[Filter] = []
    for term in terms:
        flat.extend(term.terms if isinstance(term, Or) else (term,))
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def equality_terms(term: Filter) -> dict[str, Literal] | None:
    """Return sub-attribute → value of a value filter built only of `eq` terms joined by `and`, else `None`.

    PATCH makes an entry of them when the filter matches nothing (E-04). Contradicting terms give `None`.
    """
    found: dict[str, Literal] = {}
    for part in term.terms if isinstance(term, And) else (term,):
        if not isinstance(part, Comparison) or part.operator is not Operator.EQ or part.path.sub is None:
            return None
        if found.setdefault(part.path.sub, part.value) != part.value:
            return None
    return found


def size(term: Filter) -> int:
    """Return how many tests a filter holds."""
    match term:
        case And(terms) | Or(terms):
            return sum(size(part) for part in terms)
        case Not(inner) | ValuePath(_, inner):
            return size(inner)
    return 1


def to_text(term: Filter) -> str:
    """Write a filter so that parsing the text yields the same tree."""
    return _text(term, inside=False)


def _text(term: Filter, *, inside: bool) -> str:
    match term:
        case Comparison(path, operator, value):
            return f"{_name(path, inside)} {operator} {json.dumps(value)}"
        case Present(path):
            return f"{_name(path, inside)} pr"
        case ValuePath(path, inner):
            return f"{path}[{_text(inner, inside=True)}]"
        case Not(inner):
            return f"not ({_text(inner, inside=inside)})"
        case And(terms):
            return " and ".join(
                f"({_text(part, inside=inside)})" if isinstance(part, Or) else _text(part, inside=inside)
                for part in terms
            )
        case Or(terms):
            return " or ".join(_text(part, inside=inside) for part in terms)


def _name(path: AttributePath, inside: bool) -> str:
    return path.sub or path.name if inside else str(path)
