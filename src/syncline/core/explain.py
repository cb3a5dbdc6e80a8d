"""Why a person is as they are, in plain sentences: attributes, state, roles, absent roles, memberships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from syncline.core import wire
from syncline.core.attribute_map import Evidence
from syncline.core.attribute_sources import Level
from syncline.core.json import Json, stringify
from syncline.core.role_words import condition_text
from syncline.core.roles import ConditionKind, HeldGroup, RoleMode, RoleRule, RoleRules, evaluate_roles

_LONGEST_VALUE = 80
_NEVER = datetime.min.replace(tzinfo=UTC)
_LEVELS: Mapping[Level, str] = {
    Level.DIRECTORY: "the directory's own map",
    Level.ENVIRONMENT: "the environment's map",
    Level.PROVIDER: "what is usual for the provider",
    Level.BUILT_IN: "the built-in rule",
}


def text_of(value: Json) -> str:
    """Return a value as a sentence shows it, cut where it is long."""
    if value is None or value == "":
        return "(nothing)"
    text = value if isinstance(value, str) else stringify(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def brought_by(announced: wire.Announcement | None) -> str:
    """Return what brought something and when, as the end of a sentence; empty if the log does not tell."""
    if announced is None:
        return ""
    return f" ({announced.cause.kind} {announced.cause.id}, {announced.recorded_at})"


def attribute_text(
    evidence: Evidence, level: Level, value: Json, announced: wire.Announcement | None, *, pending: bool
) -> str:
    """Return why an attribute has its value; `pending`: a changed map has not reached the person yet."""
    by = brought_by(announced)
    if pending:
        return (
            f"{evidence.key} is {text_of(value)}{by}; by the map in force it is to become "
            f"{text_of(evidence.value)}, which a job carries out."
        )
    if evidence.source is None:
        return f"{evidence.key} is empty: none of its sources has a value, by {_LEVELS[level]}."
    where = "a fixed value" if evidence.source.path is None else f"from {evidence.source.path}"
    steps = ", ".join(step.name for step in evidence.source.transforms)
    through = f", through {steps}" if steps else ""
    return f"{evidence.key} is {text_of(value)}: {where}{through}, by {_LEVELS[level]}{by}."


def state_text(state: str, sent: Json, announced: wire.Announcement | None) -> str:
    """Return why a person is active or inactive; `sent` is what the provider sent, None if nothing."""
    by = brought_by(announced)
    said = f"the provider sent active: {text_of(sent)}"
    if state == "inactive":
        return f"Inactive because {said}{by}."
    return f"Active because {said}{by}." if sent is not None else "Active: the provider never said otherwise."


def role_text(role: wire.ExplainedRole) -> str:
    """Return why somebody holds a role, whose own sentence is still empty."""
    since = f"since {role.since}"
    if role.held:
        return f"{role.name}, {since}: no rule gives it any more, and a floor keeps it."
    if role.rule is None:
        return f"{role.name}, the default role, {since}: no rule matches."
    rule = "a rule of long ago" if role.rule.number is None else f"rule {role.rule.number}"
    if role.group is not None:
        return f"{role.name}, because of group {role.group.name or role.group.id}, {rule}, {since}."
    return f"{role.name}, by {rule}, {since}."


@dataclass(frozen=True, slots=True)
class RoleQuestion:
    """What decides about roles: the rules, the person's groups and attributes, and names by id and slug."""

    rules: RoleRules
    groups: Sequence[HeldGroup]
    attributes: Mapping[str, Json]
    group_names: Mapping[str, str]
    role_names: Mapping[str, str]


def absent_role(asked: RoleQuestion, role: str, held: Sequence[str]) -> wire.AbsentRole:
    """Return why a person does not hold a role; `held` are the roles that they hold."""
    giving = [(number, rule) for number, rule in enumerate(asked.rules.rules, 1) if rule.role == role]
    missed = [
        wire.MissedRule(
            id=rule.id,
            number=number,
            text=condition_text(rule.condition, asked.group_names),
            matches=_matches(asked, rule),
        )
        for number, rule in giving
    ]
    name = asked.role_names.get(role, role)
    reasons = [_reason(asked, one, rule, held) for one, (_, rule) in zip(missed, giving, strict=True)]
    if not reasons:
        is_default = role == asked.rules.fallback
        reasons = ["it is for people whom no rule matches" if is_default else "no rule gives it"]
    return wire.AbsentRole(role=role, name=name, rules=missed, sentence=f"Not {name}: {'; '.join(reasons)}.")


def membership_text(
    name: str, path: Sequence[wire.MembershipStep], announced: wire.Announcement | None
) -> str:
    """Return why somebody is a member of a group; `path` leads through the groups in between to it."""
    by = brought_by(announced)
    if len(path) <= 1:
        return f"A direct member of {name}{by}."
    way = ", which is in ".join(step.name for step in path)
    return f"A member of {name} through other groups: a direct member of {way}{by}."


def _matches(asked: RoleQuestion, rule: RoleRule) -> bool:
    rules = asked.rules
    alone = RoleRules(RoleMode.MULTIPLE, rules.precedence, rules.default_role, rules.priority, (rule,))
    # The time decides nothing: of grants only the rule is looked at.
    granted = evaluate_roles(alone, asked.groups, asked.attributes, (), _NEVER)
    return any(grant.rule_id == rule.id for grant in granted)


def _reason(asked: RoleQuestion, missed: wire.MissedRule, rule: RoleRule, held: Sequence[str]) -> str:
    if missed.matches:
        names = ", ".join(asked.role_names.get(role, role) for role in held)
        return f"rule {missed.number} matches, and {names} goes before it"
    condition = rule.condition
    if condition.kind is ConditionKind.GROUP:
        name = asked.group_names.get(condition.subject)
        if name is None:
            return f"rule {missed.number} needs a group that no longer exists"
        return f"rule {missed.number} needs group {name}; not a member"
    if condition.kind is ConditionKind.GROUP_NAME:
        return f"rule {missed.number} is for whoever {missed.text}; in no such group"
    value = text_of(asked.attributes.get(condition.subject))
    return f"rule {missed.number} is for whoever {missed.text}; {condition.subject} is {value}"
