"""A consistent copy of a SQLite file while others read and write it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from syncline.store.database import DatabaseUnavailable


class BackupFailed(Exception):
    """There is no copy, or none that can be trusted; the message says why."""


def copy_sqlite(source: Path, target: Path) -> int:
    """Write everything committed by now to a new file and return its size; `target` is whole or not there.

    The copy holds live rows only, nothing of what was deleted or erased, and is checked before it gets its
    name. Writers go on meanwhile. Raises `BackupFailed`, and `DatabaseUnavailable` for a source that cannot
    be read.
    """
    if not source.is_file():
        raise DatabaseUnavailable(f"there is no database at {source}")
    if target.exists():
        raise BackupFailed(f"{target} is there already and is not overwritten")
    unfinished = target.with_name(f"{target.name}.part")
    try:
        unfinished.unlink(missing_ok=True)
        # The file is made here so that nobody else can read it, and SQLite accepts an empty one.
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(source, isolation_level=None, timeout=30)) as connection:
            connection.execute("VACUUM INTO ?", (str(unfinished),))
        _check(unfinished)
        size = unfinished.stat().st_size
        _sync(unfinished)
        # Unlike a rename, a link never takes the place of a file that has appeared meanwhile.
        os.link(unfinished, target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise BackupFailed(f"{source} cannot be copied: {error}") from error
    except OSError as error:
        raise BackupFailed(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return size


def _check(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        [(verdict,)] = connection.execute("PRAGMA integrity_check(1)").fetchall()
    if verdict != "ok":
        raise BackupFailed(f"the copy is damaged: {verdict}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
