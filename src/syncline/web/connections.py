"""Connections that cost too much are cut: slow or endless heads, slow bodies, answers nobody reads, too many.

The HTTP server below knows none of these limits. One sweep a second looks at all connections of the process,
so a request pays for its deadline with the assignment of two attributes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from syncline.core.scim import errors as scim_errors
from syncline.core.scim.errors import ScimError

MAX_HEAD = 64 * 1024
"""Bytes of a request's line and headers; an address may have half of them."""
MAX_PIPELINED = 64
"""Requests of one connection that wait for the answer to the one before them."""

_SWEEP_SECONDS = 1.0
_RETRY_AFTER = 1
_NO_HTTP = "The request is not valid HTTP."
_CODES = {400: "malformed_http", 414: "uri_too_long", 431: "head_too_large", 503: "overloaded"}
_encode = msgspec.json.Encoder().encode

Count = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What connections may cost. Times in seconds; a body's own deadline is that of its interface."""

    most: int = 1000
    head: float = 10.0
    body: float = 20.0
    idle: float = 75.0
    unread: float = 60.0
    farewell: float = 2.0
    # While the server stops: for the next request of a connection, and for the first of one just made.
    leaving: float = 0.5
    arriving: float = 2.0


class Phase(StrEnum):
    """What a connection is waiting for."""

    HEAD = "slow_head"
    BODY = "slow_body"
    ANSWER = "answer"
    IDLE = "idle"
    FAREWELL = "farewell"


class _Refused(Exception):
    """A request that the parser shall not go on with."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class ConnectionGuard:
    """Watches the connections of one server; `protocol` makes them, `count` is told why one was cut."""

    def __init__(self, limits: ConnectionLimits, count: Count) -> None:
        self.limits = limits
        self._count = count
        self._longest: dict[Phase, float] = {
            Phase.HEAD: limits.head,
            Phase.BODY: limits.body,
            Phase.IDLE: limits.idle,
            Phase.FAREWELL: limits.farewell,
        }
        self._open: set[_Guarded] = set()
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def protocol(self) -> type[asyncio.Protocol]:
        """The class of connections that this guard watches, for `uvicorn.Config(http=…)`."""
        guard = self

        class Guarded(_Guarded):
            def __init__(
                self,
                config: Config,
                server_state: ServerState,
                app_state: dict[str, Any],
                _loop: asyncio.AbstractEventLoop | None = None,
            ) -> None:
                super().__init__(guard, config, server_state, app_state, _loop)

        return Guarded

    def opened(self, connection: _Guarded) -> bool:
        """Take a new connection in; False if there is no room and none could be made."""
        if len(self._open) >= self.limits.most and not self._make_room():
            self._count("connections")
            return False
        self._open.add(connection)
        if self._sweeping is None:
            self._sweeping = connection.loop.call_later(_SWEEP_SECONDS, self._sweep, connection.loop)
        return True

    def closed(self, connection: _Guarded) -> None:
        """Forget a connection."""
        self._open.discard(connection)

    def _make_room(self) -> bool:
        """Cut the connection that has kept us waiting longest; one whose answer is being made stays."""
        waiting = [one for one in self._open if one.phase is not Phase.ANSWER]
        if not waiting:
            return False
        longest = min(waiting, key=lambda one: one.since)
        self._count("connections")
        longest.cut()
        self._open.discard(longest)
        return True

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self._open):
            unread = connection.unread_since
            if unread is not None and now - unread > self.limits.unread:
                self._count("slow_reader")
                connection.cut()
            elif now - connection.since > self._longest.get(connection.phase, now):
                if connection.phase in (Phase.HEAD, Phase.BODY):
                    self._count(connection.phase)
                connection.cut()
        self._sweeping = loop.call_later(_SWEEP_SECONDS, self._sweep, loop) if self._open else None


class _Guarded(HttpToolsProtocol):
    """One connection that knows what it waits for, and since when."""

    def __init__(
        self,
        guard: ConnectionGuard,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._guard = guard
        self.url = b""
        self._head_received = 0
        self.unread_since: float | None = None
        self.phase = Phase.HEAD
        self.since = self.loop.time()
        self._leaving = False

    def cut(self) -> None:
        """Close at once, whatever has not been sent yet."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection in, or refuse it while the server is full."""
        super().connection_made(transport)
        if not self._guard.opened(self):
            self._say(503, "The server has too many connections; try again later.")
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._guard.closed(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Answer what is under way before the connection ends: nobody shall notice that the server stops.

        A connection that waits for a request may have one in the network already, and closing it would reset
        it unread. It gets a moment, and the answer of what comes in it says that the connection is over.
        """
        self._leaving = True
        if self._is_answering():
            super().shutdown()
        else:
            limits = self._guard.limits
            seconds = limits.arriving if self.phase is Phase.HEAD else limits.leaving
            self.loop.call_later(seconds, self._leave)

    def _leave(self) -> None:
        """Close the connection unless a request has come meanwhile; its answer closes it."""
        if not self._is_answering():
            self.transport.close()

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.__dict__["cycle"]
        return cycle is not None and not cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Parse what came; what is no HTTP, or too much of it, ends the connection with an error."""
        self._unset_keepalive_if_required()
        if self.phase is Phase.FAREWELL or self.transport.is_closing():
            return
        self._head_received += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing is upgraded to: the request is answered as if it had not asked.
            pass
        except httptools.HttpParserError as error:
            refused = error.__context__
            # A line that cannot be read is not reported as an address, and still shows whom it was meant for.
            self.url = self.url or data[:MAX_HEAD].partition(b" ")[2]
            self._refuse(refused if isinstance(refused, _Refused) else _Refused(400, _NO_HTTP))
            return
        if self.phase is Phase.HEAD and self._head_received > MAX_HEAD:
            self._refuse(self._too_large())

    def on_message_begin(self) -> None:
        """Begin a request: its head has a deadline."""
        super().on_message_begin()
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _Refused(400, f"More than {MAX_PIPELINED} requests wait for their answers.")
        self._wait_for(Phase.HEAD)

    def on_headers_complete(self) -> None:
        """Begin a body."""
        if self._head_received > MAX_HEAD and self._head_size() > MAX_HEAD:
            raise self._too_large()
        super().on_headers_complete()
        if self._leaving:
            self.cycle.keep_alive = False
        self._wait_for(Phase.BODY)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # The HTTP server makes its own kind of cycle, and has no place to name another one.
        cycle.__class__ = _Cycle
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """End a body; an answer that did not wait for it is out already."""
        super().on_message_complete()
        self._head_received = 0
        self._wait_for(Phase.IDLE if self.cycle.response_complete else Phase.ANSWER)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of a body that was answered early."""
        super().on_response_complete()
        if self.phase is Phase.ANSWER and not self.pipeline and self.cycle.response_complete:
            self._wait_for(Phase.IDLE)

    def pause_writing(self) -> None:
        """Note since when nobody reads the answer."""
        super().pause_writing()
        self.unread_since = self.loop.time()

    def resume_writing(self) -> None:
        """Note that the answer was read."""
        super().resume_writing()
        self.unread_since = None

    def _wait_for(self, phase: Phase) -> None:
        self.phase = phase
        self.since = self.loop.time()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _too_large(self) -> _Refused:
        if len(self.url) > MAX_HEAD // 2:
            return _Refused(414, "The address of the request is too long.")
        return _Refused(431, f"The head of the request is larger than {MAX_HEAD} bytes.")

    def _refuse(self, refusal: _Refused) -> None:
        """Tell what is wrong and end the connection, so that what it said can still be read.

        Closing while bytes of the client are under way would reset the connection and take the answer with
        it; they are read and thrown away for a moment instead.
        """
        cycle: RequestResponseCycle | None = self.__dict__["cycle"]
        if cycle is not None and not cycle.response_complete:
            # An earlier request of the same connection loses its answer: nothing may follow the refusal.
            cycle.disconnected = True
            cycle.message_event.set()
        self._say(refusal.status, refusal.sentence)
        self.flow.resume_reading()
        self._wait_for(Phase.FAREWELL)
        self.transport.write_eof()

    def _say(self, status: int, sentence: str) -> None:
        """Send an error in the form of the interface that was spoken to."""
        media_type, body = _error_body(self.url, status, sentence)
        head = [
            STATUS_LINE[status],
            b"content-type: %b\r\ncontent-length: %d\r\n" % (media_type, len(body)),
            b"cache-control: no-store\r\nconnection: close\r\n",
            b"retry-after: %d\r\n" % _RETRY_AFTER if status == 503 else b"",
            b"\r\n",
            body,
        ]
        self.transport.write(b"".join(head))


class _Cycle(RequestResponseCycle):
    """One request and its answer, which leaves in one piece: head and body in one system call.

    Every answer of ours has one body message. Sent in two pieces it cost a third of a small request.
    """

    _start: Mapping[str, Any] | None = None

    async def send(self, message: Any) -> None:
        """Keep the head until the body comes, then write both."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self.response_started = True
            self.waiting_for_100_continue = False
            self._start = message
            self.keep_alive = self.keep_alive and (b"connection", b"close") not in message["headers"]
            return
        if self._start is None or self.response_complete or message.get("more_body"):
            raise RuntimeError(f"unexpected message {message['type']!r}: an answer is one head and one body")
        self.transport.write(self._text(self._start, message.get("body", b"")))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _text(self, start: Mapping[str, Any], body: bytes) -> bytes:
        status = start["status"]
        lines = [b"%b: %b" % (name, value) for name, value in start["headers"] if name != b"connection"]
        if not self.keep_alive:
            lines.append(b"connection: close")
        # No field holds a line break, or somebody's text has got into the head.
        if any(b"\n" in line or b"\r" in line for line in lines):
            raise RuntimeError("a header field with a line break")
        head = STATUS_LINE[status] + b"\r\n".join(lines) + b"\r\n\r\n"
        return head if status in (204, 304) or self.scope["method"] == "HEAD" else head + body


def _error_body(path: bytes, status: int, sentence: str) -> tuple[bytes, bytes]:
    if path.startswith(b"/scim/v1/"):
        return b"application/json; charset=utf-8", _encode(scim_errors.body_v1(ScimError(status, sentence)))
    if path.startswith(b"/scim/"):
        return b"application/scim+json", _encode(scim_errors.body_v2(ScimError(status, sentence)))
    return b"application/json", _encode({"message": sentence, "code": _CODES[status]})
