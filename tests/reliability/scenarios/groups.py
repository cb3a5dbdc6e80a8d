"""R11: many clients change one group and its members at once; one order of requests must explain it."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from typing import Any

import aiohttp

from tests.reliability.journals import Register, Value
from tests.reliability.linear import Act, Timeline, check
from tests.reliability.load import Directory
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.replay import Replay, group_register, member_register, user_register
from tests.reliability.rig import Rig, rig

_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_CLIENTS, _PEOPLE = 8, 8


class Crowd:
    """Clients that share everything: the group of the moment and the people of the moment."""

    def __init__(self, stage: Rig, directory: Directory) -> None:
        self.acts: list[Act] = []
        self.wrong: list[str] = []
        self._stage = stage
        self._directory = directory
        self._people: dict[str, str] = {}
        self._group = ("", "")
        self._numbers = itertools.count(1)
        self._urls = itertools.cycle(stage.urls)

    async def begin(self) -> None:
        """Make the group and the people."""
        for _ in range(_PEOPLE):
            await self._create()
        await self._create_group()

    async def run(self, steps: int, dice: random.Random) -> None:
        """Make one client's steps."""
        doings = (
            self._add,
            self._remove,
            self._put,
            self._retitle,
            self._replace_person,
            self._replace_group,
        )
        for _ in range(steps):
            await dice.choices(doings, (8, 6, 4, 4, 2, 1))[0](dice)

    async def _add(self, dice: random.Random) -> None:
        (group, name), chosen = self._group, self._some(dice)
        operation = {
            "op": "add",
            "path": "members",
            "value": [{"value": self._people[one]} for one in chosen],
        }
        await self._patch(f"/Groups/{group}", operation, {self._member(name, one): True for one in chosen})

    async def _remove(self, dice: random.Random) -> None:
        (group, name), chosen = self._group, self._some(dice)[:1]
        operation = {"op": "remove", "path": f'members[value eq "{self._people[chosen[0]]}"]'}
        await self._patch(f"/Groups/{group}", operation, {self._member(name, one): False for one in chosen})

    async def _put(self, dice: random.Random) -> None:
        (group, name), everybody = self._group, dict(self._people)
        chosen = set(dice.sample(sorted(everybody), dice.randint(0, len(everybody) - 1)))
        body = {
            "schemas": [_GROUP],
            "displayName": name,
            "members": [{"value": everybody[one]} for one in sorted(chosen)],
        }
        effects: dict[Register, Value] = {self._member(name, one): one in chosen for one in everybody}
        others = ("member", self._directory.id, name)
        await self._call("PUT", f"/Groups/{group}", body, effects, others)

    async def _retitle(self, dice: random.Random) -> None:
        name, title = self._some(dice)[0], f"title-{next(self._numbers)}"
        effects: dict[Register, Value] = {user_register(self._directory.id, name): title}
        id_ = self._people[name]
        if dice.random() < 0.5:
            await self._patch(f"/Users/{id_}", {"op": "replace", "path": "title", "value": title}, effects)
        else:
            body = {"schemas": [_USER], "userName": name, "title": title, "active": True}
            await self._call("PUT", f"/Users/{id_}", body, effects)

    async def _replace_person(self, dice: random.Random) -> None:
        """Delete a person and make another: a name never comes back, so a register has one life."""
        name = self._some(dice)[0]
        id_ = self._people.pop(name)
        await self._create()
        effects: dict[Register, Value] = {user_register(self._directory.id, name): None}
        await self._call("DELETE", f"/Users/{id_}", None, effects, everybody_of_person=name)

    async def _replace_group(self, _: random.Random) -> None:
        group, name = self._group
        await self._create_group()
        effects: dict[Register, Value] = {group_register(self._directory.id, name): None}
        await self._call("DELETE", f"/Groups/{group}", None, effects, ("member", self._directory.id, name))

    async def _create(self) -> None:
        name, title = f"p{next(self._numbers)}", f"title-{next(self._numbers)}"
        body = {"schemas": [_USER], "userName": name, "title": title, "active": True}
        made = await self._call("POST", "/Users", body, {user_register(self._directory.id, name): title})
        self._people[name] = made["id"]

    async def _create_group(self) -> None:
        name = f"crew-{next(self._numbers)}"
        body = {"schemas": [_GROUP], "displayName": name}
        made = await self._call("POST", "/Groups", body, {group_register(self._directory.id, name): True})
        self._group = (made["id"], name)

    def _some(self, dice: random.Random) -> list[str]:
        return dice.sample(sorted(self._people), dice.randint(1, 3))

    def _member(self, group: str, person: str) -> Register:
        return member_register(self._directory.id, group, person)

    async def _patch(self, path: str, operation: dict[str, Any], effects: dict[Register, Value]) -> None:
        await self._call("PATCH", path, {"schemas": [_PATCH], "Operations": [operation]}, effects)

    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        effects: dict[Register, Value],
        others: Register | None = None,
        *,
        everybody_of_person: str | None = None,
    ) -> dict[str, Any]:
        act = Act(effects, time.time(), others)
        if everybody_of_person is not None:
            # Whatever group the person is in, they leave it.
            act.effects = effects | {
                self._member(group, everybody_of_person): False for group in self._group_names()
            }
        self.acts.append(act)
        url = next(self._urls) + self._directory.path + path
        headers = {"Authorization": f"Bearer {self._directory.token}"}
        try:
            async with self._stage.session.request(method, url, json=body, headers=headers) as answer:
                text = await answer.read()
                act.ended = time.time()
                act.acknowledged = answer.status < 300
                act.refused = 400 <= answer.status < 500
                if answer.status >= 500 or answer.status in (400, 401, 403, 409, 429):
                    self.wrong.append(f"{method} {path}: {answer.status} {text[:300]!r}")
                return (await answer.json(content_type=None)) if text else {}
        except (aiohttp.ClientError, TimeoutError) as error:
            self.wrong.append(f"{method} {path}: {error!r}")
            return {}

    def _group_names(self) -> list[str]:
        """Return every group there has been; a person can be in none other."""
        return [register[2] for act in self.acts for register in act.effects if register[0] == "group"]


@scenario(
    "R11",
    "concurrent PATCH, PUT and DELETE of one group and its users, against a sequential model",
    gate="0 lost updates, 0 deadlock errors surfaced",
)
async def crowd(context: Context) -> Result:
    """Let clients collide on purpose, then look for one order that explains every answer and event."""
    steps = context.pick(short=12, full=500)
    async with rig(context) as stage:
        await stage.start_usual(workers=1)
        await stage.make_directories(1)
        clients = Crowd(stage, stage.directories[0])
        await clients.begin()
        dice = [random.Random(f"{context.seed}/{n}") for n in range(_CLIENTS)]
        await asyncio.gather(*(clients.run(steps, one) for one in dice))
        problems, evidence = await stage.judge()
        replay = Replay.of(evidence.log)
        problems += check(clients.acts, Timeline.of(replay))
        refused = sum(act.refused for act in clients.acts)
        return Result.judged(
            f"{len(clients.acts)} requests of {_CLIENTS} clients, {refused} refused as another was quicker, "
            f"{len(evidence.log)} events: {len(problems) + len(clients.wrong)} wrong",
            problems + clients.wrong,
            requests=len(clients.acts),
            refused=refused,
            events=len(evidence.log),
        )
