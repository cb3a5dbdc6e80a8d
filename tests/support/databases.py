"""Fresh databases of either kind; a migrated one is copied from a template made once per test process."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg

EngineKind: TypeAlias = Literal["sqlite", "postgresql"]
ENGINE_KINDS: tuple[EngineKind, ...] = ("sqlite", "postgresql")


def migrate(database_url: str) -> None:
    """Bring the database to the newest schema, with the product's own migrations."""
    from syncline.store.migrate import upgrade

    _outside_the_loop(lambda: upgrade(database_url))


def sqlite_url(path: Path) -> str:
    """Return the address of a SQLite file."""
    return f"sqlite:///{path.resolve()}"


class SqliteDatabases:
    """Makes SQLite files in a test's own folder."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.db"

    def empty(self, folder: Path) -> str:
        """Return the address of a file that does not exist yet."""
        return sqlite_url(folder / f"{secrets.token_hex(4)}.db")

    def migrated(self, folder: Path) -> str:
        """Return the address of a new file with the newest schema."""
        if not self._template.exists():
            unfinished = self._template.with_suffix(".new")
            migrate(sqlite_url(unfinished))
            unfinished.rename(self._template)
        path = folder / f"{secrets.token_hex(4)}.db"
        shutil.copyfile(self._template, path)
        return sqlite_url(path)


class PostgresDatabases:
    """Makes and drops databases on the test server."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._template: str | None = None

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Give the address of a new database without tables, dropped afterwards."""
        with self._database("template0") as name:
            yield self._url(name)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Give the address of a new database with the newest schema, dropped afterwards."""
        if self._template is None:
            name = self._create("template0")
            migrate(self._url(name))
            self._template = name
        with self._database(self._template) as name:
            yield self._url(name)

    def close(self) -> None:
        """Drop the template."""
        if self._template is not None:
            self._drop(self._template)
            self._template = None

    @contextmanager
    def _database(self, template: str) -> Iterator[str]:
        name = self._create(template)
        try:
            yield name
        finally:
            self._drop(name)

    def _create(self, template: str) -> str:
        name = f"test_{secrets.token_hex(8)}"
        # Copying files took a third of the server's work of copying the same pages through its log.
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return name

    def _drop(self, name: str) -> None:
        # A test may have killed its processes: what they left open must not keep the database.
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _url(self, name: str) -> str:
        return urlunsplit(urlsplit(self._server_url)._replace(path=f"/{name}"))

    def _execute(self, statement: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self._server_url)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        _outside_the_loop(lambda: asyncio.run(run()))


def _outside_the_loop(work: Callable[[], None]) -> None:
    """Run `work`, which starts an event loop of its own, away from the loop that the test framework keeps."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        executor.submit(work).result()
