"""People's rows are left uncompressed up to 4,080 bytes on PostgreSQL, and pages have room for a change.

With attributes and roles most are a little longer than the 2,032 bytes (TOAST_TUPLE_TARGET) from which
PostgreSQL compresses values, and doing so with each write takes longer than anything else about them. A
changed row that finds room in its page is not written into the table's indexes again.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows that are there already follow when they are written next."""
    _set("SET (toast_tuple_target = 4080, fillfactor = 70)")


def downgrade() -> None:
    """Back to the usual length."""
    _set("RESET (toast_tuple_target, fillfactor)")


def _set(option: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE directory_users {option}")
