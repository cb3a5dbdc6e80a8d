"""Threat: a body that costs the server memory, stack or time, or that two readers read differently.

Every interface that takes a body refuses the same things with a 400 in its own form, before anything is
changed: what is not JSON, what is ambiguous, what is too deep, too long a number, an encoding. The parser by
itself: `tests/unit/test_json.py`; lengths and sizes over SCIM: `tests/contract/test_scim_http.py`; answers
of receivers that are compressed or endless: `tests/contract/test_http_client.py`; floods: `tests/hostile`.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.api import Api, api
from tests.support.directory_world import CAUSE

DEEP = 100_000
DIGITS = 4_301
BOMBS: dict[str, bytes] = {
    "NaN": b'{"KEY": "VALUE", "n": NaN}',
    "Infinity": b'{"KEY": "VALUE", "n": Infinity}',
    "minus Infinity": b'{"KEY": "VALUE", "n": -Infinity}',
    "a number that overflows": b'{"KEY": "VALUE", "n": 1e999}',
    "a lone high surrogate": b'{"KEY": "VALUE", "n": "\\ud800"}',
    "a lone low surrogate": b'{"KEY": "VALUE", "n": "\\udc00x"}',
    "a surrogate pair the wrong way": b'{"KEY": "VALUE", "n": "\\udc00\\ud800"}',
    "a lone surrogate in a key": b'{"KEY": "VALUE", "\\ud800": 1}',
    "a surrogate in UTF-8": b'{"KEY": "VALUE", "n": "\xed\xa0\x80"}',
    "bytes that are not UTF-8": b'{"KEY": "VALUE", "n": "\xff"}',
    "an overlong slash": b'{"KEY": "VALUE", "n": "\xc0\xaf"}',
    "UTF-16": '{"KEY": "VALUE"}'.encode("utf-16"),
    "a key twice": b'{"KEY": "VALUE", "KEY": "other"}',
    "an inner key twice": b'{"KEY": "VALUE", "n": {"a": 1, "a": 2}}',
    "a key twice, once escaped": b'{"KEY": "VALUE", "a": 1, "\\u0061": 2}',
    "a key twice in another case": b'{"KEY": "VALUE", "xKEY": 1, "XKEY": 2}',
    "NUL in a value": b'{"KEY": "VALUE\\u0000"}',
    "NUL in a key": b'{"KEY": "VALUE", "n\\u0000": 1}',
    "a bare NUL": b'{"KEY": "VALUE"\x00}',
    "a long integer": b'{"KEY": "VALUE", "n": ' + b"9" * DIGITS + b"}",
    "a long negative integer": b'{"KEY": "VALUE", "n": [-' + b"9" * DIGITS + b"]}",
    "a long fraction": b'{"KEY": "VALUE", "n": 0.' + b"3" * DIGITS + b"}",
    "deep arrays": b'{"KEY": "VALUE", "n": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep arrays without an end": b"[" * DEEP,
    "deep objects": b'{"KEY": "VALUE", "n": ' + b'{"n":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "33 levels": b'{"KEY": "VALUE", "n": ' + b"[" * 32 + b"]" * 32 + b"}",
    "an array": b'[{"KEY": "VALUE"}]',
    "a text": b'"VALUE"',
    "a number": b"1",
    "null": b"null",
    "two documents": b'{"KEY": "VALUE"}{"KEY": "VALUE"}',
    "a comma too many": b'{"KEY": "VALUE",}',
    "a comment": b'{"KEY": "VALUE"} // x',
    "single quotes": b"{'KEY': 'VALUE'}",
    "half of it": b'{"KEY": "VAL',
    "a compressed body that does not say so": gzip.compress(b'{"KEY": "VALUE"}'),
}
TEXT = frozenset(
    {
        "a lone high surrogate",
        "a lone low surrogate",
        "a surrogate pair the wrong way",
        "a lone surrogate in a key",
        "a surrogate in UTF-8",
        "bytes that are not UTF-8",
        "an overlong slash",
        "NUL in a value",
        "NUL in a key",
    }
)
"""JSON but for the text in it: a wrong value rather than a wrong syntax (`scim.md` §17)."""
ENCODINGS = {
    "gzip": gzip.compress(b'{"KEY": "VALUE"}'),
    "x-gzip": gzip.compress(b'{"KEY": "VALUE"}'),
    "GZIP": gzip.compress(b'{"KEY": "VALUE"}' + b" " * 50_000_000, 9),
    "deflate": zlib.compress(b'{"KEY": "VALUE"}'),
    "br": b"\x0b\x05\x80",
    "zstd": b"\x28\xb5\x2f\xfd",
    "identity, gzip": gzip.compress(b'{"KEY": "VALUE"}'),
    "chunked": b'{"KEY": "VALUE"}',
}


@dataclass(frozen=True, slots=True)
class Door:
    """One place that takes a body: the key that a good one has, and how a refusal looks."""

    method: str
    path: str
    key: str
    is_scim: bool = True
    is_v1: bool = False


@dataclass(slots=True)
class Scene:
    """The product with something in it, and every door of it."""

    here: Api
    token: str
    doors: list[Door]

    async def send(self, door: Door, template: bytes, **headers: str) -> httpx.Response:
        """Send a body to a door."""
        body = template.replace(b"KEY", door.key.encode()).replace(b"VALUE", b"bomb")
        sent = {"Content-Type": "application/json", **headers}
        if door.is_scim:
            sent["Authorization"] = f"Bearer {self.token}"
        return await self.here.client.request(door.method, door.path, content=body, headers=sent)

    async def picture(self) -> list[Any]:
        """Everything that the doors could have changed."""
        paths = ("organizations", "directories", "webhook_endpoints", "directory_users", "directory_groups")
        found = [(await self.here.get(f"/{path}?limit=100"))["data"] for path in paths]
        keys = (await self.here.get("/api_keys"))["data"]
        return [*found, [key["id"] for key in keys], await self.here.world.types()]


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with api(database_url) as here:
        world = here.world
        directory = world.place.directory
        made = await world.services.tokens.create(world.environment, directory.id, CAUSE)
        user, group = await world.user("mira"), await world.group("Staff")
        base = f"/scim/v2/{directory.id.removeprefix('directory_')}"
        doors = [
            Door("POST", f"{base}/Users", "userName"),
            Door("PUT", f"{base}/Users/{user}", "userName"),
            Door("PATCH", f"{base}/Users/{user}", "Operations"),
            Door("POST", f"{base}/Groups", "displayName"),
            Door("PUT", f"{base}/Groups/{group}", "displayName"),
            Door("PATCH", f"{base}/Groups/{group}", "Operations"),
            Door("POST", f"{base}/Bulk", "Operations"),
            Door("POST", f"{base}/.search", "filter"),
            Door("POST", f"{base}/Users/.search", "filter"),
            *(
                Door(method, f"{base.replace('v2', 'v1')}{path}", "userName", is_v1=True)
                for method, path in (
                    ("POST", "/Users"),
                    ("PUT", f"/Users/{user}"),
                    ("PATCH", f"/Users/{user}"),
                )
            ),
            Door("POST", "/organizations", "name", is_scim=False),
            Door("PUT", f"/organizations/{world.place.organization_id}", "name", is_scim=False),
            Door("POST", "/organization_domains", "domain", is_scim=False),
            Door("POST", "/directories", "name", is_scim=False),
            Door("PATCH", f"/directories/{directory.id}", "name", is_scim=False),
            Door("POST", f"/directories/{directory.id}/bearer_tokens", "label", is_scim=False),
            Door("POST", "/webhook_endpoints", "endpoint_url", is_scim=False),
            Door("POST", "/api_keys", "name", is_scim=False),
        ]
        yield Scene(here, made.secret, doors)
        await world.services.scim_access.flush()
        await world.services.api_keys.flush()


async def test_no_door_takes_a_body_that_is_a_bomb(scene: Scene) -> None:
    """Every bomb at every door is a 400 in the form of its interface, and everything stays as it was."""
    before = await scene.picture()
    wrong = [
        f"{what} at {door.method} {door.path}: {answer.status_code} {answer.text[:200]}"
        for door in scene.doors
        for what, bomb in BOMBS.items()
        if not is_refusal(door, what, answer := await scene.send(door, bomb))
    ]
    assert wrong == []
    assert await scene.picture() == before


def is_refusal(door: Door, what: str, answer: httpx.Response) -> bool:
    """Tell whether an answer is the 400 that it must be."""
    if answer.status_code != 400:
        return False
    body = answer.json()
    if door.is_v1:
        return bool(body["Errors"][0]["code"] == "400" and body["detail"])
    if door.is_scim:
        expected = "invalidValue" if what in TEXT else "invalidSyntax"
        return bool(body["status"] == "400" and body["scimType"] == expected)
    return bool(body["code"] == "malformed_json" and "errors" not in body)


async def test_a_body_that_says_it_is_encoded_is_not_decoded(scene: Scene) -> None:
    """A few bytes could become gigabytes; the header alone is enough to refuse them."""
    before = await scene.picture()
    wrong = [
        f"{encoding} at {door.method} {door.path}: {answer.status_code} {answer.text[:200]}"
        for door in scene.doors
        for encoding, body in ENCODINGS.items()
        if not is_unread(door, answer := await scene.send(door, body, **{"Content-Encoding": encoding}))
    ]
    assert wrong == []
    assert await scene.picture() == before


def is_unread(door: Door, answer: httpx.Response) -> bool:
    """Tell whether an encoded body was refused for its header."""
    if door.is_scim:
        return answer.status_code == 415
    return answer.status_code == 400 and answer.json()["code"] == "content_encoding_unsupported"
