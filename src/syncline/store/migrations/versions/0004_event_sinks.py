"""Sinks that copy the log of an environment to NATS, Kafka or a file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from syncline.store.types import Instant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "event_sinks",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text()),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("directories", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=False),
        sa.Column("last_published_at", Instant()),
        sa.Column("next_due_at", Instant()),
        sa.Column("lease_until", Instant()),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("consecutive_failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", Instant()),
        sa.Column("last_error", sa.Text()),
        sa.Column("missed", sa.Text()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event_sinks"),
    )
    op.create_index(
        "ix_event_sinks_environment_id_name", "event_sinks", ["environment_id", "name"], unique=True
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_table("event_sinks")
