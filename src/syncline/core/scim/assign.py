"""Set, merge and unset attributes of a document: what PATCH and POST come to (`scim.md` §7.2).

Functions here change the top level of the document they are given, which the caller copied, and never
anything inside it: what is replaced is built anew, what is not stays shared with the document before.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncline.core.json import Json, stringify
from syncline.core.scim.errors import invalid_value, mutability, no_target
from syncline.core.scim.filter import Filter, equality_terms, matches_entry, size
from syncline.core.scim.filter.evaluate import is_empty
from syncline.core.scim.names import AttributePath
from syncline.core.scim.path import PatchPath
from syncline.core.scim.quirks import Quirks, quirk
from syncline.core.scim.schema import Attribute
from syncline.core.scim.values import (
    coerce,
    coerce_entries,
    coerce_entry,
    coerce_object,
    coerce_sub,
    one_primary,
)

Document = dict[str, Json]

# A test of an entry costs about as much as this many looks at a name.
_TEST = 30


def assign(document: Document, path: PatchPath, value: Json, *, add: bool, quirks: Quirks) -> None:
    """Add or replace what the path names.

    Raises `ScimError` 400: `noTarget` where a filter matches nothing and describes no entry, `invalidValue`.
    """
    attribute = path.attribute
    if attribute.is_whole_object:
        _assign_extension(document, attribute, value, quirks)
        return
    old = read(document, attribute)
    _spend(document, path, old, quirks)
    definition = attribute.attribute
    if path.value_filter is not None:
        new = _assign_filtered(path, path.value_filter, old, value, add, quirks)
    elif path.sub is not None:
        new = _assign_sub(attribute, path.sub, old, value, add, quirks)
    elif definition is None:
        new = _assign_unknown(old, value, add)
    elif definition.multi_valued:
        given = coerce_entries(definition, value, quirks, definition.name)
        new = _appended(_list(old), given, quirks) if add else given
    elif definition.is_complex and isinstance(_only(value), dict):
        if isinstance(old, dict):
            quirks.note("E-21")
        new = _merged(definition, old, _only(value), quirks)
    else:
        new = coerce(definition, value, quirks)
        if new is None and add:
            return
    write(document, attribute, new)


def unset(document: Document, path: PatchPath, value: Json, *, quirks: Quirks) -> None:
    """Remove what the path names; what is not there is a success without effect.

    `value` lists the entries to remove from a multi-valued attribute, None means all of it.
    """
    attribute = path.attribute
    if attribute.is_whole_object:
        key = _key(document, attribute.urn or "")
        if key is not None:
            del document[key]
        return
    if path.value_filter is not None:
        _entry_definition(attribute)
    old = read(document, attribute)
    _spend(document, path, old, quirks)
    if old is None:
        quirks.note("G-09")
        return
    new: Json
    if path.value_filter is not None:
        left = _unset_filtered(path, path.value_filter, old)
        new = left if isinstance(old, list) else (left[0] if left else None)
    elif path.sub is not None:
        new = _unset_sub(old, _sub_name(attribute, path.sub))
    elif value is not None and isinstance(old, list):
        listed = _Listed(attribute, _list(value), quirks)
        new = [entry for entry in old if entry not in listed]
    else:
        new = None
    write(document, attribute, new)


def read(document: Mapping[str, Json], path: AttributePath) -> Json:
    """Return the value of a whole attribute, None if it is absent."""
    holder: Json | Mapping[str, Json] = document
    if path.urn is not None:
        key = _key(document, path.urn)
        holder = document[key] if key is not None else None
    if not isinstance(holder, Mapping):
        return None
    key = path.name if path.attribute is not None and path.name in holder else _key(holder, path.name)
    return holder[key] if key is not None else None


def write(document: Document, path: AttributePath, value: Json) -> None:
    """Set a whole attribute, or take it away if the value is empty; extensions appear and vanish with it."""
    if path.urn is None:
        _put(document, path.name, value)
        return
    urn = _key(document, path.urn) or path.urn
    held = document.get(urn)
    extension: Document = dict(held) if isinstance(held, dict) else {}
    _put(extension, path.name, value)
    if extension:
        document[urn] = extension
    else:
        document.pop(urn, None)


def _spend(document: Document, path: PatchPath, old: Json, quirks: Quirks) -> None:
    """Count what it takes to find the attribute, and to test its entries."""
    looks = len(document)
    if path.attribute.urn is not None:
        extension = document.get(path.attribute.urn)
        looks += len(extension) if isinstance(extension, dict) else 0
    if path.value_filter is not None:
        looks += _TEST * len(_list(old)) * size(path.value_filter)
    elif path.sub is not None:
        looks += len(_list(old))
    quirks.spend(looks)


def _put(holder: Document, name: str, value: Json) -> None:
    key = name if name in holder else _key(holder, name) or name
    if is_empty(value) and not isinstance(value, bool):
        holder.pop(key, None)
    else:
        holder[key] = value


def _key(holder: Mapping[str, Json], name: str) -> str | None:
    if name in holder:
        return name
    folded = name.lower()
    return next((key for key in holder if key.lower() == folded), None)


def _assign_extension(document: Document, path: AttributePath, value: Json, quirks: Quirks) -> None:
    """Merge an object into a foreign extension; null inside clears."""
    given = _only(value)
    if given is not None and not isinstance(given, dict):
        raise invalid_value(f"{path.urn} must be an object.")
    for name, part in (given or {}).items():
        write(document, AttributePath(path.urn, name), part)


def _assign_unknown(old: Json, value: Json, add: bool) -> Json:
    if add and isinstance(old, list):
        return [*old, *(entry for entry in _list(value) if entry not in old)]
    if add and is_empty(value):
        return old
    return value


@quirk("E-21", "a complex value is merged")
def _merged(definition: Attribute, old: Json, given: Json, quirks: Quirks) -> Json:
    """Merge sub-attributes into a complex value; null clears one."""
    merged: Document = dict(old) if isinstance(old, dict) else {}
    for key, part in given.items() if isinstance(given, dict) else ():
        name, kept = coerce_sub(definition, key, part, quirks, definition.name)
        _put(merged, name, kept)
    return merged


def _assign_sub(path: AttributePath, sub: str, old: Json, value: Json, add: bool, quirks: Quirks) -> Json:
    definition = path.attribute
    if definition is None:
        fields: Document = dict(old) if isinstance(old, dict) else {}
        _put(fields, sub, value)
        return fields
    if not definition.is_complex:
        raise no_target(f"{definition.name} has no sub-attribute '{sub}'.")
    name, kept = coerce_sub(definition, sub, value, quirks, definition.name)
    if kept is None and add:
        return old
    if not definition.multi_valued:
        fields = dict(old) if isinstance(old, dict) else {}
        _put(fields, name, kept)
        return fields
    entries = _list(old)
    if not entries:
        return [{name: kept}] if kept is not None else []
    at = _preferred(entries)
    return _with_entry(definition, entries, {at: _changed(entries[at], name, kept)}, quirks)


def _preferred(entries: list[Json]) -> int:
    """Return which entry a sub-attribute without a filter means: the only one or the primary."""
    if len(entries) == 1:
        return 0
    for n, entry in enumerate(entries):
        if isinstance(entry, dict) and entry.get("primary") is True:
            return n
    raise no_target("The path names a part of several entries; say which one with a filter.")


@quirk("E-04", "an eq filter without a match describes the entry to create")
def _assign_filtered(
    path: PatchPath, condition: Filter, old: Json, value: Json, add: bool, quirks: Quirks
) -> Json:
    definition = _entry_definition(path.attribute)
    entries = _list(old)
    matching = [n for n, entry in enumerate(entries) if matches_entry(condition, entry)]
    if not matching:
        return _created(path, definition, condition, entries, value, quirks)
    changed: dict[int, Json] = {}
    for n in matching:
        entry = entries[n]
        if path.sub is not None:
            name, kept = coerce_sub(definition, path.sub, value, quirks, definition.name)
            if not (kept is None and add):
                changed[n] = _changed(entry, name, kept)
        elif is_empty(value):
            changed[n] = entry if add else None
        else:
            given = _given_entry(definition, value, quirks)
            kept_part = entry if add and isinstance(entry, dict) else (equality_terms(condition) or {})
            changed[n] = {**kept_part, **given}
    return _with_entry(definition, entries, changed, quirks)


def _created(
    path: PatchPath,
    definition: Attribute,
    condition: Filter,
    entries: list[Json],
    value: Json,
    quirks: Quirks,
) -> Json:
    terms = equality_terms(condition)
    if terms is None:
        raise no_target(f"No entry of {definition.name} matches the filter of the path.")
    if is_empty(value) and not isinstance(value, bool):
        return entries
    quirks.note("E-04")
    described: Document = dict(terms)
    given: Document = {path.sub: value} if path.sub is not None else _given_entry(definition, value, quirks)
    described.update(coerce_object(definition, given, quirks, definition.name))
    entry = coerce_entry(definition, described, quirks, definition.name)
    if entry is None:
        return entries
    # The filter may name what the value replaces; then the entry is there when the request is repeated.
    return _appended(entries, [entry], quirks)


def _given_entry(definition: Attribute, value: Json, quirks: Quirks) -> Document:
    """Return the value of an operation on an entry as sub-attributes; plain values mean `value`."""
    value = _only(value)
    if not isinstance(value, dict):
        value = {"value": value}
    return coerce_object(definition, value, quirks, definition.name)


def _with_entry(
    definition: Attribute, entries: list[Json], changed: Mapping[int, Json], quirks: Quirks
) -> list[Json]:
    """Return the entries with some replaced; an entry of which nothing is left is dropped."""
    result: list[Json] = []
    winner: int | None = None
    for n, entry in enumerate(entries):
        if n not in changed:
            result.append(entry)
            continue
        new = changed[n]
        if not isinstance(new, dict) or new.keys() <= {"type", "primary"}:
            continue
        if new.get("primary") is True:
            # Of several the last, so that a repeated request changes nothing.
            winner = len(result)
        result.append(new)
    return one_primary(result, quirks, winner)


def _changed(entry: Json, name: str, value: Json) -> Json:
    fields: Document = dict(entry) if isinstance(entry, dict) else {"value": entry}
    _put(fields, name, value)
    return fields


@quirk("G-06", "a new primary takes the flag")
def _appended(entries: list[Json], given: list[Json], quirks: Quirks) -> list[Json]:
    """Append entries; one equal in value and type is updated instead."""
    result = list(entries)
    places: dict[str, int] = {}
    for n, held in enumerate(result):
        places.setdefault(_identity(held), n)
    winner: int | None = None
    for entry in given:
        at = places.setdefault(_identity(entry), len(result))
        if at == len(result):
            result.append(entry)
        else:
            held = result[at]
            result[at] = {**held, **entry} if isinstance(held, dict) and isinstance(entry, dict) else entry
        if isinstance(entry, dict) and entry.get("primary") is True:
            winner = at
    return one_primary(result, quirks, winner)


def _identity(entry: Json) -> str:
    """Return what is equal for entries that are the same: `value` and `type`, else all but the flag."""
    if not isinstance(entry, dict):
        return stringify(entry)
    if "value" in entry:
        return stringify([entry["value"], _type(entry)])
    return stringify({key: part for key, part in sorted(entry.items()) if key != "primary"})


def _type(entry: Mapping[str, Json]) -> str:
    return str(entry.get("type") or "").lower()


def _unset_filtered(path: PatchPath, condition: Filter, old: Json) -> list[Json]:
    entries = _list(old)
    if path.sub is None:
        return [entry for entry in entries if not matches_entry(condition, entry)]
    name = _sub_name(path.attribute, path.sub)
    changed = (_changed(entry, name, None) if matches_entry(condition, entry) else entry for entry in entries)
    return [entry for entry in changed if not _is_hollow(entry)]


def _unset_sub(old: Json, name: str) -> Json:
    if isinstance(old, list):
        return [entry for entry in (_changed(entry, name, None) for entry in old) if not _is_hollow(entry)]
    return _changed(old, name, None) if isinstance(old, dict) else old


def _is_hollow(entry: Json) -> bool:
    return is_empty(entry) or (isinstance(entry, dict) and entry.keys() <= {"type", "primary"})


class _Listed:
    """The entries that a remove operation lists, as objects or plain values, found without comparing each."""

    def __init__(self, path: AttributePath, listed: list[Json], quirks: Quirks) -> None:
        self._said: dict[tuple[str, ...], set[str]] = {}
        for wanted in listed:
            if not isinstance(wanted, dict):
                self._add({"value": wanted}, ("value",))
                self._add({"": wanted}, ("",))
                continue
            given = coerce_object(path.attribute, wanted, quirks, path.name) if path.attribute else wanted
            names = tuple(sorted(name for name in given if "value" not in given or name in ("value", "type")))
            if names:
                self._add(given, names)

    def __contains__(self, entry: Json) -> bool:
        fields = {"": entry, **(entry if isinstance(entry, dict) else {})}
        return any(
            all(name in fields for name in names) and _said(fields, names) in wanted
            for names, wanted in self._said.items()
        )

    def _add(self, given: Document, names: tuple[str, ...]) -> None:
        self._said.setdefault(names, set()).add(_said(given, names))


def _said(fields: Mapping[str, Json], names: tuple[str, ...]) -> str:
    return stringify([_type(fields) if name == "type" else fields[name] for name in names])


def _entry_definition(path: AttributePath) -> Attribute:
    if path.attribute is None:
        return Attribute(path.name, "An attribute that no schema defines.", multi_valued=True)
    if not path.attribute.is_complex or not path.attribute.multi_valued:
        raise no_target(f"{path.name} has no entries that a filter could choose.")
    return path.attribute


def _sub_name(path: AttributePath, sub: str) -> str:
    return path.with_sub(sub).sub or sub


def refuse_read_only(path: PatchPath) -> None:
    """Raise 400 `mutability` for a removal of something read-only or required."""
    definition = path.attribute.attribute
    if definition is None or path.sub is not None or path.value_filter is not None:
        if definition is not None and definition.mutability.value == "readOnly":
            raise mutability(f"{definition.name} is read-only.")
        return
    if definition.mutability.value == "readOnly":
        raise mutability(f"{definition.name} is read-only.")
    if definition.required:
        raise mutability(f"{definition.name} is required and cannot be removed.")


def _only(value: Json) -> Json:
    """Return the element of a one-element array, anything else as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _list(value: Json) -> list[Json]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]
