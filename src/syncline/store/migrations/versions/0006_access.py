"""Attributes, roles, effective membership, history, reconciliation, moving in; one index less of attempts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from syncline.store.types import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLES = (
    "attribute_definitions",
    "attribute_maps",
    "roles",
    "role_rules",
    "evaluations",
    "reevaluations",
    "held_changes",
    "past_memberships",
    "past_people",
    "reconciliations",
    "reconciliation_rows",
    "reconciliation_findings",
    "imports",
    "scim_aliases",
    "resource_aliases",
)

# Whom an event of the log is about.
_SUBJECTS = ("user_id", "group_id")


def upgrade() -> None:
    """Add the tables, columns and indexes, and leave attempts the index that every query of them takes."""
    op.drop_index("ix_delivery_attempts_endpoint_id_id", "delivery_attempts")
    op.drop_index("ix_delivery_attempts_started_at", "delivery_attempts")
    _key_attempts_by("endpoint_id", "id")
    op.add_column("directories", sa.Column("evaluation_id", sa.Text()))
    op.add_column("directories", sa.Column("membership", sa.Text(), nullable=False, server_default="direct"))
    op.add_column("directory_users", sa.Column("mapped", sa.Text()))
    op.add_column("directory_users", sa.Column("roles", sa.Text()))
    for column in _SUBJECTS:
        op.create_index(
            f"ix_event_log_{column}_position",
            "event_log",
            [column, "position"],
            sqlite_where=sa.text(f"{column} IS NOT NULL"),
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )
    op.create_table(
        "attribute_definitions",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_attribute_definitions"),
    )
    op.create_index(
        "ix_attribute_definitions_environment_id_key",
        "attribute_definitions",
        ["environment_id", "key"],
        unique=True,
    )
    op.create_table(
        "attribute_maps",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("directory_id", "version", name="pk_attribute_maps"),
    )
    op.create_table(
        "roles",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text()),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("resource_type_slug", sa.Text(), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_roles"),
    )
    op.create_index(
        "uq_roles_environment_slug",
        "roles",
        ["environment_id", "slug"],
        unique=True,
        sqlite_where=sa.text("organization_id IS NULL"),
        postgresql_where=sa.text("organization_id IS NULL"),
    )
    op.create_index(
        "uq_roles_organization_slug",
        "roles",
        ["organization_id", "slug"],
        unique=True,
        sqlite_where=sa.text("organization_id IS NOT NULL"),
        postgresql_where=sa.text("organization_id IS NOT NULL"),
    )
    op.create_table(
        "role_rules",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("directory_id", "version", name="pk_role_rules"),
    )
    op.create_table(
        "evaluations",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("environment_id", "id", name="pk_evaluations"),
    )
    op.create_table(
        "reevaluations",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant()),
        sa.Column("next_due_at", Instant()),
        sa.Column("lease_until", Instant()),
        sa.PrimaryKeyConstraint("directory_id", name="pk_reevaluations"),
    )
    op.create_index(
        "ix_reevaluations_environment_id_directory_id", "reevaluations", ["environment_id", "directory_id"]
    )
    op.create_index("ix_reevaluations_next_due_at", "reevaluations", ["next_due_at"])
    op.create_table(
        "held_changes",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("settled_at", Instant()),
        sa.Column("actor", sa.Text()),
        sa.Column("ended_at", Instant()),
        sa.PrimaryKeyConstraint("id", name="pk_held_changes"),
    )
    op.create_index(
        "uq_held_changes_lasting",
        "held_changes",
        ["directory_id", "user_id", "role"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_held_changes_directory_id_state", "held_changes", ["directory_id", "state"])
    op.create_index("ix_held_changes_environment_id_id", "held_changes", ["environment_id", "id"])
    op.create_table(
        "past_memberships",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("directory_id", "group_id", "user_id", name="pk_past_memberships"),
    )
    op.create_index(
        "ix_past_memberships_directory_id_user_id", "past_memberships", ["directory_id", "user_id"]
    )
    op.create_index("ix_past_memberships_ended_at", "past_memberships", ["ended_at"])
    op.create_table(
        "past_people",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("directory_id", "user_id", name="pk_past_people"),
    )
    op.create_index("ix_past_people_ended_at", "past_people", ["ended_at"])
    op.create_table(
        "reconciliations",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("url", sa.Text()),
        sa.Column("sealed", sa.Text()),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("corrections", sa.Text(), nullable=False),
        sa.Column("problems", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text()),
        sa.Column("taken_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant()),
        sa.Column("next_due_at", Instant()),
        sa.Column("lease_until", Instant()),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reconciliations"),
    )
    op.create_index(
        "ix_reconciliations_environment_id_directory_id_id",
        "reconciliations",
        ["environment_id", "directory_id", "id"],
    )
    op.create_index(
        "ix_reconciliations_next_due_at",
        "reconciliations",
        ["next_due_at"],
    )
    op.create_table(
        "reconciliation_rows",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("reconciliation_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("idp_id_key", sa.Text()),
        sa.Column("email_key", sa.Text()),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("past", sa.Text()),
        sa.PrimaryKeyConstraint("reconciliation_id", "number", name="pk_reconciliation_rows"),
    )
    op.create_index(
        "ix_reconciliation_rows_reconciliation_id_key",
        "reconciliation_rows",
        ["reconciliation_id", "key"],
    )
    op.create_table(
        "reconciliation_findings",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("reconciliation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("drift", sa.Text(), nullable=False),
        sa.Column("directory_user_id", sa.Text()),
        sa.Column("idp_id_key", sa.Text()),
        sa.Column("email_key", sa.Text()),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("settled_at", Instant()),
        sa.PrimaryKeyConstraint("reconciliation_id", "id", name="pk_reconciliation_findings"),
    )
    op.create_index(
        "ix_reconciliation_findings_reconciliation_id_drift_id",
        "reconciliation_findings",
        ["reconciliation_id", "drift", "id"],
    )
    op.create_index(
        "ix_reconciliation_findings_directory_id",
        "reconciliation_findings",
        ["directory_id"],
    )
    op.create_table(
        "imports",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text()),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("problems", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant()),
        sa.Column("next_due_at", Instant()),
        sa.Column("lease_until", Instant()),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
    )
    op.create_index("ix_imports_environment_id_id", "imports", ["environment_id", "id"])
    op.create_index("ix_imports_next_due_at", "imports", ["next_due_at"])
    op.create_table(
        "scim_aliases",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("path_key", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scim_aliases"),
        sa.UniqueConstraint("path_key", name="uq_scim_aliases_path_key"),
    )
    op.create_index("ix_scim_aliases_directory_id", "scim_aliases", ["directory_id"])
    _give_default_roles()
    op.create_table(
        "resource_aliases",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("directory_id", "alias", name="pk_resource_aliases"),
    )
    op.create_index(
        "uq_resource_aliases_resource_id", "resource_aliases", ["directory_id", "resource_id"], unique=True
    )


def _give_default_roles() -> None:
    """Give every environment the role that everybody has at least; its id follows from the environment's."""
    environments = sa.table(
        "environments", sa.column("id", sa.Text()), sa.column("created_at", sa.BigInteger())
    )
    roles = sa.table(
        "roles",
        *(
            sa.column(name, sa.Text())
            for name in ("environment_id", "id", "slug", "name", "resource_type_slug", "permissions")
        ),
        *(sa.column(name, sa.BigInteger()) for name in ("priority", "created_at", "updated_at")),
    )
    for row in op.get_bind().execute(sa.select(environments)).all():
        op.execute(
            roles.insert().values(
                environment_id=row.id,
                id=f"role_{row.id.rpartition('_')[2]}",
                slug="member",
                name="Member",
                resource_type_slug="organization",
                permissions="[]",
                priority=1024,
                created_at=row.created_at,
                updated_at=row.created_at,
            )
        )


def downgrade() -> None:
    """Take them away, and give attempts their indexes back."""
    _key_attempts_by("id")
    op.create_index("ix_delivery_attempts_endpoint_id_id", "delivery_attempts", ["endpoint_id", "id"])
    op.create_index("ix_delivery_attempts_started_at", "delivery_attempts", ["started_at"])
    for column in _SUBJECTS:
        op.drop_index(f"ix_event_log_{column}_position", "event_log")
    for table in _TABLES:
        op.drop_table(table)
    op.drop_column("directory_users", "roles")
    op.drop_column("directory_users", "mapped")
    op.drop_column("directories", "membership")
    op.drop_column("directories", "evaluation_id")


_ATTEMPT_COLUMNS = (
    "environment_id",
    "endpoint_id",
    "id",
    "position",
    "event_id",
    "event_type",
    "attempt",
    "started_at",
    "duration_ms",
    "outcome",
    "status",
    "error",
    "response",
    "next_due_at",
)


def _key_attempts_by(*key: str) -> None:
    """Give the table of attempts another primary key, which SQLite only takes with the table."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("pk_delivery_attempts", "delivery_attempts", type_="primary")
        op.create_primary_key("pk_delivery_attempts", "delivery_attempts", list(key))
        return
    op.rename_table("delivery_attempts", "delivery_attempts_before")
    op.create_table(
        "delivery_attempts",
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
        sa.PrimaryKeyConstraint(*key, name="pk_delivery_attempts"),
    )
    before, after = (
        sa.table(name, *map(sa.column, _ATTEMPT_COLUMNS))
        for name in ("delivery_attempts_before", "delivery_attempts")
    )
    op.execute(after.insert().from_select(list(_ATTEMPT_COLUMNS), sa.select(before)))
    op.drop_table("delivery_attempts_before")
