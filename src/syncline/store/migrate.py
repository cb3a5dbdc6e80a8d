"""Run and inspect schema migrations on either engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from syncline.store.engine import migration_engine

# Any constant works as long as every Syncline process uses the same one.
_MIGRATION_LOCK = 7_305_021_966_211_001


def upgrade(url: str) -> None:
    """Bring the database at `url` to the newest schema; several processes may call it at once."""
    on_connection(url, _upgrade)


def current_revision(url: str) -> str | None:
    """Return the schema revision of the database, or None when it is empty."""
    found: list[str | None] = []
    on_connection(url, lambda connection: found.append(_revision(connection)))
    return found[0]


def head_revision() -> str:
    """Return the newest revision this code knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("the package holds no migrations")
    return head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def on_connection(url: str, work: Callable[[Connection], None]) -> None:
    """Do a piece of work in one transaction of a connection that is opened for it."""
    engine = migration_engine(url)
    if isinstance(engine, Engine):
        try:
            with engine.begin() as connection:
                work(connection)
        finally:
            engine.dispose()
        return

    async def run() -> None:
        try:
            async with engine.begin() as connection:
                await connection.run_sync(work)
        finally:
            await engine.dispose()

    asyncio.run(run())
