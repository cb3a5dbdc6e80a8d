"""One attribute value as sent, brought into the normalized form (`scim.md` §6)."""

from __future__ import annotations

from syncline.core.json import Json, js_number
from syncline.core.scim.errors import invalid_value, shorten
from syncline.core.scim.filter.evaluate import is_empty
from syncline.core.scim.quirks import Quirks, quirk
from syncline.core.scim.schema import Attribute, AttributeType

_BARE_ENTRY = frozenset({"type", "primary"})
_MANAGER_ID = "managerid"


def coerce(definition: Attribute, value: Json, quirks: Quirks, label: str | None = None) -> Json:
    """Return the normalized value of a whole attribute, None if it counts as absent.

    Raises `ScimError` 400 `invalidValue` naming the attribute when the value cannot mean anything.
    """
    label = label or definition.name
    if definition.multi_valued:
        return coerce_entries(definition, value, quirks, label) or None
    if isinstance(value, list):
        value = _unwrapped(value, quirks, label)
    if is_empty(value):
        _note_empty(value, quirks)
        return None
    if definition.is_complex:
        return coerce_object(definition, value, quirks, label) or None
    return _simple(definition, value, quirks, label)


def coerce_entries(definition: Attribute, value: Json, quirks: Quirks, label: str) -> list[Json]:
    """Return the entries of a multi-valued attribute: hollow ones dropped, at most one primary."""
    if not isinstance(value, list):
        if is_empty(value):
            _note_empty(value, quirks)
            return []
        quirks.note("L-04")
        value = [value]
    entries: list[Json] = []
    for entry in value:
        found = coerce_entry(definition, entry, quirks, label)
        if found is not None:
            entries.append(found)
    return one_primary(entries, quirks)


def coerce_entry(definition: Attribute, value: Json, quirks: Quirks, label: str) -> dict[str, Json] | None:
    """Return one entry of a multi-valued attribute, None if nothing of it is left."""
    if is_empty(value):
        quirks.note("G-07")
        return None
    if isinstance(value, list):
        if len(value) == 1:
            return coerce_entry(definition, value[0], quirks, label)
        raise invalid_value(f"An entry of {label} is an array; it must be an object.")
    if not isinstance(value, dict):
        value = {"value" if definition.sub("value") else definition.sub_attributes[0].name: value}
    found = coerce_object(definition, value, quirks, label)
    if found.keys() <= _BARE_ENTRY:
        quirks.note("G-07")
        return None
    return found


@quirk("E-07", "a manager in any shape")
def coerce_object(definition: Attribute, value: Json, quirks: Quirks, label: str) -> dict[str, Json]:
    """Return the sub-attributes that have a value, those a schema knows in RFC spelling."""
    if not isinstance(value, dict):
        if definition.name != "manager" or isinstance(value, bool | list):
            raise invalid_value(f"{label} must be an object.")
        quirks.note("E-07")
        value = {"value": value}
    found: dict[str, Json] = {}
    for key, part in value.items():
        name, kept = coerce_sub(definition, key, part, quirks, label)
        if kept is not None and (name not in found or key == name):
            found[name] = kept
    return found


def coerce_sub(definition: Attribute, key: str, value: Json, quirks: Quirks, label: str) -> tuple[str, Json]:
    """Return a sub-attribute's name in RFC spelling and its value, None if absent.

    What no schema defines keeps its name and its value.
    """
    if definition.name == "manager" and key.lower() == _MANAGER_ID:
        quirks.note("L-02")
        key = "value"
    known = definition.sub(key)
    if known is None:
        return key, None if is_empty(value) else value
    if known.name != key:
        quirks.note("G-05")
    return known.name, coerce(known, value, quirks, f"{label}.{known.name}")


def one_primary(entries: list[Json], quirks: Quirks, winner: int | None = None) -> list[Json]:
    """Return the entries with at most one primary: `winner` if given, else the last that says so (G-06)."""
    primaries = [
        n for n, entry in enumerate(entries) if isinstance(entry, dict) and entry.get("primary") is True
    ]
    if len(primaries) < 2:
        return entries
    quirks.note("G-06")
    kept = winner if winner in primaries else primaries[-1]
    return [
        entry | {"primary": False} if n in primaries and n != kept and isinstance(entry, dict) else entry
        for n, entry in enumerate(entries)
    ]


def as_text(value: Json, label: str, quirks: Quirks) -> str:
    """Return a string attribute's value as text. Raises `ScimError` 400 for objects and arrays."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        quirks.note("L-05")
        return str(value)
    if isinstance(value, float):
        quirks.note("L-05")
        return js_number(value)
    kind = "an array" if isinstance(value, list) else "an object"
    raise invalid_value(f"{label} must be a string, not {kind}.")


def _simple(definition: Attribute, value: Json, quirks: Quirks, label: str) -> Json:
    if definition.type is AttributeType.BOOLEAN:
        return _boolean(value, quirks, label)
    return as_text(value, label, quirks)


@quirk("E-05", "booleans as text")
def _boolean(value: Json, quirks: Quirks, label: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        found = {"true": True, "false": False}.get(value.strip().lower())
        if found is not None:
            quirks.note("E-05")
            return found
    shown = shorten(value) if isinstance(value, str) else type(value).__name__
    raise invalid_value(f"{label} must be true or false, not '{shown}'.")


@quirk("E-05", "one-element arrays")
def _unwrapped(value: list[Json], quirks: Quirks, label: str) -> Json:
    if len(value) > 1:
        raise invalid_value(f"{label} takes one value, not {len(value)}.")
    if value:
        quirks.note("E-05")
    return value[0] if value else None


@quirk("G-07", "hollow values")
@quirk("G-08", "null")
def _note_empty(value: Json, quirks: Quirks) -> None:
    quirks.note("G-08" if value is None else "G-07")
