"""Bodies of POST and PUT, from either SCIM version, brought into the one internal form (`scim.md` §6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from syncline.core.json import Json
from syncline.core.scim.assign import assign
from syncline.core.scim.canonical import canonical_user
from syncline.core.scim.errors import invalid_syntax, invalid_value, too_large
from syncline.core.scim.expand import expand
from syncline.core.scim.path import PatchPath
from syncline.core.scim.quirks import Quirks, quirk
from syncline.core.scim.schema import (
    COMMON_ATTRIBUTES,
    CORE_V1_URN,
    ENTERPRISE_ATTRIBUTES,
    ENTERPRISE_URN,
    GROUP_ATTRIBUTES,
    GROUP_URN,
    USER_ATTRIBUTES,
    USER_URN,
    ResourceKind,
    canonical_urn,
)

Document = dict[str, Json]

# More ids than this are no ids in a body of ten megabytes.
MAX_MEMBERS = 400_000

_NEVER_TAKEN = frozenset({"id", "meta", "groups", "schemas"})
# The characters of an attribute's name (RFC 7644 §3.4.2.2, nameChar) would make it another attribute.
_PASSWORD = re.compile(r"password(?![\w$-])", re.ASCII | re.IGNORECASE)
_TENANT_NAMES = frozenset(
    {"tenant", "tenantid", "directory", "directoryid", "organizationid", "environmentid"}
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A resource as a client wants it.

    `document` is normalized; `raw` is the body as sent, without password and members. `members` is None when
    the body does not mention them. `ignored` are the attributes that no schema knows: kept, not used.
    """

    document: Document
    raw: Document
    members: tuple[str, ...] | None = None
    quirks: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()
    says_active: bool = True


def normalize_user(body: Json) -> Incoming:
    """Read the body of a POST or PUT of a user.

    Raises `ScimError` 400: `invalidSyntax` for what is no object, `invalidValue` for a missing or blank
    userName and for values that cannot mean anything, always naming the attribute.
    """
    quirks = Quirks()
    fields = _object(body)
    canonical = canonical_user(fields)
    document: Document = canonical if canonical is not None else {}
    if canonical is None:
        _take(document, fields, ResourceKind.USER, quirks)
    _require(document, "userName")
    says_active = "active" in document
    if not says_active:
        quirks.note("L-03")
        document["active"] = True
    return Incoming(
        document=document,
        raw=raw_body(fields, ResourceKind.USER) if canonical is None else fields,
        quirks=frozenset(quirks),
        ignored=unknown_names(document, ResourceKind.USER) if canonical is None else (),
        says_active=says_active,
    )


def normalize_group(body: Json) -> Incoming:
    """Read the body of a POST or PUT of a group. Raises as `normalize_user` does, for displayName."""
    quirks = Quirks()
    fields = _object(body)
    document: Document = {}
    members = _take(document, fields, ResourceKind.GROUP, quirks)
    _require(document, "displayName")
    return Incoming(
        document=document,
        raw=raw_body(fields, ResourceKind.GROUP),
        members=members,
        quirks=frozenset(quirks),
        ignored=unknown_names(document, ResourceKind.GROUP),
    )


@quirk("G-15", "one member, as an object or a bare string")
@quirk("E-10", "a null $ref")
@quirk("S-01", "a relative $ref")
@quirk("K-02", "a relative $ref")
@quirk("J-03", "nothing but a value")
def member_ids(value: Json, quirks: Quirks) -> tuple[str, ...]:
    """Return the ids of a `members` value, each once, in order.

    Raises `ScimError` 400 `invalidValue` for an entry without an id.
    """
    if value is None or value == "":
        quirks.note("G-08")
        return ()
    if not isinstance(value, list):
        quirks.note("G-15")
        value = [value]
    if len(value) > MAX_MEMBERS:
        raise too_large(f"A request may name {MAX_MEMBERS} members, not {len(value)}.")
    return tuple(dict.fromkeys(id_ for entry in value if (id_ := _member_id(entry, quirks)) is not None))


def raw_body(body: Mapping[str, Json], kind: ResourceKind) -> Document:
    """Return a body as it may be stored: without the password (O-02) and, for groups, the members."""
    without_members = kind is ResourceKind.GROUP
    kept: Document = {}
    for key, value in body.items():
        if _is_dropped(_last_name(key), without_members):
            continue
        if isinstance(value, dict) and key[:4].lower() == "urn:":
            kept[key] = {
                inner: part for inner, part in value.items() if not _is_dropped(inner, without_members)
            }
        else:
            kept[key] = value
    return kept


def is_password(name: str) -> bool:
    """Tell whether a name is `password`, also with a sub-attribute or what no name may hold behind it."""
    return _PASSWORD.match(name) is not None


def without_password(path: PatchPath, value: Json) -> Json:
    """Return the value of an attribute: that of a whole extension without its password."""
    if not path.attribute.is_whole_object or not isinstance(value, dict):
        return value
    return {name: part for name, part in value.items() if not is_password(name)}


def _is_dropped(name: str, without_members: bool) -> bool:
    return is_password(name) or (without_members and name.lower() == "members")


def unknown_names(document: Mapping[str, Json], kind: ResourceKind) -> tuple[str, ...]:
    """Return the names in a normalized document that no schema defines."""
    found: list[str] = []
    known = _KNOWN_NAMES[kind]
    for key, value in document.items():
        if key == ENTERPRISE_URN and isinstance(value, dict):
            found.extend(f"{key}:{name}" for name in value if name not in _ENTERPRISE_NAMES)
        elif key not in known:
            found.append(key)
    return tuple(found)


def is_never_taken(path: PatchPath) -> bool:
    """Tell whether a path names what a body cannot set: ids, metadata, password, tenants (H-04)."""
    name = path.attribute.name
    if is_password(name):
        return True
    if path.attribute.urn is not None:
        return False
    if path.attribute.attribute is not None:
        return name in _NEVER_TAKEN
    return name.lower().replace("_", "").replace("-", "") in _TENANT_NAMES


@quirk("L-01", "id: null")
@quirk("O-02", "passwords are dropped")
@quirk("H-04", "ids, metadata and tenants are not taken from a body")
@quirk("S-03", "groups of a user are not written")
def _take(
    document: Document, body: Mapping[str, Json], kind: ResourceKind, quirks: Quirks
) -> tuple[str, ...] | None:
    """Set every attribute of the body in the document and return the members it names."""
    members: tuple[str, ...] | None = None
    for path, value in expand(body, kind, quirks=quirks):
        if is_never_taken(path):
            _note_schemas(path, value, kind, quirks)
        elif kind is ResourceKind.GROUP and path.attribute.urn is None and path.attribute.name == "members":
            members = None if value is None else member_ids(value, quirks)
        elif value is not None:
            assign(document, path, without_password(path, value), add=False, quirks=quirks)
    return members


@quirk("M-01", "any `schemas`")
@quirk("E-08", "a schema of Microsoft's own")
@quirk("E-18", "a misspelled enterprise URN")
def _note_schemas(path: PatchPath, value: Json, kind: ResourceKind, quirks: Quirks) -> None:
    if path.attribute.name != "schemas":
        return
    known = (USER_URN, GROUP_URN, ENTERPRISE_URN, CORE_V1_URN)
    if not isinstance(value, list) or any(
        not isinstance(urn, str) or canonical_urn(urn) not in known for urn in value
    ):
        quirks.note("M-01")


def _member_id(entry: Json, quirks: Quirks) -> str | None:
    if isinstance(entry, dict):
        fields = {key.lower(): part for key, part in entry.items()}
        found = fields.get("value")
        if found is None or found == "":
            reference = fields.get("$ref")
            found = reference.rstrip("/").rpartition("/")[2] if isinstance(reference, str) else None
            if not found and not any(fields.values()):
                return None
        entry = found
    if isinstance(entry, bool) or not isinstance(entry, str | int):
        raise invalid_value("Every entry of members needs the id of a user or group as its value.")
    text = str(entry).strip()
    if not text:
        raise invalid_value("Every entry of members needs the id of a user or group as its value.")
    if not isinstance(entry, str):
        quirks.note("L-05")
    return text


def _object(body: Json) -> Document:
    if not isinstance(body, dict):
        raise invalid_syntax("The body must be a JSON object.")
    return body


def _require(document: Mapping[str, Json], name: str) -> None:
    value = document.get(name)
    if not isinstance(value, str) or not value.strip():
        raise invalid_value(f"{name} is required and must not be blank.")


def _last_name(key: str) -> str:
    """Return the attribute a key names, without its core URN."""
    return key.rpartition(":")[2].lower() if key[:4].lower() == "urn:" else key.lower()


def _names(kind: ResourceKind) -> frozenset[str]:
    own = USER_ATTRIBUTES if kind is ResourceKind.USER else GROUP_ATTRIBUTES
    return frozenset(entry.name for entry in (*COMMON_ATTRIBUTES, *own))


_KNOWN_NAMES = {kind: _names(kind) for kind in ResourceKind}
_ENTERPRISE_NAMES = frozenset(entry.name for entry in ENTERPRISE_ATTRIBUTES)
