"""Every table of Syncline, one metadata for both engines.

Every tenant table but `delivery_attempts` carries `environment_id`; directory data is keyed
`(directory_id, id)` so that it can be partitioned or distributed by directory. Index keys of arbitrary text
are `core.text.index_key` values, because PostgreSQL refuses index rows above 2.7 kB.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from syncline.core.ids import Prefix
from syncline.store.types import Instant, JsonText, ObjectId

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)
_live = text("deleted_at IS NULL")
_deleted = text("deleted_at IS NOT NULL")
# SQLite gives automatic numbers to INTEGER keys only, PostgreSQL needs the wide type.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

environments = Table(
    "environments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("inactive_users", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("suffix", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("last_used_at", Instant),
    Column("revoked_at", Instant),
    Index(None, "environment_id", "id"),
)

organizations = Table(
    "organizations",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("external_id", Text),
    Column("stripe_customer_id", Text),
    Column("allow_profiles_outside_organization", Boolean, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    Index(None, "environment_id", "id"),
    Index(
        "uq_organizations_external_id",
        "environment_id",
        "external_id",
        unique=True,
        sqlite_where=_live,
        postgresql_where=_live,
    ),
    Index(
        "uq_organizations_stripe_customer_id",
        "environment_id",
        "stripe_customer_id",
        unique=True,
        sqlite_where=_live,
        postgresql_where=_live,
    ),
)

organization_domains = Table(
    "organization_domains",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("verification_strategy", Text, nullable=False),
    Column("verification_prefix", Text),
    Column("verification_token", Text),
    Column("verification_started_at", Instant),
    Column("next_check_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(None, "environment_id", "domain", unique=True),
    Index(None, "organization_id"),
    Index(None, "next_check_at"),
)

directories = Table(
    "directories",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("external_key", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("inactive_users", Text, nullable=False),
    Column("settings", Text, nullable=False),
    # What people are evaluated by; null while nothing is defined but the standard attributes.
    Column("evaluation_id", Text),
    # direct or effective: which memberships the product view and its events speak of.
    Column("membership", Text, nullable=False, server_default="direct"),
    # Raised by whoever writes rows of the directory or the directory itself, where several may write at once.
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("activated_at", Instant),
    Column("deleted_at", Instant),
    Index(None, "environment_id", "id"),
    Index(None, "environment_id", "organization_id"),
)

bearer_tokens = Table(
    "bearer_tokens",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("label", Text),
    Column("digest", Text, nullable=False, unique=True),
    Column("suffix", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("last_used_at", Instant),
    Column("revoked_at", Instant),
    Index(None, "directory_id"),
)

directory_users = Table(
    "directory_users",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    # The person's id in the product view; null while an inactive person is not shown there.
    Column("directory_user_id", Text, unique=True),
    Column("user_name_key", Text, nullable=False),
    Column("external_id_key", Text),
    Column("idp_id_key", Text, nullable=False),
    Column("email_key", Text),
    Column("label", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    # Null when the raw body equals the document.
    Column("raw", Text),
    # What the evaluation of the directory made of the person, as the last event said it; null without one.
    Column("mapped", Text),
    Column("roles", Text),
    Column("search", JsonText, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("listed_at", Instant),
    Column("deleted_at", Instant),
    PrimaryKeyConstraint("directory_id", "id"),
    Index(
        "uq_directory_users_user_name_key",
        "directory_id",
        "user_name_key",
        unique=True,
        sqlite_where=_live,
        postgresql_where=_live,
    ),
    Index(None, "directory_id", "external_id_key"),
    Index(None, "directory_id", "idp_id_key"),
    Index(None, "directory_id", "email_key"),
    Index(None, "environment_id", "directory_user_id"),
)

directory_groups = Table(
    "directory_groups",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("display_name_key", Text, nullable=False),
    Column("external_id_key", Text),
    Column("label", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("raw", Text),
    Column("search", JsonText, nullable=False),
    Column("member_count", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    PrimaryKeyConstraint("directory_id", "id"),
    Index(None, "directory_id", "display_name_key"),
    Index(None, "directory_id", "external_id_key"),
    Index(None, "environment_id", "id"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("group_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("directory_id", "group_id", "user_id"),
    Index(None, "directory_id", "user_id"),
)

group_edges = Table(
    "group_edges",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("group_id", Text, nullable=False),
    Column("child_id", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("directory_id", "group_id", "child_id"),
    Index(None, "directory_id", "child_id"),
)

pending_memberships = Table(
    "pending_memberships",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("group_id", Text, nullable=False),
    Column("member_key", Text, nullable=False),
    Column("member_id", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("directory_id", "group_id", "member_key"),
    Index(None, "directory_id", "member_key"),
)

event_inbox = Table(
    "event_inbox",
    metadata,
    Column("seq", _Serial, primary_key=True, autoincrement=True),
    Column("environment_id", Text, nullable=False),
    Column("organization_id", Text),
    Column("directory_id", Text),
    Column("type", Text, nullable=False),
    Column("user_id", Text),
    Column("group_id", Text),
    Column("cause", Text, nullable=False),
    Column("actor", Text),
    Column("body", Text, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Index(None, "environment_id", "seq"),
    # Without AUTOINCREMENT SQLite re-uses row ids and a tail misses events.
    sqlite_autoincrement=True,
)

event_log = Table(
    "event_log",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("organization_id", Text),
    Column("directory_id", Text),
    Column("directory_sequence", BigInteger),
    Column("type", Text, nullable=False),
    Column("user_id", Text),
    Column("group_id", Text),
    Column("cause", Text, nullable=False),
    Column("actor", Text),
    Column("body", Text, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("sealed_at", Instant, nullable=False),
    PrimaryKeyConstraint("environment_id", "position"),
    Index(None, "environment_id", "event_id", unique=True),
    Index(None, "environment_id", "type", "position"),
    Index(None, "environment_id", "organization_id", "position"),
    Index(None, "directory_id", "directory_sequence"),
    # The past of one person or group. Their ids are unique everywhere, so nothing goes before them.
    Index(
        None,
        "user_id",
        "position",
        sqlite_where=text("user_id IS NOT NULL"),
        postgresql_where=text("user_id IS NOT NULL"),
    ),
    Index(
        None,
        "group_id",
        "position",
        sqlite_where=text("group_id IS NOT NULL"),
        postgresql_where=text("group_id IS NOT NULL"),
    ),
)

log_heads = Table(
    "log_heads",
    metadata,
    Column("environment_id", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("last_event_ms", BigInteger, nullable=False),
    # The newest position that retention removed; 0 while nothing was removed.
    Column("trimmed_position", BigInteger, nullable=False),
    Column("trimmed_event_ms", BigInteger, nullable=False),
)

directory_heads = Table(
    "directory_heads",
    metadata,
    Column("directory_id", Text, primary_key=True),
    Column("environment_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("endpoint_url", Text, nullable=False),
    Column("url_key", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("settings", Text, nullable=False),
    # The delivery state of the dispatcher: the last position that is settled or parked.
    Column("cursor", BigInteger, nullable=False),
    Column("wake", BigInteger, nullable=False),
    Column("next_due_at", Instant),
    Column("lease_until", Instant),
    Column("fence", BigInteger, nullable=False),
    Column("failing_since", Instant),
    Column("consecutive_failures", Integer, nullable=False),
    # Failed attempts since the last success; `consecutive_failures` is what the circuit counts.
    Column("failed_attempts", BigInteger, nullable=False, server_default="0"),
    Column("last_success_at", Instant),
    # closed, open or probing; `circuit_step` counts the probes that failed since it opened.
    Column("circuit", Text, nullable=False, server_default="closed"),
    Column("circuit_step", Integer, nullable=False, server_default="0"),
    Column("disabled_reason", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(None, "environment_id", "url_key", unique=True),
    Index(None, "next_due_at"),
)

endpoint_secrets = Table(
    "endpoint_secrets",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("suffix", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    # From this moment `WorkOS-Signature` is made with this secret.
    Column("switch_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Index(None, "endpoint_id"),
)

parked_deliveries = Table(
    "parked_deliveries",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("lane", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_attempt_at", Instant),
    Column("next_due_at", Instant),
    Column("last_error", Text),
    PrimaryKeyConstraint("endpoint_id", "position"),
    Index(None, "endpoint_id", "state", "next_due_at"),
)

# Ranges of the log that an owner wants sent to an endpoint again; a row goes when its end is reached.
replays = Table(
    "replays",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("next_position", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "endpoint_id", "id"),
)

# One row for each request to an endpoint: most of what a delivery writes, so it is kept short. There is no
# environment, as the endpoint has one: who asks names both. Ids are bytes, and columns of a fixed size come
# first, as PostgreSQL fills up to the next multiple of their size.
delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("position", BigInteger, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("next_due_at", Instant),
    Column("attempt", Integer, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer),
    Column("endpoint_id", ObjectId(Prefix.WEBHOOK_ENDPOINT), nullable=False),
    Column("id", ObjectId(Prefix.ATTEMPT), nullable=False),
    # Not only the position: retention may remove the event first, and a test has none.
    Column("event_id", ObjectId(Prefix.EVENT), nullable=False),
    Column("event_type", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error", Text),
    Column("response", Text),
    # The one index, as every attempt is written into all of them: ids carry the time, so ages are ranges.
    PrimaryKeyConstraint("endpoint_id", "id"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_digest", Text, nullable=False),
    Column("status", Integer),
    # The stored answer, sealed because it may hold a secret; null while the first request runs.
    Column("sealed_body", Text),
    Column("created_at", Instant, nullable=False),
    Column("locked_until", Instant),
    PrimaryKeyConstraint("environment_id", "key"),
    Index(None, "created_at"),
)

# A reader of the log that copies it elsewhere; due while its cursor is behind the head.
event_sinks = Table(
    "event_sinks",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # What is no secret of where it goes; `sealed` holds the password or token.
    Column("config", Text, nullable=False),
    Column("sealed", Text),
    # Empty lists filter nothing.
    Column("events", Text, nullable=False),
    Column("directories", Text, nullable=False),
    Column("state", Text, nullable=False),
    # The last position that is acknowledged or filtered out.
    Column("cursor", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=False),
    Column("last_published_at", Instant),
    Column("next_due_at", Instant),
    Column("lease_until", Instant),
    Column("fence", BigInteger, nullable=False),
    Column("consecutive_failures", Integer, nullable=False),
    Column("failing_since", Instant),
    Column("last_error", Text),
    # The positions that retention removed before the sink had read them.
    Column("missed", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(None, "environment_id", "name", unique=True),
)

# What was erased about whom, by ids only; due while something is left to do.
erasures = Table(
    "erasures",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("directory_id", Text, nullable=False),
    Column("directory_user_id", Text, nullable=False),
    # Every id the person ever had in the product view, as far as anything knew.
    Column("user_ids", Text, nullable=False),
    Column("counts", Text, nullable=False),
    # Whether a person who is still in the directory is to be deleted first.
    Column("deletes", Boolean, nullable=False),
    Column("cause", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("next_due_at", Instant),
    Column("lease_until", Instant),
    Index(None, "environment_id", "directory_user_id"),
    Index(None, "next_due_at"),
)

# The attributes that an environment shows beyond the standard ones, and where they come from by default.
attribute_definitions = Table(
    "attribute_definitions",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False),
    # standard (only its sources differ from the built-in ones), predefined or custom.
    Column("kind", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("required", Boolean, nullable=False),
    Column("description", Text),
    # A list of sources; empty for those that a predefined attribute has by itself.
    Column("sources", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(None, "environment_id", "key", unique=True),
)

# The attributes that an environment defines: the whole set after every change of it.
definition_versions = Table(
    "definition_versions",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("definitions", Text, nullable=False),
    # The keys that it has more, other and less than the version before.
    Column("change", Text, nullable=False),
    # The version that it repeats.
    Column("restored", Integer),
    # Null for the set that was there when versions began.
    Column("cause", Text),
    Column("actor", Text),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("environment_id", "version"),
)

# What one directory maps differently: every version of it, of which the newest is in force.
attribute_maps = Table(
    "attribute_maps",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    # Lists of sources by attribute key.
    Column("sources", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("actor", Text),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("directory_id", "version"),
)

roles = Table(
    "roles",
    metadata,
    Column("environment_id", Text, nullable=False),
    # Null for a role of the environment.
    Column("organization_id", Text),
    Column("id", Text, primary_key=True),
    Column("slug", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("resource_type_slug", Text, nullable=False),
    Column("permissions", Text, nullable=False),
    # The lower, the more important.
    Column("priority", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(
        "uq_roles_environment_slug",
        "environment_id",
        "slug",
        unique=True,
        sqlite_where=text("organization_id IS NULL"),
        postgresql_where=text("organization_id IS NULL"),
    ),
    Index(
        "uq_roles_organization_slug",
        "organization_id",
        "slug",
        unique=True,
        sqlite_where=text("organization_id IS NOT NULL"),
        postgresql_where=text("organization_id IS NOT NULL"),
    ),
)

# Who gets which role in a directory: every version of it, of which the newest is in force.
role_rules = Table(
    "role_rules",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    # mode, precedence, default_role, rules and floors (`core.roles`).
    Column("body", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("actor", Text),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("directory_id", "version"),
)

# What directories evaluate their people by: attribute map and role rules in one, never changed.
evaluations = Table(
    "evaluations",
    metadata,
    Column("environment_id", Text, nullable=False),
    # A digest of the body, so that directories of one environment share what is equal.
    Column("id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("environment_id", "id"),
)

# Directories whose people have to be evaluated again; due while something is left to do.
reevaluations = Table(
    "reevaluations",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, primary_key=True),
    # The last person who was evaluated; empty at the beginning.
    Column("cursor", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("actor", Text),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("next_due_at", Instant),
    Column("lease_until", Instant),
    Index(None, "next_due_at"),
    Index(None, "environment_id", "directory_id"),
)

# Changes that were not carried out because a rule protects against them, until somebody decides.
held_changes = Table(
    "held_changes",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    # role_floor: a person would lose a role that too few would hold then.
    Column("kind", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("cause", Text, nullable=False),
    # pending, approved, ignored, or obsolete when the reason has gone by itself.
    Column("state", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Column("actor", Text),
    # When the reason has gone. Until then what was ignored is not asked again.
    Column("ended_at", Instant),
    Index(
        "uq_held_changes_lasting",
        "directory_id",
        "user_id",
        "role",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(None, "directory_id", "state"),
    Index(None, "environment_id", "id"),
)

# Memberships that ended without events of their own, because their group did. People are named by the ids
# they had in the product view then, groups by their SCIM ids.
past_memberships = Table(
    "past_memberships",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("group_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=False),
    PrimaryKeyConstraint("directory_id", "group_id", "user_id"),
    Index(None, "directory_id", "user_id"),
    Index(None, "ended_at"),
)

# People as they were before a request that changed them and made them leave the product view: the event of
# their departure shows them after it. `user_id` is the id they had in the view, `body` what it showed.
past_people = Table(
    "past_people",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("ended_at", Instant, nullable=False),
    PrimaryKeyConstraint("directory_id", "user_id"),
    Index(None, "ended_at"),
)

# Comparisons of an app's own roster with a directory; due while something is left to do.
reconciliations = Table(
    "reconciliations",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    # upload or url.
    Column("source", Text, nullable=False),
    # The address of a roster, and the secret that is sent to it.
    Column("url", Text),
    Column("sealed", Text),
    # What is being done, and the last row, person or event that it is done with.
    Column("phase", Text, nullable=False),
    Column("cursor", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    # How many findings there are, by class, and what was corrected of them.
    Column("counts", Text, nullable=False),
    Column("corrections", Text, nullable=False),
    Column("problems", Text, nullable=False),
    Column("error", Text),
    Column("attempts", Integer, nullable=False),
    Column("cause", Text, nullable=False),
    Column("actor", Text),
    Column("taken_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("next_due_at", Instant),
    Column("lease_until", Instant),
    # Raised by every claim, so that a worker whose lease ran out writes nothing more.
    Column("fence", BigInteger, nullable=False),
    Index(None, "environment_id", "directory_id", "id"),
    Index(None, "next_due_at"),
)

# The rows of a roster, until they are compared.
reconciliation_rows = Table(
    "reconciliation_rows",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("reconciliation_id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    # What the row is matched by, and what a person can be recognized by.
    Column("key", Text, nullable=False),
    Column("idp_id_key", Text),
    Column("email_key", Text),
    Column("body", Text, nullable=False),
    # Whether nobody in the product view is meant, and which event tells that somebody has left.
    Column("pending", Boolean, nullable=False),
    Column("past", Text),
    PrimaryKeyConstraint("reconciliation_id", "number"),
    Index(None, "reconciliation_id", "key"),
)

reconciliation_findings = Table(
    "reconciliation_findings",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("reconciliation_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("drift", Text, nullable=False),
    Column("directory_user_id", Text),
    Column("idp_id_key", Text),
    Column("email_key", Text),
    Column("body", Text, nullable=False),
    # Null while nobody has corrected it: emitted, or why not.
    Column("outcome", Text),
    Column("settled_at", Instant),
    PrimaryKeyConstraint("reconciliation_id", "id"),
    Index(None, "reconciliation_id", "drift", "id"),
    Index(None, "directory_id"),
)

# Moving in from elsewhere: what is copied, how far it is, and what was refused.
imports = Table(
    "imports",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("sealed", Text),
    Column("progress", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("problems", Text, nullable=False),
    Column("error", Text),
    Column("cause", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("next_due_at", Instant),
    Column("lease_until", Instant),
    Index(None, "environment_id", "id"),
    Index(None, "next_due_at"),
)

# Addresses that identity providers already have, kept so that nothing changes on their side.
scim_aliases = Table(
    "scim_aliases",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("id", Text, primary_key=True),
    # The path before `/Users` and `/Groups`, without a slash at its end.
    Column("path", Text, nullable=False),
    # The same in lower case: providers may change the letter case of an address.
    Column("path_key", Text, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Index(None, "directory_id"),
)

# Ids that identity providers got from another service for people and groups that moved in.
resource_aliases = Table(
    "resource_aliases",
    metadata,
    Column("environment_id", Text, nullable=False),
    Column("directory_id", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    PrimaryKeyConstraint("directory_id", "alias"),
    Index("uq_resource_aliases_resource_id", "directory_id", "resource_id", unique=True),
)

# Retention looks for what has been deleted for long.
for _table in (organizations, directories, directory_users, directory_groups):
    Index(None, _table.c.deleted_at, sqlite_where=_deleted, postgresql_where=_deleted)
