"""The keys of a resource body (or of a PATCH value without path) as paths: lifted, split, expanded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from syncline.core.json import Json
from syncline.core.scim.errors import invalid_value
from syncline.core.scim.names import AttributePath, is_attribute_name, parse_attribute
from syncline.core.scim.path import PatchPath, parse_path
from syncline.core.scim.quirks import Quirks, quirk
from syncline.core.scim.schema import (
    CORE_V1_URN,
    ENTERPRISE_URN,
    ResourceKind,
    attribute,
    canonical_urn,
    enterprise_attribute,
    is_core_urn,
    known_urns,
)

_URN_ENDINGS = ("user", "group")


@quirk("E-15", "dotted and URN-qualified keys")
def expand(
    body: Mapping[str, Json], kind: ResourceKind, *, extensions: Iterable[str] = (), quirks: Quirks
) -> Iterator[tuple[PatchPath, Json]]:
    """Yield every attribute that the keys name, in order, with its value as sent.

    Core attributes under the core URN come out as if at top level, enterprise names at top level inside
    their extension, dotted and URN-qualified keys as the paths they are. A foreign URN that holds an object
    is one path for the whole object. Raises `ScimError` 400 for a key that is no name.
    """
    for key, value in body.items():
        if key[:4].lower() == "urn:":
            yield from _qualified(key, value, kind, extensions, quirks)
        elif is_attribute_name(key):
            yield PatchPath(_bare(key, kind, quirks)), value
        elif "[" in key or _is_dotted(key):
            quirks.note("E-15")
            yield parse_path(key, kind, extensions=extensions, quirks=quirks), value
        elif key:
            # No attribute name by the RFC, yet somebody's custom attribute: kept like any unknown one.
            head, _, rest = key.partition(".")
            if head and rest:
                yield PatchPath(_bare(head, kind, quirks), None, rest), value
            else:
                yield PatchPath(AttributePath(None, key)), value


def _is_dotted(key: str) -> bool:
    name, dot, sub = key.partition(".")
    return bool(dot) and is_attribute_name(name) and is_attribute_name(sub)


@quirk("E-02", "enterprise attributes at top level")
@quirk("R-01", "employeeNumber at top level")
def _bare(key: str, kind: ResourceKind, quirks: Quirks) -> AttributePath:
    found = attribute(kind, key)
    if found is not None:
        if found.name != key:
            quirks.note("G-05")
        return AttributePath(None, found.name, None, found)
    lifted = enterprise_attribute(key) if kind is ResourceKind.USER else None
    if lifted is None:
        return AttributePath(None, key)
    quirks.note("R-01" if lifted.name == "employeeNumber" else "E-02")
    return AttributePath(ENTERPRISE_URN, lifted.name, None, lifted)


@quirk("M-05", "core attributes under the core URN")
@quirk("O-10", "objects under a foreign URN")
def _qualified(
    key: str, value: Json, kind: ResourceKind, extensions: Iterable[str], quirks: Quirks
) -> Iterator[tuple[PatchPath, Json]]:
    if is_core_urn(key, kind) or canonical_urn(key) == CORE_V1_URN:
        quirks.note("M-05")
        yield from expand(_object(key, value), kind, extensions=extensions, quirks=quirks)
        return
    if canonical_urn(key) == ENTERPRISE_URN:
        for name, part in _object(key, value).items():
            path = parse_path(f"{ENTERPRISE_URN}:{name}", kind, extensions=extensions, quirks=quirks)
            yield path, part
        return
    if isinstance(value, dict) and _is_whole(key, extensions):
        yield PatchPath(AttributePath(key, "")), value
        return
    if "[" in key:
        yield parse_path(key, kind, extensions=extensions, quirks=quirks), value
        return
    found = parse_attribute(key, kind, extensions=extensions, quirks=quirks)
    quirks.note("E-15")
    if found.is_whole_object and not isinstance(value, dict) and value is not None:
        raise invalid_value(f"{key} must be an object.")
    yield PatchPath(found.with_sub(None), None, found.sub), value


def _is_whole(key: str, extensions: Iterable[str]) -> bool:
    """Tell whether a foreign URN with an object names an extension, rather than an attribute of one."""
    folded = key.lower()
    head, _, last = folded.rpartition(":")
    if any(folded.startswith(f"{urn}.") for urn, _ in known_urns()):
        # An attribute behind a dot where the colon belongs (M-06).
        return False
    if canonical_urn(head) is not None or any(folded.startswith(f"{urn.lower()}:") for urn in extensions):
        return False
    return last in _URN_ENDINGS or "." in last or head.rpartition(":")[2] not in _URN_ENDINGS


def _object(key: str, value: Json) -> dict[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_value(f"{key} must be an object.")
    return value
