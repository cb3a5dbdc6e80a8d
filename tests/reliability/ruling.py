"""An operator who keeps changing role rules and attributes of directories that providers push to."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any

import aiohttp

from tests.reliability.reading import Unanswered
from tests.reliability.rig import Rig

_ROLES = ("editor", "planner")
_PAUSE, _DEADLINE = 0.3, 60.0


class Ruling:
    """Changes that have everybody evaluated again, one after the other, without insisting on an answer."""

    def __init__(self, stage: Rig) -> None:
        self._stage = stage
        self._attribute = ""

    async def begin(self) -> None:
        """Make the roles and the attribute; nothing may be broken meanwhile."""
        for slug in _ROLES:
            await self._stage.api("POST", "/authorization/roles", {"slug": slug, "name": slug.title()})
        made = await self._stage.api("POST", "/attributes", {"key": "round", "sources": [{"value": "0"}]})
        self._attribute = made["id"]

    async def run(self) -> None:
        """Go on until cancelled."""
        for n in itertools.count(1):
            for directory in self._stage.directories:
                await self._try("PUT", f"/directories/{directory.id}/role_rules", _rules(n))
            await self._try("PATCH", f"/attributes/{self._attribute}", {"sources": [{"value": str(n)}]})
            await asyncio.sleep(_PAUSE)

    async def settled(self) -> list[str]:
        """Wait until every job is over; return those that are not."""
        ends = asyncio.get_running_loop().time() + _DEADLINE
        while True:
            left = [one.id for one in self._stage.directories if not await self._is_complete(one.id)]
            if not left or asyncio.get_running_loop().time() > ends:
                return [f"the people of {id_} were not all evaluated" for id_ in left]
            await asyncio.sleep(0.1)

    async def _is_complete(self, directory_id: str) -> bool:
        job = await self._stage.api("GET", f"/directories/{directory_id}/reevaluation")
        return bool(job["state"] == "complete")

    async def _try(self, method: str, path: str, body: dict[str, Any]) -> None:
        with contextlib.suppress(Unanswered, aiohttp.ClientError, TimeoutError):
            await self._stage.api(method, path, body)


def _rules(n: int) -> dict[str, Any]:
    """Return rules after which about half of the people have another role than after the ones before."""
    condition = {"kind": "attribute", "subject": "job_title", "operator": "starts_with", "value": "a0"}
    shared = {"kind": "group_name", "operator": "equals", "value": "everybody"}
    return {
        "mode": "multiple",
        "rules": [
            {"condition": condition, "role": _ROLES[n % 2]},
            {"condition": shared, "role": _ROLES[(n + 1) % 2]},
        ],
    }
