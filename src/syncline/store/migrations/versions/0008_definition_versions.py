"""Versions of the attributes that environments define; what is there already is the first of them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from alembic import op

from syncline.store.types import Instant

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and keep what every environment defines now."""
    op.create_table(
        "definition_versions",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definitions", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("restored", sa.Integer()),
        sa.Column("cause", sa.Text()),
        sa.Column("actor", sa.Text()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("environment_id", "version", name="pk_definition_versions"),
    )
    _keep_what_is_there()


def downgrade() -> None:
    """Take it away."""
    op.drop_table("definition_versions")


def _keep_what_is_there() -> None:
    """Make the definitions of each environment its first version, of nobody in particular."""
    texts = ("environment_id", "id", "key", "kind", "type", "description", "sources")
    definitions = sa.table(
        "attribute_definitions",
        *(sa.column(name, sa.Text()) for name in texts),
        sa.column("required", sa.Boolean()),
        sa.column("created_at", Instant()),
        sa.column("updated_at", Instant()),
    )
    versions = sa.table(
        "definition_versions",
        *(sa.column(name, sa.Text()) for name in ("environment_id", "definitions", "change")),
        sa.column("version", sa.Integer()),
        sa.column("created_at", Instant()),
    )
    found: dict[str, list[Any]] = defaultdict(list)
    for row in op.get_bind().execute(sa.select(definitions).order_by(definitions.c.key)):
        found[row.environment_id].append(row)
    for environment_id, rows in found.items():
        op.execute(
            versions.insert().values(
                environment_id=environment_id,
                version=1,
                definitions=json.dumps([_entry(row) for row in rows]),
                change=json.dumps({"added": [row.key for row in rows], "changed": [], "removed": []}),
                created_at=max(row.updated_at for row in rows),
            )
        )


def _entry(row: Any) -> dict[str, Any]:
    return {
        "key": row.key,
        "kind": row.kind,
        "type": row.type,
        "required": row.required,
        "sources": json.loads(row.sources),
        "id": row.id,
        "description": row.description,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }
