"""The migrations, one after the other, make exactly the tables that the code uses."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from syncline.store.migrate import current_revision, head_revision, on_connection
from syncline.store.tables import metadata


def _differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def test_migrations_make_the_tables_of_the_code(database_url: str) -> None:
    """A column that only the code knows would fail in production, where nobody creates tables anew."""
    found: list[Any] = []
    on_connection(database_url, lambda connection: found.extend(_differences(connection)))
    assert found == []
    assert current_revision(database_url) == head_revision()
