"""Sends events to a receiver as the dispatcher does, or deliberately not quite as it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp

from syncline import __version__
from syncline.core.signing import WORKOS_HEADER, standard_headers, workos_signature
from syncline.testing.consumer_story import Expected, Told

Shown = Mapping[str, Any]
"""What a receiver shows: `users`, `memberships` and, if it keeps them, `groups`, each a list of objects."""
AskState = Callable[[], "Awaitable[Shown] | Shown"]


class Found(Exception):
    """A check has found something unsafe: `problem` says what, `remedy` how to mend it."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


class StateUnreadable(Exception):
    """What shows the receiver's state does not, or in another form than is asked for."""


@dataclass(frozen=True, slots=True)
class Signed:
    """How a request is signed: with which secrets, when, and what is altered afterwards."""

    # The newest first, as in `webhook-signature`.
    secrets: Sequence[str]
    # The one that makes `WorkOS-Signature`.
    workos: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status, or None and a sentence if there was no answer."""

    status: int | None
    seconds: float
    trouble: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the event counts as delivered."""
        return self.status is not None and 200 <= self.status <= 299

    @property
    def is_refusal(self) -> bool:
        """Whether the receiver has refused the request as the sender's fault."""
        return self.status is not None and 400 <= self.status <= 499

    def __str__(self) -> str:
        return f"answered {self.status}" if self.status is not None else self.trouble


@dataclass(slots=True)
class Player:
    """One receiver under test: where it is, its secrets, and how long to wait for it."""

    url: str
    secret: str
    session: aiohttp.ClientSession
    clock: Callable[[], datetime]
    timeout: float
    settle: float
    state: AskState | None
    slowest: float = 0.0
    sent: int = 0
    on_sent: Callable[[int], None] = field(default=lambda _: None)

    def signed(self, at: datetime | None = None) -> Signed:
        """Return the usual signature."""
        return Signed((self.secret,), self.secret, at)

    async def send(
        self,
        told: Told,
        *,
        attempt: int = 1,
        signed: Signed | None = None,
        body: bytes | None = None,
        without_signature: bool = False,
        hang_up: bool = False,
    ) -> Answer:
        """Post an event. `body` replaces the bytes after signing; `hang_up` does not wait for the answer."""
        headers = {
            "Content-Type": "application/json",
            "Syncline-Event-Id": told.id,
            "Syncline-Attempt": str(attempt),
            "User-Agent": f"Syncline/{__version__}",
            "Accept-Encoding": "identity",
        }
        if not without_signature:
            headers |= self._signature(told, signed or self.signed())
        time = asyncio.get_running_loop().time
        begun = time()
        limit = 0.05 if hang_up else self.timeout
        try:
            async with self.session.post(
                self.url,
                data=told.body if body is None else body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=limit),
            ) as response:
                await response.content.read(16_384)
                answer = Answer(response.status, time() - begun)
        except TimeoutError:
            answer = Answer(None, time() - begun, f"did not answer within {self.timeout:g} seconds")
        except (aiohttp.ClientError, OSError) as error:
            answer = Answer(None, time() - begun, f"could not be reached ({type(error).__name__})")
        self.sent += 1
        self.on_sent(self.sent)
        if not hang_up:
            self.slowest = max(self.slowest, answer.seconds)
        return answer

    async def deliver(
        self, events: Iterable[Told], remedy: str, *, attempt: int = 1, signed: Signed | None = None
    ) -> None:
        """Post events one after the other; raises `Found` for the first that is not answered with 2xx."""
        for told in events:
            answer = await self.send(told, attempt=attempt, signed=signed)
            if not answer.is_good:
                raise Found(f"The receiver {answer} to {told.type} ({told.id}), which is not 2xx.", remedy)

    async def compare(self, expected: Sequence[Expected], remedy: str) -> None:
        """Wait until the receiver shows what it must.

        Raises `Found` with the first difference if it never does, and `StateUnreadable`.
        """
        if self.state is None:
            return
        ends = asyncio.get_running_loop().time() + self.settle
        while True:
            difference = _difference(await self._shown(), expected)
            if difference is None:
                return
            if asyncio.get_running_loop().time() > ends:
                raise Found(difference, remedy)
            await asyncio.sleep(0.02)

    async def _shown(self) -> Shown:
        assert self.state is not None
        answer = self.state()
        shown = await answer if isinstance(answer, Awaitable) else answer
        for key in ("users", "memberships", "groups"):
            if not isinstance(shown.get(key, [] if key == "groups" else None), list):
                raise StateUnreadable(f"The state has no list '{key}'.")
        return shown

    def _signature(self, told: Told, signed: Signed) -> dict[str, str]:
        ms = int((signed.at or self.clock()).timestamp() * 1000)
        headers = standard_headers(signed.secrets, told.id, ms // 1000, told.body)
        return headers | {WORKOS_HEADER: workos_signature(signed.workos, ms, told.body)}


def _difference(shown: Shown, expected: Sequence[Expected]) -> str | None:
    """Return a sentence about the first thing that is not as it must be."""
    for one in expected:
        for found in (_people(shown, one), _groups(shown, one), _memberships(shown, one)):
            if found is not None:
                return found
    return None


def _people(shown: Shown, expected: Expected) -> str | None:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for user in shown["users"]:
        found.setdefault(str(user.get("id")), []).append(user)
    for id_, attributes in expected.users.items():
        entries = found.get(id_, [])
        who = attributes["name"]
        if not entries:
            return f"{who} ({id_}) must be there and is not."
        if len(entries) > 1:
            return f"{who} ({id_}) is there {len(entries)} times."
        for name, value in attributes.items():
            if name in entries[0] and entries[0][name] != value:
                return f"The {name} of {who} ({id_}) is {entries[0][name]!r} and must be {value!r}."
    extra = sorted(expected.gone & found.keys())
    return f"{extra[0]} has left and is still there." if extra else None


def _groups(shown: Shown, expected: Expected) -> str | None:
    if "groups" not in shown:
        return None
    names = [(str(group.get("id")), group.get("name")) for group in shown["groups"]]
    for id_, name in expected.groups.items():
        found = [given for known, given in names if known == id_]
        if found != [name]:
            return f"The group {name} ({id_}) must be there once under this name; there is: {found!r}."
    extra = sorted(expected.gone_groups & {id_ for id_, _ in names})
    return f"The group {extra[0]} is gone and is still there." if extra else None


def _memberships(shown: Shown, expected: Expected) -> str | None:
    ours = expected.users.keys() | expected.gone
    pairs = [(str(one.get("group_id")), str(one.get("user_id"))) for one in shown["memberships"]]
    found = [pair for pair in pairs if pair[1] in ours]
    for pair in sorted(expected.memberships):
        if found.count(pair) != 1:
            return f"{pair[1]} must be a member of {pair[0]} once, and is {found.count(pair)} times."
    extra = sorted(set(found) - expected.memberships)
    return f"{extra[0][1]} is a member of {extra[0][0]} and must not be." if extra else None
