"""Directories count their changes, so that a batch can be decided without locks and written if none came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the revision."""
    # A database of the time when the first migration read the current tables has it already.
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("directories")}
    if "revision" not in columns:
        op.add_column(
            "directories", sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0")
        )


def downgrade() -> None:
    """Take it away."""
    op.drop_column("directories", "revision")
