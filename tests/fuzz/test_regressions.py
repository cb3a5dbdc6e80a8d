"""Inputs that fuzzing found, each of which once failed; what was wrong stands beside it."""

from __future__ import annotations

import base64

import msgspec
import pytest

from tests.fuzz.targets import TARGETS


def _forged(key: str, id_: str) -> bytes:
    packed = msgspec.msgpack.encode(["a search", 1_768_478_000, False, key, id_])
    return base64.urlsafe_b64encode(packed).rstrip(b"=")


FOUND = {
    "a value filter made a list of a boolean": (
        "patch",
        b'u{"Operations": [{"op": "remove", "path": "active[type eq \\"home\\"].me"}]}',
    ),
    "a value filter made a list of the user name": (
        "patch",
        b'u{"Operations": [{"op": "remove", "path": "userName[type eq \\"home\\"]"}]}',
    ),
    "a value filter made a list of a complex attribute": (
        "patch",
        b'u{"Operations": [{"op": "add", "path": "name[givenName eq \\"Ada\\"].familyName", "value": 1}]}',
    ),
    "a hollow value took the state away": (
        "patch",
        b'u{"Operations": [{"op": "replace", "path": "active", "value": [{"x": ""}]}]}',
    ),
    "a key that is no name replaced the user name by an object": (
        "patch",
        b'u{"Operations": [{"op": "replace", "value": {"userName.a#b": 1}}]}',
    ),
    "a key that is no name replaced a group's name by an object": ("patch", b'2{"displayname.giv#en": "x"}'),
    "a key that is no name brought a password past the rule": (
        "normalize",
        b'u{"userName": "ada", "password.a b": "secret"}',
    ),
    "a password with a sign behind it was another attribute": (
        "normalize",
        b'u{"userName": "ada", "password~": "secret"}',
    ),
    "half a surrogate pair in a path could not be told back": ("path", b"surn:ietf:x\xff:Useryp[a gt true]"),
    "half a surrogate pair in a header was no refusal": ("signature", b"x\n\xf4\n1768478401\n\n"),
    "half a surrogate pair in a signature was no refusal": ("signature", b"x\n1\n1768478401\nv1,\xc1A \n"),
    "a control character in front of a number was a fault": ("query", b"count=\x1d0"),
    "a number with two signs was a fault": ("query", b"startIndex=%2B-5"),
    "an address of brackets alone was a fault": ("url", b"//[]@"),
    "NUL in a parameter without a name was of no field": ("query", b"f&[]=\0"),
    "a forged cursor carried NUL to the database": ("cursor", _forged("a\0", "x")),
    "a forged cursor carried NUL as an id": ("cursor", _forged("a", "x\0")),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_fuzzing_found_is_mended(name: str) -> None:
    target, data = FOUND[name]
    TARGETS[target].run(data)
