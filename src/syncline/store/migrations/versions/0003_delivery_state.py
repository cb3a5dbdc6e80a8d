"""Webhook endpoints get a circuit, figures about failures, and jobs that send past events again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from syncline.store.types import Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COLUMNS = ("circuit", "circuit_step", "failed_attempts", "last_success_at", "disabled_reason")


def upgrade() -> None:
    """Add the columns with what holds for an endpoint that never failed, and the table of replays."""
    for column in (
        sa.Column("circuit", sa.Text(), nullable=False, server_default="closed"),
        sa.Column("circuit_step", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("failed_attempts", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("last_success_at", Instant()),
        sa.Column("disabled_reason", sa.Text()),
    ):
        op.add_column("webhook_endpoints", column)
    op.create_table(
        "replays",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("next_position", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_replays"),
    )
    op.create_index("ix_replays_endpoint_id_id", "replays", ["endpoint_id", "id"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("replays")
    with op.batch_alter_table("webhook_endpoints") as table:
        for name in _COLUMNS:
            table.drop_column(name)
