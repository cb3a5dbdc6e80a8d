"""A cursor is text that a client holds, so a client may write one."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from itertools import product
from typing import Any

import httpx
import msgspec

from tests.support.live import serving

VALUES: Sequence[Any] = ("\0", "a\0b", None, -1, 2**63, 1.5, True, [], "x" * 20_000, "\u00e9")


def changed(cursor: str, place: int, value: Any) -> str:
    """A cursor with one of its parts replaced."""
    parts = msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    parts[place] = value
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(parts)).decode().rstrip("=")


def test_a_forged_cursor_is_refused_or_harmless(database_url: str) -> None:
    """PostgreSQL takes no NUL in a text: a cursor with one in it was answered with 500."""
    with serving(database_url) as live:
        tenant = live.tenant("cursors")
        base = f"{live.url}/scim/v2/{tenant.directory_key}/Users"
        with httpx.Client(headers={"Authorization": f"Bearer {tenant.scim_token}"}, timeout=30) as client:
            for name in ("ada", "bo"):
                assert client.post(base, json={"userName": name}).status_code == 201
            for asked in ({"count": "1", "sortBy": "userName"}, {"count": "1"}):
                first = client.get(base, params={**asked, "cursor": ""}).json()["nextCursor"]
                assert client.get(base, params={**asked, "cursor": first}).status_code == 200
                for place, value in product(range(5), VALUES):
                    answer = client.get(base, params={**asked, "cursor": changed(first, place, value)})
                    assert answer.status_code in (200, 400, 414), (place, value, answer.text)
                    if answer.status_code == 400:
                        assert answer.json()["scimType"] in ("invalidCursor", "expiredCursor")
