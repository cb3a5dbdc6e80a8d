"""JSON both ways: a parser that refuses what is ambiguous, and the exact text JavaScript would write.

The parser reads RFC 8259 JSON within the limits of `scim.md` §17. The writer makes the body of a webhook:
the Node SDK verifies signatures over `JSON.stringify(JSON.parse(body))`, so a body must already be that text
(`api.md` §5).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from syncline.core.errors import MalformedJson, MalformedText
from syncline.core.text import fold

if TYPE_CHECKING:
    Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
else:
    # Schema generators that read annotations at run time cannot follow a recursive alias; "any JSON value"
    # is what they shall see.
    Json = Any

MAX_DEPTH = 32
MAX_DIGITS = 4300
# Ten times what a body of ten megabytes needs for members; counted by commas, also those in strings.
MAX_VALUES = 1_500_000
MAX_SAFE_INTEGER = 2**53 - 1

_BOM = b"\xef\xbb\xbf"
_ALL_BYTES = bytes(range(256))
# Brackets become `[` and `]`, everything but brackets, colons and quotation marks goes away.
_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_STRUCTURE = _ALL_BYTES.translate(None, b'[]{}":')
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789.", b"0000000000")
_LONG_NUMBER = b"0" * (MAX_DIGITS + 1)

_INTEGER_KEY = re.compile(r"0|[1-9][0-9]{0,9}")
_MAX_INTEGER_KEY = 2**32 - 2

_NESTING: frozenset[type] = frozenset({dict, list})
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def parse_json(raw: bytes, *, max_depth: int = MAX_DEPTH) -> Json:
    """Return the value of a JSON text in UTF-8, with or without a byte order mark; any kind of value.

    Raises `MalformedJson`, or `MalformedText` where the trouble is text inside, for what is not JSON,
    and for what other readers would read differently: NaN, Infinity, numbers that overflow or have more than
    4,300 digits, invalid UTF-8, lone surrogates, NUL in a key or a value, more than `max_depth` nested arrays
    and objects, the same key twice in an object, and keys that differ by letter case alone while their values
    differ.
    """
    raw = raw.removeprefix(_BOM)
    if raw.count(b",") > MAX_VALUES:
        raise MalformedJson(f"The body holds more than {MAX_VALUES} values.")
    structure = _structure(raw)
    _check_depth(structure, max_depth)
    _check_digits(raw)
    try:
        value: Json = _decode(raw)
    except UnicodeDecodeError:
        raise MalformedText("The body is not valid UTF-8.") from None
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        kind = MalformedText if _has_half_a_pair(raw) else MalformedJson
        raise kind(f"The body is not valid JSON: {_reason(error)}.") from None
    keys = _check_keys(value)
    if keys != structure.count(b":"):
        raise MalformedJson(f"The key {_first_repeated_key(raw)} appears twice in one object.")
    if b"\\u0000" in raw:
        _check_nul(value)
    return value


def stringify(value: Json) -> str:
    """Return the text that `JSON.stringify(JSON.parse(text))` gives for this value, byte for byte.

    No white space, integer-like keys first and ascending, numbers as JavaScript writes them, non-ASCII and
    `/` unescaped. Integers beyond ±(2⁵³-1), which JavaScript would round, become strings of their digits.
    Raises `ValueError` for NaN, Infinity and lone surrogates, which `parse_json` never lets in.
    """
    plain = value if _is_plain(value) else _as_javascript(value)
    return _encode(plain).decode()


def js_number(number: float) -> str:
    """Return a finite float as ECMAScript's Number::toString writes it; `ValueError` for NaN and Infinity."""
    if number == 0:
        return "0"
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError("JSON has no NaN and no Infinity")
    sign = "-" if number < 0 else ""
    digits, point = _shortest_digits(abs(number))
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def _structure(raw: bytes) -> bytes:
    """Return the brackets (as `[` and `]`) and colons outside strings, in order.

    Exact up to the first error of the text, where the parser stops as well: a backslash outside a string.
    """
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    kept = raw.translate(_TO_SQUARE, _NOT_STRUCTURE)
    # Two adjacent quotation marks change nothing for what follows them, also where they end one string and
    # begin the next; dropping them leaves few pieces to split.
    kept = kept.replace(b'""', b"")
    return b"".join(kept.split(b'"')[::2]) if b'"' in kept else kept


def _check_depth(structure: bytes, max_depth: int) -> None:
    """Count nesting without recursion: each round takes away the innermost pairs of brackets."""
    if structure.count(b"[") <= max_depth:
        return
    rest = structure.replace(b":", b"")
    too_deep = b"[" * (max_depth + 1)
    for _ in range(max_depth):
        if not rest or too_deep in rest:
            break
        rest = rest.replace(b"[]", b"")
    # What remains of unbalanced brackets within the limit is left to the parser, which names the place.
    if b"[]" in rest or rest.count(b"[") > max_depth:
        raise MalformedJson(f"The body is nested deeper than {max_depth} levels.")


def _check_digits(raw: bytes) -> None:
    if len(raw) <= MAX_DIGITS or _LONG_NUMBER not in raw.translate(_DIGITS_TO_ZERO):
        return
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside_strings = b'"'.join(raw.split(b'"')[::2])
    if _LONG_NUMBER in outside_strings.translate(_DIGITS_TO_ZERO):
        raise MalformedJson(f"A number has more than {MAX_DIGITS} digits.")


def _has_half_a_pair(raw: bytes) -> bool:
    """Tell whether a text would be JSON but for half a surrogate pair, which other readers let pass."""
    if b"\\u" not in raw:
        return False
    try:
        text = json.dumps(json.loads(raw), ensure_ascii=False)
    except (ValueError, RecursionError):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _reason(error: Exception) -> str:
    """Return the parser's complaint, which holds positions and never text of the body."""
    text = str(error).removeprefix("JSON is malformed: ").rstrip(".")
    return text[:1].lower() + text[1:]


def _check_keys(value: Json) -> int:
    """Return how many keys all objects of the value have; refuse keys that differ by letter case alone."""
    count = 0
    distinct: set[tuple[str, ...]] = set()
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            count += len(node)
            keys = tuple(node)
            if keys not in distinct:
                folded = map(str.lower, keys) if "".join(keys).isascii() else map(fold, keys)
                if len(set(folded)) == len(keys):
                    distinct.add(keys)
                else:
                    _check_spellings(node)
            stack += [child for child in node.values() if child.__class__ in _NESTING]
        elif isinstance(node, list):
            stack += [child for child in node if child.__class__ in _NESTING]
    return count


def _check_spellings(node: dict[str, Json]) -> None:
    first: dict[str, str] = {}
    for key, child in node.items():
        other = first.setdefault(fold(key), key)
        if not _equal(node[other], child):
            names = f"{_shown(other)} and {_shown(key)}"
            raise MalformedJson(f"The keys {names} differ by letter case only and have different values.")


def _equal(one: Json, other: Json) -> bool:
    """Compare as JSON: `true` is not 1, although Python says so."""
    if one != other or isinstance(one, bool) != isinstance(other, bool):
        return False
    return not isinstance(one, (dict, list)) or stringify(one) == stringify(other)


def _check_nul(value: Json) -> None:
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack += node.keys()
            stack += node.values()
        elif isinstance(node, list):
            stack += node
        elif isinstance(node, str) and "\x00" in node:
            raise MalformedText("A key or a value contains the character NUL.")


def _first_repeated_key(raw: bytes) -> str:
    """Return the key that appears twice in an object of this text, shown in quotation marks."""
    found: list[str] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                found.append(key)
            seen.add(key)

    json.loads(raw, object_pairs_hook=look)
    return _shown(found[0])


def _shown(key: str) -> str:
    shortened = key if len(key) <= 60 else key[:60] + "…"
    return "'" + "".join(c if c.isprintable() else "�" for c in shortened) + "'"


def _is_plain(value: Json) -> bool:
    """Tell whether the fast encoder already writes this value as JavaScript does."""
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str) or node is None or isinstance(node, bool):
            continue
        if isinstance(node, dict):
            # An integer-like key is in its place only by chance: leave its order to the exact path.
            if any(key[:1].isdigit() and _is_integer_key(key) for key in node):
                return False
            stack += node.values()
        elif isinstance(node, (list, tuple)):
            stack += node
        elif isinstance(node, float) or not -MAX_SAFE_INTEGER <= node <= MAX_SAFE_INTEGER:
            return False
    return True


def _as_javascript(value: Json) -> object:
    """Return the value with keys ordered, floats as finished text and unsafe integers as strings."""
    if isinstance(value, dict):
        return {key: _as_javascript(value[key]) for key in _javascript_order(value)}
    if isinstance(value, (list, tuple)):
        return [_as_javascript(item) for item in value]
    if isinstance(value, float):
        return msgspec.Raw(js_number(value).encode())
    if isinstance(value, int) and not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        return str(value)
    return value


def _javascript_order(keys: dict[str, Json]) -> list[str]:
    """Return the keys as JavaScript keeps them: array indices ascending, then the rest as inserted."""
    indices = sorted((key for key in keys if _is_integer_key(key)), key=int)
    return indices + [key for key in keys if not _is_integer_key(key)]


def _is_integer_key(key: str) -> bool:
    return _INTEGER_KEY.fullmatch(key) is not None and int(key) <= _MAX_INTEGER_KEY


def _shortest_digits(number: float) -> tuple[str, int]:
    """Return the shortest digits that read back as this number, and where their decimal point stands."""
    mantissa, _, exponent = repr(number).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return digits.rstrip("0"), point
