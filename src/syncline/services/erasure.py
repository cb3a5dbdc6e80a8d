"""Erase a person: rows, events, texts of deliveries, kept answers, and what files still hold of them.

Every step is safe to repeat, and what is left to do is a row, so an erasure goes on after a crash: whoever
finds the row due takes it up. The log keeps its positions and ids; only what the events say about the
person goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from syncline import faults
from syncline.core import wire
from syncline.core.commands import DeleteUser
from syncline.core.errors import Conflict, NotFound
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Cause, DirectoryId, EnvironmentId, Scope
from syncline.core.scim.errors import ScimError
from syncline.obs.logging import get_logger
from syncline.services.apply import Writer
from syncline.services.idempotency import opened
from syncline.services.kernel import Kernel
from syncline.store import erasure as store
from syncline.store import idempotency, reconciliation_rows, traces
from syncline.store.database import Connection
from syncline.store.engine import database_now
from syncline.store.erasure import Erasure, ErasureState
from syncline.store.traces import Person

_logger = get_logger(__name__)

_KIND = "Directory user"
_AT_ONCE = 100
# A delivery that was under way may still write down what a receiver has answered.
_LATE = timedelta(minutes=15)
_AGAIN = timedelta(minutes=1)


CALL_SECONDS = 20.0
_HOLD = timedelta(seconds=60)


class Erasures:
    """Erasures of people, asked for by an operator; `writer` deletes those who are still there."""

    def __init__(self, kernel: Kernel, writer: Writer, hold: timedelta = _HOLD) -> None:
        """`hold` is how long a claim lasts without a sign of life."""
        self._kernel = kernel
        self._writer = writer
        self._hold = hold
        self._working: set[asyncio.Task[bool]] = set()

    async def erase(
        self,
        environment_id: str,
        directory_user_id: str,
        cause: Cause,
        *,
        delete: bool = False,
        wait: float | None = CALL_SECONDS,
    ) -> wire.Erasure:
        """Erase the person who has or had this id, and return what came of it.

        One that takes longer than `wait` seconds goes on in the background: its state is `running` then, and
        asking again returns how far it is. With `delete`, a person who is still in the directory is deleted
        first, as the provider would do it. Raises `NotFound`, and `Conflict` (`directory_user_live`) for a
        person who is still there.
        """
        if not is_id(Prefix.DIRECTORY_USER, directory_user_id):
            raise NotFound(_KIND, directory_user_id)
        erasure = await self._begun(environment_id, directory_user_id, cause, delete)
        if erasure.state is not ErasureState.COMPLETE:
            task = asyncio.create_task(self._take(erasure.id), name="erasure")
            self._working.add(task)
            task.add_done_callback(self._working.discard)
            done, _ = await asyncio.wait({task}, timeout=wait)
            if done:
                task.result()
        return _shown(await self._kernel.database.read(partial(store.get, erasure_id=erasure.id)))

    async def resume(self) -> int:
        """Take up every erasure that is due and return how many are complete now."""
        due = await self._kernel.database.read(
            lambda connection: store.due(connection, database_now(connection), _AT_ONCE)
        )
        return sum([await self._take(erasure_id) for erasure_id in due])

    async def close(self) -> None:
        """Cut off what runs in the background; it is taken up again."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    async def _begun(self, environment_id: str, asked_for: str, cause: Cause, delete: bool) -> Erasure:
        """Return the erasure of a person, made unless there is one that covers all that is known."""
        who, known = await self._kernel.database.read(
            lambda connection: (
                traces.find(connection, environment_id, asked_for),
                store.latest(connection, environment_id, asked_for),
            )
        )
        if known is not None and (who is None or known.state is not ErasureState.COMPLETE):
            return known
        if who is None:
            raise NotFound(_KIND, asked_for)
        if who.live and not delete:
            raise Conflict(
                "The person is still in the directory. Remove them at the identity provider, or ask for "
                "their deletion as well.",
                code="directory_user_live",
            )

        def work(connection: Connection) -> Erasure:
            made = Erasure(
                environment_id=environment_id,
                id=self._kernel.ids.new(Prefix.ERASURE),
                directory_id=who.directory_id,
                directory_user_id=asked_for,
                deletes=delete,
                cause=cause.id,
                created_at=database_now(connection),
                user_ids=who.user_ids,
            )
            store.add(connection, made)
            return made

        erasure = await self._kernel.database.write(work)
        _logger.info("erasure.asked_for", erasure_id=erasure.id, directory_id=erasure.directory_id)
        return erasure

    async def _take(self, erasure_id: str) -> bool:
        """Claim an erasure and carry it as far as possible; tell whether it is complete now."""

        def claim(connection: Connection) -> bool:
            return store.claim(connection, erasure_id, database_now(connection), self._hold)

        if not await self._kernel.database.write(claim):
            return False
        return await _Run(self._kernel, self._writer, self._hold, erasure_id).carry_out()


class _Run:
    """One erasure in the hands of one process."""

    def __init__(self, kernel: Kernel, writer: Writer, hold: timedelta, erasure_id: str) -> None:
        self._kernel = kernel
        self._writer = writer
        self._hold = hold
        self._id = erasure_id

    async def carry_out(self) -> bool:
        erasure = await self._kernel.database.read(partial(store.get, erasure_id=self._id))
        if erasure.state is ErasureState.COMPLETE:
            return await self._look_again(erasure)
        who = await self._person(erasure)
        if who.live and erasure.deletes:
            who = await self._delete(erasure, who)
        who = await self._discover(who)
        await self._count(lambda connection: {"events": traces.bury_inbox(connection, who)})
        faults.hit("erasure.after_inbox")
        await self._bury_log(who)
        faults.hit("erasure.after_log")
        await self._forget_answers(who)
        await self._count(lambda connection: _removed(connection, who))
        faults.hit("erasure.after_rows")
        await self._clear_deliveries(who)
        faults.hit("erasure.before_scrub")
        return await self._finish(erasure)

    async def _person(self, erasure: Erasure) -> Person:
        """Return the person as far as rows and events still tell, and by the ids that were written down."""

        def work(connection: Connection) -> Person:
            found = traces.find(connection, erasure.environment_id, erasure.directory_user_id)
            known = traces.known(connection, erasure.environment_id, erasure.directory_id, erasure.user_ids)
            if found is None:
                return known
            return replace(
                known,
                rows=known.rows | found.rows,
                live=known.live | found.live,
                user_ids=known.user_ids | found.user_ids,
                idp_ids=known.idp_ids | found.idp_ids,
                names=known.names | found.names,
            )

        return await self._kernel.database.read(work)

    async def _delete(self, erasure: Erasure, who: Person) -> Person:
        """Delete the person as the provider would: memberships end first, then the person goes."""
        scope = Scope(EnvironmentId(who.environment_id), DirectoryId(who.directory_id))
        for scim_id in sorted(who.live):
            try:
                await self._writer.submit(scope, DeleteUser(scim_id), Cause(erasure.cause))
            except ScimError as refusal:
                # Deleted by the provider meanwhile, or with the whole directory.
                _logger.info("erasure.not_there", erasure_id=self._id, status=refusal.status)
        faults.hit("erasure.after_delete")
        return await self._person(erasure)

    async def _discover(self, who: Person) -> Person:
        """Walk through the directory's log until no other id of the person turns up, and write them down.

        Nothing is removed before that, so whoever begins again finds no less.
        """
        while True:
            after: int | None = 0
            found: frozenset[str] = frozenset()
            while after is not None:
                ids, after = await self._kernel.database.read(partial(traces.discover, who=who, after=after))
                found |= ids
            who = replace(who, user_ids=who.user_ids | found)
            if not found:
                break
        await self._kernel.database.write(lambda connection: self._note(connection, {}, who.user_ids))
        return who

    async def _bury_log(self, who: Person) -> None:
        def work(connection: Connection, after: int) -> int | None:
            buried, last = traces.bury_log(connection, who, after)
            self._note(connection, {"events": buried})
            return last

        after: int | None = 0
        while after is not None:
            after = await self._kernel.database.write(partial(work, after=after))

    async def _forget_answers(self, who: Person) -> None:
        """Remove kept answers in which the person is; they are sealed, so each has to be opened."""
        needles = [text.encode() for text in who.user_ids | who.names]

        def names_them(key: str, sealed_body: str) -> bool:
            body = opened(self._kernel.keyring, who.environment_id, key, sealed_body)
            # What no key of ours opens is nothing that we could give to anybody; it expires within a day.
            return body is not None and any(needle in body for needle in needles)

        def work(connection: Connection, after: str) -> str | None:
            rows = idempotency.answers(connection, who.environment_id, after, traces.SCAN)
            keys = [row.key for row in rows if names_them(row.key, row.sealed_body)]
            for key in keys:
                idempotency.release(connection, who.environment_id, key)
            self._note(connection, {"stored_answers": len(keys)})
            return rows[-1].key if len(rows) == traces.SCAN else None

        after: str | None = ""
        while after is not None:
            after = await self._kernel.database.write(partial(work, after=after))

    async def _clear_deliveries(self, who: Person) -> int:
        """Remove what receivers answered to the person's events; return how many texts that were."""
        total = 0
        after: traces.Place | None = traces.FIRST_PLACE
        while after is not None:
            cleared, after = await self._kernel.database.write(
                partial(self._clear_some, who=who, after=after)
            )
            total += cleared
        parked = await self._kernel.database.write(lambda connection: traces.clear_parked(connection, who))
        return total + parked

    def _clear_some(
        self, connection: Connection, who: Person, after: traces.Place
    ) -> tuple[int, traces.Place | None]:
        cleared, last = traces.clear_attempts(connection, who, after)
        self._note(connection, {"delivery_attempts": cleared})
        return cleared, last

    async def _finish(self, erasure: Erasure) -> bool:
        """Rewrite what the database's files hold of deleted things, and give the claim up."""
        clean = await self._kernel.database.scrub(traces.TABLES)

        def work(connection: Connection) -> None:
            now = database_now(connection)
            finished = erasure.finished_at or now
            store.settle(
                connection, self._id, finished if clean else None, now + (_LATE if clean else _AGAIN)
            )

        await self._kernel.database.write(work)
        if clean:
            _logger.info("erasure.complete", erasure_id=self._id)
        else:
            _logger.warning("erasure.files_in_use", erasure_id=self._id)
        return clean

    async def _look_again(self, erasure: Erasure) -> bool:
        """Remove what a delivery that was under way has written down since."""
        who = Person(
            environment_id=erasure.environment_id,
            directory_id=erasure.directory_id,
            rows=frozenset(),
            live=frozenset(),
            user_ids=erasure.user_ids,
            idp_ids=frozenset(),
            names=frozenset(),
        )
        if await self._clear_deliveries(who):
            await self._kernel.database.scrub(("delivery_attempts", "parked_deliveries"))
        await self._kernel.database.write(
            lambda connection: store.settle(connection, self._id, erasure.finished_at, None)
        )
        return True

    async def _count(self, work: Callable[[Connection], dict[str, int]]) -> None:
        def counted(connection: Connection) -> None:
            self._note(connection, work(connection))

        await self._kernel.database.write(counted)

    def _note(
        self, connection: Connection, counts: dict[str, int], user_ids: frozenset[str] = frozenset()
    ) -> None:
        store.note(connection, self._id, counts, database_now(connection) + self._hold, user_ids)
        faults.hit("erasure.before_commit")


def _removed(connection: Connection, who: Person) -> dict[str, int]:
    people, waiting = traces.remove_rows(connection, who)
    reconciliation_rows.forget(connection, who.directory_id, who.user_ids, who.idp_ids, who.names)
    return {"people": people, "pending_memberships": waiting}


def _shown(erasure: Erasure) -> wire.Erasure:
    counts = {name: erasure.counts.get(name, 0) for name in wire.ErasedCounts.__struct_fields__}
    return wire.Erasure(
        id=erasure.id,
        directory_id=erasure.directory_id,
        directory_user_id=erasure.directory_user_id,
        state="complete" if erasure.state is ErasureState.COMPLETE else "running",
        erased=wire.ErasedCounts(**counts),
        created_at=wire.iso(erasure.created_at),
        finished_at=None if erasure.finished_at is None else wire.iso(erasure.finished_at),
    )
