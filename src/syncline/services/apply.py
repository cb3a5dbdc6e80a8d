"""The only writer of directory users, groups and memberships: commands in, group commits out."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from zlib import crc32

from syncline import faults
from syncline.core.commands import Decision
from syncline.core.errors import Overloaded
from syncline.core.import_commands import AnyCommand
from syncline.core.model import Cause, DirectoryId, GroupRecord, Scope
from syncline.core.scim import errors
from syncline.core.scim.errors import ScimError
from syncline.core.scim.resource import GroupView, MemberIds, UserView
from syncline.obs.logging import get_logger
from syncline.services.batch import AtOnce, BatchResult, Outcome, Request, run_at_once, run_batch
from syncline.services.kernel import Kernel
from syncline.services.member_lists import MemberLists
from syncline.services.sealing import event_ids, sealed_events
from syncline.store import log
from syncline.store.at_once import Known, read_known
from syncline.store.database import Connection, DatabaseUnavailable, UniqueViolation
from syncline.store.members import members_of, members_of_version

_logger = get_logger(__name__)

BATCH = 200
CAPACITY = 2_000
POSTGRES_LANES = 4
MEMBERS_ANSWERED = 1_000
_RETRY_AFTER = 1
_KNOWN = 1_000


@dataclass(frozen=True, slots=True)
class Applied:
    """A command that took effect: what it came to, and the resource after it (None once deleted).

    `GroupView.members` is None for a group of more than `MEMBERS_ANSWERED` members.
    """

    decision: Decision
    view: UserView | GroupView | None


@dataclass(frozen=True, slots=True)
class _Job:
    request: Request
    future: asyncio.Future[Outcome]


class Writer:
    """Commands queue in lanes; what arrived while the last commit ran is the next batch."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        count = 1 if kernel.database.single_writer else POSTGRES_LANES
        self._lanes = [_Lane(kernel) for _ in range(count)]
        self._members = MemberLists()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the lanes."""
        self._tasks = [asyncio.create_task(lane.run(), name="writer lane") for lane in self._lanes]

    async def close(self) -> None:
        """Finish what is queued, refuse what comes later."""
        for lane in self._lanes:
            lane.close()
        await asyncio.gather(*self._tasks)

    async def submit(
        self,
        scope: Scope,
        command: AnyCommand,
        cause: Cause,
        *,
        members: bool = True,
        labels: bool = False,
        token: str | None = None,
        aliased: bool | None = None,
    ) -> Applied:
        """Carry out one command and return once it is committed.

        `members`, `labels`: whether the caller wants the members in a group's view, and their names. `token`:
        the digest of a bearer token that has to be live in the directory when the command is decided.
        `aliased`: whether ids of another service were exchanged in the command, None for one that comes from
        ourselves. Raises `ScimError` for a refused command, `Overloaded` when the queue is full and
        `DatabaseUnavailable` when nothing was promised.
        """
        lane = self._lanes[crc32(scope.directory_id.encode()) % len(self._lanes)]
        # The batch goes on when the caller is gone: only its answer is lost.
        outcome = await asyncio.shield(lane.enqueue(Request(scope, command, cause, token, aliased)))
        if isinstance(outcome, ScimError):
            raise outcome
        if outcome.decision.group is not None:
            if outcome.changes.group is not None:
                self._members.note(scope, outcome.changes)
            group = outcome.decision.group
            return Applied(outcome.decision, await self._group_view(scope, group, members, labels))
        return Applied(outcome.decision, outcome.user)

    async def _group_view(self, scope: Scope, group: GroupRecord, members: bool, labels: bool) -> GroupView:
        view = GroupView(
            id=group.id,
            document=group.document,
            version=group.version,
            created_at=group.created_at,
            updated_at=group.updated_at,
            members=None,
        )
        if not members or group.member_count > MEMBERS_ANSWERED:
            return view
        if group.member_count == 0:
            return replace(view, members=())
        if labels:
            found = await self._kernel.database.look_up(
                lambda connection: members_of(connection, scope, [group.id], labels=True)
            )
            return replace(view, members=found[group.id])
        return replace(view, members=await self._all_members(scope, group))

    async def _all_members(self, scope: Scope, group: GroupRecord) -> MemberIds:
        known = self._members.of(scope, group)
        if known is not None:
            return known
        version, members = await self._kernel.database.look_up(
            lambda connection: members_of_version(connection, scope, group.id)
        )
        self._members.put(scope, group.id, version, members)
        return members


class _Lane:
    """One queue and the loop that commits it batch by batch."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._closed = False
        # Directories as this lane left them; what somebody else has changed since is noticed by the write.
        self._known: dict[DirectoryId, Known] = {}

    def enqueue(self, request: Request) -> asyncio.Future[Outcome]:
        """Queue a command. Raises `Overloaded`."""
        if self._closed or len(self._jobs) >= CAPACITY:
            self._kernel.metrics.overloads.labels("writer").inc()
            raise Overloaded(_RETRY_AFTER)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        # A caller who went away leaves nobody to read an error.
        future.add_done_callback(_read_error)
        self._jobs.append(_Job(request, future))
        self._arrived.set()
        return future

    def close(self) -> None:
        """Take no more commands; the loop ends once the queue is empty."""
        self._closed = True
        self._arrived.set()

    async def run(self) -> None:
        """Commit batches until closed and empty."""
        while self._jobs or not self._closed:
            if not self._jobs:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            batch = [self._jobs.popleft() for _ in range(min(BATCH, len(self._jobs)))]
            try:
                await self._commit(batch)
            except Exception as error:
                _fail(batch, error)

    async def _commit(self, batch: list[_Job]) -> None:
        try:
            await self._transact(batch)
        except DatabaseUnavailable as error:
            _fail(batch, error)
        except Exception as error:
            if len(batch) == 1:
                self._fail_one(batch[0], error)
                return
            # One command spoiled the transaction: each gets its own, so only that one fails.
            _logger.warning("batch replayed one by one", size=len(batch), error=type(error).__name__)
            for job in batch:
                await self._commit([job])

    async def _transact(self, batch: list[_Job]) -> None:
        requests = [job.request for job in batch]
        kernel = self._kernel
        if await self._at_once(batch, requests):
            return

        def work(connection: Connection) -> tuple[BatchResult, dict[str, log.Sealed]]:
            result = run_batch(kernel, connection, requests)
            # Unless somebody is sealing right now, the events get their positions in the same commit.
            sealed = {}
            for environment, rows in sorted(result.inbox.items()):
                step = log.record(connection, environment, rows, kernel.clock(), event_ids(kernel.random))
                if step is not None:
                    sealed[environment] = step
            faults.hit("apply.before_commit")
            return result, sealed

        result, sealed = await kernel.database.write(work)
        faults.hit("apply.after_commit")
        for environment, step in sealed.items():
            sealed_events(kernel, environment, step)
        for environment in result.inbox:
            if environment not in sealed:
                kernel.appended.notify(environment)
        _settle(batch, result)

    async def _at_once(self, batch: list[_Job], requests: list[Request]) -> bool:
        """Carry out a batch of one directory in one statement; False if it has to go the long way."""
        kernel = self._kernel
        directory_id = requests[0].scope.directory_id
        if kernel.database.single_writer or any(r.scope.directory_id != directory_id for r in requests):
            return False
        held = self._known.pop(directory_id, None)

        def work(connection: Connection) -> AtOnce | None:
            known = held or read_known(connection, directory_id)
            return None if known is None else run_at_once(kernel, connection, requests, known)

        done = await kernel.database.at_once(work)
        if done is None:
            return False
        faults.hit("apply.after_commit")
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[directory_id] = done.known
        if done.sealed is not None:
            sealed_events(kernel, done.known.directory.environment_id, done.sealed)
        _settle(batch, done.result)
        return True

    def _fail_one(self, job: _Job, error: Exception) -> None:
        if isinstance(error, UniqueViolation):
            error = errors.uniqueness("userName is already taken in this directory")
        else:
            _logger.error("command failed", command=type(job.request.command).__name__, exc_info=error)
        _fail([job], error)


def _settle(batch: list[_Job], result: BatchResult) -> None:
    for job, outcome in zip(batch, result.outcomes, strict=True):
        if not job.future.done():
            job.future.set_result(outcome)


def _fail(batch: list[_Job], error: Exception) -> None:
    for job in batch:
        if not job.future.done():
            job.future.set_exception(error)


def _read_error(future: asyncio.Future[Outcome]) -> None:
    if not future.cancelled():
        future.exception()
