"""What the running product shows: the whole log, tails that follow it, directories over REST and SCIM."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import msgspec

from tests.reliability.oracle import DirectoryShown, LogEntry, Subscription

_PAGE = 100
_STILL = 4
_LOST = (aiohttp.ClientError, TimeoutError, OSError)


class _Metadata(msgspec.Struct):
    after: str | None = None
    cursor: str | None = None


class _Page(msgspec.Struct):
    data: list[msgspec.Raw]
    list_metadata: _Metadata


_decode_page = msgspec.json.Decoder(_Page).decode


class Unanswered(Exception):
    """A read was not answered with 200; `status` is None if there was no answer."""

    def __init__(self, status: int | None, text: str) -> None:
        super().__init__(f"{status}: {text[:300]}")
        self.status = status


class Reader:
    """Reads with an API key from one of the addresses that answer; None of its calls changes anything."""

    def __init__(self, session: aiohttp.ClientSession, urls: Sequence[str], api_key: str) -> None:
        self._session = session
        self._urls = list(urls)
        self._headers = {"Authorization": f"Bearer {api_key}"}

    async def get(self, path: str, params: dict[str, str] | None = None) -> bytes:
        """Return the body of a 200; tries each address once. Raises `Unanswered`."""
        problem = Unanswered(None, "no address")
        for url in list(self._urls):
            try:
                async with self._session.get(url + path, params=params, headers=self._headers) as answer:
                    body = await answer.read()
                    if answer.status == 200:
                        return body
                    problem = Unanswered(answer.status, body.decode(errors="replace"))
            except _LOST as error:
                problem = Unanswered(None, repr(error))
            self._urls.append(self._urls.pop(0))
        raise problem

    async def page(self, after: str | None, types: Sequence[str] = ()) -> tuple[list[LogEntry], _Metadata]:
        """Return one page of events."""
        params = {"limit": str(_PAGE)} | ({"after": after} if after else {})
        if types:
            params["events"] = ",".join(types)
        page = _decode_page(await self.get("/events", params))
        entries = [LogEntry.of(msgspec.json.decode(raw), bytes(raw)) for raw in page.data]
        return entries, page.list_metadata

    async def log(self) -> list[LogEntry]:
        """Return the whole log."""
        found: list[LogEntry] = []
        after: str | None = None
        while True:
            entries, metadata = await self.page(after)
            found += entries
            after = metadata.after
            if after is None:
                return found

    async def still_log(self) -> list[LogEntry]:
        """Return the whole log once nothing comes any more, as after a start that had something to seal."""
        log, same = await self.log(), 0
        while same < _STILL:
            await asyncio.sleep(0.15)
            again = await self.log()
            same = same + 1 if len(again) == len(log) else 0
            log = again
        return log

    async def objects(self, path: str, directory_id: str, **more: str) -> list[dict[str, Any]]:
        """Return every object of a list of the REST API."""
        found: list[dict[str, Any]] = []
        params = {"directory": directory_id, "limit": str(_PAGE)} | more
        while True:
            page = msgspec.json.decode(await self.get(path, params))
            found += page["data"]
            after = page["list_metadata"]["after"]
            if after is None:
                return found
            params = params | {"after": after}


class Tail:
    """Follows the log from the beginning while others write, as an application does."""

    def __init__(self, reader: Reader, filtered: Subscription, *, every: float = 0.02) -> None:
        self._reader = reader
        self._filter = filtered
        self._every = every
        self._cursor: str | None = None
        self.seen: list[LogEntry] = []
        self.failures = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until `stop` is set; what is not answered is asked again."""
        while not stop.is_set():
            try:
                more = await self.step()
            except Unanswered as problem:
                if problem.status is not None and 400 <= problem.status < 500:
                    raise
                self.failures += 1
                more = False
            await asyncio.sleep(0 if more else self._every)

    async def finish(self) -> None:
        """Read on to the head."""
        while await self.step():
            pass

    async def step(self) -> bool:
        """Read one page and tell whether there was more of it."""
        entries, metadata = await self._reader.page(self._cursor, sorted(self._filter.types))
        self.seen += entries
        self._cursor = metadata.cursor or self._cursor
        return metadata.after is not None

    @property
    def evidence(self) -> tuple[list[LogEntry], Subscription]:
        """What the oracle compares."""
        return self.seen, self._filter


async def show(
    reader: Reader, session: aiohttp.ClientSession, directory_id: str, scim: str, token: str
) -> DirectoryShown:
    """Read a directory whole, over REST and over SCIM."""
    users, members = {}, defaultdict(set)
    for user in await reader.objects("/directory_users", directory_id):
        for group in user.pop("groups"):
            members[group["id"]].add(user["id"])
        users[user["id"]] = user
    groups = {group["id"]: group for group in await reader.objects("/directory_groups", directory_id)}
    headers = {"Authorization": f"Bearer {token}"}
    people: dict[str, Any] = {}
    names: dict[str, str] = {}
    for resource in await _resources(session, f"{scim}/Users", headers):
        if resource["active"]:
            people[resource["userName"]] = resource.get("title")
            names[resource["id"]] = resource["userName"]
    listed = await _resources(session, f"{scim}/Groups", headers)
    held = {
        group["displayName"]: {
            names[one["value"]] for one in group.get("members", []) if one["value"] in names
        }
        for group in listed
    }
    return DirectoryShown(users, groups, members, people, held)


async def _resources(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        params = {"startIndex": str(len(found) + 1), "count": str(_PAGE)}
        async with session.get(url, params=params, headers=headers) as answer:
            body = await answer.read()
            if answer.status != 200:
                raise Unanswered(answer.status, body.decode(errors="replace"))
        page = msgspec.json.decode(body)
        found += page.get("Resources", [])
        if len(found) >= page["totalResults"] or not page.get("Resources"):
            return found


async def until(predicate: Callable[[], bool], deadline: float) -> bool:
    """Wait until something is so, and tell whether it came true in time."""
    ends = asyncio.get_running_loop().time() + deadline
    while not predicate():
        if asyncio.get_running_loop().time() > ends:
            return False
        await asyncio.sleep(0.02)
    return True
