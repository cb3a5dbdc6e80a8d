"""The spine: tenants, directories, people, log, endpoints."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from syncline.store.types import Instant, JsonText

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_LIVE = sa.text("deleted_at IS NULL")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = (
    "environments",
    "organizations",
    "organization_domains",
    "api_keys",
    "idempotency_keys",
    "directories",
    "bearer_tokens",
    "directory_users",
    "directory_groups",
    "memberships",
    "group_edges",
    "pending_memberships",
    "event_inbox",
    "event_log",
    "log_heads",
    "directory_heads",
    "webhook_endpoints",
    "endpoint_secrets",
    "parked_deliveries",
    "delivery_attempts",
)


def upgrade() -> None:
    """Create every table."""
    _create_tenants()
    _create_directories()
    _create_log()
    _create_endpoints()


def downgrade() -> None:
    """Drop everything."""
    for table in _TABLES:
        op.drop_table(table)


def _create_tenants() -> None:
    """Environments, organizations, domains and API keys."""
    op.create_table(
        "environments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("inactive_users", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_environments"),
        sa.UniqueConstraint("name", name="uq_environments_name"),
    )
    op.create_table(
        "organizations",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("stripe_customer_id", sa.Text(), nullable=True),
        sa.Column("allow_profiles_outside_organization", sa.Boolean(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("deleted_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_organizations"),
    )
    op.create_index("ix_organizations_environment_id_id", "organizations", ["environment_id", "id"])
    op.create_index(
        "uq_organizations_external_id",
        "organizations",
        ["environment_id", "external_id"],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
    op.create_index(
        "uq_organizations_stripe_customer_id",
        "organizations",
        ["environment_id", "stripe_customer_id"],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
    op.create_table(
        "organization_domains",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("verification_strategy", sa.Text(), nullable=False),
        sa.Column("verification_prefix", sa.Text(), nullable=True),
        sa.Column("verification_token", sa.Text(), nullable=True),
        sa.Column("verification_started_at", Instant(), nullable=True),
        sa.Column("next_check_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organization_domains"),
    )
    op.create_index(
        "ix_organization_domains_environment_id_domain",
        "organization_domains",
        ["environment_id", "domain"],
        unique=True,
    )
    op.create_index("ix_organization_domains_next_check_at", "organization_domains", ["next_check_at"])
    op.create_index("ix_organization_domains_organization_id", "organization_domains", ["organization_id"])
    op.create_table(
        "api_keys",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("suffix", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("last_used_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index("ix_api_keys_environment_id_id", "api_keys", ["environment_id", "id"])
    op.create_table(
        "idempotency_keys",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("sealed_body", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("locked_until", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("environment_id", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _create_directories() -> None:
    """Directories, their tokens, people, groups and memberships."""
    op.create_table(
        "directories",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("external_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("inactive_users", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("activated_at", Instant(), nullable=True),
        sa.Column("deleted_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_directories"),
        sa.UniqueConstraint("external_key", name="uq_directories_external_key"),
    )
    op.create_index("ix_directories_environment_id_id", "directories", ["environment_id", "id"])
    op.create_index(
        "ix_directories_environment_id_organization_id", "directories", ["environment_id", "organization_id"]
    )
    op.create_table(
        "bearer_tokens",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("suffix", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("last_used_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_bearer_tokens"),
        sa.UniqueConstraint("digest", name="uq_bearer_tokens_digest"),
    )
    op.create_index("ix_bearer_tokens_directory_id", "bearer_tokens", ["directory_id"])
    op.create_table(
        "directory_users",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("directory_user_id", sa.Text(), nullable=True),
        sa.Column("user_name_key", sa.Text(), nullable=False),
        sa.Column("external_id_key", sa.Text(), nullable=True),
        sa.Column("idp_id_key", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=True),
        sa.Column("search", JsonText(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("listed_at", Instant(), nullable=True),
        sa.Column("deleted_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("directory_id", "id", name="pk_directory_users"),
        sa.UniqueConstraint("directory_user_id", name="uq_directory_users_directory_user_id"),
    )
    op.create_index(
        "ix_directory_users_directory_id_email_key", "directory_users", ["directory_id", "email_key"]
    )
    op.create_index(
        "ix_directory_users_directory_id_external_id_key",
        "directory_users",
        ["directory_id", "external_id_key"],
    )
    op.create_index(
        "ix_directory_users_directory_id_idp_id_key", "directory_users", ["directory_id", "idp_id_key"]
    )
    op.create_index(
        "ix_directory_users_environment_id_directory_user_id",
        "directory_users",
        ["environment_id", "directory_user_id"],
    )
    op.create_index(
        "uq_directory_users_user_name_key",
        "directory_users",
        ["directory_id", "user_name_key"],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
    op.create_table(
        "directory_groups",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("display_name_key", sa.Text(), nullable=False),
        sa.Column("external_id_key", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=True),
        sa.Column("search", JsonText(), nullable=False),
        sa.Column("member_count", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("deleted_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("directory_id", "id", name="pk_directory_groups"),
    )
    op.create_index(
        "ix_directory_groups_directory_id_display_name_key",
        "directory_groups",
        ["directory_id", "display_name_key"],
    )
    op.create_index(
        "ix_directory_groups_directory_id_external_id_key",
        "directory_groups",
        ["directory_id", "external_id_key"],
    )
    op.create_index("ix_directory_groups_environment_id_id", "directory_groups", ["environment_id", "id"])
    op.create_table(
        "memberships",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("directory_id", "group_id", "user_id", name="pk_memberships"),
    )
    op.create_index("ix_memberships_directory_id_user_id", "memberships", ["directory_id", "user_id"])
    op.create_table(
        "group_edges",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("child_id", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("directory_id", "group_id", "child_id", name="pk_group_edges"),
    )
    op.create_index("ix_group_edges_directory_id_child_id", "group_edges", ["directory_id", "child_id"])
    op.create_table(
        "pending_memberships",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("member_key", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("directory_id", "group_id", "member_key", name="pk_pending_memberships"),
    )
    op.create_index(
        "ix_pending_memberships_directory_id_member_key",
        "pending_memberships",
        ["directory_id", "member_key"],
    )


def _create_log() -> None:
    """The inbox, the log and the heads."""
    op.create_table(
        "event_inbox",
        sa.Column("seq", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.Column("directory_id", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("group_id", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_event_inbox"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_event_inbox_environment_id_seq", "event_inbox", ["environment_id", "seq"])
    op.create_table(
        "event_log",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.Column("directory_id", sa.Text(), nullable=True),
        sa.Column("directory_sequence", sa.BigInteger(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("group_id", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("sealed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("environment_id", "position", name="pk_event_log"),
    )
    op.create_index(
        "ix_event_log_directory_id_directory_sequence", "event_log", ["directory_id", "directory_sequence"]
    )
    op.create_index(
        "ix_event_log_environment_id_event_id", "event_log", ["environment_id", "event_id"], unique=True
    )
    op.create_index(
        "ix_event_log_environment_id_organization_id_position",
        "event_log",
        ["environment_id", "organization_id", "position"],
    )
    op.create_index(
        "ix_event_log_environment_id_type_position", "event_log", ["environment_id", "type", "position"]
    )
    op.create_table(
        "log_heads",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("last_event_ms", sa.BigInteger(), nullable=False),
        sa.Column("trimmed_position", sa.BigInteger(), nullable=False),
        sa.Column("trimmed_event_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("environment_id", name="pk_log_heads"),
    )
    op.create_table(
        "directory_heads",
        sa.Column("directory_id", sa.Text(), nullable=False),
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("directory_id", name="pk_directory_heads"),
    )


def _create_endpoints() -> None:
    """Webhook endpoints, their secrets, and what was delivered."""
    op.create_table(
        "webhook_endpoints",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("endpoint_url", sa.Text(), nullable=False),
        sa.Column("url_key", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("wake", sa.BigInteger(), nullable=False),
        sa.Column("next_due_at", Instant(), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", Instant(), nullable=True),
        sa.Column("consecutive_failures", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
    )
    op.create_index(
        "ix_webhook_endpoints_environment_id_url_key",
        "webhook_endpoints",
        ["environment_id", "url_key"],
        unique=True,
    )
    op.create_index("ix_webhook_endpoints_next_due_at", "webhook_endpoints", ["next_due_at"])
    op.create_table(
        "endpoint_secrets",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("suffix", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("switch_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_endpoint_secrets"),
    )
    op.create_index("ix_endpoint_secrets_endpoint_id", "endpoint_secrets", ["endpoint_id"])
    op.create_table(
        "parked_deliveries",
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_attempt_at", Instant(), nullable=True),
        sa.Column("next_due_at", Instant(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("endpoint_id", "position", name="pk_parked_deliveries"),
    )
    op.create_index(
        "ix_parked_deliveries_endpoint_id_state_next_due_at",
        "parked_deliveries",
        ["endpoint_id", "state", "next_due_at"],
    )
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
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("next_due_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_delivery_attempts"),
    )
    op.create_index("ix_delivery_attempts_endpoint_id_id", "delivery_attempts", ["endpoint_id", "id"])
    op.create_index("ix_delivery_attempts_started_at", "delivery_attempts", ["started_at"])
