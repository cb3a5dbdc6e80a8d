"""Compare what two SCIM services answer to the same request, without a word of what the answers say.

Their ids differ, so those of the old service are learned from answers to the same request and put in place
of ours before comparing. A difference is named by the attribute, never by its value.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from syncline.core.json import Json, stringify
from syncline.core.scim.schema import (
    COMMON_ATTRIBUTES,
    ENTERPRISE_ATTRIBUTES,
    GROUP_ATTRIBUTES,
    USER_ATTRIBUTES,
)

MAX_IDS = 200_000
MAX_DIFFERENCES = 20
# Made by each service for itself, or saying nothing about a person.
_OWN = frozenset({"meta", "schemas", "$ref", "id", "itemsperpage", "startindex", "nextcursor", "display"})
_KINDS = re.compile(
    r"/(Users|Groups|Bulk|Me|ServiceProviderConfigs?|ResourceTypes|Schemas|\.search)(?=[/?]|\Z)"
)
_ATTRIBUTES = frozenset(
    entry.name.lower()
    for entry in (*COMMON_ATTRIBUTES, *USER_ATTRIBUTES, *GROUP_ATTRIBUTES, *ENTERPRISE_ATTRIBUTES)
)
_DISCOVERY = ("/ServiceProviderConfig", "/ResourceTypes", "/Schemas")
_NAME = re.compile(r"[A-Za-z$][A-Za-z0-9_$-]{0,63}")
_URN = re.compile(r"urn:[A-Za-z0-9:._-]{1,120}", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
_TERM = re.compile(r"([A-Za-z][A-Za-z0-9_.:-]{0,119})\s+(eq|ne|co|sw|ew|gt|ge|lt|le|pr)\b", re.IGNORECASE)


class Ids:
    """Ids of the old service with those of the new one; the oldest are forgotten beyond a number."""

    def __init__(self, most: int = MAX_IDS) -> None:
        self._most = most
        self._ours: OrderedDict[str, str] = OrderedDict()

    def learn(self, old: str, ours: str) -> None:
        """Note that two ids mean the same."""
        if old != ours:
            self._ours[old] = ours
            if len(self._ours) > self._most:
                self._ours.popitem(last=False)

    def ours(self, old: str) -> str:
        """Return our id for one of the old service; one that is not known as it is."""
        return self._ours.get(old, old)

    def in_text(self, text: str) -> str:
        """Return the text of a path or a body with the ids of the old service replaced, whole words only."""
        return _WORD.sub(lambda found: self._ours.get(found.group(), found.group()), text)

    def learn_from(self, old: Json, ours: Json) -> None:
        """Learn from two answers to the same request: a resource each, or lists of them."""
        for one, other in _pairs(old, ours):
            first, second = one.get("id"), other.get("id")
            if isinstance(first, str) and isinstance(second, str):
                self.learn(first, second)


_WORD = re.compile(r"[A-Za-z0-9_-]{6,128}")


@dataclass(frozen=True, slots=True)
class Difference:
    """What two answers do not have in common: `status`, or attributes by name, without values."""

    method: str
    path: str
    old_status: int
    new_status: int
    attributes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """One line for a person."""
        told = f"{self.method} {self.path}: "
        if self.old_status != self.new_status:
            return f"{told}the old service answers {self.old_status}, Syncline {self.new_status}"
        return f"{told}{', '.join(self.attributes)}"


def compare(
    method: str,
    shown_path: str,
    old: tuple[int, Json],
    new: tuple[int, Json],
    ids: Ids,
) -> Difference | None:
    """Return how two answers differ, None if they mean the same."""
    (old_status, old_body), (new_status, new_body) = old, new
    found: list[str] = []
    # What a service says about itself is its own.
    is_told = old_status < 400 and not shown_path.startswith(_DISCOVERY)
    if _means(old_status, method) == _means(new_status, method) and is_told:
        found = list(dict.fromkeys(_differences(old_body, new_body, ids, "")))[:MAX_DIFFERENCES]
    same = _means(old_status, method) == _means(new_status, method)
    if same and not found:
        return None
    return Difference(
        method,
        shown_path,
        old_status,
        old_status if same else new_status,
        tuple(sorted(found)),
    )


def redacted_path(path: str, query: str) -> str:
    """Return what a request asked for, with ids, values and everything else of people left out."""
    found = _KINDS.search(path)
    if found is None:
        return "/…"
    rest = path[found.end() :].strip("/")
    shown = f"/{found[1]}"
    if rest == ".search":
        shown += "/.search"
    elif rest:
        shown += "/{id}"
    found_terms = _TERM.findall(_QUOTED.sub('""', query))
    terms = [f"{_known(name)} {operator.lower()}" for name, operator in found_terms]
    return f"{shown}?filter={' and '.join(terms[:5])}" if terms else shown


def _known(name: str) -> str:
    """Return the name of an attribute that SCIM defines; what else stands there may be about a person."""
    plain = name.rpartition(":")[2]
    return plain if plain.partition(".")[0].lower() in _ATTRIBUTES else "…"


def _means(status: int, method: str) -> int:
    """Return a status, those that mean the same as one: with or without the resource in the answer."""
    return 200 if method in ("PATCH", "PUT", "DELETE") and status in (200, 202, 204) else status


def _pairs(old: Json, ours: Json) -> Iterator[tuple[Mapping[str, Json], Mapping[str, Json]]]:
    """Yield resources of two answers that are the same: by what names them, as their ids differ."""
    if not isinstance(old, dict) or not isinstance(ours, dict):
        return
    listed, own = old.get("Resources"), ours.get("Resources")
    if not isinstance(listed, list) or not isinstance(own, list):
        yield old, ours
        return
    named = {name: one for one in own if isinstance(one, dict) and (name := _named(one)) is not None}
    twice = _twice(own)
    for one in listed:
        name = _named(one) if isinstance(one, dict) else None
        if isinstance(one, dict) and name is not None and name in named and name not in twice:
            yield one, named[name]


def _twice(resources: list[Json]) -> set[str]:
    seen: set[str] = set()
    twice: set[str] = set()
    for one in resources:
        name = _named(one) if isinstance(one, dict) else None
        if name is not None:
            (twice if name in seen else seen).add(name)
    return twice


def _named(resource: Mapping[str, Json]) -> str | None:
    for key in ("userName", "displayName"):
        value = resource.get(key)
        if isinstance(value, str) and value:
            return f"{key} {value.casefold()}"
    return None


def _differences(old: Json, new: Json, ids: Ids, at: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        resources = (old.get("Resources"), new.get("Resources"))
        if not at and isinstance(resources[0], list) and isinstance(resources[1], list):
            yield from _lists(old, new, ids)
            return
        for key in dict.fromkeys([*old, *new]):
            if key.lower() in _OWN:
                continue
            yield from _differences(
                old.get(key), new.get(key), ids, f"{at}.{_safe(key)}" if at else _safe(key)
            )
    elif _comparable(old, ids) != _comparable(new, ids):
        yield at or "body"


def _lists(old: Mapping[str, Json], new: Mapping[str, Json], ids: Ids) -> Iterator[str]:
    if old.get("totalResults") != new.get("totalResults"):
        yield "totalResults"
    pairs = list(_pairs(dict(old), dict(new)))
    listed = old.get("Resources")
    if isinstance(listed, list) and len(pairs) < len(listed):
        yield "Resources"
    for one, other in pairs:
        yield from _differences(dict(one), dict(other), ids, "Resources")


def _comparable(value: Json, ids: Ids) -> Json:
    """Return a form that is equal for what means the same: no order, nothing empty, no other spelling."""
    if isinstance(value, dict):
        kept = {key.lower(): _comparable(part, ids) for key, part in value.items() if key.lower() not in _OWN}
        # Of an entry that names a resource, only which one it is.
        return {
            key: part for key, part in sorted(kept.items()) if part not in (None, "", [], {}, False)
        } or None
    if isinstance(value, list):
        return sorted((stringify(_comparable(part, ids)) for part in value), key=str) or None
    if isinstance(value, str):
        return ids.ours(value) or None
    return None if value is False else value


def _safe(key: str) -> str:
    """Return the name of an attribute, or that it is none that a report may show."""
    return key if _NAME.fullmatch(key) or _URN.fullmatch(key) else "…"
