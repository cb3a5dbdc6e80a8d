"""What is fuzzed: each target takes bytes, and anything it raises is a defect.

A target turns the bytes into what its reader takes, lets the errors pass that the reader's contract names,
and checks what must hold for whatever was read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from syncline.core.attributes import standard_attributes
from syncline.core.errors import MalformedJson
from syncline.core.json import Json, parse_json, stringify
from syncline.core.redact import redact_json, redact_text
from syncline.core.scim.errors import ScimError
from syncline.core.scim.filter import matches, parse_filter, to_text
from syncline.core.scim.normalize import normalize_group, normalize_user
from syncline.core.scim.patch import PatchRequest, parse_operations, patch_group, patch_user
from syncline.core.scim.path import parse_path
from syncline.core.scim.resource import UserView, render_user, same
from syncline.core.scim.schema import ENTERPRISE_URN, Attribute, ResourceKind, attribute
from syncline.core.scim.search import search_document
from syncline.core.scim.v1 import patch_from_v1, resource_to_v1
from tests.fuzz import seeds
from tests.fuzz.checks import check_refusal, check_sentence, text_of
from tests.fuzz.readers import READERS

USER, GROUP = ResourceKind.USER, ResourceKind.GROUP
BASE_URL = "https://syncline.example/scim/v2/x"
_MOMENT = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
# The text of a filter grows when it is written with every character escaped.
_LONGEST_TO_WRITE_AGAIN = 600

ADA: dict[str, Json] = {
    "userName": "ada@x.io",
    "externalId": "e1",
    "active": True,
    "displayName": "Ada Blu",
    "name": {"givenName": "Ada", "familyName": "Blu"},
    "emails": [
        {"value": "ada@x.io", "type": "work", "primary": True},
        {"value": "a@home.x.io", "type": "home", "primary": False},
    ],
    "addresses": [{"locality": "Kiel", "type": "work"}],
    "roles": [{"value": '{"id":"1"}', "primary": True}],
    ENTERPRISE_URN: {"department": "Ops", "manager": {"value": "m1", "displayName": "Mo"}},
    "urn:okta:acme:2.0:user:custom": {"costPool": "7"},
    "shoeSize": 42,
}
STAFF: dict[str, Json] = {"displayName": "Staff", "externalId": "g1", "colour": ["red"]}
_VIEW = UserView("01KA0YPX7B9D1F3H5K7M9Q1S3T", ADA, True, 3, _MOMENT, _MOMENT, ())
_SAMPLES: dict[ResourceKind, dict[str, Json]] = {
    USER: render_user(_VIEW, BASE_URL),
    GROUP: {
        **STAFF,
        "id": "g",
        "members": [{"value": "u1", "type": "User"}],
        "meta": {"created": "2026-01-15"},
    },
}


@dataclass(frozen=True)
class Target:
    """One thing to fuzz, with inputs to start from and words to build others from."""

    name: str
    run: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes]
    longest: int = 4096


def kind_of(data: bytes) -> tuple[ResourceKind, bytes]:
    """Let the first byte choose the kind of resource."""
    return (GROUP if data[:1] == b"g" else USER), data[1:]


def _filter(data: bytes) -> None:
    kind, rest = kind_of(data)
    text = text_of(rest)
    try:
        term = parse_filter(text, kind)
    except ScimError as error:
        check_refusal(error, "invalidFilter")
        return
    if term is None:
        assert not text.strip()
        return
    found = matches(term, _SAMPLES[kind], kind)
    assert isinstance(found, bool)
    if len(text) <= _LONGEST_TO_WRITE_AGAIN:
        assert parse_filter(to_text(term), kind) == term


def _path(data: bytes) -> None:
    kind, rest = kind_of(data)
    try:
        path = parse_path(text_of(rest), kind, extensions=["urn:okta:acme:2.0:user:custom"])
    except ScimError as error:
        check_refusal(error, "invalidPath")
        return
    assert str(path.target)
    assert path.attribute.sub is None


def _patch(data: bytes) -> None:
    """A whole PATCH: `u` and `g` for SCIM 2.0, `1` and `2` for 1.1; the rest is the body."""
    kind = GROUP if data[:1] in (b"g", b"2") else USER
    try:
        body = parse_json(data[1:])
    except MalformedJson:
        return
    try:
        read = patch_from_v1 if data[:1] in (b"1", b"2") else parse_operations
        request = read(body, kind)
    except ScimError as error:
        check_refusal(error)
        return
    raw: dict[str, Json] = {"USERNAME": "ada@x.io", "Emails": "ada@x.io", "urn:x:y": {"a": 1}}
    _apply(kind, request, None)
    _apply(kind, request, raw)


def _apply(kind: ResourceKind, request: PatchRequest, raw: dict[str, Json] | None) -> None:
    document = ADA if kind is USER else STAFF
    before = deepcopy((document, raw))
    try:
        if kind is USER:
            patched = patch_user(document, raw, request)
        else:
            patched = patch_group("g", document, raw, request)
    except ScimError as error:
        check_refusal(error)
        return
    finally:
        assert (document, raw) == before, "what was given was changed"
    _check_document(patched.document, kind)
    if patched.raw is not None:
        stringify(patched.raw)


def _check_document(document: dict[str, Json], kind: ResourceKind) -> None:
    """Whatever ends in the store can be searched, shown, announced, compared and written."""
    name = document["userName" if kind is USER else "displayName"]
    assert isinstance(name, str)
    assert name.strip()
    for key, value in document.items():
        _check_shape(attribute(kind, key), value)
    stringify(document).encode()
    stringify(search_document(document, kind)).encode()
    assert same(document, document)
    if kind is USER:
        assert isinstance(document["active"], bool)
        standard_attributes(document, resource_id="1")
        view = UserView("1", document, True, 1, _MOMENT, _MOMENT, ())
        resource_to_v1(render_user(view, BASE_URL))


def _check_shape(definition: Attribute | None, value: Json) -> None:
    """What a schema defines is stored in the shape that the schema says."""
    if definition is None:
        return
    assert isinstance(value, list) is definition.multi_valued, definition.name
    entries = value if isinstance(value, list) else [value]
    assert all(isinstance(entry, dict) is definition.is_complex for entry in entries), definition.name


# With letters, digits, `$`, `-` or `_` behind it it is the name of another attribute.
_PASSWORD = re.compile(r"(?i)password([^a-z0-9$_-].*)?$", re.DOTALL)


def _normalize(data: bytes) -> None:
    kind, rest = kind_of(data)
    try:
        body = parse_json(rest)
    except MalformedJson:
        return
    normalize = normalize_user if kind is USER else normalize_group
    given = deepcopy(body)
    try:
        incoming = normalize(body)
    except ScimError as error:
        check_refusal(error)
        return
    assert body == given, "what was given was changed"
    _check_document(incoming.document, kind)
    assert not any(_PASSWORD.match(key) for key in (*incoming.document, *incoming.raw))
    again = normalize(incoming.document)
    # Where a foreign URN ends is a guess, and the guess may change once the URN holds an object.
    before, after = (_without_foreign(read.document) for read in (incoming, again))
    assert same(before, after), "reading what was read changes it"


def _without_foreign(document: dict[str, Json]) -> dict[str, Json]:
    return {key: part for key, part in document.items() if key == ENTERPRISE_URN or key[:4].lower() != "urn:"}


def _json(data: bytes) -> None:
    try:
        value = parse_json(data)
    except MalformedJson as error:
        check_sentence(error.message)
        return
    # The standard library must agree with whatever is accepted, but for the mark that it does not know.
    assert json.loads(data.removeprefix(b"\xef\xbb\xbf")) == value
    text = stringify(value)
    again = parse_json(text.encode())
    # Whole floats beyond the integers of JavaScript are written as digits, and those are read as integers.
    assert stringify(again) == text or any(
        isinstance(one, float) and abs(one) >= 2**53 for one in _all(value)
    )
    stringify(redact_json(value))
    redact_text(text)


def _all(value: Any) -> list[Any]:
    found, todo = [], [value]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return found


_BODY_WORDS = (*seeds.NAMES, *seeds.JSON_WORDS)
TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("filter", _filter, seeds.FILTERS, (*seeds.NAMES, *seeds.FILTER_WORDS), 9_000),
        Target("path", _path, seeds.PATHS, (*seeds.NAMES, *seeds.FILTER_WORDS), 9_000),
        Target("patch", _patch, seeds.PATCHES, _BODY_WORDS, 8_192),
        Target("normalize", _normalize, seeds.BODIES, _BODY_WORDS, 8_192),
        Target("json", _json, seeds.DOCUMENTS, seeds.JSON_WORDS, 8_192),
        *(Target(name, run, given, words) for name, (run, given, words) in READERS.items()),
    )
}
"""Every target by its name."""
