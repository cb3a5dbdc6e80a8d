"""Event sinks as their owners manage them: where the log is copied to, what of it, and from where on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from syncline.core.errors import BadRequest, Conflict, CursorExpired, FieldError, NotFound, ValidationFailed
from syncline.core.events import is_known_type
from syncline.core.ids import Prefix, is_id
from syncline.net.sinks.base import ConfigRefused, Credentials
from syncline.net.sinks.factory import SinkConfig, kind_of, read_config, write_config
from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.services.sink_turn import credentials_place
from syncline.store import log
from syncline.store import sinks as store
from syncline.store.database import Connection, UniqueViolation
from syncline.store.sinks import Missed, SinkRow, SinkState
from syncline.store.types import from_ms, to_ms

_logger = get_logger(__name__)
_KIND = "Event sink"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")

START = "start"
NOW = "now"


@dataclass(frozen=True, slots=True)
class From:
    """Where a sink begins: `start` (the oldest event that is kept), `now`, or an event's id.

    The event itself is sent as well, unless `exclusive`.
    """

    place: str = NOW
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class NewSink:
    """What a new sink needs. No types means all but Syncline's own, no directories means all events."""

    name: str
    config: SinkConfig
    credentials: Credentials | None = None
    events: Sequence[str] = ()
    directories: Sequence[str] = ()
    begin: From = From()

    def check(self) -> None:
        """Raise `ValidationFailed` for a name, configuration or filter that can never work."""
        if _NAME.fullmatch(self.name) is None:
            raise _refused("name", "A name is 1 to 63 lower-case letters, digits, dots, - and _.")
        try:
            self.config.check()
        except ConfigRefused as refused:
            raise _refused(refused.field, refused.reason) from None
        unknown = [name for name in self.events if not is_known_type(name)]
        if unknown:
            raise _refused("events", f"There is no event type '{unknown[0][:100]}'.")
        odd = [id_ for id_ in self.directories if not is_id(Prefix.DIRECTORY, id_)]
        if odd:
            raise _refused("directories", f"'{odd[0][:100]}' is not the id of a directory.")


@dataclass(frozen=True, slots=True)
class EventSink:
    """A sink as its owner sees it, without secrets. `behind` counts events of the log, wanted or not."""

    id: str
    name: str
    kind: str
    target: str
    state: str
    events: Sequence[str]
    directories: Sequence[str]
    cursor: int
    behind: int
    published: int
    last_published_at: datetime | None
    failing_since: datetime | None
    last_error: str | None
    missed: Missed | None
    created_at: datetime


class EventSinks:
    """The event sinks of environments."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def create(self, environment_id: str, new: NewSink) -> EventSink:
        """Make a sink that is active at once.

        Raises `ValidationFailed` for a name, configuration or filter that cannot be used, `Conflict` for a
        name in use, and what `rewind` raises for its beginning.
        """
        new.check()
        now = from_ms(to_ms(self._kernel.clock()))
        sink_id = self._kernel.ids.new(Prefix.EVENT_SINK)

        def work(connection: Connection) -> EventSink:
            row = SinkRow(
                environment_id=environment_id,
                id=sink_id,
                name=new.name,
                kind=kind_of(new.config),
                config=write_config(new.config),
                sealed=self._sealed(environment_id, sink_id, new.credentials),
                events=tuple(dict.fromkeys(new.events)),
                directories=tuple(dict.fromkeys(new.directories)),
                state=SinkState.ACTIVE,
                cursor=_position(connection, environment_id, new.begin),
                created_at=now,
                updated_at=now,
            )
            store.add(connection, row)
            return _shown(connection, row)

        try:
            made = await self._kernel.database.write(work)
        except UniqueViolation:
            raise Conflict("There is a sink of this name already.") from None
        _logger.info("sink.created", sink_id=made.id, kind=made.kind)
        self._kernel.logged.notify(environment_id)
        return made

    async def list(self, environment_id: str) -> Sequence[EventSink]:
        """Return the sinks of an environment by name."""
        return await self._kernel.database.read(
            lambda connection: [
                _shown(connection, row) for row in store.of_environment(connection, environment_id)
            ]
        )

    async def get(self, environment_id: str, name: str) -> EventSink:
        """Return a sink by its name or id. Raises `NotFound`."""
        return await self._kernel.database.read(
            lambda connection: _shown(connection, _required(connection, environment_id, name))
        )

    async def pause(self, environment_id: str, name: str) -> EventSink:
        """Send nothing more; a batch under way may still arrive. Raises `NotFound`."""
        return await self._set_state(environment_id, name, SinkState.PAUSED)

    async def resume(self, environment_id: str, name: str) -> EventSink:
        """Go on where the sink stood, also after it was stopped by an error. Raises `NotFound`."""
        return await self._set_state(environment_id, name, SinkState.ACTIVE)

    async def rewind(self, environment_id: str, name: str, begin: From) -> EventSink:
        """Move a sink to another place of the log, back or forward.

        Raises `NotFound`, `BadRequest` (`cursor_unknown`) for an event that this environment never had, and
        `CursorExpired` for one that retention has removed.
        """

        def work(connection: Connection) -> EventSink:
            row = _required(connection, environment_id, name)
            cursor = _position(connection, environment_id, begin)
            store.rewind(connection, environment_id, row.id, cursor, self._kernel.clock())
            return _shown(connection, _required(connection, environment_id, name))

        shown = await self._kernel.database.write(work)
        _logger.info("sink.rewound", sink_id=shown.id, cursor=shown.cursor)
        self._kernel.logged.notify(environment_id)
        return shown

    async def delete(self, environment_id: str, name: str) -> EventSink:
        """Delete a sink; what it has sent stays where it is. Raises `NotFound`."""

        def work(connection: Connection) -> EventSink:
            row = _required(connection, environment_id, name)
            shown = _shown(connection, row)
            store.remove(connection, environment_id, row.id)
            return shown

        shown = await self._kernel.database.write(work)
        _logger.info("sink.deleted", sink_id=shown.id)
        return shown

    async def _set_state(self, environment_id: str, name: str, state: SinkState) -> EventSink:
        def work(connection: Connection) -> EventSink:
            row = _required(connection, environment_id, name)
            store.set_state(connection, environment_id, row.id, state, self._kernel.clock())
            return _shown(connection, _required(connection, environment_id, name))

        shown = await self._kernel.database.write(work)
        _logger.info("sink.updated", sink_id=shown.id, state=shown.state)
        self._kernel.logged.notify(environment_id)
        return shown

    def _sealed(self, environment_id: str, sink_id: str, credentials: Credentials | None) -> str | None:
        if credentials is None or credentials == Credentials():
            return None
        return self._kernel.keyring.seal(
            msgspec.json.encode(credentials), credentials_place(environment_id, sink_id)
        )


def _refused(field: str, message: str) -> ValidationFailed:
    return ValidationFailed([FieldError(field, f"{field}_invalid")], message)


def _position(connection: Connection, environment_id: str, begin: From) -> int:
    """Return the cursor of a beginning: the position before the first event to send."""
    head = log.head(connection, environment_id)
    if begin.place == NOW:
        return head.position
    if begin.place == START:
        return head.trimmed_position
    if not is_id(Prefix.EVENT, begin.place):
        raise BadRequest("Write start, now, or the id of an event.", code="cursor_unknown")
    position = log.position_of(connection, environment_id, begin.place)
    if position is None:
        if head.trimmed_position and log.event_ms(begin.place) <= head.trimmed_event_ms:
            oldest = log.read(connection, environment_id, log.LogFilter(), 1)
            raise CursorExpired(str(oldest[0].event_id) if oldest else None)
        raise BadRequest("The cursor is not the id of an event.", code="cursor_unknown")
    return position if begin.exclusive else position - 1


def _required(connection: Connection, environment_id: str, name: str) -> SinkRow:
    row = store.named(connection, environment_id, name) if "\x00" not in name else None
    if row is None:
        raise NotFound(_KIND, name)
    return row


def _shown(connection: Connection, row: SinkRow) -> EventSink:
    head = log.head(connection, row.environment_id).position
    return EventSink(
        id=row.id,
        name=row.name,
        kind=row.kind,
        target=read_config(row.config).target,
        state=row.state.value,
        events=row.events,
        directories=row.directories,
        cursor=row.cursor,
        behind=max(head - row.cursor, 0),
        published=row.published,
        last_published_at=row.last_published_at,
        failing_since=row.failing_since,
        last_error=row.last_error,
        missed=row.missed,
        created_at=row.created_at,
    )
