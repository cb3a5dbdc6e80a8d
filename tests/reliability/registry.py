"""Every reliability scenario by its number, and what one gets and returns.

A module below `tests/reliability/scenarios/` or `tests/reliability/simulation/` registers its scenarios:

    @scenario("R9", "12 writers, three tails", gate="skipped 0, relist = tail, 0 inversions")
    async def run(context: Context) -> Result: ...

The function may be plain or a coroutine function; a plain one may run event loops of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
import re
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from tests.support.databases import ENGINE_KINDS, EngineKind

PROCESSES = "tests.reliability.scenarios"
SIMULATION = "tests.reliability.simulation"
_SHOWN = 20
_WORDS = 2000

Figure: TypeAlias = int | float | str | bool


class Size(StrEnum):
    """`short` proves the same with less and belongs to continuous integration; `full` is the gate."""

    SHORT = "short"
    FULL = "full"


class Verdict(StrEnum):
    """What became of a scenario."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Context:
    """What a scenario may use.

    `database_url` names an empty database (no tables) of the engine; `folder` is the scenario's own and
    removed afterwards. `postgres_folder` holds a private server that the scenario may restart or stop, None
    where the engine is another one or the server belongs to somebody else.
    """

    engine: EngineKind
    size: Size
    folder: Path
    database_url: str
    seed: int = 1
    seconds: float | None = None
    postgres_folder: Path | None = None

    @property
    def is_short(self) -> bool:
        """Tell whether the short form is wanted, in which gates on time are measured and not judged."""
        return self.size is Size.SHORT

    def pick(self, *, short: int, full: int) -> int:
        """Return the number that belongs to the size of this run."""
        return short if self.is_short else full


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict, one line that says what was measured, the figures, and what was wrong."""

    verdict: Verdict
    measured: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    problems: Sequence[str] = ()

    @classmethod
    def judged(cls, measured: str, problems: Sequence[str], **figures: Figure) -> Result:
        """Passed if there are no problems; many problems are cut to the first ones and counted."""
        shown = list(problems[:_SHOWN])
        if len(problems) > _SHOWN:
            shown.append(f"… and {len(problems) - _SHOWN} more")
        return cls(Verdict.FAILED if problems else Verdict.PASSED, measured, figures, shown)

    @classmethod
    def not_run(cls, why: str) -> Result:
        """Say why a scenario could not run here."""
        return cls(Verdict.NOT_RUN, why)


Body: TypeAlias = Callable[[Context], "Result | Awaitable[Result]"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the table of gates."""

    number: str
    title: str
    gate: str
    body: Body
    engines: tuple[EngineKind, ...] = ENGINE_KINDS

    def run(self, context: Context) -> Result:
        """Run it to its end; whatever it raises makes it fail."""
        try:
            if inspect.iscoroutinefunction(self.body):
                return asyncio.run(self.run_in_loop(context))
            result = self.body(context)
            assert isinstance(result, Result), "only a coroutine function may return something to await"
        except Exception as error:
            return _raised(error)
        return result

    async def run_in_loop(self, context: Context) -> Result:
        """Run a scenario that is a coroutine function in the loop of the caller."""
        try:
            result = self.body(context)
            return result if isinstance(result, Result) else await result
        except Exception as error:
            return _raised(error)


SCENARIOS: dict[str, Scenario] = {}
"""The registered scenarios by number; `load` fills it."""


def scenario(
    number: str, title: str, *, gate: str, engines: tuple[EngineKind, ...] = ENGINE_KINDS
) -> Callable[[Body], Body]:
    """Register a function as the scenario of that number. `ValueError` if another one has the number."""

    def register(body: Body) -> Body:
        known = SCENARIOS.get(number)
        if known is not None and known.body.__module__ != body.__module__:
            raise ValueError(f"{number} is already {known.body.__module__}")
        SCENARIOS[number] = Scenario(number, title, gate, body, engines)
        return body

    return register


def load(*packages: str) -> dict[str, Scenario]:
    """Import every module of the packages (all unless some are named) that may register scenarios.

    Returns what is registered, in the order of the numbers.
    """
    for package in packages or (PROCESSES, SIMULATION):
        try:
            found = importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            continue
        for module in pkgutil.iter_modules(found.__path__):
            if not module.name.startswith(("test_", "__")):
                importlib.import_module(f"{package}.{module.name}")
    return {number: SCENARIOS[number] for number in sorted(SCENARIOS, key=order)}


def order(number: str) -> tuple[int, str]:
    """Sort `R2` before `R10`."""
    digits = re.search(r"\d+", number)
    return (int(digits.group()) if digits else 0, number)


def _raised(error: Exception) -> Result:
    places = "".join(traceback.format_tb(error.__traceback__)[-2:])
    first, _, _ = str(error).partition("\n")
    text = f"{places}{type(error).__name__}: {str(error)[-_WORDS:]}"
    return Result(Verdict.FAILED, f"{type(error).__name__}: {first[:200]}", problems=[text])
