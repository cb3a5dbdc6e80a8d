"""Webhook receivers of a simulation, and the way to them: what the outbound client of each process sees.

A request arrives at a receiver or not, is processed or not, and is answered or not, each by itself: so there
are answers that were lost and timeouts after which all was done.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from zlib import crc32

from syncline.net.http import FailureKind, OutboundClient, OutboundFailure, OutboundResponse
from tests.reliability.simulation.processes import Process

TIMEOUT = 15.0
"""Seconds after which the real client gives up as a whole."""


class Mood(StrEnum):
    """How a receiver behaves for a while."""

    WELL = "well"
    SLOW = "slow"
    ERRORS = "errors"
    BUSY = "busy"
    HANGS = "hangs"
    REFUSES = "refuses"
    CUTS = "cuts"
    FLAKY = "flaky"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Spell:
    """A mood from one moment to another; `retry_after` is sent with busy answers."""

    mood: Mood
    begins: float
    ends: float
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Poison:
    """The share of events, by their id, that a receiver cannot take until a moment."""

    share: float = 0.0
    ends: float = 0.0


NO_POISON = Poison()


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one request. Seconds from its beginning; `status` None means that nobody answers."""

    arrives: float | None
    answers: float
    status: int | None
    processed: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    failure: FailureKind = FailureKind.TIMEOUT


@dataclass(slots=True)
class SimulatedReceiver:
    """One address with its moods; `random` is its own, so that receivers do not disturb each other."""

    url: str
    random: random.Random
    spells: Sequence[Spell] = ()
    poison: Poison = NO_POISON
    latency: float = 0.05

    def fate(self, now: float, event_id: str) -> Fate:
        """Decide what becomes of a request that is sent now."""
        chance = self.random
        arrives = chance.random() * 0.02
        answers = arrives + chance.random() * self.latency
        spell = self.spell(now)
        mood = spell.mood if spell else Mood.WELL
        if mood is Mood.FLAKY:
            mood = chance.choice([Mood.WELL, Mood.WELL, Mood.ERRORS, Mood.CUTS, Mood.REFUSES])
        if mood in (Mood.WELL, Mood.SLOW) and self._is_poisoned(now, event_id):
            mood = Mood.ERRORS
        match mood:
            case Mood.REFUSES:
                return Fate(None, arrives, None, False, failure=FailureKind.REFUSED)
            case Mood.CUTS:
                processed = chance.random() < 0.7
                return Fate(arrives, answers, None, processed, failure=FailureKind.CONNECTION)
            case Mood.HANGS:
                return Fate(arrives, TIMEOUT, None, chance.random() < 0.3)
            case Mood.ERRORS:
                return Fate(arrives, answers, chance.choice([500, 503, 404, 400, 301]), False)
            case Mood.BUSY:
                asked = spell.retry_after if spell else None
                headers = {} if asked is None else {"retry-after": asked}
                return Fate(arrives, answers, chance.choice([429, 429, 502, 504]), False, headers)
            case Mood.GONE:
                return Fate(arrives, answers, 410, False)
            case Mood.SLOW:
                answers = arrives + 1 + chance.random() * 12
        return Fate(arrives, answers, chance.choice([200, 200, 202, 204]), True)

    def spell(self, now: float) -> Spell | None:
        """Return the spell that is on, the one that began last if there are several."""
        current = [spell for spell in self.spells if spell.begins <= now < spell.ends]
        return max(current, key=lambda spell: spell.begins, default=None)

    def _is_poisoned(self, now: float, event_id: str) -> bool:
        return now < self.poison.ends and crc32(event_id.encode()) % 1_000 < self.poison.share * 1_000


@dataclass(frozen=True, slots=True)
class Request:
    """One request on its way: who signed it at which moment, and what becomes of it.

    Moments are right ones; `skew` is how far ahead the clock of the process was when it signed.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    signed: float
    skew: float
    process: Process
    fate: Fate


class Network:
    """Carries requests to the receivers and shows them to whoever watches."""

    def __init__(self) -> None:
        self.receivers: dict[str, SimulatedReceiver] = {}
        self.on_sent: Callable[[Request], None] = _ignore
        self.on_arrival: Callable[[Request], None] = _ignore
        self.on_answer: Callable[[Request], None] = _ignore
        self._context = Context()

    async def post(
        self, process: Process, url: str, body: bytes, headers: Mapping[str, str]
    ) -> OutboundResponse:
        """Carry one request. Raises `OutboundFailure` where no answer comes back."""
        loop = asyncio.get_running_loop()
        # A process may stand still, and its clock may be set, between here and the receiver.
        signed, skew = loop.time(), process.skew
        await process.pass_gate()
        begun = loop.time()
        fate = self.receivers[url].fate(begun, headers["webhook-id"])
        request = Request(url, dict(headers), body, signed, skew, process, fate)
        self.on_sent(request)
        if fate.arrives is not None:
            # The receiver goes on whatever becomes of the sender.
            loop.call_later(fate.arrives, self.on_arrival, request, context=self._context)
        await asyncio.sleep(min(fate.answers, TIMEOUT))
        await process.pass_gate()
        took = loop.time() - begun
        self.on_answer(request)
        if fate.status is None:
            raise OutboundFailure(fate.failure, "No answer came.", took)
        return OutboundResponse(fate.status, fate.headers, "", took)


class ProcessOutbound(OutboundClient):
    """The outbound client of one process."""

    def __init__(self, network: Network, process: Process) -> None:
        # Nothing of the real client is made: it would want sockets.
        self._network = network
        self._process = process

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> OutboundResponse:
        """See `OutboundClient.post`."""
        return await self._network.post(self._process, url, body, headers)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return a public address for every name."""
        return ["93.184.215.14"]

    async def close(self) -> None:
        """Close nothing."""


def _ignore(_: Any) -> None:
    """Do nothing."""
