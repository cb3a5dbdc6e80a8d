"""A TCP proxy between two parts of a stage: it forwards, delays, or goes silent as a broken network does."""

from __future__ import annotations

import asyncio

_CHUNK = 65536


class Proxy:
    """Forwards to one address on loopback.

    `delay` are seconds that whatever the client sends waits, so a statement of a database costs them once.
    While it is silent nothing is forwarded and nothing closed, in either direction, and new connections are
    accepted and hear nothing; what was held back goes on afterwards, as after a partition of the network.
    """

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        self.port = 0
        self._to = port
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and break every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def go_silent(self) -> None:
        """Forward nothing from now on."""
        self._open.clear()

    def heal(self) -> None:
        """Forward again."""
        self._open.set()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._open.wait()
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
            return
        pumps = [
            asyncio.create_task(self._pump(reader, there_writer, slow=True)),
            asyncio.create_task(self._pump(there_reader, writer, slow=False)),
        ]
        try:
            await asyncio.gather(*pumps)
        except (OSError, asyncio.CancelledError):
            # The end of one side, or of the proxy, is the end of the connection.
            return
        finally:
            for pump in pumps:
                pump.cancel()
            writer.transport.abort()
            there_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool) -> None:
        while chunk := await reader.read(_CHUNK):
            if slow and self.delay:
                await asyncio.sleep(self.delay)
            await self._open.wait()
            writer.write(chunk)
            await writer.drain()
        await self._open.wait()
        if writer.can_write_eof():
            writer.write_eof()
