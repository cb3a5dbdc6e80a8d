"""Is this webhook receiver safe? Plays at it what happens in production on a bad day, and reports.

report = await check("http://localhost:9000/hooks", "whsec_…", state=what_my_application_knows)
assert report.passed, report.text()
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp

from syncline.core.signing import SECRET_PREFIX
from syncline.testing.consumer_checks import CHECKS, Check, Scene
from syncline.testing.consumer_play import AskState, Found, Player, StateUnreadable
from syncline.testing.consumer_story import Numbers, system_clock

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
NAMES = tuple(one.name for one in CHECKS)


@dataclass(frozen=True, slots=True)
class Result:
    """How one check ended: sentences about what is unsafe and how to mend it, and what was not played."""

    name: str
    title: str
    outcome: str
    problem: str = ""
    remedy: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """How all checks ended. `compared` says whether the receiver's state was looked at, or answers alone."""

    results: Sequence[Result]
    compared: bool

    @property
    def passed(self) -> bool:
        """Whether nothing unsafe was found."""
        return not self.failures

    @property
    def failures(self) -> Sequence[str]:
        """The names of the checks that failed."""
        return [result.name for result in self.results if result.outcome == FAILED]

    def text(self) -> str:
        """Return the report for people."""
        return "\n".join(line for result in self.results for line in lines_of(result))

    def document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        fields = ("name", "title", "outcome", "problem", "remedy", "note")
        checks = [{name: getattr(result, name) for name in fields} for result in self.results]
        return {"passed": self.passed, "compared": self.compared, "checks": checks}


@dataclass(frozen=True, slots=True)
class Options:
    """What may be different for a receiver; durations in seconds.

    `new_secret`: the next secret, which the receiver knows beside the first one. `restart`: starts the
    receiver again. `settle`: how long its state may take to show what was delivered. `patience`: how slow an
    answer may be. `only`: the names of the checks wanted, all if empty; those they need are played as well.
    """

    new_secret: str | None = None
    restart: Callable[[], Awaitable[None]] | None = None
    timeout: float = 15.0
    settle: float = 5.0
    patience: float = 5.0
    only: Collection[str] = ()
    clock: Callable[[], datetime] = field(default=system_clock)
    on_result: Callable[[Result], None] = field(default=lambda _: None)
    on_sent: Callable[[int], None] = field(default=lambda _: None)


async def check(
    url: str, secret: str, *, state: AskState | str | None = None, options: Options | None = None
) -> Report:
    """Play every check at a receiver and return the report.

    `state` is a function, or an address that answers GET, that returns what the receiver knows after what it
    was sent: `{"users": [{"id": …, "email": …}], "memberships": [{"group_id": …, "user_id": …}], "groups":
    [{"id": …, "name": …}]}`; `groups` and attributes of people may be left out. Without it only the answers
    are judged. Raises `ValueError` for a secret that is none or a check that does not exist, and
    `StateUnreadable`.
    """
    chosen = options or Options()
    wanted = _wanted(chosen.only)
    for text in (secret, chosen.new_secret or secret):
        if not text.startswith(SECRET_PREFIX):
            raise ValueError(f"A webhook secret begins with {SECRET_PREFIX}.")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        player = Player(
            url=url,
            secret=secret,
            session=session,
            clock=chosen.clock,
            timeout=chosen.timeout,
            settle=chosen.settle,
            state=_asking(session, state) if isinstance(state, str) else state,
            on_sent=chosen.on_sent,
        )
        numbers, results = Numbers(chosen.clock), dict[str, Result]()
        for one in wanted:
            results[one.name] = await _play(
                one, results, Scene(player, numbers, chosen.restart, chosen.new_secret, chosen.patience)
            )
            chosen.on_result(results[one.name])
    return Report(list(results.values()), state is not None)


def lines_of(result: Result) -> list[str]:
    """Return what is to be said about one check."""
    mark = {PASSED: "ok  ", FAILED: "FAIL", SKIPPED: "skip"}[result.outcome]
    lines = [f"{mark}  {result.name}: {result.title}"]
    return lines + [f"      {text}" for text in (result.problem, result.remedy, result.note) if text]


async def _play(one: Check, before: dict[str, Result], scene: Scene) -> Result:
    failed = [name for name in one.needs if name in before and before[name].outcome != PASSED]
    if failed:
        return Result(one.name, one.title, SKIPPED, note=f"Means nothing until {failed[0]} passes.")
    try:
        await one.play(scene)
    except Found as found:
        return Result(one.name, one.title, FAILED, found.problem, found.remedy, " ".join(scene.notes))
    return Result(one.name, one.title, PASSED, note=" ".join(scene.notes))


def _wanted(only: Collection[str]) -> list[Check]:
    unknown = sorted(set(only) - set(NAMES))
    if unknown:
        raise ValueError(f"There is no check '{unknown[0]}'; there are {', '.join(NAMES)}.")
    names = set(only or NAMES)
    names |= {needed for one in CHECKS if one.name in names for needed in one.needs}
    return [one for one in CHECKS if one.name in names]


def _asking(session: aiohttp.ClientSession, url: str) -> AskState:
    async def ask() -> dict[str, Any]:
        try:
            async with session.get(url) as response:
                if response.status != 200:
                    raise StateUnreadable(f"The address of the state answered {response.status}.")
                shown = json.loads(await response.read())
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise StateUnreadable(f"The state cannot be read ({type(error).__name__}).") from error
        if not isinstance(shown, dict):
            raise StateUnreadable("The state is no JSON object.")
        return shown

    return ask


__all__ = ["FAILED", "NAMES", "PASSED", "SKIPPED", "Options", "Report", "Result", "check", "lines_of"]
