"""Erasures of people leave a record of ids, and what is deleted can be found by its age."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from syncline.store.types import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLES = ("directory_users", "directory_groups", "directories", "organizations")


def upgrade() -> None:
    """Add the table and the indexes."""
    op.create_table(
        "erasures",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("directory_user_id", sa.Text(), nullable=False),
        sa.Column("user_ids", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("deletes", sa.Boolean(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant()),
        sa.Column("next_due_at", Instant()),
        sa.Column("lease_until", Instant()),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )
    op.create_index(
        "ix_erasures_environment_id_directory_user_id", "erasures", ["environment_id", "directory_user_id"]
    )
    op.create_index("ix_erasures_next_due_at", "erasures", ["next_due_at"])
    is_deleted = sa.text("deleted_at IS NOT NULL")
    for table in _TABLES:
        op.create_index(
            f"ix_{table}_deleted_at",
            table,
            ["deleted_at"],
            sqlite_where=is_deleted,
            postgresql_where=is_deleted,
        )


def downgrade() -> None:
    """Take them away."""
    for table in _TABLES:
        op.drop_index(f"ix_{table}_deleted_at", table)
    op.drop_table("erasures")
