"""The schema that a directory really sends, observed person by person in bounded memory.

Paths are in the syntax that attribute maps accept. Samples are masked where they could tell about a person:
only values that many people share are shown, and never those of names, addresses, phone numbers and the like.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from syncline.core.attribute_paths import BadPath, compile_path, is_blank
from syncline.core.attribute_values import as_text
from syncline.core.json import Json
from syncline.core.model import Document
from syncline.core.text import fold, looks_like_email

MAX_PATHS = 500
MAX_DEPTH = 6
MAX_SAMPLES = 3
_DISTINCT = 40
_LONGEST_SAMPLE = 100
_LONGEST_WORD = 40
_MANY = 5
_SHARE = 0.02
_PHONE_DIGITS = 7

_NOT_ATTRIBUTES = frozenset({"schemas", "meta", "id", "groups", "password"})
# Names of attributes that are about one person whoever shares the value; matched as part of the path.
_PERSONAL = (
    "name",
    "mail",
    "phone",
    "mobile",
    "fax",
    "street",
    "postal",
    "zip",
    "formatted",
    "birth",
    "photo",
    "picture",
    "url",
    "ims",
    "externalid",
    "employeenumber",
    "employeeid",
    "manager",
    "ssn",
    "passport",
    "salary",
    "gender",
    "religion",
    "certificate",
)
_NOT_PERSONAL = ("costcentername", "departmentname", "divisionname", "companyname", "organizationname")


@dataclass(slots=True)
class ObservedPath:
    """What was seen at one path. `shared` counts values that occur often, no others for certain."""

    path: str
    name: str
    people: int = 0
    types: set[str] = field(default_factory=set)
    shared: dict[str, int] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)

    def see(self, value: Json) -> None:
        """Take a value of one person in."""
        self.types.add(_type_of(value))
        for entry in value if isinstance(value, list) else [value]:
            text = as_text(entry)
            if text:
                self._note(text[:_LONGEST_SAMPLE])

    def samples(self, people: int, *, masked: bool) -> list[str]:
        """Return up to three values, the most frequent first; `people` were looked at."""
        frequent = sorted(self.shared, key=lambda text: (-self.shared[text], text))
        chosen = list(dict.fromkeys([*frequent, *self.first]))[:MAX_SAMPLES]
        if not masked:
            return chosen
        return list(dict.fromkeys(text if self._may_show(text, people) else mask(text) for text in chosen))

    def _note(self, text: str) -> None:
        if len(self.first) < MAX_SAMPLES and text not in self.first:
            self.first.append(text)
        if text in self.shared or len(self.shared) < _DISTINCT:
            self.shared[text] = self.shared.get(text, 0) + 1
            return
        # All counts go down by one: what is left was frequent (Misra and Gries, 1982).
        self.shared = {known: count - 1 for known, count in self.shared.items() if count > 1}

    def _may_show(self, text: str, people: int) -> bool:
        if self.types == {"boolean"}:
            return True
        if is_personal(self.path) or len(text) > _LONGEST_WORD or looks_like_email(text):
            return False
        if sum(character.isdigit() for character in text) >= _PHONE_DIGITS:
            return False
        return self.shared.get(text, 0) >= max(_MANY, people * _SHARE)


class ObservedSchema:
    """Collects paths from bodies; `is_cut` once there were more paths than are kept."""

    def __init__(self, limit: int = MAX_PATHS) -> None:
        self._limit = limit
        self._found: dict[str, ObservedPath | None] = {}
        self.people = 0
        self.is_cut = False

    def add(self, body: Document) -> None:
        """Take what one person's provider sent in."""
        self.people += 1
        seen: set[str] = set()
        for path, name, value in _walk(body):
            key = fold(path)
            if key in seen:
                continue
            observed = self._observed(key, path, name)
            if observed is not None:
                seen.add(key)
                observed.people += 1
                observed.see(value)

    def paths(self) -> list[ObservedPath]:
        """Return what was seen, what most people have first."""
        found = [observed for observed in self._found.values() if observed is not None]
        return sorted(found, key=lambda observed: (-observed.people, observed.path))

    def _observed(self, key: str, path: str, name: str) -> ObservedPath | None:
        if key in self._found:
            return self._found[key]
        if len(self._found) >= self._limit:
            self.is_cut = True
            return None
        found = self._found[key] = ObservedPath(path, name) if _is_readable(path) else None
        return found


def is_personal(path: str) -> bool:
    """Tell whether values at a path are about one person, judged by the names in it."""
    folded = fold(path).replace("_", "").replace("-", "").replace(" ", "")
    if folded.startswith("urn:"):
        folded = folded.rpartition(":")[2]
    for known in _NOT_PERSONAL:
        folded = folded.replace(known, "")
    return any(word in folded for word in _PERSONAL)


def mask(text: str) -> str:
    """Return the shape of a text: letters become x and X, digits 0; the rest stays."""
    return "".join(
        "0"
        if character.isdigit()
        else ("X" if character.isupper() else "x")
        if character.isalpha()
        else character
        for character in text[:_LONGEST_WORD]
    )


def _walk(body: Document) -> Iterator[tuple[str, str, Json]]:
    """Yield path, short name and value of everything that is not empty, in the order of the body."""
    stack: list[tuple[str, str, Json, int]] = [
        (key, key, value, 1) for key, value in body.items() if key.lower() not in _NOT_ATTRIBUTES
    ][::-1]
    while stack:
        path, name, value, depth = stack.pop()
        if is_blank(value):
            continue
        if isinstance(value, dict):
            if depth < MAX_DEPTH:
                stack += [(f"{path}.{key}", key, inner, depth + 1) for key, inner in value.items()][::-1]
            continue
        if not isinstance(value, list):
            yield path, name, value
            continue
        yield path, name, value
        yield from _entries(path, name, value)


def _entries(path: str, name: str, entries: list[Json]) -> Iterator[tuple[str, str, Json]]:
    """Yield what the entries of a list hold: by type, by being primary, and all together."""
    together: dict[str, list[Json]] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        kind = entry.get("type")
        for key, value in entry.items():
            if is_blank(value) or key in ("type", "primary", "$ref") or isinstance(value, (dict, list)):
                continue
            together.setdefault(key, []).append(value)
            suffix = "" if key == "value" else f" {key}"
            if isinstance(kind, str) and kind and len(kind) <= _LONGEST_WORD and not set(kind) & set('"\\'):
                yield f'{path}[type eq "{kind}"].{key}', f"{name} ({kind}){suffix}", value
            if entry.get("primary") is True:
                yield f"{path}[primary].{key}", f"{name} (primary){suffix}", value
    for key, values in together.items():
        yield f"{path}.{key}", f"{name} {key}", values


def _is_readable(path: str) -> bool:
    if path != path.strip():
        return False
    try:
        compile_path(path)
    except BadPath:
        return False
    return True


def _type_of(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, list):
        return "list"
    return "object" if isinstance(value, dict) else "string"
