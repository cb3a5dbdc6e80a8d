"""Which attributes of a resource an answer carries (RFC 7644 §3.9, `returned` of RFC 7643 §7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from syncline.core.json import Json
from syncline.core.scim.errors import invalid_path, invalid_value
from syncline.core.scim.names import AttributePath, parse_attribute
from syncline.core.scim.schema import ResourceKind, Returned, attribute

MAX_NAMES = 200

_ALWAYS = ("schemas", "id")


def parse_attribute_list(text: str | Iterable[str], kind: ResourceKind) -> tuple[AttributePath, ...]:
    """Read a comma list (or the array of a SearchRequest) of attribute names; blank entries are skipped.

    Raises `ScimError` 400: `invalidPath` for an entry that is no attribute name (unknown names are fine),
    `invalidValue` for more than `MAX_NAMES` different ones.
    """
    entries = text.split(",") if isinstance(text, str) else text
    paths: dict[AttributePath, None] = {}
    for entry in entries:
        if not isinstance(entry, str):
            raise invalid_path("Every entry of an attribute list must be a string.")
        if entry.strip():
            paths[parse_attribute(entry, kind)] = None
            if len(paths) > MAX_NAMES:
                raise invalid_value(f"An attribute list may hold {MAX_NAMES} names.")
    return tuple(paths)


def project(
    resource: Mapping[str, Json],
    attributes: Sequence[AttributePath],
    excluded: Sequence[AttributePath],
    kind: ResourceKind,
) -> dict[str, Json]:
    """Return the part of a rendered resource that was asked for; the resource itself is left alone.

    An empty `attributes` asks for all. `id` and `schemas` always stay; `excluded` is taken away last.
    What an attribute list names and the resource does not hold is simply not there.
    """
    found: dict[str, Json] = dict(resource)
    if attributes:
        found = {key: value for key, value in resource.items() if _returned(key, kind) is Returned.ALWAYS}
        for path in attributes:
            _copy(resource, found, path, kind)
        found = {key: _without_hollow(found[key]) for key in resource if key in found}
    for path in excluded:
        _remove(found, path, kind)
    return {key: value for key, value in found.items() if _returned(key, kind) is not Returned.NEVER}


def excludes(
    attributes: Sequence[AttributePath], excluded: Sequence[AttributePath], name: str, kind: ResourceKind
) -> bool:
    """Tell whether a top-level attribute will not be shown, so that it need not be read at all (E-09)."""
    if any(path.urn is None and path.name == name and path.sub is None for path in excluded):
        return True
    whole = any(path.is_whole_object and path.urn == kind.core_urn for path in attributes)
    return (
        bool(attributes) and not whole and all((path.urn, path.name) != (None, name) for path in attributes)
    )


def _returned(key: str, kind: ResourceKind) -> Returned:
    if key in _ALWAYS:
        return Returned.ALWAYS
    definition = attribute(kind, key)
    return definition.returned if definition is not None else Returned.DEFAULT


def _copy(
    source: Mapping[str, Json], target: dict[str, Json], path: AttributePath, kind: ResourceKind
) -> None:
    if path.is_whole_object and path.urn == kind.core_urn:
        target.update({key: value for key, value in source.items() if ":" not in key})
        return
    place = _locate(source, path)
    if place is None:
        return
    for key in place[:-1]:
        inner = target.setdefault(key, {})
        value = source[key]
        if not isinstance(inner, dict) or not isinstance(value, dict) or inner is value:
            return
        source, target = value, inner
    _copy_value(source, target, place[-1], path.sub)


def _copy_value(source: Mapping[str, Json], target: dict[str, Json], key: str, sub: str | None) -> None:
    value = source[key]
    if sub is None:
        target[key] = value
    elif isinstance(value, list):
        before = target.get(key)
        kept = before if isinstance(before, list) and len(before) == len(value) else [{} for _ in value]
        target[key] = [_with(entry, old, sub) for entry, old in zip(value, kept, strict=True)]
    elif isinstance(value, dict):
        target[key] = _with(value, target.get(key, {}), sub)


def _with(source: Json, kept: Json, sub: str) -> Json:
    """Return what was kept of an object so far, plus one of its fields."""
    if not isinstance(source, dict) or not isinstance(kept, dict):
        return kept
    wanted = {*kept, *(key for key in source if key.lower() == sub.lower())}
    return {key: value for key, value in source.items() if key in wanted}


def _without_hollow(value: Json) -> Json:
    """Drop the entries of which nothing was asked for."""
    return [entry for entry in value if entry != {}] if isinstance(value, list) else value


def _remove(target: dict[str, Json], path: AttributePath, kind: ResourceKind) -> None:
    if path.is_whole_object and path.urn == kind.core_urn:
        for key in [key for key in target if ":" not in key and key not in _ALWAYS]:
            del target[key]
        return
    place = _locate(target, path)
    if place is None or (len(place) == 1 and place[0] in _ALWAYS):
        return
    if len(place) == 2:
        _remove_inside(target, place, path.sub)
    else:
        _remove_value(target, place[0], path.sub)


def _remove_inside(target: dict[str, Json], place: tuple[str, ...], sub: str | None) -> None:
    extension = target[place[0]]
    if isinstance(extension, dict):
        copy = dict(extension)
        _remove_value(copy, place[1], sub)
        _put(target, place[0], copy)


def _remove_value(target: dict[str, Json], key: str, sub: str | None) -> None:
    value = target[key]
    if sub is None:
        del target[key]
    elif isinstance(value, list):
        _put(target, key, [left for entry in value if (left := _without(entry, sub)) != {}])
    elif isinstance(value, dict):
        _put(target, key, _without(value, sub))


def _put(target: dict[str, Json], key: str, value: Json) -> None:
    """Store what is left, or nothing at all if nothing is left."""
    if value in ({}, []):
        del target[key]
    else:
        target[key] = value


def _without(value: Json, sub: str) -> Json:
    if not isinstance(value, dict):
        return value
    return {key: inner for key, inner in value.items() if key.lower() != sub.lower()}


def _locate(resource: Mapping[str, Json], path: AttributePath) -> tuple[str, ...] | None:
    """Return the keys that lead to a path's attribute in a resource, or `None` if it is not there.

    Keys that no schema defines are found in any letter case, and a foreign URN may end elsewhere than the
    path alone suggested.
    """
    if path.urn is None:
        key = _key(resource, path.name)
        return (key,) if key is not None else None
    extension = _key(resource, path.urn)
    if extension is None:
        whole = _key(resource, f"{path.urn}:{path.name}") if path.name else None
        return (whole,) if whole is not None and path.sub is None else None
    if path.is_whole_object:
        return (extension,)
    fields = resource[extension]
    key = _key(fields, path.name) if isinstance(fields, dict) else None
    return (extension, key) if key is not None else None


def _key(holder: Mapping[str, Json], name: str) -> str | None:
    if name in holder:
        return name
    folded = name.lower()
    return next((key for key in holder if key.lower() == folded), None)
