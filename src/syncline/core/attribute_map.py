"""Attribute maps: which attributes a directory's people show, and where each gets its value from.

An attribute has an ordered list of sources, of which the first that is not empty wins. A source is a path
into what the provider sent, a fixed value, or a named value of ours (`$email`), and a list of transforms.
Evaluation is pure: the same document and map always give the same result (`api.md` §6, `ui.md` §12.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from syncline.core.attribute_lists import FORMS, as_address
from syncline.core.attribute_paths import Folded, Reader, canonical_path, compile_path, is_blank
from syncline.core.attribute_values import COERCIONS, Coercion, as_text, as_time
from syncline.core.attributes import SELECTIONS, email, idp_id, manager_of
from syncline.core.json import Json
from syncline.core.model import Document, Mapped
from syncline.core.predefined import STANDARD, built_in_sources
from syncline.core.text import looks_like_email
from syncline.core.transforms import TRANSFORMS, Step, compile_transform


class AttributeKind(StrEnum):
    """`standard` is always shown at the top level; the others are part of `custom_attributes`."""

    STANDARD = "standard"
    PREDEFINED = "predefined"
    CUSTOM = "custom"


class AttributeType(StrEnum):
    """The JSON type that values of an attribute have, or are turned into."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    LIST = "list"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Transform:
    """A named step from value to value, with its arguments."""

    name: str
    arguments: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value may come from: a path or a fixed value (exactly one), then transforms in order."""

    path: str | None = None
    value: Json = None
    transforms: tuple[Transform, ...] = ()


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """One attribute with its sources in order; no sources: those it has by itself."""

    key: str
    kind: AttributeKind
    type: AttributeType
    required: bool = False
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class AttributeMap:
    """Every attribute of a directory beyond the standard ones, and the standard ones with other sources.

    Making one compiles its paths and transforms. Raises `BadPath` and `BadTransform` for those that cannot be
    read; what has been stored was checked before.
    """

    rules: tuple[AttributeRule, ...]
    # Whether somebody's manager has to be looked up.
    needs_manager: bool = field(init=False, repr=False, compare=False)
    _programs: tuple[_Program, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        paths = (source.path for rule in self.rules for source in sources_of(rule))
        object.__setattr__(self, "needs_manager", "$manager_email" in paths)
        object.__setattr__(self, "_programs", tuple(map(_compiled, self.rules)))

    @property
    def required(self) -> tuple[str, ...]:
        """The keys of attributes that everybody should have."""
        return tuple(rule.key for rule in self.rules if rule.required)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why an attribute has its value.

    `number` counts the sources of the rule from 0 and is None where none had anything; `found` is what stood
    there before the transforms.
    """

    key: str
    value: Json
    number: int | None = None
    source: Source | None = None
    found: Json = None


def read_map(body: Sequence[Mapping[str, Json]]) -> AttributeMap:
    """Return the map of the `attributes` of an evaluation's body, whose sources were checked before."""
    return AttributeMap(tuple(_read_rule(entry) for entry in body))


def read_source(body: Json) -> Source:
    """Return a stored source, in the form `{"path" or "value", "transforms": [{name, arguments}]}`."""
    entry: Any = body
    transforms = entry.get("transforms") or ()
    return Source(
        path=entry.get("path"),
        value=entry.get("value"),
        transforms=tuple(Transform(step["name"], step.get("arguments") or {}) for step in transforms),
    )


def sources_of(rule: AttributeRule) -> tuple[Source, ...]:
    """Return the sources of a rule: its own, else those that its attribute has by itself."""
    return rule.sources or tuple(Source(path) for path in built_in_sources(rule.key))


def evaluate(
    attributes: AttributeMap,
    document: Document,
    raw: Document | None,
    *,
    resource_id: str,
    manager_email: str | None = None,
) -> Mapped:
    """Return what the map makes of a person; never raises, whatever the provider sent.

    `document` is the normalized SCIM document, `raw` what the provider sent (None: the same), `resource_id`
    the SCIM id, `manager_email` the address of the person's manager in the same directory, if there is one.
    """
    person = _Person(document, raw, resource_id, manager_email)
    standard: dict[str, Json] = {}
    custom: dict[str, Json] = {}
    for program in attributes._programs:
        value = program.value(person)
        if program.is_custom:
            custom[program.key] = value
        if program.is_standard:
            standard[program.key] = value
    return Mapped(standard, custom)


def evidence(
    attributes: AttributeMap,
    document: Document,
    raw: Document | None,
    *,
    resource_id: str,
    manager_email: str | None = None,
) -> list[Evidence]:
    """Return what `evaluate` makes of a person together with the source of each value, in the map's order."""
    person = _Person(document, raw, resource_id, manager_email)
    return [program.evidence(person) for program in attributes._programs]


def address_of(
    attributes: AttributeMap, document: Document, raw: Document | None, *, resource_id: str
) -> str | None:
    """Return the address that a map gives a person: where it says nothing of `email`, the usual one.

    Unlike what is stored with somebody, it does not depend on whether they have been evaluated already.
    """
    person = _Person(document, raw, resource_id, None)
    for program in attributes._programs:
        if program.is_standard and program.key == "email":
            return as_text(program.value(person))
    return email(document)


class _Person:
    """What one evaluation looks at."""

    __slots__ = ("document", "manager_email", "memo", "raw", "resource_id")

    def __init__(
        self, document: Document, raw: Document | None, resource_id: str, manager_email: str | None
    ) -> None:
        self.document = document
        self.raw = raw
        self.resource_id = resource_id
        self.manager_email = manager_email
        self.memo: Folded = {}


_Look: TypeAlias = Callable[[_Person], Json]


@dataclass(frozen=True, slots=True)
class _Try:
    """A source, ready to run: finds a value, then takes the steps, then brings it into its type."""

    look: _Look
    steps: tuple[Step, ...]
    # The first step that makes something of nothing, None if there is none.
    filling: int | None
    coerce: Coercion
    # Whether a text is taken as it is found, as most are.
    is_text: bool

    def result(self, found: Json) -> Json:
        steps = self.steps
        if not found and is_blank(found):
            if self.filling is None:
                return None
            steps = steps[self.filling :]
        for step in steps:
            found = step(found)
        return self.coerce(found)


@dataclass(frozen=True, slots=True)
class _Program:
    key: str
    is_custom: bool
    is_standard: bool
    tries: tuple[_Try, ...]
    sources: tuple[Source, ...]

    def value(self, person: _Person) -> Json:
        for attempt in self.tries:
            found = attempt.look(person)
            if attempt.is_text and found and found.__class__ is str:
                return found
            value = attempt.result(found)
            if value or not is_blank(value):
                return value
        return None

    def evidence(self, person: _Person) -> Evidence:
        for number, attempt in enumerate(self.tries):
            found = attempt.look(person)
            value = attempt.result(found)
            if not is_blank(value):
                # Of all that there is: what the source takes.
                taken = attempt.steps[0](found) if self.sources[number].path == WHOLE else found
                return Evidence(self.key, value, number, self.sources[number], taken)
        return Evidence(self.key, None)


def _read_rule(entry: Mapping[str, Json]) -> AttributeRule:
    sources = entry.get("sources")
    return AttributeRule(
        key=str(entry["key"]),
        kind=AttributeKind(str(entry["kind"])),
        type=AttributeType(str(entry["type"])),
        required=entry.get("required") is True,
        sources=tuple(map(read_source, sources)) if isinstance(sources, list) else (),
    )


def _compiled(rule: AttributeRule) -> _Program:
    coerce = _coercion(rule)
    sources = sources_of(rule)
    return _Program(
        key=rule.key,
        is_custom=rule.kind is not AttributeKind.STANDARD,
        # `username` and `job_title` are shown at both places, and say the same there.
        is_standard=bool(rule.sources) and rule.key in STANDARD,
        tries=tuple(_try(source, coerce, as_sent=bool(rule.sources)) for source in sources),
        sources=sources,
    )


def _coercion(rule: AttributeRule) -> Coercion:
    if rule.key == "email" and rule.kind is AttributeKind.STANDARD:
        return as_address
    if rule.key in FORMS:
        return FORMS[rule.key]
    return as_time if rule.key == "employment_start_date" else COERCIONS[rule.type]


def _try(source: Source, coerce: Coercion, *, as_sent: bool) -> _Try:
    filling = (number for number, step in enumerate(source.transforms) if TRANSFORMS[step.name].fills)
    return _Try(
        look=_look(source, as_sent=as_sent),
        steps=tuple(compile_transform(step.name, step.arguments) for step in source.transforms),
        filling=next(filling, None),
        coerce=coerce,
        is_text=coerce is as_text and not source.transforms,
    )


def _look(source: Source, *, as_sent: bool) -> _Look:
    """Return how a source finds its value; `as_sent`: in what the provider sent before the document."""
    if source.path is None:
        fixed = source.value
        return lambda person: fixed
    if source.path.startswith("$"):
        return named_value(source.path)
    written = compile_path(source.path)
    canonical = canonical_path(source.path)
    readers = (written,) if canonical is None else (written, compile_path(canonical))
    return _looking(written, readers) if as_sent else lambda person: _normalized(person, readers)


def _looking(written: Reader, readers: Iterable[Reader]) -> _Look:
    def look(person: _Person) -> Json:
        if person.raw is not None:
            found = written(person.raw, person.memo)
            if found is not None:
                return found
        return _normalized(person, readers)

    return look


def _normalized(person: _Person, readers: Iterable[Reader]) -> Json:
    for reader in readers:
        found = reader(person.document, person.memo)
        if found is not None:
            return found
    return None


def named_value(name: str) -> _Look:
    """Return how a value that we select ourselves is found. Raises `KeyError` for a name there is not."""
    if name in _OWN:
        return _OWN[name]
    select = SELECTIONS[name]
    return lambda person: select(person.document)


def _manager_email(person: _Person) -> Json:
    if person.manager_email is not None:
        return person.manager_email
    named = (manager_of(person.document) or "").strip()
    return named if looks_like_email(named) else None


WHOLE = "$sent"
"""Names everything that the provider sent about a person, for a transform to take something of it."""

_OWN: Mapping[str, _Look] = {
    "$manager_email": _manager_email,
    "$idp_id": lambda person: idp_id(person.document, person.resource_id),
    "$scim_id": lambda person: person.resource_id,
    WHOLE: lambda person: person.document if person.raw is None else person.raw,
}

NAMED_SOURCES: tuple[str, ...] = (*SELECTIONS, *_OWN)
"""The names of values that we select ourselves."""
