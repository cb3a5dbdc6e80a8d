"""Why somebody holds a role: the rule, the group, since when, in words (`ui.md` §12.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syncline.core.errors import NotFound
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Directory, RoleGrant
from syncline.core.role_words import condition_text, grant_text
from syncline.core.roles import RoleRule
from syncline.services.kernel import Kernel
from syncline.services.role_rule_shapes import groups_named, rules_of
from syncline.services.role_rules import REMEMBERED
from syncline.store import product_reads, role_rules
from syncline.store import roles as role_store
from syncline.store.database import Connection


@dataclass(frozen=True, slots=True)
class ExplainedGrant:
    """A role that somebody holds, and why.

    `rule_text` is what the rule asks for, None for the default role and for a rule of long ago. `group_name`
    is None without a group and for one that is gone.
    """

    grant: RoleGrant
    role_name: str
    rule_text: str | None
    group_name: str | None

    @property
    def sentence(self) -> str:
        """The reason in a sentence."""
        return grant_text(self.grant, self.role_name, self.rule_text, self.group_name)


class RoleGrants:
    """The roles of people with their reasons."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def of(self, environment_id: str, directory_user_id: str) -> list[ExplainedGrant]:
        """Return the roles that a person shows; none where the directory has no rules. Raises `NotFound`."""

        def work(connection: Connection) -> list[ExplainedGrant]:
            found = None
            if is_id(Prefix.DIRECTORY_USER, directory_user_id):
                found = product_reads.user(connection, environment_id, directory_user_id)
            if found is None:
                raise NotFound("Directory user", directory_user_id)
            record, directory = found
            return explained(connection, directory, record.roles or ())

        return await self._kernel.database.read(work)


def explained(
    connection: Connection, directory: Directory, grants: Sequence[RoleGrant]
) -> list[ExplainedGrant]:
    """Return grants of somebody in a directory with what is known of their rules and groups."""
    rules: dict[str, RoleRule] = {}
    if any(grant.rule_id is not None for grant in grants):
        for version in role_rules.versions(connection, directory.scope, REMEMBERED):
            for rule in rules_of(version.body):
                rules.setdefault(rule.id, rule)
    given = [rules[grant.rule_id] for grant in grants if grant.rule_id in rules]
    named = groups_named(given) | {grant.group_id for grant in grants if grant.group_id is not None}
    groups = role_rules.group_names(connection, directory.scope, named)
    applying = role_store.of(connection, directory.environment_id, directory.organization_id)
    names = {role.slug: role.name for role in applying}
    return [
        ExplainedGrant(
            grant=grant,
            role_name=names.get(grant.role, grant.role),
            rule_text=_rule_text(rules.get(grant.rule_id or ""), groups),
            group_name=groups.get(grant.group_id or ""),
        )
        for grant in grants
    ]


def _rule_text(rule: RoleRule | None, groups: Mapping[str, str]) -> str | None:
    if rule is None:
        return None
    return condition_text(rule.condition, groups)
