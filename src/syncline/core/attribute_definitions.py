"""Attributes as an environment defines them: what a caller says about one, checked against its kind."""

from __future__ import annotations

from dataclasses import dataclass, replace

from msgspec import UNSET, UnsetType

from syncline.core.attribute_map import AttributeKind, AttributeRule, AttributeType, read_source
from syncline.core.attribute_sources import (
    Problems,
    check_key,
    kind_of,
    read_sources,
    source_body,
    type_of,
)
from syncline.core.json import Json

MAX_DESCRIPTION = 500


@dataclass(frozen=True, slots=True)
class AttributeInput:
    """What a caller says about an attribute; `UNSET` leaves a thing to its default, or as it is."""

    kind: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    required: bool | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    sources: Json | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class DefinedAttribute:
    """A definition that holds; without sources the attribute has those of its provider, or built-in ones."""

    key: str
    kind: AttributeKind
    type: AttributeType
    required: bool = False
    description: str | None = None
    sources: tuple[dict[str, Json], ...] = ()

    def body(self) -> dict[str, Json]:
        """Return the definition in the form of an evaluation's body."""
        return {
            "key": self.key,
            "kind": self.kind.value,
            "type": self.type.value,
            "required": self.required,
            "sources": [dict(source) for source in self.sources],
        }

    def rule(self) -> AttributeRule:
        """Return the definition as a rule."""
        sources = tuple(map(read_source, self.sources))
        return AttributeRule(self.key, self.kind, self.type, self.required, sources)


def define(key: str, given: AttributeInput, problems: Problems, name: str = "") -> DefinedAttribute:
    """Return a new definition; what is wrong is noted, under names that begin with `name`.

    The key tells the kind; `job_title` and `username` are predefined unless the kind says `standard`.
    """
    kind = kind_of(key)
    if given.kind is not UNSET:
        if given.kind in list(AttributeKind):
            kind = AttributeKind(given.kind)
        else:
            problems.unknown(f"{name}kind", f"A kind is one of {', '.join(AttributeKind)}.")
    check_key(key, kind, problems, f"{name}key")
    fixed = type_of(key, kind)
    made = DefinedAttribute(key, kind, fixed or AttributeType.STRING)
    made = redefine(made, given, problems, name)
    if kind is AttributeKind.STANDARD and not made.sources:
        problems.required(f"{name}sources", "A standard attribute is defined by its sources.")
    return made


def redefine(
    before: DefinedAttribute, given: AttributeInput, problems: Problems, name: str = ""
) -> DefinedAttribute:
    """Return a definition with what a caller says differently; what is wrong is noted."""
    after = replace(before, type=_type(before, given, problems, name))
    is_standard = before.kind is AttributeKind.STANDARD
    if is_standard and (given.required not in (UNSET, False) or given.description not in (UNSET, None)):
        where = "required" if given.required not in (UNSET, False) else "description"
        problems.invalid(f"{name}{where}", "Of a standard attribute only the sources can be changed.")
        return after
    if given.required is not UNSET:
        after = replace(after, required=given.required)
    if given.description is not UNSET:
        after = replace(after, description=_description(given.description, problems, name))
    if given.sources is not UNSET:
        sources = read_sources(given.sources, f"{name}sources", problems)
        after = replace(after, sources=tuple(map(source_body, sources)))
    return after


def _type(before: DefinedAttribute, given: AttributeInput, problems: Problems, name: str) -> AttributeType:
    if given.type is UNSET or given.type == before.type:
        return before.type
    if given.type not in list(AttributeType):
        problems.unknown(f"{name}type", f"A type is one of {', '.join(AttributeType)}.")
    elif before.kind is not AttributeKind.CUSTOM:
        problems.invalid(f"{name}type", f"'{before.key}' is always of the type {before.type}.")
    else:
        return AttributeType(given.type)
    return before.type


def _description(text: str | None, problems: Problems, name: str) -> str | None:
    if text is not None and len(text) > MAX_DESCRIPTION:
        problems.invalid(f"{name}description", f"A description has at most {MAX_DESCRIPTION} characters.")
    return (text or "").strip() or None
