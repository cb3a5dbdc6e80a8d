"""The ids of another service in SCIM requests and answers, in exchange for our own.

Providers keep the ids that they were given. Where people and groups moved in with other ids than ours, these
are put in our place wherever a request names a resource, and back wherever an answer does. Nothing else is
touched: an `externalId` that happens to look like an id stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import msgspec

from syncline.core.json import Json
from syncline.core.scim.filter import And, Comparison, Filter, Not, Or, ValuePath

Rename = Callable[[str], str]

_QUOTED = re.compile(r'"([^"\\]{1,128})"')
_OWN = re.compile(r"(?<![0-9A-Za-z])[0-7][0-9A-HJKMNP-TV-Z]{25}(?![0-9A-Za-z])")
_OWN_BYTES = re.compile(rb"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_REFERRING = frozenset({"members", "groups"})


def in_body(body: Json, rename: Rename) -> Json:
    """Return the body of a POST or PUT, or of a PATCH, with the resources it names renamed."""
    if not isinstance(body, dict):
        return body
    operations = next((key for key in body if key.lower() == "operations"), None)
    if operations is None:
        return _attributes(body, rename)
    listed = body[operations]
    entries = [listed] if isinstance(listed, dict) else listed
    if not isinstance(entries, list):
        return body
    return body | {operations: [_operation(entry, rename) for entry in entries]}


def in_filter(term: Filter, rename: Rename) -> Filter:
    """Return a filter with the ids renamed that it compares resources with."""
    match term:
        case And(terms):
            return And(tuple(in_filter(part, rename) for part in terms))
        case Or(terms):
            return Or(tuple(in_filter(part, rename) for part in terms))
        case Not(inner):
            return Not(in_filter(inner, rename))
        case ValuePath(path, inner):
            return ValuePath(path, in_filter(inner, rename))
        case Comparison(path, _, value) if isinstance(value, str) and path.urn is None:
            is_id = path.name == "id" or (path.name in _REFERRING and path.sub in (None, "value"))
            return replace(term, value=rename(value)) if is_id else term
    return term


def in_answer(body: Mapping[str, Json], rename: Rename) -> dict[str, Json]:
    """Return a resource, or a list of them, as the provider knows them."""
    shown = dict(body)
    resources = shown.get("Resources")
    if isinstance(resources, list):
        shown["Resources"] = [in_answer(one, rename) if isinstance(one, dict) else one for one in resources]
        return shown
    if isinstance(shown.get("id"), str):
        shown["id"] = rename(str(shown["id"]))
    meta = shown.get("meta")
    if isinstance(meta, dict) and isinstance(meta.get("location"), str):
        shown["meta"] = meta | {"location": in_address(str(meta["location"]), rename)}
    for name in _REFERRING:
        if name in shown:
            shown[name] = _references(shown[name], rename)
    return shown


def in_address(address: str, rename: Rename) -> str:
    """Return the address of a resource with its last part renamed."""
    base, slash, last = address.rpartition("/")
    return f"{base}{slash}{rename(last)}"


def in_sentence(text: str, rename: Rename) -> str:
    """Return a sentence with our ids in it renamed."""
    return _OWN.sub(lambda found: rename(found.group()), text)


def _operation(entry: Json, rename: Rename) -> Json:
    if not isinstance(entry, dict):
        return entry
    keys = {key.lower(): key for key in entry}
    path = entry.get(keys.get("path", ""))
    value_key = keys.get("value")
    changed = dict(entry)
    if not isinstance(path, str) or not path.strip():
        if value_key is not None and isinstance(entry[value_key], dict):
            changed[value_key] = _attributes(cast(dict[str, Json], entry[value_key]), rename)
        return changed
    name = _attribute(path)
    if name == "members":
        changed[keys["path"]] = _QUOTED.sub(lambda found: f'"{rename(found[1])}"', path)
        if value_key is not None:
            changed[value_key] = _members(entry[value_key], rename)
    elif name == "id" and value_key is not None and isinstance(entry[value_key], str):
        changed[value_key] = rename(str(entry[value_key]))
    return changed


def _attributes(body: dict[str, Json], rename: Rename) -> dict[str, Json]:
    changed = dict(body)
    for key, value in body.items():
        name = _attribute(key)
        if name == "members":
            renamed = _QUOTED.sub(lambda found: f'"{rename(found[1])}"', key)
            del changed[key]
            changed[renamed] = _members(value, rename)
        elif name == "id" and isinstance(value, str):
            changed[key] = rename(value)
    return changed


def _attribute(path: str) -> str:
    """Return the attribute that a path begins with, without its URN and in lower case."""
    text = path.partition("[")[0]
    if text[:4].lower() == "urn:":
        text = text.rpartition(":")[2]
    return text.partition(".")[0].strip().lower()


def _members(value: Json, rename: Rename) -> Json:
    if isinstance(value, list):
        return [_member(entry, rename) for entry in value]
    return _member(value, rename)


def _member(entry: Json, rename: Rename) -> Json:
    if isinstance(entry, str):
        return rename(entry.strip())
    if isinstance(entry, int) and not isinstance(entry, bool):
        return rename(str(entry))
    if not isinstance(entry, dict):
        return entry
    changed = dict(entry)
    for key, part in entry.items():
        if key.lower() == "value" and isinstance(part, str | int) and not isinstance(part, bool):
            changed[key] = rename(str(part).strip())
        elif key.lower() == "$ref" and isinstance(part, str):
            changed[key] = in_address(part.rstrip("/"), rename)
    return changed


def _references(value: Any, rename: Rename) -> Any:
    if isinstance(value, msgspec.Raw):
        # Members of a large group, written as text by ourselves: ids and addresses of ours, nothing else.
        text = _OWN_BYTES.sub(lambda found: rename(found.group().decode()).encode(), bytes(value))
        return msgspec.Raw(text)
    if not isinstance(value, list):
        return value
    return [_reference(entry, rename) for entry in value]


def _reference(entry: Json, rename: Rename) -> Json:
    if not isinstance(entry, dict):
        return entry
    changed = dict(entry)
    if isinstance(entry.get("value"), str):
        changed["value"] = rename(str(entry["value"]))
    if isinstance(entry.get("$ref"), str):
        changed["$ref"] = in_address(str(entry["$ref"]), rename)
    return changed
