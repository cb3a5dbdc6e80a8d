"""Waiting for a condition with a deadline, instead of sleeping for a guessed time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

_SHORTEST_PAUSE = 0.002
_LONGEST_PAUSE = 0.1


@overload
async def wait_until(
    predicate: Callable[[], Awaitable[T]], deadline: float = ..., *, reason: str | None = ...
) -> T: ...
@overload
async def wait_until(predicate: Callable[[], T], deadline: float = ..., *, reason: str | None = ...) -> T: ...
async def wait_until(
    predicate: Callable[[], object], deadline: float = 10.0, *, reason: str | None = None
) -> object:
    """Return the first true value of `predicate`, a function or a coroutine function.

    Asks often at first and less often later. Raises `AssertionError` naming `reason` when `deadline`
    seconds have passed; exceptions of the predicate pass through.
    """
    started = time.monotonic()
    pause = _SHORTEST_PAUSE
    while True:
        answer = predicate()
        value = await answer if isinstance(answer, Awaitable) else answer
        if value:
            return value
        if time.monotonic() - started > deadline:
            raise AssertionError(_complaint(predicate, deadline, reason, value))
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def wait_until_sync(predicate: Callable[[], T], deadline: float = 10.0, *, reason: str | None = None) -> T:
    """Do the same as `wait_until` for code without an event loop."""
    started = time.monotonic()
    pause = _SHORTEST_PAUSE
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() - started > deadline:
            raise AssertionError(_complaint(predicate, deadline, reason, value))
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _complaint(predicate: object, deadline: float, reason: str | None, last: object) -> str:
    awaited = reason or getattr(predicate, "__name__", repr(predicate))
    return f"waited {deadline:g} s in vain for: {awaited} (last answer: {last!r})"
