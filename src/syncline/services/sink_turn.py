"""What a process does with an event sink that it has claimed: read the log, publish, then move the cursor.

The cursor moves when every event before it is acknowledged or filtered out, never earlier: a crash between
the two repeats a batch, with the same ids, and skips nothing. Before each batch the claim is looked at, so
that what an owner changes holds from the next batch on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from syncline import faults
from syncline.core.envelope import envelope
from syncline.core.events import OWN_PREFIX
from syncline.net.sinks.base import (
    ConfigRefused,
    Credentials,
    EventRefused,
    Message,
    Publisher,
    SinkFailure,
    Surroundings,
)
from syncline.net.sinks.factory import make_publisher, read_config
from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.services.keyring import SealBroken, place
from syncline.services.sink_settings import SinkSettings
from syncline.services.turns import persistently
from syncline.store import log, sinks
from syncline.store.database import Connection, T
from syncline.store.sinks import Progress, SinkRow, Trouble

_logger = get_logger(__name__)
# How far one read of the log may look for the wanted types.
_READ_POSITIONS = 10_000
_FIRST_BATCH = 100
# Parts of the time allowed for a batch beyond which batches shrink, and below which they grow.
_SLOW_SHARE, _FAST_SHARE = 0.25, 0.1


@dataclass(frozen=True, slots=True)
class _Read:
    """A piece of the log: what is to be sent of it, and the position up to which it was looked at."""

    messages: Sequence[Message]
    examined: int


class SinkTurn:
    """Publishes to one claimed sink until `stop` is set, it fails, or nothing came for a while."""

    def __init__(self, kernel: Kernel, settings: SinkSettings, claim: SinkRow, *, begun: float) -> None:
        """`begun` is the event loop's time before the claim was asked for."""
        self._kernel = kernel
        self._settings = settings
        self._claim = claim
        self._time = asyncio.get_running_loop().time
        self._lease_ends = begun + settings.lease.total_seconds()
        self._cursor = claim.cursor
        self._published = 0
        self._publisher: Publisher | None = None
        # A batch too large for the time allowed would be repeated for ever: each failure makes it smaller.
        self._limit = max(min(_FIRST_BATCH, settings.batch_events) >> min(claim.consecutive_failures, 10), 1)
        # Set when the environment's log has grown, as far as this process knows.
        self.grown = asyncio.Event()
        # Set when other sinks wait for a slot: the turn ends with the batch under way.
        self.crowded = False

    @property
    def environment_id(self) -> str:
        """Whose log this sink copies."""
        return self._claim.environment_id

    async def run(self, stop: asyncio.Event) -> None:
        """Take the turn. Raises `LeaseLost` and `DatabaseUnavailable`; failures of the sink are saved."""
        try:
            await self._publish_all(stop)
            await self._write(partial(sinks.release, claim=self._claim))
        except EventRefused as refused:
            await self._stop_sink(refused)
        except SinkFailure as failure:
            await self._back_off(failure)
        except (SealBroken, ConfigRefused, msgspec.DecodeError) as broken:
            await self._stop_sink(SinkFailure(f"The configuration cannot be used: {broken}"))
        except asyncio.CancelledError:
            # The batch under way may or may not have arrived; whoever is next sends it again.
            await self._close()
            await self._write(partial(sinks.release, claim=self._claim))
            raise
        finally:
            await self._close()

    async def give_up(self, error: Exception) -> None:
        """Let the sink rest after an error of ours, and show it. Raises as `run` does."""
        await self._back_off(SinkFailure(f"Syncline failed: {type(error).__name__}; see its log."))

    async def _close(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            await publisher.close()

    async def _publish_all(self, stop: asyncio.Event) -> None:
        idle_since = self._time()
        while not stop.is_set():
            self.grown.clear()
            read = await self._persistently(lambda: self._kernel.database.read(self._read))
            if read.examined > self._cursor:
                await self._take(read)
                idle_since = self._time()
            elif self._time() - idle_since > self._settings.linger:
                return
            else:
                await self._wait_for_more(stop)
            if self.crowded:
                return

    async def _take(self, read: _Read) -> None:
        """Publish what was read and save how far that is; an event that cannot be taken ends it before."""
        if not read.messages:
            await self._save(read.examined)
            return
        publisher = await self._open()
        sendable, refused = _until_refused(publisher, read.messages)
        if sendable:
            await self._publish(publisher, sendable)
            self._published += len(sendable)
            # Filtered events between the last one sent and the refused one are settled as well.
            await self._save(refused[0].position - 1 if refused else read.examined)
        if refused:
            message, reason = refused
            raise EventRefused(message, reason)

    async def _open(self) -> Publisher:
        if self._publisher is None:
            claim, kernel = self._claim, self._kernel
            credentials = Credentials()
            if claim.sealed is not None:
                credentials = open_credentials(kernel, claim)
            surroundings = Surroundings(credentials, kernel.policy, kernel.outbound.resolve)
            self._publisher = make_publisher(
                read_config(claim.config), surroundings, seconds=self._settings.publish_seconds
            )
            await self._publisher.open()
        return self._publisher

    async def _publish(self, publisher: Publisher, messages: Sequence[Message]) -> None:
        if self._time() + self._settings.publish_seconds * 1.2 > self._lease_ends:
            await self._renew()
        metrics, kind = self._kernel.metrics, self._claim.kind
        begun = self._time()
        try:
            await publisher.publish(messages)
        finally:
            metrics.sink_publish_seconds.labels(kind).observe(self._time() - begun)
        faults.hit("sink.after_publish")
        self._adapt(self._time() - begun)
        metrics.sink_events.labels(kind).inc(len(messages))
        lag = (self._kernel.clock() - messages[0].recorded_at).total_seconds()
        metrics.sink_lag_seconds.labels(kind).observe(max(0.0, lag))

    def _adapt(self, seconds: float) -> None:
        """Choose how many events go at once from the time that a batch took."""
        share = seconds / self._settings.publish_seconds
        if share > _SLOW_SHARE:
            self._limit = max(self._limit // 2, 1)
        elif share < _FAST_SHARE:
            self._limit = min(self._limit * 2, self._settings.batch_events)

    async def _wait_for_more(self, stop: asyncio.Event) -> None:
        if self._time() > self._lease_ends - self._settings.lease.total_seconds() / 2:
            await self._renew()
        waiters = [asyncio.ensure_future(self.grown.wait()), asyncio.ensure_future(stop.wait())]
        try:
            await asyncio.wait(waiters, timeout=self._settings.poll, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
            await asyncio.gather(*waiters, return_exceptions=True)

    def _read(self, connection: Connection) -> _Read:
        """Read on behind the cursor, provided that the claim still holds. Raises `LeaseLost`."""
        claim, after, limit = self._claim, self._cursor, self._limit
        sinks.check(connection, claim)
        head = log.head(connection, claim.environment_id).position
        until = min(head, after + _READ_POSITIONS)
        if until <= after:
            return _Read((), after)
        wanted = log.LogFilter(types=claim.events, after=after, before=until + 1)
        rows = log.read(connection, claim.environment_id, wanted, limit)
        examined = rows[-1].position if len(rows) == limit else until
        size = 0
        messages: list[Message] = []
        for row in rows:
            if not wants(claim, row.type, row.directory_id):
                continue
            message = message_of(row)
            if messages and size + len(message.body) > self._settings.batch_bytes:
                return _Read(messages, message.position - 1)
            messages.append(message)
            size += len(message.body)
        return _Read(messages, examined)

    async def _save(self, cursor: int) -> None:
        self._cursor = cursor
        progress, asked_at = Progress(cursor, self._published), self._time()
        settings, claim = self._settings, self._claim
        await self._write(
            lambda connection: sinks.save(
                connection, claim, progress, settings.now(connection), settings.lease
            )
        )
        self._lease_ends = asked_at + settings.lease.total_seconds()

    async def _renew(self) -> None:
        settings, claim, asked_at = self._settings, self._claim, self._time()
        await self._write(
            lambda connection: sinks.renew(connection, claim, settings.now(connection) + settings.lease)
        )
        self._lease_ends = asked_at + settings.lease.total_seconds()

    async def _back_off(self, failure: SinkFailure) -> None:
        failures = 1 if self._published else self._claim.consecutive_failures + 1
        pause = self._settings.pause(failures, self._kernel.jitter())

        def work(connection: Connection) -> None:
            now = self._settings.now(connection)
            sinks.fail(connection, self._claim, self._trouble(failure, now, failures, now + pause))

        await self._write(work)
        self._kernel.metrics.sink_failures.labels(self._claim.kind).inc()
        _logger.warning(
            "sink.failed", sink_id=self._claim.id, failures=failures, pause=round(pause.total_seconds(), 1)
        )

    async def _stop_sink(self, failure: SinkFailure) -> None:
        """Stop for good, for an event must not be skipped in silence."""

        def work(connection: Connection) -> None:
            now = self._settings.now(connection)
            sinks.fail(connection, self._claim, self._trouble(failure, now, 1, None))

        await self._write(work)
        self._kernel.metrics.sink_failures.labels(self._claim.kind).inc()
        _logger.error("sink.stopped", sink_id=self._claim.id, error=failure.detail)

    def _trouble(
        self, failure: SinkFailure, now: datetime, failures: int, next_due_at: datetime | None
    ) -> Trouble:
        since = None if self._published else self._claim.failing_since
        return Trouble(failure.detail, since or now, failures, next_due_at)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        return await self._persistently(lambda: self._kernel.database.write(work))

    async def _persistently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a transaction while the database is away and the lease lasts."""
        return await persistently(
            call, lambda: self._time() + self._settings.publish_seconds <= self._lease_ends
        )


def wants(sink: SinkRow, type_: str, directory_id: str | None) -> bool:
    """Tell whether a sink takes an event: its type and directory are named, or nothing is.

    Syncline's own types must be named.
    """
    if sink.events:
        if type_ not in sink.events:
            return False
    elif type_.startswith(OWN_PREFIX):
        return False
    return not sink.directories or directory_id in sink.directories


def message_of(row: Any) -> Message:
    """Return an event of the log as sinks send it: the bytes that a webhook would carry."""
    return Message(
        event_id=row.event_id,
        type=row.type,
        environment_id=row.environment_id,
        directory_id=row.directory_id,
        organization_id=row.organization_id,
        position=row.position,
        recorded_at=row.recorded_at,
        body=envelope(
            row.event_id, row.type, row.body, row.recorded_at, row.actor, row.position, row.directory_sequence
        ),
    )


def credentials_place(environment_id: str, sink_id: str) -> str:
    """Return the context under which a sink's credentials are sealed."""
    return place("event_sinks", f"{environment_id}/{sink_id}", "sealed")


def open_credentials(kernel: Kernel, sink: SinkRow) -> Credentials:
    """Return a sink's credentials in the clear. Raises `SealBroken`."""
    assert sink.sealed is not None
    text = kernel.keyring.open(sink.sealed, credentials_place(sink.environment_id, sink.id))
    return msgspec.json.decode(text, type=Credentials)


def _until_refused(
    publisher: Publisher, messages: Sequence[Message]
) -> tuple[Sequence[Message], tuple[Message, str] | None]:
    """Return the messages before the first that can never be taken, and that one with the reason."""
    for number, message in enumerate(messages):
        reason = publisher.refusal(message)
        if reason is not None:
            return messages[:number], (message, reason)
    return messages, None
