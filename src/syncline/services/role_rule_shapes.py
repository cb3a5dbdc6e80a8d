"""What callers say about role rules, checked against what there is, and turned into what is stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.ids import Prefix
from syncline.core.json import MAX_SAFE_INTEGER, Json
from syncline.core.role_conditions import read_condition
from syncline.core.roles import Condition, ConditionKind, Floor, Precedence, RoleMode, RoleRule

MAX_RULES = 500
MAX_FLOORS = 50
MAX_TEXT = 500
MAX_CHOICES = 200
MAX_MINIMUM = 1_000_000
STANDARD_KEYS = frozenset(
    ("idp_id", "email", "first_name", "last_name", "name", "emails", "job_title", "username", "state")
)
"""Attributes that every person has, whatever the environment defines."""

GROUP_NAME_OPERATORS = ("equals", "matches")
_TEXT_OPERATORS = ("contains", "starts_with", "matches")
_VALUE_OPERATORS = ("equals", "not_equals")
_NO_VALUE_OPERATORS = ("present", "absent")
ATTRIBUTE_OPERATORS = (*_VALUE_OPERATORS, *_TEXT_OPERATORS, "in", *_NO_VALUE_OPERATORS)


@dataclass(frozen=True, slots=True)
class RuleSetInput:
    """The whole set of rules of a directory as a caller gives it; a rule without an id is new.

    `version` is the one that the caller has seen, None if that does not matter.
    """

    mode: RoleMode
    precedence: Precedence
    default_role: str
    rules: Sequence[RoleRule]
    floors: Sequence[Floor] = ()
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What rules may name: roles, groups (SCIM ids), attributes; and the rules there were, by id."""

    roles: Collection[str]
    groups: Collection[str]
    attributes: Collection[str]
    rules: Mapping[str, RoleRule]


def groups_named(rules: Sequence[RoleRule]) -> set[str]:
    """Return the SCIM ids of the groups that rules name."""
    return {rule.condition.subject for rule in rules if rule.condition.kind is ConditionKind.GROUP}


def rules_of(body: Mapping[str, Any]) -> list[RoleRule]:
    """Return the rules of a stored body."""
    return [
        RoleRule(one["id"], read_condition(one["condition"]), one["role"]) for one in body.get("rules", ())
    ]


def floors_of(body: Mapping[str, Any]) -> list[Floor]:
    """Return the floors of a stored body."""
    return [Floor(one["role"], one["minimum"]) for one in body.get("floors", ())]


def checked_body(given: RuleSetInput, known: Known, new_id: Callable[[Prefix], str]) -> dict[str, Json]:
    """Return the body that is stored. Raises `ValidationFailed` naming every field that is wrong.

    What a rule named before and what is gone since may stay: only what is new has to exist.
    """
    wrong = []
    if given.default_role not in known.roles:
        wrong.append(FieldError("default_role", "default_role_unknown"))
    if len(given.rules) > MAX_RULES:
        wrong.append(FieldError("rules", "rules_too_long"))
    if len(given.floors) > MAX_FLOORS:
        wrong.append(FieldError("floors", "floors_too_long"))
    if wrong:
        raise ValidationFailed(wrong)
    seen: set[str] = set()
    for number, rule in enumerate(given.rules):
        wrong += _wrong_rule(rule, f"rules[{number}]", known, seen)
    wrong += _wrong_floors(given.floors, known)
    if wrong:
        raise ValidationFailed(wrong)
    rules: list[Json] = [
        {
            "id": rule.id or new_id(Prefix.ROLE_RULE),
            "condition": condition_body(rule.condition),
            "role": rule.role,
        }
        for rule in given.rules
    ]
    return {
        "mode": given.mode.value,
        "precedence": given.precedence.value,
        "default_role": given.default_role,
        "rules": rules,
        "floors": [{"role": floor.role, "minimum": floor.minimum} for floor in given.floors],
    }


def condition_body(condition: Condition) -> dict[str, Json]:
    """Return the JSON form of a condition, without what its kind does not need."""
    body: dict[str, Json] = {"kind": condition.kind.value}
    if condition.kind is not ConditionKind.GROUP_NAME:
        body["subject"] = condition.subject
    if condition.kind is not ConditionKind.GROUP:
        body["operator"] = condition.operator
        if condition.operator not in _NO_VALUE_OPERATORS:
            body["value"] = condition.value
    return body


def _wrong_rule(rule: RoleRule, at: str, known: Known, seen: set[str]) -> list[FieldError]:
    wrong = []
    before = known.rules.get(rule.id) if rule.id else None
    if rule.id and (before is None or rule.id in seen):
        wrong.append(FieldError(f"{at}.id", "id_unknown" if before is None else "id_invalid"))
    seen.add(rule.id)
    if rule.role not in known.roles and (before is None or before.role != rule.role):
        wrong.append(FieldError(f"{at}.role", "role_unknown"))
    if before is None or condition_body(before.condition) != condition_body(rule.condition):
        wrong += _wrong_condition(rule.condition, f"{at}.condition", known)
    return wrong


def _wrong_condition(condition: Condition, at: str, known: Known) -> list[FieldError]:
    subject, operator, value = condition.subject, condition.operator, condition.value
    wrong = []
    if condition.kind is ConditionKind.GROUP:
        if subject not in known.groups:
            wrong.append(FieldError(f"{at}.subject", "subject_unknown" if subject else "subject_required"))
        if operator:
            wrong.append(FieldError(f"{at}.operator", "operator_invalid"))
        if value is not None:
            wrong.append(FieldError(f"{at}.value", "value_invalid"))
        return wrong
    by_name = condition.kind is ConditionKind.GROUP_NAME
    if by_name and subject:
        wrong.append(FieldError(f"{at}.subject", "subject_invalid"))
    elif not by_name and subject not in known.attributes:
        wrong.append(FieldError(f"{at}.subject", "subject_unknown" if subject else "subject_required"))
    if operator not in (GROUP_NAME_OPERATORS if by_name else ATTRIBUTE_OPERATORS):
        wrong.append(FieldError(f"{at}.operator", "operator_invalid" if operator else "operator_required"))
    elif not _fits(operator, value, only_text=by_name):
        missing = value in (None, "", [])
        wrong.append(FieldError(f"{at}.value", "value_required" if missing else "value_invalid"))
    return wrong


def _fits(operator: str, value: Json, *, only_text: bool) -> bool:
    """Tell whether a value is one that an operator can compare with."""
    if operator in _NO_VALUE_OPERATORS:
        return value is None
    if operator == "in":
        return (
            isinstance(value, list)
            and 0 < len(value) <= MAX_CHOICES
            and all(_is_scalar(element) for element in value)
        )
    if only_text or operator in _TEXT_OPERATORS:
        return isinstance(value, str) and _is_scalar(value)
    return _is_scalar(value)


def _is_scalar(value: Json) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= MAX_TEXT
    return isinstance(value, bool | int | float) and abs(value) <= MAX_SAFE_INTEGER


def _wrong_floors(floors: Sequence[Floor], known: Known) -> list[FieldError]:
    wrong = []
    seen: set[str] = set()
    for number, floor in enumerate(floors):
        at = f"floors[{number}]"
        if floor.role not in known.roles:
            wrong.append(FieldError(f"{at}.role", "role_unknown"))
        elif floor.role in seen:
            wrong.append(FieldError(f"{at}.role", "role_invalid"))
        seen.add(floor.role)
        if not 1 <= floor.minimum <= MAX_MINIMUM:
            wrong.append(FieldError(f"{at}.minimum", "minimum_invalid"))
    return wrong
