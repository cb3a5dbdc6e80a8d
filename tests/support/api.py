"""The REST API over a world of directories, called as a customer's program would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from syncline.core.model import InactiveUsers
from syncline.web.app import build_app
from tests.support.directory_world import DirectoryWorld, directory_world


@dataclass(slots=True)
class Api:
    """A world and a client with a key of its environment."""

    world: DirectoryWorld
    client: httpx.AsyncClient

    async def call(self, method: str, path: str, body: object = None, **more: Any) -> httpx.Response:
        """Make one call; a body goes as JSON."""
        if body is not None:
            more["json"] = body
        return await self.client.request(method, path, **more)

    async def get(self, path: str) -> Any:
        """Return the JSON of a call that succeeds."""
        answer = await self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, status: int, method: str, path: str, body: object = None) -> list[str]:
        """Make a call that fails with a status; return its code and the codes of its fields."""
        answer = await self.call(method, path, body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/json"
        error = answer.json()
        assert error["message"]
        assert "error" not in error
        assert ("errors" in error) == (status == 422)
        return [error["code"], *(one["code"] for one in error.get("errors", []))]

    async def key(self, scopes: Sequence[str]) -> str:
        """Make another key of the environment."""
        return (await self.world.services.api_keys.create(self.world.environment, "more", scopes)).value


@asynccontextmanager
async def api(database_url: str, policy: InactiveUsers = InactiveUsers.DELETE) -> AsyncIterator[Api]:
    """A client over one seeded, linked directory; nothing runs in the background but the writer."""
    async with directory_world(database_url, policy) as world:
        made = await world.services.api_keys.create(world.environment, "tests")
        transport = httpx.ASGITransport(app=build_app(world.services))
        headers = {"Authorization": f"Bearer {made.value}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://syncline.test", headers=headers
        ) as client:
            yield Api(world, client)
