"""Role rules and grants in words, for people who ask why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncline.core import wire
from syncline.core.json import Json
from syncline.core.model import RoleGrant
from syncline.core.roles import Condition, ConditionKind

_OPERATORS = {
    "equals": "is",
    "not_equals": "is not",
    "contains": "contains",
    "starts_with": "starts with",
    "matches": "matches",
    "in": "is one of",
}


def condition_text(condition: Condition, groups: Mapping[str, str]) -> str:
    """Return when a rule matches, as the end of "a person who …"; `groups` are the names of all groups."""
    if condition.kind is ConditionKind.GROUP:
        group_name = groups.get(condition.subject)
        if group_name is None:
            return "is a member of a group that no longer exists"
        return f"is a member of the group {quoted(group_name)}"
    if condition.kind is ConditionKind.GROUP_NAME:
        says = "is named" if condition.operator == "equals" else "has a name that matches"
        return f"is a member of a group that {says} {quoted(condition.value)}"
    if condition.operator in ("present", "absent"):
        return f"has {'a' if condition.operator == 'present' else 'no'} value for {condition.subject}"
    return f"has a {condition.subject} that {_OPERATORS[condition.operator]} {quoted(condition.value)}"


def grant_text(grant: RoleGrant, role_name: str, rule_text: str | None, group_name: str | None) -> str:
    """Return why somebody holds a role, in a sentence.

    `rule_text` is what the rule asks for, None if it is not known any more.
    """
    since = f"since {wire.iso(grant.since)}"
    if grant.held:
        return f"{role_name} {since}; no rule gives it any more, and a floor keeps it."
    if grant.rule_id is None:
        return f"{role_name}, the default role, {since}: no rule matches."
    by = f"by rule {grant.rule_id}"
    if rule_text is not None:
        by += f" (whoever {rule_text})"
    if grant.group_id is None:
        return f"{role_name} {by} {since}."
    of = quoted(group_name) if group_name is not None else "that no longer exists"
    return f"{role_name} because of group {of} {by} {since}."


def quoted(value: Json) -> str:
    """Return a value in quotation marks, a list joined by commas."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(quoted(one) for one in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"“{value}”" if isinstance(value, str) else str(value)
