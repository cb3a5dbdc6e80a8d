"""A provider's traffic on purpose hard to get right: many actors, retries, each request journaled first.

Each actor owns some people of a directory and puts them in and out of its own group and of one that all
actors of the directory share. It repeats a request until it is acknowledged, as providers do, so at the end
every outcome is known; in between an attempt without an answer stays unknown.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.reliability.journals import Effects, Outcome, Requests
from tests.reliability.replay import group_register, member_register, user_register

_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_SHARED = "everybody"
_PAUSE, _LONGEST_PAUSE = 0.02, 0.3


@dataclass(frozen=True, slots=True)
class Directory:
    """Where a provider pushes to: the SCIM path, which is the same on every address, and the token."""

    id: str
    path: str
    token: str


@dataclass(slots=True)
class Tally:
    """What happened to the requests of a load: attempts, acknowledged operations, failures by kind."""

    attempts: int = 0
    acknowledged: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0


class Pushing:
    """Sends the requests of one provider; shared by the actors of a load."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        urls: Sequence[str],
        requests: Requests,
        *,
        give_up: float = 60.0,
    ) -> None:
        self.tally = Tally()
        self._session = session
        self._urls = list(urls)
        self._requests = requests
        self._give_up = give_up

    async def read(self, directory: Directory, path: str, params: dict[str, str]) -> dict[str, Any]:
        """Read something, again and again until it is answered with 200."""
        return (await self._insist(directory, "GET", path, None, (), params=params, fine=()))[1]

    async def write(
        self,
        directory: Directory,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        effects: Effects,
        *,
        repeated: Sequence[int] = (),
    ) -> tuple[int, dict[str, Any]]:
        """Change something until it is acknowledged; return the status and the body.

        `repeated` are statuses that say, at a second attempt, that an earlier one was carried out.
        """
        answer = await self._insist(directory, method, path, body, effects, fine=repeated)
        self.tally.acknowledged += 1
        return answer

    async def _insist(
        self,
        directory: Directory,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        effects: Effects,
        *,
        fine: Sequence[int],
        params: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        time = asyncio.get_running_loop().time
        begun, pause, maybe_done = time(), _PAUSE, False
        while True:
            sent = time()
            asked = self._requests.begin(effects) if effects else None
            status, answer = await self._once(directory, method, path, body, params)
            self.tally.slowest = max(self.tally.slowest, time() - sent)
            done = status is not None and (200 <= status < 300 or (maybe_done and status in fine))
            if status is not None and done:
                if asked is not None:
                    self._requests.end(asked, Outcome.ACKNOWLEDGED)
                return status, answer
            if status is None and answer.get("refused"):
                # Nobody listened, so nothing can have happened.
                if asked is not None:
                    self._requests.end(asked, Outcome.REFUSED)
            elif status is not None and status < 500:
                if asked is not None:
                    self._requests.end(asked, Outcome.REFUSED)
                raise RuntimeError(f"{method} {path}: {status} {answer}")
            else:
                maybe_done = True
            if time() - begun > self._give_up:
                raise RuntimeError(f"{method} {path}: not acknowledged in {self._give_up:.0f} s: {status}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _once(
        self,
        directory: Directory,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        params: dict[str, str] | None,
    ) -> tuple[int | None, dict[str, Any]]:
        """Make one attempt; the status is None if there was no whole answer."""
        self.tally.attempts += 1
        url = self._urls[0]
        try:
            async with self._session.request(
                method,
                url + directory.path + path,
                json=body,
                params=params,
                headers={"Authorization": f"Bearer {directory.token}"},
            ) as answer:
                text = await answer.read()
                if answer.status >= 500:
                    self._failed(f"status {answer.status}")
                    if answer.status not in (503, 507):
                        self.tally.wrong.append(f"{method} {path}: {answer.status} {text[:300]!r}")
                    elif "Retry-After" not in answer.headers:
                        self.tally.wrong.append(f"{method} {path}: {answer.status} without Retry-After")
                return answer.status, (await answer.json(content_type=None)) if text else {}
        except aiohttp.ClientConnectorError:
            self._failed("refused")
            return None, {"refused": True}
        except TimeoutError:
            self._failed("timeout")
        except (aiohttp.ClientError, OSError) as error:
            self._failed(f"broken ({type(error).__name__})")
        return None, {}

    def _failed(self, kind: str) -> None:
        self.tally.failures[kind] += 1
        self._urls.append(self._urls.pop(0))


@dataclass(slots=True)
class _Person:
    name: str
    id: str
    title: str
    active: bool = True
    groups: set[str] = field(default_factory=set)


class Actor:
    """Changes its own people at random, one request after the other."""

    def __init__(
        self, pushing: Pushing, directory: Directory, number: int, seed: str, *, people: int = 6
    ) -> None:
        self._pushing = pushing
        self._directory = directory
        self._number = number
        self._random = random.Random(f"{seed}/{number}")
        self._names = [f"a{number}-p{n}@northwind.example" for n in range(people)]
        self._people: dict[str, _Person] = {}
        self._groups: dict[str, str] = {}
        self._titles = 0

    async def run(self, stop: asyncio.Event, *, steps: int | None = None, pause: float = 0) -> None:
        """Go on until `stop` is set or so many steps were made, with a pause of seconds after each."""
        done = 0
        while not stop.is_set() and (steps is None or done < steps):
            await self.step()
            await asyncio.sleep(pause)
            done += 1

    async def begin(self) -> None:
        """Make the actor's own group and find or make the shared one; nothing may be broken meanwhile."""
        own = f"crew-{self._number}"
        self._groups[own] = await self._group(own)
        self._groups[_SHARED] = await self._shared()

    async def step(self) -> None:
        """Change one person."""
        name = self._random.choice(self._names)
        person = self._people.get(name)
        if person is None:
            await self._create(name)
            return
        if not person.active:
            await self._set_active(person, True)
            return
        doing = self._random.choices(
            (self._retitle, self._join_or_leave, self._suspend, self._delete), (5, 6, 1, 1)
        )[0]
        await doing(person)

    async def _create(self, name: str) -> None:
        title = self._title()
        body = {"schemas": [_USER], "userName": name, "title": title, "active": True}
        effects = [(user_register(self._directory.id, name), title)]
        status, made = await self._pushing.write(
            self._directory, "POST", "/Users", body, effects, repeated=[409]
        )
        if status == 409:
            made = await self._found("/Users", f'userName eq "{name}"')
        self._people[name] = _Person(name, made["id"], title)

    async def _retitle(self, person: _Person) -> None:
        title = self._title()
        effects = [(user_register(self._directory.id, person.name), title)]
        path = f"/Users/{person.id}"
        if self._random.random() < 0.5:
            whole = {"schemas": [_USER], "userName": person.name, "title": title, "active": True}
            await self._pushing.write(self._directory, "PUT", path, whole, effects)
        else:
            await self._patch(path, {"op": "replace", "path": "title", "value": title}, effects)
        person.title = title

    async def _join_or_leave(self, person: _Person) -> None:
        group = self._random.choice(list(self._groups))
        joins = group not in person.groups
        effects = [(member_register(self._directory.id, group, person.name), joins)]
        operation: dict[str, Any] = {"op": "add", "path": "members", "value": [{"value": person.id}]}
        if not joins:
            operation = {"op": "remove", "path": f'members[value eq "{person.id}"]'}
        await self._patch(f"/Groups/{self._groups[group]}", operation, effects)
        (person.groups.add if joins else person.groups.discard)(group)

    async def _suspend(self, person: _Person) -> None:
        await self._set_active(person, False)

    async def _set_active(self, person: _Person, active: bool) -> None:
        held = [(member_register(self._directory.id, group, person.name), active) for group in person.groups]
        effects = [
            (user_register(self._directory.id, person.name), person.title if active else None),
            *held,
        ]
        await self._patch(f"/Users/{person.id}", {"op": "replace", "value": {"active": active}}, effects)
        person.active = active

    async def _delete(self, person: _Person) -> None:
        effects = [
            (user_register(self._directory.id, person.name), None),
            *((member_register(self._directory.id, group, person.name), False) for group in person.groups),
        ]
        await self._pushing.write(
            self._directory, "DELETE", f"/Users/{person.id}", None, effects, repeated=[404]
        )
        del self._people[person.name]

    async def _patch(self, path: str, operation: dict[str, Any], effects: Effects) -> None:
        body = {"schemas": [_PATCH], "Operations": [operation]}
        await self._pushing.write(self._directory, "PATCH", path, body, effects)

    async def _group(self, name: str) -> str:
        """Make a group. Names of groups are not unique, so this must not be repeated."""
        register = group_register(self._directory.id, name)
        body = {"schemas": [_GROUP], "displayName": name}
        _, made = await self._pushing.write(self._directory, "POST", "/Groups", body, [(register, True)])
        return str(made["id"])

    async def _shared(self) -> str:
        if self._number == 0:
            return await self._group(_SHARED)
        while True:
            found = await self._pushing.read(
                self._directory, "/Groups", {"filter": f'displayName eq "{_SHARED}"'}
            )
            if found["totalResults"]:
                return str(found["Resources"][0]["id"])
            await asyncio.sleep(_PAUSE)

    async def _found(self, path: str, query: str) -> dict[str, Any]:
        found = await self._pushing.read(self._directory, path, {"filter": query})
        return dict(found["Resources"][0])

    def _title(self) -> str:
        self._titles += 1
        return f"a{self._number}-t{self._titles}"
