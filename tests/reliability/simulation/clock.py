"""An event loop whose time stands still while anything can run and jumps to the next timer when nothing can.

Nothing waits: a day costs what happens in it. Everything is done in one thread and in an order that follows
from the program alone, so the same seed gives the same run in every process.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Coroutine, Generator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
"""What every clock of a simulation shows when it begins."""

_STANDING_STILL = 50_000


class Stuck(Exception):
    """Nothing is left that could ever happen, or the same moment never ends."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time()` starts at 0 and moves only when nothing is ready to run."""

    def __init__(self) -> None:
        self._virtual = 0.0
        self._numbered = 0
        self._adopt: Callable[[asyncio.Task[Any]], None] | None = None
        super().__init__(_Jumping(self))
        self.set_task_factory(self._new_task)

    def time(self) -> float:
        """Return the virtual seconds since the beginning."""
        return self._virtual

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._virtual += seconds

    def on_new_task(self, adopt: Callable[[asyncio.Task[Any]], None]) -> None:
        """Have every new task shown to a function, which sees the context of its maker."""
        self._adopt = adopt

    def _new_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        self._numbered += 1
        task = _NumberedTask(self._numbered, coro, loop, context)
        if self._adopt is not None:
            self._adopt(task)
        return task


class _NumberedTask(asyncio.Task[Any]):
    """A task that sets keep in the order of making: by address, the order would differ from run to run."""

    def __init__(
        self, number: int, coro: Any, loop: asyncio.AbstractEventLoop, context: contextvars.Context | None
    ) -> None:
        self._number = number
        super().__init__(coro, loop=loop, context=context)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class _Jumping(selectors.DefaultSelector):
    """Instead of waiting for a time it lets that time pass."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._still = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Jump; there are no sockets to look at but the loop's own, which only threads use."""
        if timeout is None:
            raise Stuck("nothing is left that could happen")
        if timeout > 0:
            self._loop.jump(timeout)
            self._still = 0
        else:
            self._still += 1
            if self._still > _STANDING_STILL:
                # What clears away afterwards gets its own rounds.
                self._still = 0
                raise Stuck(f"{_STANDING_STILL} rounds at {self._loop.time():.3f} s, and no end")
        return []


def moment(seconds: float) -> datetime:
    """Return what a right clock shows so many seconds after the beginning."""
    return START + timedelta(seconds=seconds)


def run(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on a loop of its own and clear everything away that it left."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main(loop))
    finally:
        try:
            loop.run_until_complete(_clear())
        finally:
            loop.close()


async def _clear() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
