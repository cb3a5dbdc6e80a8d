"""Shorter rows of the log of attempts: ids as bytes, the environment only where the endpoint is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from syncline.store.types import Instant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_LENGTH, _BITS = 26, 5
_PREFIXES = {"endpoint_id": "we_", "id": "attempt_", "event_id": "event_"}
_OTHERS = (
    "position",
    "started_at",
    "next_due_at",
    "attempt",
    "duration_ms",
    "status",
    "event_type",
    "outcome",
    "error",
    "response",
)


def upgrade() -> None:
    """Write the table anew; attempts of endpoints that are gone, which nobody is shown, are left behind."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    kind = postgresql.UUID() if is_postgresql else sa.LargeBinary()
    shorter = _in_postgresql if is_postgresql else _by_function("bytes_of", _bytes_of)
    _write_anew(
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("next_due_at", Instant()),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("endpoint_id", kind, nullable=False),
        sa.Column("id", kind, nullable=False),
        sa.Column("event_id", kind, nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("response", sa.Text()),
        columns={name: shorter(name) for name in _PREFIXES},
        endpoint="e.id = old.endpoint_id",
    )


def downgrade() -> None:
    """Give attempts their texts back, and the environment of their endpoint."""
    longer: Callable[[str], str] = _text_in_postgresql
    if op.get_bind().dialect.name == "sqlite":
        longer = _by_function("text_of", _text_of)
    texts = {name: f"'{prefix}' || {longer(name)}" for name, prefix in _PREFIXES.items()}
    _write_anew(
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("response", sa.Text()),
        sa.Column("next_due_at", Instant()),
        columns=texts | {"environment_id": "e.environment_id"},
        endpoint=f"e.id = {texts['endpoint_id']}",
    )


def _write_anew(*definition: sa.Column[Any], columns: dict[str, str], endpoint: str) -> None:
    """Replace the table by one with these columns, filled from the old one and the endpoints.

    `columns` are the expressions of those that change, `endpoint` finds the endpoint `e` of an attempt `old`.
    """
    op.rename_table("delivery_attempts", "attempts_before")
    if op.get_bind().dialect.name == "postgresql":
        # The name of the key is still taken, by the index of the old table.
        op.drop_constraint("pk_delivery_attempts", "attempts_before", type_="primary")
    op.create_table(
        "delivery_attempts",
        *definition,
        sa.PrimaryKeyConstraint("endpoint_id", "id", name="pk_delivery_attempts"),
    )
    values = columns | {name: f"old.{name}" for name in _OTHERS}
    source = "attempts_before AS old JOIN webhook_endpoints AS e ON " + endpoint
    op.execute(
        sa.insert(sa.table("delivery_attempts", *map(sa.column, values))).from_select(
            list(values), sa.select(*map(sa.literal_column, values.values())).select_from(sa.text(source))
        )
    )
    op.drop_table("attempts_before")


def _by_function(name: str, function: Callable[[Any], Any]) -> Callable[[str], str]:
    """Return how SQLite has a column converted by a function of ours."""
    connection = op.get_bind().connection.driver_connection
    assert isinstance(connection, sqlite3.Connection)
    connection.create_function(name, 1, function, deterministic=True)
    return lambda column: f"{name}(old.{column})"


def _bytes_of(text: str) -> bytes:
    number = 0
    for character in text[-_ULID_LENGTH:]:
        number = number << _BITS | _ALPHABET.index(character)
    return number.to_bytes(16, "big")


def _text_of(value: bytes) -> str:
    number = int.from_bytes(value, "big")
    shifts = range(_BITS * (_ULID_LENGTH - 1), -1, -_BITS)
    return "".join(_ALPHABET[number >> shift & 31] for shift in shifts)


def _in_postgresql(column: str) -> str:
    """Return the expression of the UUID of a text: its characters as bits, without the first two of 130."""
    # Bits are written as `o` and `i` first, because 0 and 1 are characters of the text as well.
    bits = f"right(old.{column}, {_ULID_LENGTH})"
    for number, character in enumerate(_ALPHABET):
        pattern = format(number, f"0{_BITS}b").translate({48: "o", 49: "i"})
        bits = f"replace({bits}, '{character}', '{pattern}')"
    value = f"CAST(substr(translate({bits}, 'oi', '01'), 3) AS bit(128))"
    # What is sent of bits are four bytes with their number, and then they.
    return f"CAST(encode(substr(bit_send({value}), 5), 'hex') AS uuid)"


def _text_in_postgresql(column: str) -> str:
    """Return the expression of the ULID of a UUID."""
    hexadecimal = f"replace(CAST(old.{column} AS text), '-', '')"
    bits = f"'00' || CAST(CAST('x' || {hexadecimal} AS bit(128)) AS text)"
    places = (
        f"CAST(CAST(substr({bits}, {start}, {_BITS}) AS bit({_BITS})) AS integer) + 1"
        for start in range(1, _BITS * _ULID_LENGTH, _BITS)
    )
    characters = (f"substr('{_ALPHABET}', {place}, 1)" for place in places)
    return "(" + " || ".join(characters) + ")"
