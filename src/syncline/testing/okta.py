"""A simulated Okta: provisions people and groups over real HTTP in the order and shapes that Okta uses."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import aiohttp

from syncline.testing.people import GROUPS, TITLES, Person, members_of, people

_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_RETRIED = (429, 500, 502, 503, 504)


class SimulatedOkta:
    """Pushes to one SCIM address; an answer that is lost or 503 is tried again, as the original does."""

    def __init__(self, session: aiohttp.ClientSession, address: str, token: str) -> None:
        self._session = session
        self._address = address.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": "Okta SCIM Client 1.0.0"}
        self.ids: dict[str, str] = {}
        self.groups: dict[str, str] = {}

    async def connect(self) -> None:
        """Make the two probes of *Test connector configuration*."""
        await self._call("GET", "/Users?startIndex=1&count=2")
        await self._call("GET", "/Groups?startIndex=1&count=100")

    async def provision(self) -> None:
        """Create everybody and push the groups, skipping what is there."""
        for person in people():
            await self.assign(person)
        for group in GROUPS:
            await self.push_group(group, [person.user_name for person in members_of(group)])

    async def assign(self, person: Person) -> str:
        """Look a person up by userName, then create or reactivate; return the SCIM id."""
        query = quote(f'userName eq "{person.user_name}"')
        found = await self._call("GET", f"/Users?filter={query}&startIndex=1&count=100")
        if found["totalResults"]:
            id_ = str(found["Resources"][0]["id"])
            if not found["Resources"][0]["active"]:
                await self.set_active(person, True, id_)
        else:
            id_ = str((await self._call("POST", "/Users", _body(person)))["id"])
        self.ids[person.user_name] = id_
        return id_

    async def change_title(self, person: Person, title: str) -> None:
        """Replace the whole profile, as a changed attribute makes Okta do."""
        id_ = self.ids[person.user_name]
        current = await self._call("GET", f"/Users/{id_}")
        current["title"] = title
        await self._call("PUT", f"/Users/{id_}", current)

    async def set_active(self, person: Person, active: bool, id_: str | None = None) -> None:
        """Suspend or reactivate a person."""
        body = {"schemas": [_PATCH], "Operations": [{"op": "replace", "value": {"active": active}}]}
        await self._call("PATCH", f"/Users/{id_ or self.ids[person.user_name]}", body)

    async def push_group(self, name: str, user_names: list[str]) -> None:
        """Create a group with its members, or replace the members of the one that is there."""
        query = quote(f'displayName eq "{name}"')
        found = await self._call("GET", f"/Groups?filter={query}&startIndex=1&count=100")
        members = [{"value": self.ids[user_name], "display": user_name} for user_name in user_names]
        if found["totalResults"]:
            id_ = str(found["Resources"][0]["id"])
            value = [{"op": "replace", "path": "members", "value": members}]
            await self._call("PATCH", f"/Groups/{id_}", {"schemas": [_PATCH], "Operations": value})
        else:
            body = {"schemas": [_GROUP], "displayName": name, "members": members}
            id_ = str((await self._call("POST", "/Groups", body))["id"])
        self.groups[name] = id_

    async def change_membership(self, group: str, person: Person, *, add: bool) -> None:
        """Put one person into a group or take them out."""
        id_ = self.ids[person.user_name]
        operation: dict[str, Any] = {"op": "add", "path": "members", "value": [{"value": id_}]}
        if not add:
            operation = {"op": "remove", "path": f'members[value eq "{id_}"]'}
        body = {"schemas": [_PATCH], "Operations": [operation]}
        await self._call("PATCH", f"/Groups/{self.groups[group]}", body)

    async def live(self, stop: asyncio.Event, every: float) -> None:
        """Change somebody every few seconds until stopped."""
        everybody = people()
        step = 0
        while not stop.is_set():
            person = everybody[step * 7 % len(everybody)]
            match step % 4:
                case 0:
                    await self.change_title(person, TITLES[(person.number + step // 4 + 1) % len(TITLES)])
                case 1:
                    await self.change_membership(GROUPS[0], person, add=step % 8 < 4)
                case 2:
                    await self.set_active(person, False)
                case _:
                    await self.set_active(everybody[(step - 1) * 7 % len(everybody)], True)
            step += 1
            try:
                await asyncio.wait_for(stop.wait(), every)
            except TimeoutError:
                continue

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        for attempt in range(60):
            if attempt and method == "POST" and path == "/Groups":
                # Groups have no name of their own, so a repeated creation would make a second one.
                made = await self._existing(path, body or {})
                if made is not None:
                    return made
            try:
                async with self._session.request(
                    method, self._address + path, json=body, headers=self._headers
                ) as answer:
                    text = await answer.text()
                    if answer.status == 409 and method == "POST" and attempt:
                        # The first try was carried out and its answer was lost.
                        return await self._existing(path, body or {}) or {}
                    if answer.status not in _RETRIED:
                        if answer.status >= 400:
                            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
                        return dict(await answer.json(content_type=None)) if text else {}
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError):
                pass  # no answer, or one cut off in the middle
            await asyncio.sleep(min(0.1 * 2**attempt, 1.0))
        raise RuntimeError(f"{method} {path}: no answer")

    async def _existing(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        name = "userName" if path == "/Users" else "displayName"
        wanted = quote(f'{name} eq "{body[name]}"')
        found = await self._call("GET", f"{path}?filter={wanted}")
        return dict(found["Resources"][0]) if found["Resources"] else None


def _body(person: Person) -> dict[str, Any]:
    return {
        "schemas": [_USER],
        "userName": person.user_name,
        "name": {"givenName": person.given_name, "familyName": person.family_name},
        "emails": [{"primary": True, "value": person.user_name, "type": "work"}],
        "displayName": f"{person.given_name} {person.family_name}",
        "title": person.title,
        "locale": "en-US",
        "externalId": person.external_id,
        "groups": [],
        "active": True,
    }
