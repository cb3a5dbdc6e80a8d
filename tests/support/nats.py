"""A real NATS server with JetStream on loopback, which a test may kill and start again."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from tests.support import parts
from tests.support.postgres import unused_port
from tests.support.waiting import wait_until_sync

_PROGRAM = shutil.which("nats-server") or "/usr/sbin/nats-server"


class NatsServer:
    """One server and its folder; what it has acknowledged survives `kill`."""

    def __init__(self, folder: Path, *options: str) -> None:
        if not Path(_PROGRAM).exists():
            parts.missing("nats-server", "apt-get install nats-server")
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = unused_port()

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, on the same port and folder as before, and wait until it listens."""
        with (self._folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(_PROGRAM, "-js", "-sd", str(self._folder / "store")),
                    *("-a", "127.0.0.1", "-p", str(self.port), *self._options),
                ],
                stdout=log,
                stderr=log,
            )
        wait_until_sync(self._listens, 20, reason="a listening nats-server")

    def kill(self) -> None:
        """End it as a power cut of the process would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """Let it answer nothing until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "nats.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the stream keeps it."""

    subject: str
    event_id: str
    body: bytes


@dataclass(slots=True)
class Stream:
    """A stream that a test reads."""

    jetstream: JetStreamContext
    name: str
    prefix: str

    async def stored(self) -> Sequence[Stored]:
        """Return everything the stream holds, oldest first."""
        state = (await self.jetstream.stream_info(self.name)).state
        found = []
        for sequence in range(max(state.first_seq, 1), state.last_seq + 1):
            try:
                message = await self.jetstream.get_msg(self.name, sequence)
            except NotFoundError:
                continue
            headers = message.headers or {}
            found.append(Stored(str(message.subject), headers["Nats-Msg-Id"], message.data or b""))
        return found

    async def count(self) -> int:
        """Return how many messages it holds."""
        return (await self.jetstream.stream_info(self.name)).state.messages

    async def ids(self) -> list[str]:
        """Return the event ids, oldest first."""
        return [one.event_id for one in await self.stored()]


@asynccontextmanager
async def stream(
    server: NatsServer,
    prefix: str,
    *,
    max_msg_size: int = -1,
    user: str | None = None,
    password: str = "",
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Stream]:
    """Make a stream for the subjects below a prefix."""
    login = {} if user is None else {"user": user, "password": password}
    client = await nats.connect(server.url, reconnect_time_wait=0.05, tls=tls, **login)
    try:
        jetstream = client.jetstream()
        name = prefix.replace(".", "_")
        await jetstream.add_stream(
            StreamConfig(name=name, subjects=[f"{prefix}.>"], max_msg_size=max_msg_size)
        )
        yield Stream(jetstream, name, prefix)
    finally:
        await client.close()
