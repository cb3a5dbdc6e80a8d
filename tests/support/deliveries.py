"""Events for webhook tests: real log rows, made without a provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from syncline.core import wire
from syncline.core.events import GroupCreated, GroupDeleted, draft
from syncline.core.ids import Prefix
from syncline.core.model import Cause
from syncline.core.paging import Span
from syncline.core.retry import Outcome
from syncline.core.wire import WebhookEndpoint
from syncline.services.delivery import Dispatcher
from syncline.services.delivery_settings import DispatchSettings
from syncline.services.endpoints import Endpoints
from syncline.services.kernel import Kernel
from syncline.services.sealing import Sealer
from syncline.store import deliveries, endpoint_reports, log, parked
from syncline.store import tables as t
from syncline.store.database import Connection
from syncline.store.endpoint_reports import AttemptFilter
from syncline.store.parked import Attempt, Parked
from tests.support.waiting import wait_until

CAUSE = Cause("request_test")
CREATED, DELETED = GroupCreated.name, GroupDeleted.name


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule in real time that a test can wait for: the same pause after each of some attempts.

    `probe` is the pause before a probe, which has no time since a first attempt; by default the same one.
    """

    pause: timedelta = timedelta(milliseconds=30)
    attempts: int = 1_000
    probe: timedelta | None = None

    def __call__(
        self,
        attempt: int,
        *,
        outcome: Outcome,
        retry_after: timedelta | None,
        jitter: float,
        elapsed: timedelta | None,
    ) -> timedelta | None:
        """Return the pause, or None after the last attempt."""
        assert -1 <= jitter <= 1
        if elapsed is None and self.probe is not None:
            return self.probe
        return self.pause if attempt < self.attempts else None


QUICK = DispatchSettings(poll=0.02, delay=Schedule())


@dataclass(slots=True)
class Stage:
    """An environment whose log a test fills and whose endpoints it watches."""

    kernel: Kernel
    environment_id: str

    async def endpoint(self, url: str, events: Sequence[str] = (CREATED, DELETED)) -> WebhookEndpoint:
        """Make an endpoint."""
        return await Endpoints(self.kernel).create(self.environment_id, url, events, CAUSE)

    async def emit(
        self, *directories: str, event: type[GroupCreated] | type[GroupDeleted] = GroupCreated
    ) -> list[str]:
        """Seal one event for each directory named, in this order, and return the event ids."""
        kernel, environment = self.kernel, self.environment_id
        before = await kernel.database.read(lambda connection: log.head(connection, environment).position)
        await self.append(*directories, event=event)
        await Sealer(kernel).seal_now(environment)
        return await self.ids(after=before)

    async def append(
        self, *directories: str, event: type[GroupCreated] | type[GroupDeleted] = GroupCreated
    ) -> None:
        """Commit one event for each directory named, to be sealed by somebody else."""
        kernel, environment = self.kernel, self.environment_id
        now = kernel.clock()
        drafts = [
            draft(
                event(group_of(kernel, directory)),
                environment_id=environment,
                organization_id="org_1",
                directory_id=directory,
                recorded_at=now,
            )
            for directory in directories
        ]
        await kernel.commit(environment, lambda connection: log.append(connection, drafts, CAUSE))

    async def ids(self, *, after: int = 0) -> list[str]:
        """Return the ids of the events in the log."""
        rows = await self.kernel.database.read(
            lambda connection: log.read(connection, self.environment_id, log.LogFilter(after=after), 100_000)
        )
        return [row.event_id for row in rows]

    async def row(self, endpoint: WebhookEndpoint) -> deliveries.Due | None:
        """Return the endpoint if it waits to be claimed."""
        now = self.kernel.clock() + timedelta(days=9)
        due = await self.kernel.database.read(
            lambda connection: deliveries.due(connection, now, None, limit=1_000)
        )
        return next((one for one in due if one.id == endpoint.id), None)

    async def is_idle(self, endpoint: WebhookEndpoint) -> bool:
        """Tell whether nothing is left to do and nobody holds the endpoint."""

        def work(connection: Connection) -> bool:
            c = t.webhook_endpoints.c
            found = connection.execute(t.webhook_endpoints.select().where(c.id == endpoint.id)).one()
            head = log.head(connection, self.environment_id).position
            return (
                found.wake == 0
                and found.lease_until is None
                and found.next_due_at is None
                and found.cursor == head
            )

        return await self.kernel.database.read(work)

    async def settled(self, endpoint: WebhookEndpoint, deadline: float = 20.0) -> None:
        """Wait until the endpoint is idle."""
        await wait_until(lambda: self.is_idle(endpoint), deadline)

    async def parked(self, endpoint: WebhookEndpoint) -> list[Parked]:
        """Return the deliveries that wait for an attempt."""
        return await self.kernel.database.read(lambda connection: parked.waiting(connection, endpoint.id))

    async def attempts(self, endpoint: WebhookEndpoint) -> list[Attempt]:
        """Return the attempts, oldest first."""
        everything = Span(limit=100_000, descending=False)
        rows = await self.kernel.database.read(
            lambda connection: endpoint_reports.attempts(
                connection, self.environment_id, endpoint.id, AttemptFilter(), everything
            )
        )
        return [Attempt(**{name: getattr(row, name) for name in Attempt.__slots__}) for row in rows]


def group_of(kernel: Kernel, directory: str) -> wire.DirectoryGroup:
    """Return a new group of a directory."""
    id_ = kernel.ids.new(Prefix.DIRECTORY_GROUP)
    now = wire.iso(kernel.clock())
    return wire.DirectoryGroup(
        id=id_,
        idp_id="staff",
        directory_id=directory,
        organization_id="org_1",
        name="Staff / Küche",
        raw_attributes={},
        created_at=now,
        updated_at=now,
    )


@asynccontextmanager
async def dispatching(kernel: Kernel, settings: DispatchSettings = QUICK) -> AsyncIterator[Dispatcher]:
    """Run a dispatcher as the worker does."""
    dispatcher = Dispatcher(kernel, settings)
    stop = asyncio.Event()
    task = asyncio.create_task(dispatcher.run(stop))
    try:
        yield dispatcher
    finally:
        stop.set()
        await task


def with_schedule(schedule: Schedule) -> DispatchSettings:
    """Return quick settings with a schedule."""
    return replace(QUICK, delay=schedule)
