"""The migrations, one after the other, make exactly the tables that the code uses."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, column, insert, inspect, select, table, text

from syncline.core.ids import Prefix, make_id, new_ulid
from syncline.core.paging import Span
from syncline.store import migrate, roles, tables
from syncline.store.endpoint_reports import AttemptFilter, attempts
from syncline.store.migrate import current_revision, head_revision, on_connection, upgrade
from syncline.store.tables import metadata
from syncline.store.types import to_ms


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


MADE = datetime(2026, 3, 2, tzinfo=UTC)
ENDPOINTS = [make_id(Prefix.WEBHOOK_ENDPOINT, new_ulid(1_000, bytes([number] * 10))) for number in range(3)]
# The smallest and the largest ULID, and every character somewhere.
ULIDS = ["0" * 26, "0123456789ABCDEFGHJKMNPQRS", "7TVWXYZZYXWVTSRQPNMKJHGFED", "7" + "Z" * 25]


def _attempt(number: int) -> dict[str, Any]:
    return {
        "endpoint_id": ENDPOINTS[number % 2],
        "id": make_id(Prefix.ATTEMPT, ULIDS[number]),
        "position": number,
        "event_id": make_id(Prefix.EVENT, ULIDS[-number]),
        "event_type": "dsync.user.created",
        "attempt": 1,
        "started_at": MADE,
        "duration_ms": 7,
        "outcome": "failed",
        "status": 500 if number else None,
        "error": None,
        "response": f"no {number}",
        "next_due_at": None if number else MADE,
    }


def _endpoint(number: int) -> dict[str, Any]:
    return {
        "environment_id": f"env_{number}",
        "id": ENDPOINTS[number],
        "endpoint_url": "https://example.invalid/",
        "url_key": "https://example.invalid/",
        "events": "[]",
        "state": "active",
        "settings": "{}",
        "cursor": 0,
        "wake": 0,
        "fence": 0,
        "consecutive_failures": 0,
        "created_at": MADE,
        "updated_at": MADE,
    }


def _down(connection: Connection, revision: str = "0005") -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


def test_attempts_survive_the_way_back_and_forth(database_url: str) -> None:
    """Their table has another primary key since 0006, and other columns since 0007."""
    rows = [_attempt(number) for number in range(len(ULIDS))]

    def fill(connection: Connection) -> None:
        connection.execute(insert(tables.webhook_endpoints), [_endpoint(0), _endpoint(1)])
        connection.execute(insert(tables.delivery_attempts), rows)

    on_connection(database_url, fill)
    seen: list[Any] = []
    indexes: list[set[str | None]] = []

    def look(connection: Connection) -> None:
        seen.append(connection.execute(statement).all())
        indexes.append({one["name"] for one in inspect(connection).get_indexes("delivery_attempts")})

    statement: Any = text(
        "SELECT environment_id, endpoint_id, id, event_id, response FROM delivery_attempts ORDER BY id"
    )
    on_connection(database_url, _down)
    assert current_revision(database_url) == "0005"
    on_connection(database_url, look)
    upgrade(database_url)
    statement = select(tables.delivery_attempts).order_by(tables.delivery_attempts.c.id)
    on_connection(database_url, look)
    names = ("endpoint_id", "id", "event_id", "response")
    assert seen[0] == [(f"env_{at % 2}", *(row[name] for name in names)) for at, row in enumerate(rows)]
    assert [row._asdict() for row in seen[1]] == rows
    assert indexes == [{"ix_delivery_attempts_endpoint_id_id", "ix_delivery_attempts_started_at"}, set()]
    on_connection(database_url, lambda connection: seen.append(_differences(connection)))
    assert seen[-1] == []


def test_attempts_from_before_their_rows_were_shortened_are_shown_as_they_were(database_url: str) -> None:
    """Each to the environment of its endpoint; those of an endpoint that is gone are shown to nobody."""
    rows = [_attempt(number) for number in range(len(ULIDS))]
    texts = [row | {"environment_id": f"env_{at % 2}"} for at, row in enumerate(rows)]
    texts.append(texts[0] | {"endpoint_id": ENDPOINTS[2]})
    for each in texts:
        each.update(
            {
                name: None if (at := each[name]) is None else to_ms(at)
                for name in ("started_at", "next_due_at")
            }
        )
    before = table("delivery_attempts", *map(column, texts[0]))

    def fill(connection: Connection) -> None:
        connection.execute(insert(tables.webhook_endpoints), [_endpoint(0), _endpoint(1)])
        _down(connection, "0006")
        connection.execute(insert(before), texts)

    found: dict[tuple[str, str], list[Any]] = {}

    def look(connection: Connection) -> None:
        everything = Span(limit=100, descending=False)
        for environment in ("env_0", "env_1"):
            for endpoint in ENDPOINTS:
                found[environment, endpoint] = [
                    row._asdict()
                    for row in attempts(connection, environment, endpoint, AttemptFilter(), everything)
                ]

    on_connection(database_url, fill)
    upgrade(database_url)
    on_connection(database_url, look)
    kept = {place: shown for place, shown in found.items() if shown}
    assert kept == {("env_0", ENDPOINTS[0]): rows[::2], ("env_1", ENDPOINTS[1]): rows[1::2]}


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
