"""The file in which `syncline listen` remembers how far it is: one per Syncline and environment."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from syncline.cli.client import UNUSABLE, CommandFailed, Target


@dataclass(frozen=True, slots=True)
class Place:
    """How far a listener is; a cursor of None is the beginning of the log. `secret` signs what it sends."""

    url: str
    secret: str
    cursor: str | None


class CursorFile:
    """One file, written as a whole or not at all: a power cut leaves the old place or the new one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Place | None:
        """Return what is remembered, None if nothing is. Raises `CommandFailed` for another kind of file."""
        try:
            found = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._unusable(str(error)) from None
        if not isinstance(found, dict):
            raise self._unusable("it holds no object")
        cursor = found.get("cursor")
        texts = (found.get("url"), found.get("secret"))
        if not all(isinstance(text, str) and text for text in texts) or not isinstance(cursor, str | None):
            raise self._unusable("it was not written by `syncline listen`")
        return Place(str(texts[0]), str(texts[1]), cursor)

    def write(self, place: Place) -> None:
        """Remember a place. It is on the disk when this returns. Raises `CommandFailed`."""
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            make_folder(self.path.parent)
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                out.write(json.dumps(asdict(place)) + "\n")
                out.flush()
                os.fsync(out.fileno())
            os.replace(unfinished, self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise CommandFailed(f"The cursor file cannot be written: {error}") from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the file for this process; a second listener would take events away from the first."""
        make_folder(self.path.parent)
        with self.path.with_name(f"{self.path.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise CommandFailed(
                    f"Another `syncline listen` uses {self.path}. Stop it, or give this one a --cursor-file.",
                    UNUSABLE,
                ) from None
            yield

    def _unusable(self, why: str) -> CommandFailed:
        return CommandFailed(
            f"The cursor file {self.path} cannot be read: {why}. Give another --cursor-file, or remove the "
            "file and say where to begin with --after EVENT or --from start.",
            UNUSABLE,
        )


def own_file(target: Target) -> CursorFile:
    """Return the file for a Syncline and an API key, in the user's state folder."""
    return CursorFile(_folder(target) / f"{target.key_mark}.json")


def places_of_other_keys(target: Target) -> list[Place]:
    """Return where listeners with other keys of the same Syncline are, the furthest first.

    The key of an environment may have been replaced. Which of the places are of the environment of this key,
    only the server can tell: it knows the cursor or not.
    """
    files = [path for path in _folder(target).glob("*.json") if path.stem != target.key_mark]
    places = [place for place in map(_readable, files) if place is not None and place.cursor is not None]
    return sorted(places, key=lambda place: str(place.cursor), reverse=True)


def _readable(path: Path) -> Place | None:
    """Return the place in a file of another key; what is wrong with that file is not this key's trouble."""
    try:
        return CursorFile(path).read()
    except CommandFailed:
        return None


def make_folder(path: Path) -> None:
    """Make a folder that only its owner can read. Raises `CommandFailed`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandFailed(
            f"The folder {path} cannot be made: {error.strerror or error}. Set SYNCLINE_STATE to another.",
            UNUSABLE,
        ) from None


def place_of(target: Target) -> str:
    """Return a file name for the address of a Syncline: readable, and different for different addresses."""
    host = urlsplit(target.url).netloc.rpartition("@")[2]
    plain = "".join(char if char.isalnum() or char in ".-" else "_" for char in host)
    return f"{plain}-{hashlib.sha256(target.url.encode()).hexdigest()[:8]}"


def _folder(target: Target) -> Path:
    return target.state / "listen" / place_of(target)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
