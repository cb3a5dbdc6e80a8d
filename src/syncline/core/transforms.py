"""Named transforms of attribute maps: small pure steps from value to value.

A step that looks at one value is carried out on every entry of a list. What a step cannot make sense of is
null afterwards where the step promises a form (`date`, `country`, `number`, `boolean`, `map`, `object`), and
unchanged where it only tidies text (`trim`, `lower`, `upper`, `replace`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from syncline.core.attribute_paths import BadPath, Reader, compile_path, is_blank
from syncline.core.attribute_values import as_boolean, as_date, as_number, as_text, boolean_of
from syncline.core.countries import country_code
from syncline.core.date_formats import BadFormat, compile_format
from syncline.core.json import Json
from syncline.core.text import fold

Step: TypeAlias = Callable[[Json], Json]
Arguments: TypeAlias = Mapping[str, Json]

MAX_TABLE = 500
"""Rows of the table of `map`."""

MAX_FIELDS = 50
"""Keys of an `object`, and paths of a `list`."""

MAX_ENTRIES = 1_000
"""Entries that a `list` may come to; with more there is nothing."""

MAX_TEXT = 65_536
"""Characters of a text that `replace` may come to; a longer one is nothing."""


class BadTransform(ValueError):
    """A transform that does not exist or was given wrong arguments; `argument` is the wrong one, if any."""

    def __init__(self, message: str, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


@dataclass(frozen=True, slots=True)
class TransformKind:
    """A transform by its name: what it does in one sentence, its arguments, and how it is made.

    `required` and `optional` name the arguments. `fills`: whether it also runs where nothing was found.
    """

    name: str
    meaning: str
    build: Callable[[Arguments], Step]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    fills: bool = False


def compile_transform(name: str, arguments: Arguments) -> Step:
    """Return the step of a transform. Raises `BadTransform`."""
    kind = TRANSFORMS.get(name)
    if kind is None:
        raise BadTransform(f"There is no transform '{name[:40]}'. There are: {', '.join(TRANSFORMS)}.")
    for argument in arguments:
        if argument not in (*kind.required, *kind.optional):
            raise BadTransform(f"The transform '{name}' has no argument '{argument[:40]}'.", argument)
    for argument in kind.required:
        if argument not in arguments:
            raise BadTransform(f"The transform '{name}' needs the argument '{argument}'.", argument)
    return kind.build(arguments)


def _each(step: Step) -> Step:
    """Return the step for one value or for every entry of a list, without those that become nothing."""

    def run(value: Json) -> Json:
        if isinstance(value, list):
            return [found for found in map(step, value) if not is_blank(found)]
        return step(value)

    return run


def _on_text(change: Callable[[str], Json]) -> Step:
    return _each(lambda value: change(value) if isinstance(value, str) else value)


def _plain(step: Step) -> Callable[[Arguments], Step]:
    return lambda _: step


def _text(arguments: Arguments, name: str, default: str, *, is_empty_allowed: bool = True) -> str:
    value = arguments.get(name, default)
    if not isinstance(value, str) or len(value) > 200 or not (value or is_empty_allowed):
        wanted = "a text" if is_empty_allowed else "a text that is not empty"
        raise BadTransform(f"The argument '{name}' must be {wanted} of at most 200 characters.", name)
    return value


def _date(arguments: Arguments) -> Step:
    if "format" not in arguments:
        return _each(as_date)
    written = _text(arguments, "format", "", is_empty_allowed=False)
    try:
        read = compile_format(written)
    except BadFormat as error:
        raise BadTransform(str(error), "format") from None
    return _each(lambda value: None if (text := as_text(value)) is None else read(text.strip()))


def _country(value: Json) -> Json:
    return country_code(value) if isinstance(value, str) else None


def _boolean(arguments: Arguments) -> Step:
    words = {name: _words(arguments, name) for name in ("true", "false") if name in arguments}
    if not words:
        return _each(as_boolean)
    if words.get("true", frozenset()) & words.get("false", frozenset()):
        raise BadTransform("A word cannot be both true and false.", "false")

    def read(value: Json) -> Json:
        if isinstance(value, bool):
            return value
        text = as_text(value)
        if text is None:
            return None
        word = fold(text.strip())
        if word in words.get("true", ()):
            return True
        return False if word in words.get("false", ()) else boolean_of(word)

    return _each(read)


def _words(arguments: Arguments, name: str) -> frozenset[str]:
    words = arguments[name]
    if not isinstance(words, list) or not 0 < len(words) <= 50:
        raise BadTransform(f"The argument '{name}' must be a list of 1 to 50 texts.", name)
    if not all(isinstance(word, str) and word.strip() for word in words):
        raise BadTransform(f"The argument '{name}' must be a list of texts that are not empty.", name)
    return frozenset(fold(str(word).strip()) for word in words)


def _first(value: Json) -> Json:
    if not isinstance(value, list):
        return value
    return next((entry for entry in value if not is_blank(entry)), None)


def _last(value: Json) -> Json:
    return _first(value[::-1]) if isinstance(value, list) else value


def _join(arguments: Arguments) -> Step:
    separator = _text(arguments, "separator", ", ")

    def run(value: Json) -> Json:
        entries = value if isinstance(value, list) else [value]
        return separator.join(text for entry in entries if (text := as_text(entry))) or None

    return run


def _split(arguments: Arguments) -> Step:
    separator = _text(arguments, "separator", ",", is_empty_allowed=False)

    def parts(value: Json) -> list[Json]:
        if not isinstance(value, str):
            return [] if is_blank(value) else [value]
        return [part for piece in value.split(separator) if (part := piece.strip())]

    def run(value: Json) -> Json:
        entries = value if isinstance(value, list) else [value]
        return [part for entry in entries for part in parts(entry)]

    return run


def _map(arguments: Arguments) -> Step:
    table, default = arguments["table"], arguments.get("default")
    if not isinstance(table, dict) or not 0 < len(table) <= MAX_TABLE:
        raise BadTransform(f"The argument 'table' must be an object of 1 to {MAX_TABLE} keys.", "table")
    folded: dict[str, Json] = {}
    for key, value in table.items():
        if fold(key.strip()) in folded:
            raise BadTransform(f"The table has '{key[:40]}' twice, apart from letter case.", "table")
        folded[fold(key.strip())] = value

    def look_up(value: Json) -> Json:
        text = as_text(value)
        return default if text is None else folded.get(fold(text.strip()), default)

    return _each(look_up)


def _default(arguments: Arguments) -> Step:
    fallback = arguments["value"]
    if is_blank(fallback):
        raise BadTransform("The argument 'value' must not be empty.", "value")
    return lambda value: fallback if is_blank(value) else value


def _replace(arguments: Arguments) -> Step:
    find = _text(arguments, "find", "", is_empty_allowed=False)
    with_ = _text(arguments, "with", "")
    growth = len(with_) - len(find)

    def run(text: str) -> Json:
        # Each of ten steps could make a text two hundred times as long.
        if growth > 0 and len(text) + text.count(find) * growth > MAX_TEXT:
            return None
        return text.replace(find, with_)

    return _on_text(run)


def _reader(given: Json, name: str) -> Reader:
    """Return the reader of a path, or of several of which the first that has something counts."""
    if isinstance(given, list) and 0 < len(given) <= MAX_FIELDS:
        readers = [_reader(path, name) for path in given if not isinstance(path, list)]
        if len(readers) == len(given):
            return lambda value, memo: next(
                (found for read in readers if not is_blank(found := read(value, memo))), None
            )
    if not isinstance(given, str):
        raise BadTransform(f"The argument '{name}' must hold paths.", name)
    try:
        return compile_path(given)
    except BadPath as error:
        raise BadTransform(str(error), name) from None


def _object(arguments: Arguments) -> Step:
    fields = arguments["fields"]
    if not isinstance(fields, dict) or not 0 < len(fields) <= MAX_FIELDS:
        sentence = f"The argument 'fields' must be an object of 1 to {MAX_FIELDS} keys."
        raise BadTransform(sentence, "fields")
    fixed: dict[str, Json] = {}
    readers: dict[str, Reader] = {}
    for key, given in fields.items():
        if isinstance(given, dict) and given.keys() == {"value"}:
            fixed[key] = given["value"]
        else:
            readers[key] = _reader(given, "fields")
    if not readers:
        raise BadTransform("The argument 'fields' must have a path.", "fields")

    def make(value: Json) -> Json:
        if not isinstance(value, dict):
            return None
        found = {key: read(value, {}) for key, read in readers.items()}
        if all(map(is_blank, found.values())):
            return None
        return {key: fixed[key] if key in fixed else found[key] for key in fields}

    return _each(make)


def _list(arguments: Arguments) -> Step:
    paths = arguments["paths"]
    if not isinstance(paths, list) or not 0 < len(paths) <= MAX_FIELDS:
        raise BadTransform(f"The argument 'paths' must be a list of 1 to {MAX_FIELDS} paths.", "paths")
    readers = [_reader(path, "paths") for path in paths]

    def collect(value: Json) -> Json:
        if not isinstance(value, dict):
            return None
        found: list[Json] = []
        for read in readers:
            one = read(value, {})
            found += one if isinstance(one, list) else [] if is_blank(one) else [one]
            if len(found) > MAX_ENTRIES:
                return None
        return found

    return collect


TRANSFORMS: Mapping[str, TransformKind] = {
    kind.name: kind
    for kind in (
        TransformKind("trim", "Removes white space at both ends.", _plain(_on_text(str.strip))),
        TransformKind("lower", "Makes letters lower case.", _plain(_on_text(str.lower))),
        TransformKind("upper", "Makes letters upper case.", _plain(_on_text(str.upper))),
        TransformKind(
            "date",
            "Reads a date: ISO 8601, or as `format` says with YYYY, YY, MM, MMM, DD, HH, mm, ss and the "
            "characters between, or `epoch` and `epoch_ms`.",
            _date,
            optional=("format",),
        ),
        TransformKind(
            "country",
            "Makes the two letters of ISO 3166 of them, of the three letters, or of the usual names.",
            _plain(_each(_country)),
        ),
        TransformKind("number", "Reads a number written as text.", _plain(_each(as_number))),
        TransformKind(
            "boolean",
            "Reads true, yes, y, 1 and on, and their opposites; `true` and `false` are lists of more words.",
            _boolean,
            optional=("true", "false"),
        ),
        TransformKind("first", "Takes the first entry of a list.", _plain(_first)),
        TransformKind("last", "Takes the last entry of a list.", _plain(_last)),
        TransformKind(
            "join", "Makes one text of a list, with `separator` (`, `) between.", _join, (), ("separator",)
        ),
        TransformKind(
            "split", "Makes a list of a text, cut at `separator` (`,`).", _split, optional=("separator",)
        ),
        TransformKind(
            "map",
            "Looks the value up in `table`, in any letter case; else `default`, else nothing.",
            _map,
            ("table",),
            ("default",),
        ),
        TransformKind("default", "Gives `value` where nothing was found.", _default, ("value",), fills=True),
        TransformKind(
            "object",
            "Makes an object of an object: `fields` has for each key a path, several of which the first with "
            "something counts, or `value` for a fixed one.",
            _object,
            ("fields",),
        ),
        TransformKind(
            "list",
            "Makes one list of what is found at several `paths` of an object; several in one place are "
            "tried in order.",
            _list,
            ("paths",),
        ),
        TransformKind(
            "replace", "Replaces the text `find` by `with` wherever it occurs.", _replace, ("find", "with")
        ),
    )
}
"""Every transform by its name."""
