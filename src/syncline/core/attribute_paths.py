"""Paths of attribute maps, read once into functions that find their value in a person's JSON.

    path    = step *( "." step )
    step    = keys [ "[" filter "]" ]
    filter  = "primary" / a SCIM value filter (RFC 7644 §3.5.2)

`keys` are names joined by dots, or a URN and names. Real keys hold dots and colons themselves, so the longest
run that is a key of the object wins. Names are found in any letter case. A list without a filter yields the
list of what its entries have; a filter picks the first entry that satisfies it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from syncline.core.json import Json
from syncline.core.scim.errors import ScimError
from syncline.core.scim.filter.evaluate import matches_entry
from syncline.core.scim.filter.nodes import Comparison, Filter, Operator
from syncline.core.scim.filter.parser import parse_value_filter
from syncline.core.scim.names import AttributePath, is_attribute_name, parse_attribute
from syncline.core.scim.schema import AttributeType, ResourceKind, attribute
from syncline.core.text import fold

MAX_PATH = 400
"""Characters of a path."""

MAX_NAMES = 32
"""Names between the dots and colons of one step; documents are not nested deeper either."""

Folded: TypeAlias = dict[int, dict[str, Json]]
"""What one evaluation remembers: the folded keys of objects, by the identity of the object."""

Reader: TypeAlias = Callable[[Json, Folded], Json]
"""Finds a value in another; None for nothing. It never raises."""


class BadPath(ValueError):
    """A path that cannot be read; the message is one sentence that says why."""


def is_blank(value: Json) -> bool:
    """Tell whether a value counts as nothing in a map: null, "", [] and {}."""
    return value is None or (not value and value.__class__ in _HOLLOW)


_HOLLOW: frozenset[type] = frozenset({str, list, dict})


def compile_path(text: str) -> Reader:
    """Return the function that finds what a path names. Raises `BadPath`."""
    steps = _steps(text)
    reader: Reader | None = None
    for keys, condition in reversed(steps):
        if condition is not None:
            reader = _filtered(keys, condition, reader)
        reader = _keyed(keys, reader)
    assert reader is not None
    return reader


def canonical_path(text: str) -> str | None:
    """Return the path under which a normalized document holds the same, None where it is the same path.

    `department` stands in the enterprise extension there, what a core URN qualifies at the top, and 1.0 URNs
    are 2.0 ones (`scim.md` §6).
    """
    head, bracket, rest = text.partition("[")
    try:
        resolved = str(parse_attribute(head, ResourceKind.USER))
    except ScimError:
        return None
    same = resolved.replace(":", ".").lower() == head.strip().replace(":", ".").lower()
    return None if same else resolved + bracket + rest


def _steps(text: str) -> list[tuple[str, str | None]]:
    """Split a path into pairs of keys and the filter behind them."""
    if not text.strip():
        raise BadPath("A path must not be empty.")
    if len(text) > MAX_PATH:
        raise BadPath(f"A path has at most {MAX_PATH} characters.")
    if any(character < " " or character == "\x7f" for character in text):
        raise BadPath("A path must not hold control characters.")
    steps: list[tuple[str, str | None]] = []
    rest = text.strip()
    while True:
        end = _end_of_keys(rest)
        keys, behind = rest[:end], rest[end:]
        _check_keys(keys, text)
        if not behind:
            return [*steps, (keys, None)]
        closing = _closing_bracket(behind, text)
        steps.append((keys, behind[1:closing].strip()))
        rest = behind[closing + 1 :]
        if not rest:
            return steps
        if rest[0] != ".":
            raise BadPath(f"The path '{text}' needs a dot after ']'.")
        rest = rest[1:]


def _end_of_keys(text: str) -> int:
    at = text.find("[")
    return len(text) if at < 0 else at


def _check_keys(keys: str, text: str) -> None:
    if keys != keys.strip() or '"' in keys or "]" in keys or keys.startswith("$"):
        raise BadPath(f"The path '{text}' cannot be read at '{keys}'.")
    if not all(keys.split(".")) or keys.endswith(":"):
        raise BadPath(f"The path '{text}' has an empty name in it.")
    if len(_cuts(keys)) >= MAX_NAMES:
        raise BadPath(f"The path '{text}' has more than {MAX_NAMES} names.")


def _closing_bracket(text: str, whole: str) -> int:
    quoted = escaped = False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == "]" and not quoted:
            return at
    raise BadPath(f"The path '{whole}' has no ']' for its '['.")


def _cuts(keys: str) -> list[int]:
    """Return where a key may end, ascending: at dots, and in a URN at the colons behind its name space.

    The dot of a version (`2.0`) is none of them.
    """
    is_urn = keys[:4].lower() == "urn:"
    first = keys.find(":", keys.find(":", 4) + 1) if is_urn else 0
    if first < 0:
        return []
    ends = ".:" if is_urn else "."
    return [
        at
        for at, character in enumerate(keys)
        if at >= first
        and character in ends
        and not (is_urn and keys[at - 1 : at + 2].replace(".", "").isdigit())
    ]


def _keyed(keys: str, behind: Reader | None) -> Reader:
    """Return a reader of a run of keys, followed by what stands behind it."""
    suffixes: dict[str, Reader] = {}

    def compiled(run: str) -> Reader:
        found = suffixes.get(run)
        if found is None:
            cuts = reversed(_cuts(run))
            shorter = [(run[:cut], compiled(run[cut + 1 :])) for cut in cuts if run[cut + 1 :]]
            found = suffixes[run] = _key_reader([(run, behind), *shorter])
        return found

    return compiled(keys)


def _key_reader(candidates: list[tuple[str, Reader | None]]) -> Reader:
    """Return a reader that tries keys, the longest first, as they are written and then in any letter case."""
    exact = tuple(candidates)
    folded = tuple((fold(key), behind) for key, behind in candidates)
    names = frozenset(key for key, _ in folded)

    def read(value: Json, memo: Folded) -> Json:
        if value.__class__ is dict:
            holder: dict[str, Json] = value
            # As in `_first`: most of what evaluating a person takes is this call.
            for key, behind in exact:
                found = holder.get(key)
                if found is not None:
                    if behind is not None:
                        found = behind(found, memo)
                    if found or not (found is None or found.__class__ in _HOLLOW):
                        return found
            holder = memo.get(id(value)) or _folded(holder, memo)
            return None if holder.keys().isdisjoint(names) else _first(holder, folded, memo)
        if value.__class__ is list:
            return _each(read, value, memo)
        return None

    return read


def _first(holder: dict[str, Json], candidates: tuple[tuple[str, Reader | None], ...], memo: Folded) -> Json:
    for key, behind in candidates:
        value = holder.get(key)
        if value is not None:
            if behind is not None:
                value = behind(value, memo)
            if value or not (value is None or value.__class__ in _HOLLOW):
                return value
    return None


def _folded(holder: dict[str, Json], memo: Folded) -> dict[str, Json]:
    found = {key.lower() if key.isascii() else fold(key): value for key, value in holder.items()}
    memo[id(holder)] = found
    return found


def _each(read: Reader, entries: list[Json], memo: Folded) -> Json:
    """Return what the entries of a list have, lists among it joined; None if none has anything."""
    collected: list[Json] = []
    for entry in entries:
        value = read(entry, memo)
        if value.__class__ is list:
            collected += value
        elif not is_blank(value):
            collected.append(value)
    return collected or None


def _filtered(keys: str, condition: str, behind: Reader | None) -> Reader:
    """Return a reader of the first entry that satisfies a condition and has what stands behind it."""
    satisfies = _condition(keys, condition)

    def read(value: Json, memo: Folded) -> Json:
        for entry in value if isinstance(value, list) else [value]:
            if satisfies(entry):
                found = entry if behind is None else behind(entry, memo)
                if not is_blank(found):
                    return found
        return None

    return read


def _condition(keys: str, text: str) -> Callable[[Json], bool]:
    if text.lower() == "primary":
        return _is_primary
    name = keys.rpartition(".")[2].rpartition(":")[2]
    name = name if is_attribute_name(name) else "entry"
    parent = AttributePath(None, name, None, attribute(ResourceKind.USER, name))
    try:
        term = parse_value_filter(text, ResourceKind.USER, parent)
    except ScimError as error:
        raise BadPath(f"The filter in '{keys}[{text}]' cannot be read: {error.detail}") from None
    return _equality(term) or (lambda entry: matches_entry(term, entry))


def _is_primary(entry: Json) -> bool:
    if not isinstance(entry, dict):
        return False
    flag = entry.get("primary")
    return flag is True or (isinstance(flag, str) and flag.strip().lower() == "true")


def _equality(term: Filter) -> Callable[[Json], bool] | None:
    """Return the quick way to test `name eq "text"`, the filter of nearly every path; None for others."""
    if (
        not isinstance(term, Comparison)
        or term.operator is not Operator.EQ
        or not isinstance(term.value, str)
    ):
        return None
    definition, name, exact = term.path.definition, term.path.sub, term.value
    if definition is not None and (definition.case_exact or definition.type is AttributeType.DATE_TIME):
        return None
    wanted = fold(exact)

    def satisfies(entry: Json) -> bool:
        stored = entry.get(name) if isinstance(entry, dict) and name is not None else None
        if stored.__class__ is str:
            return stored == exact or fold(stored) == wanted
        return matches_entry(term, entry)

    return satisfies
