"""Saves of turns that end at about the same time go into one commit; each keeps its own claim's check.

What arrives while the last commit runs is the next group: nobody waits for a group to fill. A save whose
claim is lost is refused alone, and the others are not touched by it. If the database fails, all of a group
are told so, and each repeats its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from syncline.services.kernel import Kernel
from syncline.store.database import Connection, Database, DatabaseUnavailable, T, UniqueViolation, Work
from syncline.store.deliveries import LeaseLost, Saved
from syncline.store.delivery_at_once import is_usual, save_at_once
from syncline.store.delivery_saves import Save, save_all_at_once

# A group holds the only writer of SQLite for some milliseconds at most.
_MOST_AT_ONCE = 50

J = TypeVar("J")


class Saver:
    """Where the turns of a process save, and on SQLite the dispatcher claims."""

    def __init__(self, kernel: Kernel) -> None:
        self._database: Database = kernel.database
        self._works: _Lane[Work[Any]] = _Lane(self._transact, lambda _: None)
        self._saves: _Lane[Save] = _Lane(self._save_together, lambda save: save.claim.id)

    async def save(self, save: Save, work: Work[Saved]) -> Saved:
        """Save the progress of a turn; `work` does it in a transaction, with what else belongs to it.

        Raises `LeaseLost`, with nothing written, and what `Database.write` raises.
        """
        if self._database.single_writer:
            return await self.write(work)
        if not is_usual(save.progress, save.ending):
            return await self._database.write(work)
        # It is a violation if the connection broke under a save that was committed all the same.
        with suppress(UniqueViolation):
            saved: Saved | None = await self._saves.carry_out(save)
            if saved is None:
                # Not saved with the others, for a reason that only shows when it is saved alone.
                saved = await self._database.at_once(
                    lambda connection: save_at_once(
                        connection,
                        save.claim,
                        save.progress,
                        save.ending,
                        lease_until=save.lease_until,
                        next_due_at=save.next_due_at,
                    )
                )
            if saved is not None:
                return saved
        return await self._database.write(work)

    async def write(self, work: Work[T]) -> T:
        """Do what `Database.write` does, on SQLite together with others; `LeaseLost` undoes nothing."""
        if not self._database.single_writer:
            return await self._database.write(work)
        result: T = await self._works.carry_out(work)
        return result

    async def _transact(self, works: Sequence[Work[Any]]) -> Sequence[Any]:
        def all_of(connection: Connection) -> list[Any]:
            return [_outcome(work, connection) for work in works]

        return await self._database.write(all_of)

    async def _save_together(self, saves: Sequence[Save]) -> Sequence[Saved | None]:
        found = await self._database.at_once(lambda connection: save_all_at_once(connection, saves))
        return [None if found is None else found.get(save.claim.id) for save in saves]


def _outcome(work: Work[Any], connection: Connection) -> Any:
    try:
        return work(connection)
    except LeaseLost as lost:
        # Found by the first statement, before anything was written.
        return lost


class _Lane(Generic[J]):
    """Collects jobs while a commit runs and carries them out with the next one, in the order given."""

    def __init__(
        self, commit: Callable[[Sequence[J]], Awaitable[Sequence[Any]]], key: Callable[[J], str | None]
    ) -> None:
        """`commit` returns an outcome for each job; no two jobs of one `key` are given to it together."""
        self._commit = commit
        self._key = key
        self._waiting: deque[tuple[J, asyncio.Future[Any]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def carry_out(self, job: J) -> Any:
        """Return the outcome of a job, or raise it; a caller who goes away stops nothing."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_heard)
        self._waiting.append((job, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="delivery saves")
        return await asyncio.shield(future)

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._next())
        finally:
            self._running = None
            # Only if this was cut off: whoever still waits is to know.
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()

    def _next(self) -> list[tuple[J, asyncio.Future[Any]]]:
        group: list[tuple[J, asyncio.Future[Any]]] = []
        keys: set[str] = set()
        while self._waiting and len(group) < _MOST_AT_ONCE:
            key = self._key(self._waiting[0][0])
            if key is not None and key in keys:
                break
            if key is not None:
                keys.add(key)
            group.append(self._waiting.popleft())
        return group

    async def _answer(self, group: list[tuple[J, asyncio.Future[Any]]]) -> None:
        try:
            outcomes = await self._commit([job for job, _ in group])
        except Exception as error:
            if len(group) == 1 or isinstance(error, DatabaseUnavailable):
                for _, future in group:
                    _settle(future, error)
                return
            # One of them spoiled the transaction: each gets its own, so that only this one fails.
            for one in group:
                await self._answer([one])
            return
        except BaseException:
            # The process ends: whoever waits for it ends as well.
            for _, future in group:
                future.cancel()
            raise
        for (_, future), outcome in zip(group, outcomes, strict=True):
            _settle(future, outcome)


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _heard(future: asyncio.Future[Any]) -> None:
    """Take the error of a job whose caller went away."""
    if not future.cancelled():
        future.exception()
