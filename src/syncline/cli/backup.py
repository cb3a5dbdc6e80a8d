"""`syncline backup`: a copy of the SQLite file beside a running Syncline."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import typer

from syncline.config import PREFIX, SettingsError, load_settings
from syncline.store.backup import BackupFailed, copy_sqlite
from syncline.store.database import DatabaseUnavailable
from syncline.store.sqlite import sqlite_path


def backup(file: Path) -> None:
    """Copy the SQLite database to a new FILE, consistently, while Syncline runs.

    The copy is one file, checked, without anything that was deleted or erased. The secret key is not in it,
    and without that its secrets cannot be opened. PostgreSQL has tools of its own: pg_dump, pg_basebackup.
    """
    database = load_settings().database
    if urlsplit(database).scheme != "sqlite":
        raise SettingsError(
            f"{PREFIX}DATABASE_URL names a PostgreSQL server: use pg_dump or pg_basebackup instead."
        )
    try:
        size = copy_sqlite(sqlite_path(database), file)
    except (BackupFailed, DatabaseUnavailable) as error:
        raise SettingsError(f"No backup was made: {error}.") from None
    typer.echo(f"{file}  {size} bytes")
