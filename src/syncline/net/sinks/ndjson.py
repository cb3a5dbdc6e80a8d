"""NDJSON: one envelope a line, appended to a file that is synchronized, or written to standard output."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock

import msgspec

from syncline.net.sinks.base import ConfigRefused, Message, SinkFailure

STDOUT = "-"
_BEGINNING = b'{"object":"event","id":'
_STEP = 65_536


class NdjsonConfig(msgspec.Struct, frozen=True, tag="ndjson"):
    """Where to: the absolute path of a file, or `-` for the standard output of the worker."""

    path: str

    def check(self) -> None:
        """Raise `ConfigRefused` for what can never work."""
        if self.path == STDOUT:
            return
        if not os.path.isabs(self.path) or "\x00" in self.path or self.path.endswith("/"):
            raise ConfigRefused("path", "The path must be absolute and name a file, or be -.")

    @property
    def target(self) -> str:
        """Where the events go, for people."""
        return "standard output" if self.path == STDOUT else self.path


class NdjsonPublisher:
    """Appends whole batches to a file that no other process appends to meanwhile."""

    def __init__(self, config: NdjsonConfig) -> None:
        self._config = config
        self._descriptor: int | None = None
        # A thread cannot be interrupted: whoever closes the file waits for what was begun.
        self._using = Lock()

    async def open(self) -> None:
        """Open the file and take away a last line that was cut off. Raises `SinkFailure`."""
        if self._config.path != STDOUT:
            await self._in_thread(self._open)

    def refusal(self, message: Message) -> str | None:
        """Return None: a file takes every event."""
        return None

    async def publish(self, batch: Sequence[Message]) -> None:
        """Append the batch; returns when it is on the disk (standard output: when it was taken)."""
        text = b"".join(message.body + b"\n" for message in batch)
        if self._config.path == STDOUT:
            await self._in_thread(partial(_print, text))
        else:
            await self._in_thread(partial(self._append, text))

    async def close(self) -> None:
        """Close the file."""
        await asyncio.shield(asyncio.to_thread(self._close))

    async def _in_thread(self, work: Callable[[], None]) -> None:
        try:
            await asyncio.shield(asyncio.to_thread(self._alone, work))
        except OSError as error:
            raise SinkFailure(f"{self._config.target}: {error.strerror or error}.") from error

    def _alone(self, work: Callable[[], None]) -> None:
        with self._using:
            work()

    def _close(self) -> None:
        with self._using:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)

    def _open(self) -> None:
        path = Path(self._config.path)
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _mend(descriptor)
            if is_new:
                _sync_folder(path.parent)
        except BlockingIOError:
            os.close(descriptor)
            raise SinkFailure(f"{path}: another process appends to it.") from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _append(self, text: bytes) -> None:
        if self._descriptor is None:
            raise OSError("the file was closed")
        if self._was_moved(self._descriptor):
            self._reopen(self._descriptor)
        size = os.fstat(self._descriptor).st_size
        try:
            _write(self._descriptor, text)
            os.fsync(self._descriptor)
        except OSError:
            # As on a full disk: leave whole lines only.
            os.ftruncate(self._descriptor, size)
            raise

    def _was_moved(self, descriptor: int) -> bool:
        """Tell whether the path no longer means the open file, as after a rotation."""
        try:
            found, opened = os.stat(self._config.path), os.fstat(descriptor)
        except FileNotFoundError:
            return True
        return (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino)

    def _reopen(self, descriptor: int) -> None:
        self._descriptor = None
        os.close(descriptor)
        self._open()


def _print(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def _write(descriptor: int, text: bytes) -> None:
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _mend(descriptor: int) -> None:
    """Cut off an event that a crash left without its end: it was never acknowledged and comes again.

    Raises `SinkFailure` for another file than one of events.
    """
    size = os.fstat(descriptor).st_size
    start = _line_start(descriptor, size)
    if start == size:
        return
    beginning = os.pread(descriptor, len(_BEGINNING), start).rstrip(b"\x00")
    if not _BEGINNING.startswith(beginning):
        raise SinkFailure("The file does not end with an event; name another one.")
    os.ftruncate(descriptor, start)
    os.fsync(descriptor)


def _line_start(descriptor: int, size: int) -> int:
    """Return where the last line without an end begins; the size if there is none."""
    end = size
    while end > 0:
        begin = max(end - _STEP, 0)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
