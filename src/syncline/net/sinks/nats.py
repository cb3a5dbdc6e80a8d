"""NATS JetStream: one message an event, acknowledged by the stream, duplicates told by `Nats-Msg-Id`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from syncline.net.sinks.base import (
    CONTENT_TYPE,
    ConfigRefused,
    EventRefused,
    Message,
    SinkFailure,
    Surroundings,
    by_lane,
    permitted,
    split_address,
    tls_context,
)

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

DEFAULT_PORT = 4222
_TOKEN = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_LANES_AT_ONCE = 64
_CLOSE_SECONDS = 1.0
# JetStream's own number of "message size exceeds maximum allowed".
_TOO_LARGE = 10054


class NatsConfig(msgspec.Struct, frozen=True, tag="nats"):
    """Where to: servers as `nats://` or `tls://` addresses, the first tokens of the subject, the stream.

    Without `stream` any stream that takes the subject will do; with it, another one's answer is a failure.
    """

    servers: tuple[str, ...]
    prefix: str = "syncline"
    stream: str | None = None
    ca: str | None = None

    def check(self) -> None:
        """Raise `ConfigRefused` for what can never work."""
        if not self.servers:
            raise ConfigRefused("server", "At least one server is required.")
        for server in self.servers:
            parts = urlsplit(server)
            if parts.scheme not in ("nats", "tls") or parts.path or parts.query or parts.fragment:
                raise ConfigRefused("server", f"'{server}' is not nats://host:port or tls://host:port.")
            if "@" in parts.netloc:
                raise ConfigRefused("server", "The address must not contain a user name or a password.")
            split_address("server", parts.netloc, DEFAULT_PORT)
        if len({urlsplit(server).scheme for server in self.servers}) > 1:
            raise ConfigRefused("server", "Either all servers are tls:// or none is.")
        if _TOKEN.fullmatch(self.prefix) is None:
            raise ConfigRefused("prefix", "A prefix is made of letters, digits, - and _, and dots between.")
        if self.stream is not None and _NAME.fullmatch(self.stream) is None:
            raise ConfigRefused("stream", "A stream's name is made of letters, digits, - and _.")
        if self.ca is not None:
            tls_context(self.ca)

    @property
    def target(self) -> str:
        """Where the events go, for people."""
        return f"{','.join(self.servers)} {self.prefix}.>"

    @property
    def encrypted(self) -> bool:
        """Whether nothing may be sent before the TLS handshake."""
        return self.servers[0].startswith("tls://")


def subject_of(prefix: str, message: Message) -> str:
    """Return `<prefix>.<environment>.<directory or organization>.<type>`; `-` stands for neither."""
    owner = message.directory_id or message.organization_id or "-"
    return f"{prefix}.{message.environment_id}.{owner}.{message.type}"


class NatsPublisher:
    """Publishes the lanes of a batch side by side, each of them one event after the other."""

    def __init__(
        self, config: NatsConfig, surroundings: Surroundings, *, seconds: float, connect_seconds: float = 5.0
    ) -> None:
        """`seconds`: how long one `publish` may take."""
        self._config = config
        self._surroundings = surroundings
        self._seconds = seconds
        self._connect_seconds = connect_seconds
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None
        self._lost = asyncio.Event()
        self._errors: list[Exception] = []

    async def open(self) -> None:
        """Connect to one of the servers. Raises `SinkFailure`."""
        try:
            import nats.errors
            from nats.aio.client import Client

            from syncline.net.sinks.nats_transport import GuardedTransport
        except ImportError:
            raise SinkFailure("The client of NATS is not installed: pip install 'syncline[nats]'.") from None
        client = self._client = Client()
        # The only way to see the resolved address before a socket is made, and to send nothing before TLS.
        client._transport = GuardedTransport(self._permitted, encrypted=self._config.encrypted)
        credentials = self._surroundings.credentials
        try:
            async with asyncio.timeout(self._connect_seconds * 2):
                await client.connect(
                    list(self._config.servers),
                    name="syncline",
                    error_cb=self._note,
                    closed_cb=self._note_closed,
                    # A new connection is made by us, through the address policy.
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=int(self._connect_seconds) or 1,
                    user=credentials.user,
                    password=credentials.password,
                    token=credentials.token,
                    tls=tls_context(self._config.ca) if self._config.encrypted else None,
                )
        except (nats.errors.Error, OSError, TimeoutError, SinkFailure, ValueError) as error:
            raise SinkFailure(self._explain(error)) from error
        self._stream = client.jetstream(timeout=self._seconds)

    def refusal(self, message: Message) -> str | None:
        """Return why the server's limit of a payload excludes this event, None if it does not."""
        assert self._client is not None
        headers = "".join(f"{name}: {value}\r\n" for name, value in self._headers(message).items())
        size = len(message.body) + len(f"NATS/1.0\r\n{headers}\r\n".encode())
        limit = self._client.max_payload
        if size <= limit:
            return None
        return f"It needs {size} bytes, and the server takes {limit} (max_payload)."

    async def publish(self, batch: Sequence[Message]) -> None:
        """Publish and wait for every acknowledgement of the stream."""
        work = asyncio.ensure_future(self._publish(batch))
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({work, lost}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                return
            reason = "The connection was lost" if lost.done() else f"{self._seconds:g} seconds passed"
            raise SinkFailure(f"{reason} before everything was acknowledged.")
        finally:
            work.cancel()
            lost.cancel()
            await asyncio.gather(work, lost, return_exceptions=True)

    async def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await client.close()
        except Exception:
            # The library may fail in many ways on a connection that is gone already.
            return

    async def _publish(self, batch: Sequence[Message]) -> None:
        slots = asyncio.Semaphore(_LANES_AT_ONCE)
        ended = await asyncio.gather(
            *(self._publish_lane(lane, slots) for lane in by_lane(batch)), return_exceptions=True
        )
        failures = [one for one in ended if isinstance(one, BaseException)]
        refused = [one for one in failures if isinstance(one, EventRefused)]
        if failures:
            raise (refused or failures)[0]

    async def _publish_lane(self, lane: Sequence[Message], slots: asyncio.Semaphore) -> None:
        async with slots:
            for message in lane:
                await self._publish_one(message)

    async def _publish_one(self, message: Message) -> None:
        import nats.errors
        from nats.js.errors import APIError, NoStreamResponseError

        assert self._stream is not None
        subject = subject_of(self._config.prefix, message)
        try:
            await self._stream.publish(
                subject, message.body, stream=self._config.stream, headers=self._headers(message)
            )
        except APIError as error:
            if error.err_code == _TOO_LARGE:
                raise EventRefused(message, "It is larger than the stream takes (max_msg_size).") from None
            raise SinkFailure(f"The stream answered {error.code}: {error.description}.") from error
        except NoStreamResponseError:
            raise SinkFailure(f"No stream takes the subject {subject}.") from None
        except nats.errors.MaxPayloadError:
            raise EventRefused(message, "It is larger than the server takes (max_payload).") from None
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise SinkFailure(self._explain(error)) from error
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise SinkFailure(f"Something that is no stream answered on {subject}.") from error

    def _headers(self, message: Message) -> dict[str, str]:
        return {
            "Nats-Msg-Id": message.event_id,
            "Content-Type": CONTENT_TYPE,
            "Syncline-Event-Type": message.type,
        }

    async def _permitted(self, host: str, port: int) -> Sequence[str]:
        return await permitted(self._surroundings, host, port, encrypted=self._config.encrypted)

    async def _note(self, error: Exception) -> None:
        self._errors.append(error)

    async def _note_closed(self) -> None:
        self._lost.set()

    def _explain(self, error: BaseException) -> str:
        """Return a sentence about an error; what the library met on the way says more than its last word."""
        known = [one for one in (*self._errors, error) if isinstance(one, SinkFailure)]
        if known:
            return known[-1].detail
        last = self._errors[-1] if self._errors else error
        text = str(last).removeprefix("nats: ").strip("' ") or type(last).__name__
        return f"NATS: {text[:300]}."
