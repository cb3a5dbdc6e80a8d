"""Hostile values: texts, JSON documents and JSON-like bytes that no directory would send on purpose."""

from __future__ import annotations

import json
from random import Random
from typing import Any

TEXTS = (
    "", " ", "\t\r\n", "\0", "a\0b", "\ud800", "\udfff\ud800", "\ufeff", "\u202e", "e\u0301" * 40, "ß",
    "İ", "\U0001f600" * 20, "\ufffe", "\x7f\x1b[31m", "../../etc/passwd", "..\\..\\x", "%00",
    "%2e%2e%2f", "a/b", "' OR '1'='1", "'; DROP TABLE directory_users; --", "%' ESCAPE '\\", "_%_%_%",
    "*)(uid=*", "${jndi:ldap}", "{{7*7}}", "<script>alert(1)</script>", "javascript:alert(1)", "=1+1",
    "__proto__", "constructor", "null", "true", "True", "NaN", "-0", "0x10", "1e999", "9" * 400, "-1",
    "1.5", "2026-13-45T99:99:99Z", "0000-00-00", "urn:", "urn:ietf:params:scim:schemas:core:2.0:User",
    "urn:" + ":" * 50, "$ref", "value.value.value", "a" * 1025, "b" * 5000, "(" * 60, ")" * 60,
    "[" * 60, '"', "\\", '\\"', "a" * 300 + "\u0301" * 300, "(a+)+$", "directory_user_01",
    "directory_01KA0YPX7B9D1F3H5K7M9Q1S3T", "https://[::1]/", "//x", "?#",
)  # fmt: skip
"""Text for any place; lone surrogates travel as JSON escapes or as bytes that are no UTF-8."""

NUMBERS = (
    0, -1, 1, 2**31, 2**53, 2**63, -(2**63)-1, 2**64, 10**30, 10**310, 1.5, -0.0, 5e-324,
    1.7976931348623157e308,
)  # fmt: skip

BROKEN_JSON = (
    b"", b" ", b"{", b"}", b"[", b"]", b"{}{}", b"{} x", b"nul", b"tru", b"True", b"NaN", b"Infinity",
    b"-Infinity", b"-", b"+1", b"01", b"1.", b".5", b"1e", b"0x10", b"'a'", b"{a:1}", b"{'a':1}",
    b'{"a"}', b'{"a":}', b'{"a":1,}', b"[1,]", b"[,]", b'{"a":1 "b":2}', b'"a', b'"\\', b'"\\x"',
    b'"\\u12"', b'"\\ud800"', b'"\t"', b'"\n"', b'"\x00"', b'{"a":NaN}', b'{"a":-Infinity}',
    b'{"a":1e999}', b'{"userName":"\\u0000"}', b'{"userName":"\\udc00"}', b'{"userName":"\xff\xfe"}',
    b'{"userName":"\xc0\xaf"}', b'{"userName":"\xed\xa0\x80"}', b'{"userName":"a","userName":"b"}',
    b'{"userName":"a","USERNAME":"b"}', b"/*c*/{}", b"{}//c", b"<user/>", b"userName=a&b=c",
    b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf", b"\x00" * 64, b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--", b"()", b"[" * 33 + b"]" * 33,
    b"[" * 5000, b'{"a":' * 100 + b"1" + b"}" * 100, b"{" * 5000, b'{"a":' * 3000,
    b'{"userName":"x","n":' + b"9" * 5000 + b"}", b'{"userName":"x","n":1.' + b"0" * 5000 + b"1}",
    b'{"userName":"x","n":1e' + b"9" * 4400 + b"}", b"[[[[[[[[]]]]]]]]", b"[]", b"0", b"null", b'""',
    b"[{}]",
)  # fmt: skip
"""Bodies that are no JSON object of any interface, as bytes."""


def text(random: Random) -> str:
    """Return a text for any place, sometimes several glued together."""
    if random.random() < 0.2:
        return "".join(random.choice(TEXTS)[:200] for _ in range(random.randint(2, 5)))
    if random.random() < 0.1:
        return "".join(
            chr(random.choice((random.randrange(128), random.randrange(0xD800)))) for _ in range(12)
        )
    return random.choice(TEXTS)


def value(random: Random, depth: int = 0) -> Any:
    """Return any JSON value, of types and sizes that fit nowhere."""
    kind = random.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return random.choice((None, True, False, [], {}, [None], [[]], {"": None}))
    if kind == 1:
        return random.choice(NUMBERS)
    if kind < 5:
        return text(random)
    if kind == 5:
        return [value(random, depth + 1) for _ in range(random.randint(1, 4))]
    if kind == 6:
        return {_key(random): value(random, depth + 1) for _ in range(random.randint(1, 4))}
    return random.choice(("x" * 70_000, ["y"] * 300, {f"k{n}": n for n in range(random.choice((30, 1100)))}))


def disfigured(document: Any, random: Random) -> Any:
    """Return the document with one to three places replaced, renamed, doubled or removed."""
    found = document
    for _ in range(random.randint(1, 3)):
        found = _disfigured_once(found, random)
    return found


def dump(document: Any) -> bytes:
    """Return the JSON text; lone surrogates and NUL as escapes, infinite numbers as Python writes them."""
    return json.dumps(document).encode()


def damaged(raw: bytes, random: Random) -> bytes:
    """Return a JSON text with a few bytes lost, changed, put in or repeated: hardly ever JSON."""
    found = bytearray(raw)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(found) + 1)
        match random.randrange(5):
            case 0:
                del found[at : at + random.randint(1, 8)]
            case 1:
                found[at:at] = bytes([random.randrange(256)])
            case 2:
                found[at : at + 1] = random.choice((b'"', b"\\", b"{", b"]", b":", b",", b"\x00", b"\xff"))
            case 3:
                found[at:at] = found[at : at + 40]
            case _:
                del found[at:]
    return bytes(found)


def _disfigured_once(node: Any, random: Random) -> Any:
    if isinstance(node, dict) and node and random.random() < 0.85:
        name = random.choice(list(node))
        found = dict(node)
        match random.randrange(6):
            case 0:
                del found[name]
            case 1:
                found[_key(random)] = found.pop(name)
            case 2:
                found[_key(random)] = value(random, 2)
            case _:
                found[name] = _disfigured_once(found[name], random)
        return found
    if isinstance(node, list) and node and random.random() < 0.7:
        at = random.randrange(len(node))
        return [*node[:at], _disfigured_once(node[at], random), *node[at + 1 :]]
    return value(random)


def _key(random: Random) -> str:
    names = (
        "userName",
        "USERNAME",
        "active",
        "id",
        "meta",
        "schemas",
        "members",
        "emails",
        "value",
        "path",
        "op",
    )
    return random.choice(names) if random.random() < 0.4 else text(random)[:300]
