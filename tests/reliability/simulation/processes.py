"""Processes that are killed, stopped and continued, and are none: a context that their tasks share.

A killed one has no effects from then on: whatever it still tries, its way to the database and to the network
ends in `Killed`. A stopped one does not get past that way until it is continued.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Killed(BaseException):
    """The process is gone; not an `Exception`, so that no loop of the product believes it can go on."""


CURRENT: ContextVar[Process | None] = ContextVar("process of the simulation", default=None)


class Process:
    """One process of the simulation; `skew` is how many seconds its clock is ahead."""

    def __init__(self, name: str, *, skew: float = 0.0) -> None:
        self.name = name
        self.skew = skew
        self.is_dead = False
        self._running = asyncio.Event()
        self._running.set()
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Let everything that is begun in here belong to this process."""
        token = CURRENT.set(self)
        try:
            yield
        finally:
            CURRENT.reset(token)

    @property
    def is_stopped(self) -> bool:
        """Tell whether it stands still."""
        return not self._running.is_set()

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Take a task as one of this process."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def pass_gate(self) -> None:
        """Stand between the process and the world. Raises `Killed`."""
        while not self.is_dead and not self._running.is_set():
            await self._running.wait()
        if self.is_dead:
            raise Killed

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        self.is_dead = True
        self._running.set()
        for task in list(self._tasks):
            task.cancel()

    def stop(self) -> None:
        """Let it stand still, as SIGSTOP does."""
        self._running.clear()

    def go_on(self) -> None:
        """Let it go on, as SIGCONT does."""
        self._running.set()

    async def wait(self) -> None:
        """Wait until nothing of it runs."""
        while self._tasks:
            await asyncio.gather(*list(self._tasks), return_exceptions=True)


def adopt(task: asyncio.Task[Any]) -> None:
    """Give a new task to the process that began it; for `VirtualLoop.on_new_task`."""
    process = CURRENT.get()
    if process is not None:
        process.adopt(task)
