"""Named points at which a test may let the process die or an operation fail; no-ops in production.

A plan is text: `dispatch.after_send=exit` dies at the first pass of that point, `seal.before_commit=fail@3`
fails at the third. Several entries are separated by commas. The settings read the text, this module does not.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

EXIT_STATUS = 137
"""What a process killed by SIGKILL leaves behind, as shells report it."""

_ENTRY = re.compile(r"([a-z0-9_.]+)=(exit|fail)(?:@([1-9][0-9]{0,8}))?")


class FaultInjected(Exception):
    """The failure that a plan asked for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at a point, and at which pass of it, counted from 1; 0 means each."""

    action: Callable[[], None]
    at_pass: int = 1


class FaultPlan:
    """Which fault lies at which point, and how often each point was passed."""

    def __init__(self, faults: Mapping[str, Fault]) -> None:
        self._faults = dict(faults)
        self._passes: Counter[str] = Counter()
        self._lock = Lock()

    @classmethod
    def parse(cls, text: str) -> FaultPlan:
        """Read a plan; `ValueError` names the entry that cannot be read."""
        faults: dict[str, Fault] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            match = _ENTRY.fullmatch(entry)
            if match is None:
                raise ValueError(f"'{entry}' is no fault; write point=exit or point=fail@3")
            point, action, at_pass = match.groups()
            faults[point] = Fault(_ACTIONS[action], int(at_pass or 1))
        return cls(faults)

    def passes(self, point: str) -> int:
        """Return how often a point was passed since the plan was installed."""
        with self._lock:
            return self._passes[point]

    def reach(self, point: str) -> None:
        """Count the pass and let the fault happen if its turn has come."""
        with self._lock:
            self._passes[point] += 1
            count = self._passes[point]
        fault = self._faults.get(point)
        if fault is not None and fault.at_pass in (0, count):
            fault.action()


_installed: FaultPlan | None = None


def install(plan: FaultPlan | None) -> None:
    """Put a plan into force in this process; `None` takes it away."""
    global _installed
    _installed = plan


def hit(point: str) -> None:
    """Mark a point of the program; does nothing unless a plan is installed.

    Raises `FaultInjected` or ends the process where the plan says so.
    """
    if _installed is not None:
        _installed.reach(point)


def _exit() -> None:
    # No clean-up of any kind: this stands for a power cut.
    os._exit(EXIT_STATUS)


def _fail() -> None:
    raise FaultInjected("A fault was injected.")


_ACTIONS: Mapping[str, Callable[[], None]] = {"exit": _exit, "fail": _fail}
