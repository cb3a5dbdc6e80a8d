"""Inputs to start from and words to build others from, in the shapes that providers and receivers send."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import msgspec

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def _raw(texts: Iterable[str], prefix: bytes = b"") -> tuple[bytes, ...]:
    return tuple(prefix + text.encode() for text in texts)


def _bodies(documents: Iterable[Any], prefix: bytes) -> tuple[bytes, ...]:
    return tuple(prefix + json.dumps(document).encode() for document in documents)


NAMES = _raw(
    (
        "userName", "externalId", "active", "name.givenName", "emails", "emails.value", "displayName",
        "members",
        "manager", "department", "meta.created", "schemas", "groups", "addresses", "roles", "id", "password",
        "primary", "type", "value", "$ref", "urn:okta:acme:2.0:user:custom", ENTERPRISE, USER, GROUP,
    )
)  # fmt: skip
FILTER_WORDS = _raw(
    (
        " eq ", " ne ", " co ", " sw ", " ew ", " gt ", " ge ", " lt ", " le ", " pr", " and ", " or ",
        "not (",
        '"work"', "true", "null", "[", "]", "(", ")", "].value", '"\\u00e9"', '"\\ud83d\\ude00"', "-1.5e300",
        '"2026-01-15T12:00:00.1234567+02:00"', '"0001-01-01T00:00:00Z"', "\\", '"',
    )
)  # fmt: skip
FILTERS = (
    *_raw(
        (
            'userName eq "ada@x.io"',
            'userName Eq ada and active eq "True"',
            'emails[type eq "work" and (value co "x" or not (primary eq true))]',
            'emails[type eq "work"].value eq "x"',
            f'{ENTERPRISE}:department sw "O" or {ENTERPRISE}.manager pr',
            'meta.lastModified ge "2026-01-15T12:00:00.1234567+02:00"',
            'not (not (userName pr)) and schemas eq "urn:x"',
            "x.y gt 1e5 or shoeSize le -0.5",
            'id eq "1" and groups.value eq "2" or manager ne null',
            " or ".join(f'userName eq "{n}"' for n in range(40)),
            "(" * 20 + "active eq false" + ")" * 20,
        ),
        b"u",
    ),
    *_raw(
        ('displayName co "a_%"', 'members[value eq "1"]', 'members.type eq "Group" and externalId pr'), b"g"
    ),
)
PATHS = (
    *_raw(
        (
            "userName",
            "name.familyName",
            'emails[type eq "work"].value',
            'emails[type eq "work" and primary ne true]',
            f"{USER}:userName",
            f"{ENTERPRISE}.manager.displayName",
            f"{ENTERPRISE}:manager",
            ENTERPRISE,
            'roles[primary eq "True"].value',
            "urn:okta:acme:2.0:user:custom.costPool",
            "urn:a:b:c:d[value eq 1].x",
            'addresses[not (type pr) or (locality sw "K")].region',
        ),
        b"u",
    ),
    *_raw(('members[value eq "1"]', f"{GROUP}:members", 'members[type eq "User" or display pr]'), b"g"),
)


def _operations(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


_USER_PATCHES = (
    _operations(
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Add", "path": 'phoneNumbers[type eq "work"].value', "value": "+1"},
    ),
    _operations({"op": "replace", "value": {"name.givenName": "Bo", f"{ENTERPRISE}:department": None}}),
    _operations(
        {"op": "add", "path": "emails", "value": [{"value": "b@x.io", "type": "work", "primary": True}]}
    ),
    _operations(
        {"op": "remove", "path": 'emails[type eq "home"]'}, {"op": "remove", "path": "name.familyName"}
    ),
    _operations({"op": "add", "path": "manager", "value": [{"$ref": None, "value": "7"}]}),
    _operations({"op": "replace", "path": ENTERPRISE, "value": {"manager": {"managerId": "x"}}}),
    {"operations": {"op": "remove", "path": "emails", "value": [{"value": "ada@x.io"}, "x"]}},
    _operations(
        {"op": "add", "value": {USER: {"title": 1.5}, "urn:x:y": {"a": [1]}, 'roles[value eq "a"]': {}}}
    ),
)
_GROUP_PATCHES = (
    _operations({"op": "add", "path": "members", "value": [{"value": "1", "$ref": "../Users/2"}, "3"]}),
    _operations({"op": "remove", "path": "members", "value": []}, {"op": "remove", "path": "members"}),
    _operations({"op": "remove", "path": 'members[value eq "1" or value eq "2"]'}),
    _operations({"op": "add", "path": 'members[value eq "1"].value', "value": "1"}),
    _operations({"op": "replace", "value": {"id": "g", "displayName": "New", "members": None}}),
)
_FIRST_PATCHES = (
    {"active": False, "emails": [{"value": "ada@x.io", "operation": "delete"}, {"value": "c@x.io"}]},
    {"meta": {"attributes": ["title", "name.givenName"]}, "name": {"familyName": "Blu"}},
)
PATCHES = (
    *_bodies(_USER_PATCHES, b"u"),
    *_bodies(_GROUP_PATCHES, b"g"),
    *_bodies(_FIRST_PATCHES, b"1"),
    *_bodies(({"members": [{"value": "1", "operation": "delete"}, "2"], "displayName": "x"},), b"2"),
)
_USERS = (
    {"userName": "ada@x.io", "name": {"givenName": "Ada"}, "emails": [{"value": "a@x.io", "primary": True}]},
    {"USERNAME": 7, "active": ["True"], "emails": "a@x.io", "manager": {"managerId": ""}, "department": "x"},
    {
        USER: {"userName": "a", "name.familyName": "b"},
        f"{ENTERPRISE}:manager": "m",
        "password": "p",
        "id": None,
    },
    {"userName": "a", 'emails[type eq "work"].value': "x", "urn:x:y:User": {"z": {}}, "tenant_id": 1, "": 2},
    {
        "schemas": "urn:x",
        "userName": ["a"],
        "photos": {"value": "https://x"},
        "roles": [None, "", {"type": "a"}],
    },
)
_GROUPS = (
    {"displayName": "Staff", "members": [{"value": "1"}, "2", {"$ref": "x/3"}]},
    {
        "displayname": 1,
        "members": {"value": 5},
        f"{GROUP}:externalId": "x",
        "urn:okta:custom:group:1.0": {"d": "e"},
    },
)
BODIES = (*_bodies(_USERS, b"u"), *_bodies(_GROUPS, b"g"))
JSON_WORDS = _raw(
    (
        "{", "}", "[", "]", ":", ",", '"', "\\u0000", "\\ud800", "\\ud83d\\ude00", "\\\"", "\\\\", "null",
        "true",
        "1e999", "-0", "1E+5", "0.1", "99999999999999999999", "{}", "[]", '"value"', '"op":"remove"',
        '"path":', '"Operations":[', '"type":"work"', '"primary":true', '"A":1,"a":1', "\ufeff",
    )
)  # fmt: skip
DOCUMENTS = (
    *_bodies(
        (*_USERS, *_GROUPS, *_USER_PATCHES, [1, 1.5, -0.0, 1e22, 2**53, "\u2028", {"2": 1, "10": 2}]), b""
    ),
    b'\xef\xbb\xbf{"a":[[[[]]]],"b":"\\\\\\"","c":-1.5E-7}',
    b'{"A":{"x":1},"a":{"x":1}}',
    b"[" * 30 + b"]" * 30,
)

_TIME = "1768478400"
SIGNATURES = (
    b"\n".join((b"whsec_AAAA", b"msg_1", _TIME.encode(), b"v1,AAAA v1a,BBBB v1,", b'{"a":1}')),
    b"\n".join((b"whsec_x", b"t=1768478400000, v1=" + b"0" * 64, b"", b"", b"{}")),
    b"\n".join((b"", b"t=1, v1=00", b"-5", b"v1,\xff\xfe", b"")),
)
SIGNATURE_WORDS = _raw(("t=", ",", " ", "v1=", "v1,", _TIME, "0" * 64, "msg_1", "whsec_", "\n", "é"))


def _sealed(key: str | None, id_: str, made_at: int = 1_768_478_000) -> bytes:
    """A cursor in the form that searches hand out, for the search of the readers."""
    packed = msgspec.msgpack.encode(["a search", made_at, False, key, id_])
    return base64.urlsafe_b64encode(packed).rstrip(b"=")


CURSORS = (
    _sealed("ada@x.io", "01KA0YPX7B9D1F3H5K7M9Q1S3T"),
    _sealed(None, "01KA0YPX7B9D1F3H5K7M9Q1S3T"),
    _sealed("é" * 20, "x", 0),
    b"event_01KA0YPX7B9D1F3H5K7M9Q1S3T",
    b"org_01KA0YPX7B9D1F3H5K7M9Q1S3T",
)
CURSOR_WORDS = _raw(("event_", "org_", "directory_user_", "01KA0YPX7B9D1F3H5K7M9Q1S3T", "AA", "-", "_", "="))
QUERIES = _raw(
    (
        "filter=userName%20eq+%22a%22&startIndex=1&count=10",
        "attributes=userName,emails.value&excludedAttributes=members&sortBy=meta.created&sortOrder=descending",
        "cursor=&count=-5&STARTINDEX=%2B3",
        "limit=100&order=desc&after=event_01KA0YPX7B9D1F3H5K7M9Q1S3T",
        "events[]=dsync.user.created&events=a,b&range_start=2026-01-15T12:00:00%2B02:00",
        "aadOptscim062020&x&=y&a=%zz%ff",
    )
)
QUERY_WORDS = _raw(
    (
        "&",
        "=",
        "%00",
        "%ff",
        "+",
        "filter=",
        "count=",
        "limit=",
        "sortBy=",
        "attributes=",
        "cursor=",
        "[]",
        "%2",
    )
)
HEADERS = (
    b'Bearer scim_abc\napplication/scim+json; charset=utf-8\nW/"1", *\n/scim/v2/01KA/Users/x\na=b',
    b'bearer "Bearer scim_x"\ntext/xml\n"2"\n/scim/v1/x/%2e%2e/Users//\n',
    b"Basic YTpi\n\n\n/organizations/%ff\nx",
)
HEADER_WORDS = _raw(
    ("Bearer ", "Basic ", "\n", "/", "%2F", "%00", "W/", '"', "/scim/v2/", "application/", "+json")
)
MOMENTS = _raw(
    (
        "2026-01-15T12:00:00Z",
        "2026-01-15T12:00:00.1234567+02:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:60-12:00",
        "2026-02-30 24:00",
        "20260115T120000Z",
        "2026-W03-4T12:00:00+00:00",
    )
)
MOMENT_WORDS = _raw(("T", "Z", ":", "-", "+", ".", "2026", "23:59:60", "0001", "W", "\u0660", " "))
URLS = _raw(
    (
        "https://app.example/hooks?a=b#c",
        "http://127.0.0.1:8080/",
        "https://[::ffff:127.0.0.1]:443/",
        "https://user:pass@x.example",
        "https://0x7f.1/",
        "https://xn--bcher-kva.example/\u00fc",
        "northwind.example",
        "bücher.example.",
    )
)
URL_WORDS = _raw(
    ("https://", "http://", "@", ":", "/", "[", "]", "::", "127.0.0.1", "%", "xn--", ".", "\u3002", "#")
)
