"""One greenlet for each connection, in which functions of SQLAlchemy's connection run again and again.

SQLAlchemy makes a new greenlet for every call. The interpreter takes a stack for each from the operating
system and gives it back, which was measured at 20 µs, a fifth of a round trip (docs/decisions/017).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]  # it has no types
from sqlalchemy import Connection

T = TypeVar("T")


class _Outcome:
    """What a function came to; anything else that leaves the greenlet is something to wait for."""

    __slots__ = ("error", "result")

    def __init__(self, result: Any = None, error: BaseException | None = None) -> None:
        self.result = result
        self.error = error


class Runner:
    """Runs functions one after the other, each to its end; they wait by SQLAlchemy's `await_only`."""

    def __init__(self) -> None:
        self._greenlet = _Greenlet()

    async def run(self, work: Callable[[Connection], T], connection: Connection) -> T:
        """Return what `work(connection)` returns. Raises what it raises, also a cancellation."""
        inner, outer = self._greenlet, getcurrent()
        inner.parent = outer
        inner.gr_context = outer.gr_context
        left = inner.switch(work, connection)
        while left.__class__ is not _Outcome:
            try:
                value = await left
            except BaseException:
                # The function sees what happened to what it waited for, and goes on from there.
                left = inner.throw(*sys.exc_info())
            else:
                left = inner.switch(value)
        if left.error is not None:
            raise left.error
        result: T = left.result
        return result


class _Greenlet(greenlet):  # type: ignore[misc]  # see the import
    # What SQLAlchemy looks for before it waits.
    __sqlalchemy_greenlet_provider__ = True

    def run(self, work: Callable[[Connection], Any], connection: Connection) -> None:
        """Carry out what it is switched to with, until it is thrown away."""
        while True:
            try:
                outcome = _Outcome(work(connection))
            except GreenletExit:
                raise
            except BaseException as error:
                outcome = _Outcome(error=error)
            assert self.parent is not None
            # Nothing of the last call is kept alive while the next one is waited for.
            del work, connection
            work, connection = self.parent.switch(outcome)
            del outcome
