"""Threat: an answer's time or text tells whether a token is unknown, expired, revoked or somebody else's.

Time cannot be asserted; work can. Whatever is wrong with a credential, the same transactions run, and the
answer is the same to the byte. Foreign ids and directories: `tests/contract/test_tenant_matrix.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from syncline.services.container import Services
from syncline.services.kernel import Kernel
from syncline.store import tables as t
from syncline.web.app import build_app
from tests.support.directory_world import CAUSE
from tests.support.kernels import kernel, seed

UNKNOWN = "scim_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class Counted:
    """The database, and which kinds of transactions were asked of it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in ("read", "write", "look_up"):
            return found

        async def counted(work: Any) -> Any:
            self.asked.append(name)
            return await found(work)

        return counted


@asynccontextmanager
async def counting(database_url: str) -> AsyncIterator[tuple[Kernel, Services, Counted, httpx.AsyncClient]]:
    """The product over a database that counts."""
    async with kernel(database_url) as made:
        database: Any = Counted(made.database)
        within = replace(made, database=database)
        services = Services(within)
        transport = httpx.ASGITransport(app=build_app(services))
        async with httpx.AsyncClient(transport=transport, base_url="http://syncline.test") as client:
            yield within, services, database, client
        await services.scim_access.flush()
        await services.api_keys.flush()


async def work_of(
    database: Counted, call: Callable[[str], Awaitable[httpx.Response]], credentials: dict[str, str]
) -> set[tuple[Any, ...]]:
    """Return what credentials made the database do, and what was answered; one entry if all is the same."""
    seen = set()
    for credential in credentials.values():
        database.asked.clear()
        answer = await call(credential)
        headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
        seen.add((tuple(database.asked), answer.status_code, answer.text, tuple(sorted(headers.items()))))
    return seen


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_every_wrong_bearer_token_costs_the_same_work(database_url: str, version: str) -> None:
    """Unknown, of another directory or environment, expired, revoked, of another kind, none at all."""
    async with counting(database_url) as (within, services, database, client):
        mine = await seed(within)
        sibling, stranger = await seed(within, environment_id=mine.environment_id), await seed(within)
        tokens = services.tokens

        async def token(of: Any) -> str:
            return (await tokens.create(of.environment_id, of.directory.id, CAUSE)).secret

        credentials = {
            "unknown": UNKNOWN,
            "of another directory": await token(sibling),
            "of another environment": await token(stranger),
            "expired": await token(mine),
            "revoked": "",
            "an API key": (await services.api_keys.create(mine.environment_id, "k")).value,
            "too long": "scim_" + "A" * 600,
            "none": "",
        }
        ended = within.clock() - timedelta(seconds=1)
        c = t.bearer_tokens.c
        await within.database.write(
            lambda connection: connection.execute(
                update(t.bearer_tokens).where(c.directory_id == mine.directory.id).values(expires_at=ended)
            )
        )
        doomed = await tokens.create(mine.environment_id, mine.directory.id, CAUSE)
        await tokens.revoke(mine.environment_id, mine.directory.id, doomed.token.id, CAUSE)
        credentials["revoked"] = doomed.secret

        async def call(credential: str) -> httpx.Response:
            headers = {"Authorization": f"Bearer {credential}"} if credential else {}
            address = f"/scim/{version}/{mine.directory.id.removeprefix('directory_')}/Users"
            return await client.get(address, headers=headers)

        [(asked, status, *_)] = await work_of(database, call, credentials)
    assert asked == ("look_up",)
    assert status == 401


async def test_every_wrong_api_key_costs_the_same_work(database_url: str) -> None:
    """Unknown, expired, revoked, and a directory's token where a key belongs."""
    async with counting(database_url) as (within, services, database, client):
        mine = await seed(within)
        keys = services.api_keys
        expired = await keys.create(mine.environment_id, "e")
        revoked = await keys.create(mine.environment_id, "r")
        await keys.revoke(mine.environment_id, revoked.key.id)
        ended = within.clock() - timedelta(seconds=1)
        c = t.api_keys.c
        await within.database.write(
            lambda connection: connection.execute(
                update(t.api_keys).where(c.id == expired.key.id).values(expires_at=ended)
            )
        )
        credentials = {
            "unknown": UNKNOWN.replace("scim_", "sk_"),
            "expired": expired.value,
            "revoked": revoked.value,
            "a bearer token": (
                await services.tokens.create(mine.environment_id, mine.directory.id, CAUSE)
            ).secret,
        }

        async def call(credential: str) -> httpx.Response:
            return await client.get("/directories", headers={"Authorization": f"Bearer {credential}"})

        [(asked, status, *_)] = await work_of(database, call, credentials)
    assert len(asked) == 1
    assert status == 401
