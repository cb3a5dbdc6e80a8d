"""Sources and definitions of attributes as callers write them, checked to the last argument.

    source    = path | {"path": path, "transforms": [transform]} | {"value": JSON, "transforms": [transform]}
    transform = name | {"name": name, "arguments": {…}}

What is stored is always the long form. Everything wrong is told at once, each with its place in the
body and a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from syncline.core.attribute_map import (
    NAMED_SOURCES,
    WHOLE,
    AttributeKind,
    AttributeRule,
    AttributeType,
    Source,
    Transform,
)
from syncline.core.attribute_paths import BadPath, compile_path
from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.json import Json, stringify
from syncline.core.predefined import FIXED_STANDARD, PREDEFINED, STANDARD, built_in_sources
from syncline.core.text import fold
from syncline.core.transforms import BadTransform, compile_transform

MAX_SOURCES = 20
MAX_TRANSFORMS = 10
MAX_VALUE = 4096
"""Characters of the JSON of a fixed value and of the arguments of a transform together."""
MAX_ARGUMENTS = 65_536

MAX_KEY = 64
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_SHOWN_ELSEWHERE = frozenset(
    {
        "object",
        "id",
        "directory_id",
        "organization_id",
        "role",
        "roles",
        "groups",
        "raw_attributes",
        "custom_attributes",
        "previous_attributes",
        "created_at",
        "updated_at",
    }
)
_SHORT = 80
_TAKING = (["object"], ["list"])


class Level(StrEnum):
    """Which level says where an attribute comes from."""

    DIRECTORY = "directory"
    ENVIRONMENT = "environment"
    PROVIDER = "provider"
    BUILT_IN = "built_in"


@dataclass(slots=True)
class Problems:
    """What is wrong with a body, field by field."""

    errors: list[FieldError] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)

    def invalid(self, name: str, sentence: str) -> None:
        """Note a field of the wrong type, range or format."""
        self.errors.append(FieldError(name, f"{name}_invalid"))
        self.sentences.append(f"{name}: {sentence}")

    def required(self, name: str, sentence: str) -> None:
        """Note a field that is missing."""
        self.errors.append(FieldError(name, f"{name}_required"))
        self.sentences.append(f"{name}: {sentence}")

    def unknown(self, name: str, sentence: str) -> None:
        """Note a field or a value that there is not."""
        self.errors.append(FieldError(name, f"{name}_unknown"))
        self.sentences.append(f"{name}: {sentence}")

    def refuse(self) -> None:
        """Raise `ValidationFailed` if anything was noted."""
        if self.errors:
            raise ValidationFailed(self.errors, " ".join(self.sentences[:5]))


def read_sources(value: Json, name: str, problems: Problems) -> tuple[Source, ...]:
    """Return the sources that a field of a body holds; what is wrong is noted and left out."""
    if not isinstance(value, list):
        problems.invalid(name, "A list of sources is expected.")
        return ()
    if len(value) > MAX_SOURCES:
        problems.invalid(name, f"An attribute has at most {MAX_SOURCES} sources.")
        return ()
    found = [_source(entry, f"{name}[{number}]", problems) for number, entry in enumerate(value)]
    return tuple(source for source in found if source is not None)


def source_body(source: Source) -> dict[str, Json]:
    """Return a source in the form in which it is stored and shown."""
    body: dict[str, Json] = {"value": source.value} if source.path is None else {"path": source.path}
    body["transforms"] = [
        {"name": step.name, "arguments": dict(step.arguments)} for step in source.transforms
    ]
    return body


def check_key(key: str, kind: AttributeKind, problems: Problems, name: str = "key") -> None:
    """Note what is wrong with the key of an attribute of a kind."""
    if kind is AttributeKind.STANDARD:
        if key in FIXED_STANDARD:
            problems.invalid(name, f"'{key}' cannot come from anywhere else.")
        elif key not in STANDARD:
            problems.unknown(name, f"The standard attributes with sources are {', '.join(STANDARD)}.")
    elif kind is AttributeKind.PREDEFINED:
        if key not in PREDEFINED:
            problems.unknown(name, f"The predefined attributes are {', '.join(PREDEFINED)}.")
    elif len(key) > MAX_KEY or _KEY.fullmatch(key) is None:
        sentence = f"A key has 1 to {MAX_KEY} letters, digits, '_' and '-', and begins with a letter."
        problems.invalid(name, sentence)
    elif fold(key) in {*PREDEFINED, *STANDARD, *FIXED_STANDARD, *_SHOWN_ELSEWHERE}:
        problems.invalid(name, f"'{key}' is the name of something else that people have.")


def kind_of(key: str) -> AttributeKind:
    """Return the kind of attribute that a key by itself stands for."""
    if key in PREDEFINED:
        return AttributeKind.PREDEFINED
    return AttributeKind.STANDARD if key in STANDARD or key in FIXED_STANDARD else AttributeKind.CUSTOM


def type_of(key: str, kind: AttributeKind) -> AttributeType | None:
    """Return the type that an attribute has by itself; None for custom ones, whose type is chosen."""
    table = {AttributeKind.PREDEFINED: PREDEFINED, AttributeKind.STANDARD: STANDARD}.get(kind, {})
    return AttributeType(table[key].type) if key in table else None


def layered(
    rule: AttributeRule,
    own: Sequence[Mapping[str, Json]],
    provided: Sequence[Mapping[str, Json]],
) -> tuple[Level, list[dict[str, Json]]]:
    """Return the sources in force for an attribute of one directory, and the level that they are of.

    `rule` is the environment's definition, `own` the directory's sources, `provided` those of its provider.
    """
    if own:
        return Level.DIRECTORY, [dict(source) for source in own]
    if rule.sources:
        return Level.ENVIRONMENT, [source_body(source) for source in rule.sources]
    if provided:
        return Level.PROVIDER, [dict(source) for source in provided]
    return Level.BUILT_IN, [source_body(Source(path)) for path in built_in_sources(rule.key)]


def paths_in(source: Mapping[str, Json]) -> list[str]:
    """Return the paths that a stored source takes values from: its own, or those that a transform has."""
    path = source.get("path")
    if path != WHOLE:
        return [path] if isinstance(path, str) else []
    steps = source.get("transforms")
    first = steps[0] if isinstance(steps, list) and steps else None
    arguments = first.get("arguments") if isinstance(first, dict) else None
    return (
        list(_texts(arguments.get("fields") or arguments.get("paths"))) if isinstance(arguments, dict) else []
    )


def _texts(given: Json) -> Iterator[str]:
    if isinstance(given, str):
        yield given
    elif isinstance(given, (list, dict)):
        for one in given.values() if isinstance(given, dict) else given:
            yield from _texts(one)


def _source(entry: Json, name: str, problems: Problems) -> Source | None:
    if isinstance(entry, str):
        entry = {"path": entry}
    if not isinstance(entry, dict):
        problems.invalid(name, "A source is a path, or an object with 'path' or 'value'.")
        return None
    _check_names(entry, ("path", "value", "transforms"), name, problems)
    path, value = entry.get("path"), entry.get("value")
    if (path is None) is (value is None):
        problems.required(f"{name}.path", "A source has either 'path' or 'value'.")
    elif path is not None:
        _check_path(path, f"{name}.path", problems)
    elif _size(value) > MAX_VALUE:
        problems.invalid(f"{name}.value", f"A fixed value has at most {MAX_VALUE} characters.")
    transforms = _transforms(entry.get("transforms"), f"{name}.transforms", problems)
    if (
        isinstance(path, str)
        and path.strip() == WHOLE
        and [step.name for step in transforms[:1]] not in _TAKING
    ):
        sentence = f"'{WHOLE}' is everything about a person: 'object' or 'list' has to come first."
        problems.required(f"{name}.transforms", sentence)
    return Source(path.strip() if isinstance(path, str) else None, value, transforms)


def _check_path(path: Json, name: str, problems: Problems) -> None:
    if not isinstance(path, str):
        problems.invalid(name, "A path is a text.")
        return
    if path.strip().startswith("$"):
        if path.strip() not in NAMED_SOURCES:
            problems.unknown(name, f"The named values are {', '.join(NAMED_SOURCES)}.")
        return
    try:
        compile_path(path)
    except BadPath as error:
        problems.invalid(name, str(error))


def _transforms(value: Json, name: str, problems: Problems) -> tuple[Transform, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_TRANSFORMS:
        problems.invalid(name, f"A list of at most {MAX_TRANSFORMS} transforms is expected.")
        return ()
    found = [_transform(entry, f"{name}[{number}]", problems) for number, entry in enumerate(value)]
    return tuple(step for step in found if step is not None)


def _transform(entry: Json, name: str, problems: Problems) -> Transform | None:
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, dict):
        problems.invalid(name, "A transform is a name, or an object with 'name' and 'arguments'.")
        return None
    _check_names(entry, ("name", "arguments"), name, problems)
    called, arguments = entry.get("name"), entry.get("arguments")
    arguments = {} if arguments is None else arguments
    if not isinstance(called, str):
        problems.required(f"{name}.name", "A transform has a name.")
        return None
    if not isinstance(arguments, dict) or _size(arguments) > MAX_ARGUMENTS:
        limit = f"Arguments are an object of at most {MAX_ARGUMENTS} characters."
        problems.invalid(f"{name}.arguments", limit)
        return None
    try:
        compile_transform(called, arguments)
    except BadTransform as error:
        where = name if error.argument is None else f"{name}.arguments.{error.argument[:_SHORT]}"
        problems.invalid(where, str(error))
        return None
    return Transform(called, arguments)


def _check_names(entry: Mapping[str, Json], known: Iterable[str], name: str, problems: Problems) -> None:
    for key in entry:
        if key not in known:
            problems.unknown(f"{name}.{key[:_SHORT]}", f"There is no '{key[:_SHORT]}' here.")


def _size(value: Json) -> int:
    return len(stringify(value))
