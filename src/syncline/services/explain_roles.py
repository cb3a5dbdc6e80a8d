"""Why a person holds the roles they hold, and not the others: the rule, the group, since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from syncline.core import explain, wire
from syncline.core.attributes import product_attributes
from syncline.core.explain import RoleQuestion
from syncline.core.ids import Prefix, make_id
from syncline.core.model import Directory, GroupRecord, UserRecord
from syncline.core.roles import HeldGroup, RoleRules
from syncline.core.scim.resource import group_label
from syncline.services.role_grants import ExplainedGrant, explained
from syncline.services.role_rule_shapes import groups_named
from syncline.store import role_rules
from syncline.store import roles as role_store
from syncline.store.database import Connection


def explained_roles(
    connection: Connection,
    person: UserRecord,
    directory: Directory,
    rules: RoleRules | None,
    announced: wire.Announcement | None,
) -> list[wire.ExplainedRole]:
    """Return why a person holds each role; `rules` are those in force, `announced` the event that told."""
    numbers = {rule.id: number for number, rule in enumerate(rules.rules if rules else (), 1)}
    grants = explained(connection, directory, person.roles or ())
    return [_role(one, numbers, announced) for one in grants]


def absent_roles(
    connection: Connection,
    person: UserRecord,
    directory: Directory,
    rules: RoleRules | None,
    groups: Sequence[GroupRecord],
) -> list[wire.AbsentRole]:
    """Return why a person does not hold the other roles; `groups` are those that the directory shows."""
    if rules is None:
        return []
    held = [grant.role for grant in person.roles or ()]
    applying = role_store.of(connection, directory.environment_id, directory.organization_id)
    asked = RoleQuestion(
        rules=rules,
        groups=[HeldGroup(group.id, group_label(group.document)) for group in groups],
        attributes=product_attributes(person.document, person.mapped, person.id),
        group_names=role_rules.group_names(connection, directory.scope, groups_named(rules.rules)),
        role_names={role.slug: role.name for role in applying},
    )
    return [explain.absent_role(asked, role, held) for role in rules.priority if role not in held]


def _role(
    one: ExplainedGrant, numbers: Mapping[str, int], announced: wire.Announcement | None
) -> wire.ExplainedRole:
    grant = one.grant
    rule = group = None
    if grant.rule_id is not None:
        rule = wire.ExplainedRule(id=grant.rule_id, number=numbers.get(grant.rule_id), text=one.rule_text)
    if grant.group_id is not None:
        group_id = make_id(Prefix.DIRECTORY_GROUP, grant.group_id)
        group = wire.ExplainedGroup(id=group_id, name=one.group_name)
    found = wire.ExplainedRole(
        role=grant.role,
        name=one.role_name,
        rule=rule,
        group=group,
        since=wire.iso(grant.since),
        held=grant.held,
        announced=announced,
        sentence="",
    )
    return msgspec.structs.replace(found, sentence=explain.role_text(found))
