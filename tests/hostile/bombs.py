"""Requests that stay within every limit of size and ask for as much work as they can."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
HELD_ENTRIES, HELD_ATTRIBUTES, HELD_MEMBERS, PEOPLE = 2_000, 900, 5_000, 200
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Bomb:
    """One request: where it goes (`scim 2.0`, `scim 1.1` or `rest`), and what it carries.

    `{entries}`, `{attributes}` and `{group}` in the path are ids of the resources of `prepared`. `asks`:
    whether the work is the database's rather than that of the rules before it.
    """

    name: str
    interface: str
    method: str
    path: str
    body: bytes = b""
    asks: bool = False


def prepared() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What the directory holds beforehand: a name for the path, the collection, and the body."""
    emails = [{"value": f"{n}@x.io"} for n in range(HELD_ENTRIES)]
    yield "entries", "Users", {"userName": "entries", "emails": emails}
    attributes = {f"key{n}": n for n in range(HELD_ATTRIBUTES)}
    yield "attributes", "Users", {"userName": "attributes", **attributes}
    members = [f"nobody {n}" for n in range(HELD_MEMBERS)]
    yield "group", "Groups", {"displayName": "Large", "members": members}


def bombs() -> Iterator[Bomb]:
    """Return the requests, each a little below what the limits allow or what makes the point."""
    yield from _patches()
    yield from _members()
    nested = {"userName": "nested", **_nested(7)}
    yield _scim("keys with filters, nested", "POST", "Users", nested)
    yield _scim("as many attributes as may be", "POST", "Users", {f"k{n}": n for n in range(998)})
    names = [f"k{n}" for n in range(_MEGABYTE // 11)]
    yield _scim("a search for many attributes", "POST", "Users/.search", {"attributes": names})
    yield _scim("a search without many attributes", "POST", "Users/.search", {"excludedAttributes": names})
    parts = [f"emails.{name}" for name in names[:60_000]]
    yield _scim("a search for many parts", "POST", "Users/.search", {"attributes": parts})
    yield from _searches()
    yield from _rest()


def _searches() -> Iterator[Bomb]:
    wide = " or ".join(f'emails[value co "{n}"]' for n in range(120))
    deep = "not (" * 49 + 'emails.value co "z"' + ")" * 49
    for name, text in (("a wide filter", wide), ("a deep filter", deep)):
        raw = _raw({"filter": text, "count": 1000})
        yield Bomb(name, "scim 2.0", "POST", "Users/.search", raw, asks=True)
    asked = [{"method": "DELETE", "path": f"/Users/{'x' * 1000}{n}"} for n in range(1000)]
    raw = _raw({"Operations": asked})
    yield Bomb("a bulk of refusals", "scim 2.0", "POST", "Bulk", raw, asks=True)


def _patches() -> Iterator[Bomb]:
    fresh = [{"op": "add", "value": {f"k{j}x{n}": n for n in range(999)}} for j in range(12)]
    yield _patch("ever more attributes", "attributes", fresh)
    added = [{"value": f"new {n}@x.io"} for n in range(20_000)]
    yield _patch("many entries to add", "entries", [{"op": "add", "path": "emails", "value": added}])
    removed = [{"value": f"none {n}@x.io"} for n in range(20_000)]
    yield _patch("many entries to remove", "entries", [{"op": "remove", "path": "emails", "value": removed}])
    filtered = [
        {"op": "replace", "path": f'emails[value eq "{n}"].display', "value": "x"} for n in range(4_000)
    ]
    yield _patch("many filters", "entries", filtered)
    wide = " or ".join(f'value eq "none {n}"' for n in range(300))
    many = [{"op": "remove", "path": f"emails[{wide}]"}] * 100
    yield _patch("wide filters", "entries", many)
    flips = [{"op": op, "path": f"other{n}", "value": 1} for n in range(2_500) for op in ("add", "remove")]
    yield _patch("attributes that come and go", "attributes", flips)
    urns = [{"op": "add", "value": {f"urn:a{j}:b{n}:c.d": {"e": 1} for n in range(900)}} for j in range(20)]
    yield _patch("ever more extensions", "attributes", urns)
    cleared = {"meta": {"attributes": [f"none{n}" for n in range(80_000)]}}
    yield Bomb("many names to clear", "scim 1.1", "PATCH", "Users/{attributes}", _raw(cleared))


def _members() -> Iterator[Bomb]:
    body = b'{"displayName":"x","members":[' + b",".join([b"1"] * (5 * _MEGABYTE - 100)) + b"]}"
    yield Bomb("the same member millions of times", "scim 2.0", "POST", "Groups", body)
    hollow = b'{"displayName":"x","members":[' + b",".join([b"{}"] * (3 * _MEGABYTE)) + b"]}"
    yield Bomb("millions of hollow members", "scim 2.0", "POST", "Groups", hollow)
    tested = [{"op": "remove", "path": 'members[type eq "None"]'}] * 3_000
    yield _patch("many filters of members", "group", tested, "Groups")
    bare = [{"op": op, "path": "members", "value": ["a"]} for op in ("add", "replace")] * 2_000
    yield _patch("members replaced often", "group", bare, "Groups")
    filled: list[dict[str, Any]] = [{"op": "add", "path": "members", "value": ["a"]}]
    emptied = [*filled, {"op": "remove", "path": "members"}] * 2_000
    yield _patch("members emptied often", "group", emptied, "Groups")


def _rest() -> Iterator[Bomb]:
    texts = [f"k{n}" for n in range(80_000)]
    endpoint = {"endpoint_url": "https://app.invalid/", "events": texts}
    yield Bomb("many event types", "rest", "POST", "/webhook_endpoints", _raw(endpoint), asks=True)
    domains = [{"domain": f"d{n}.example", "state": "pending"} for n in range(20_000)]
    organization = {"name": "Bomb", "domain_data": domains}
    yield Bomb("many domains", "rest", "POST", "/organizations", _raw(organization), asks=True)
    long = {"name": "Bomb", "domain_data": [{"domain": "\u00e9." * 300_000, "state": "pending"}]}
    yield Bomb("a long domain", "rest", "POST", "/organizations", _raw(long), asks=True)
    metadata = {"name": "Bomb", "metadata": {text: text for text in texts[:50_000]}}
    yield Bomb("much metadata", "rest", "POST", "/organizations", _raw(metadata), asks=True)
    yield Bomb("types in a query", "rest", "GET", "/events?events=" + ",".join(texts[:4_500]), asks=True)


def _nested(level: int) -> dict[str, Any]:
    found: dict[str, Any] = {f'emails[value eq "{level} {n}"].display': "x" for n in range(250)}
    if level:
        found[USER] = _nested(level - 1)
    return found


def _patch(name: str, key: str, operations: list[dict[str, Any]], collection: str = "Users") -> Bomb:
    return _scim(name, "PATCH", f"{collection}/{{{key}}}", {"Operations": operations})


def _scim(name: str, method: str, path: str, body: dict[str, Any]) -> Bomb:
    return Bomb(name, "scim 2.0", method, path, _raw(body))


def _raw(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
