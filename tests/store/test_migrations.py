"""The migrations, one after the other, make exactly the tables that the code uses."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect, text

from syncline.store import migrate, roles, tables
from syncline.store.migrate import current_revision, head_revision, on_connection, upgrade
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


def _primary_keys(connection: Connection) -> dict[str, list[str]]:
    found = inspect(connection)
    return {
        table: found.get_pk_constraint(table)["constrained_columns"]
        for table in found.get_table_names()
        if table != "alembic_version"
    }


def test_migrations_make_the_primary_keys_of_the_code(database_url: str) -> None:
    """Alembic compares columns and indexes, but no primary keys."""
    found: dict[str, list[str]] = {}
    on_connection(database_url, lambda connection: found.update(_primary_keys(connection)))
    assert found == {
        table.name: [column.name for column in table.primary_key] for table in metadata.sorted_tables
    }


def _attempt(number: int) -> dict[str, Any]:
    return {
        "environment_id": "env_1",
        "endpoint_id": f"we_{number % 2}",
        "id": f"attempt_{number}",
        "position": number,
        "event_id": "event_1",
        "event_type": "dsync.user.created",
        "attempt": 1,
        "started_at": datetime(2026, 3, 2, tzinfo=UTC),
        "duration_ms": 7,
        "outcome": "failed",
        "status": 500,
        "error": None,
        "response": f"no {number}",
        "next_due_at": None,
    }


def _down(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.downgrade(config, "0005")


def test_attempts_survive_the_way_back_and_forth(database_url: str) -> None:
    """Their table has another primary key since 0006, for which SQLite needs a new table."""
    rows = [_attempt(number) for number in range(5)]

    def fill(connection: Connection) -> None:
        connection.execute(insert(tables.delivery_attempts), rows)

    on_connection(database_url, fill)
    seen: list[tuple[Any, ...]] = []
    indexes: list[set[str | None]] = []

    def look(connection: Connection) -> None:
        found = connection.execute(text("SELECT id, position, response FROM delivery_attempts ORDER BY id"))
        seen.extend(map(tuple, found))
        indexes.append({one["name"] for one in inspect(connection).get_indexes("delivery_attempts")})

    on_connection(database_url, _down)
    assert current_revision(database_url) == "0005"
    on_connection(database_url, look)
    upgrade(database_url)
    on_connection(database_url, look)
    expected = [(row["id"], row["position"], row["response"]) for row in rows]
    assert seen == [*expected, *expected]
    assert indexes == [{"ix_delivery_attempts_endpoint_id_id", "ix_delivery_attempts_started_at"}, set()]
    on_connection(database_url, lambda connection: seen.append(tuple(_differences(connection))))
    assert seen[-1] == ()


def test_environments_that_are_there_get_the_role_that_new_ones_begin_with(database_url: str) -> None:
    """Its id follows from that of the environment, so that every way gives the same role."""
    environment = "environment_01KA0YN1B3D5F7H9K1M3P5R7T9"
    made = datetime(2026, 3, 2, tzinfo=UTC)
    values = {
        "id": environment,
        "name": "old",
        "inactive_users": "delete",
        "settings": "{}",
        "created_at": made,
        "updated_at": made,
    }
    found: list[Any] = []

    def begin(connection: Connection) -> None:
        connection.execute(insert(tables.environments), values)

    on_connection(database_url, _down)
    on_connection(database_url, begin)
    upgrade(database_url)
    on_connection(database_url, lambda connection: found.extend(roles.of(connection, environment)))
    fresh: list[Any] = []

    def begin_anew(connection: Connection) -> None:
        connection.execute(tables.roles.delete())
        roles.add_default(connection, environment, made)
        fresh.extend(roles.of(connection, environment))

    on_connection(database_url, begin_anew)
    assert [role.slug for role in found] == ["member"]
    assert found == fresh
