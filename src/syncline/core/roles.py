"""Role rules: which roles a directory's people hold, and why (`api.md` §2.9 and §6, `ui.md` §12.2).

Evaluation is pure: the same groups, attributes and rules always give the same roles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from syncline.core.json import Json
from syncline.core.model import RoleGrant
from syncline.core.role_conditions import Condition as Condition
from syncline.core.role_conditions import ConditionIndex, read_condition
from syncline.core.role_conditions import ConditionKind as ConditionKind


class RoleMode(StrEnum):
    """Whether a person holds one role or all that match."""

    SINGLE = "single"
    MULTIPLE = "multiple"


class Precedence(StrEnum):
    """Which match wins where a person holds one role: the most important role, or the first rule."""

    ROLE_PRIORITY = "role_priority"
    RULE_ORDER = "rule_order"


@dataclass(frozen=True, slots=True)
class RoleRule:
    """Who matches the condition gets the role."""

    id: str
    condition: Condition
    role: str


@dataclass(frozen=True, slots=True)
class Floor:
    """At least so many active people of the directory keep the role."""

    role: str
    minimum: int


@dataclass(frozen=True, slots=True)
class RoleRules:
    """The rules of one directory, in order. `priority` lists all roles, the most important first.

    A rule whose role is not in `priority` gives nothing: the role is gone.
    """

    mode: RoleMode
    precedence: Precedence
    default_role: str
    priority: tuple[str, ...]
    rules: tuple[RoleRule, ...]
    floors: tuple[Floor, ...] = ()
    # The keys of the attributes that rules look at.
    subjects: frozenset[str] = field(init=False, repr=False, compare=False)
    # Whether any rule looks at groups, and at attributes.
    needs_groups: bool = field(init=False, repr=False, compare=False)
    needs_attributes: bool = field(init=False, repr=False, compare=False)
    _index: ConditionIndex = field(init=False, repr=False, compare=False)
    _places: Mapping[str, int] = field(init=False, repr=False, compare=False)
    # How each rule ranks where one has to win, by its number.
    _ranks: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = {role: place for place, role in enumerate(self.priority)}
        live = [(number, rule) for number, rule in enumerate(self.rules) if rule.role in places]
        index = ConditionIndex([(number, rule.condition) for number, rule in live])
        ranks = list(range(len(self.rules)))
        if self.precedence is Precedence.ROLE_PRIORITY:
            for number, rule in live:
                ranks[number] = places[rule.role] * len(self.rules) + number
        subjects = (r.condition.subject for _, r in live if r.condition.kind is ConditionKind.ATTRIBUTE)
        object.__setattr__(self, "subjects", frozenset(subjects))
        object.__setattr__(self, "needs_groups", index.needs_groups)
        object.__setattr__(self, "needs_attributes", index.needs_attributes)
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_places", places)
        object.__setattr__(self, "_ranks", tuple(ranks))

    def looked_at(self, group_ids: set[str]) -> set[str]:
        """Return those of a person's groups that rules may look at."""
        if not group_ids or not self.needs_groups:
            return set()
        return group_ids if self._index.needs_names else group_ids & self._index.group_ids

    def matched(self, groups: Sequence[HeldGroup], attributes: Mapping[str, Json]) -> dict[int, str | None]:
        """Return the places of the rules that match a person, each with the group by which, if any."""
        return self._index.matched(groups, attributes)

    @property
    def fallback(self) -> str:
        """The role of people whom no rule matches: the default, or the least important one if it is gone."""
        if self.default_role in self._places or not self.priority:
            return self.default_role
        return self.priority[-1]


class HeldGroup(NamedTuple):
    """A group that a person is a member of: SCIM id and name."""

    id: str
    name: str


def read_rules(body: Mapping[str, Json]) -> RoleRules:
    """Return the rules of the `roles` of an evaluation's body.

    Raises `KeyError`, `ValueError` or `TypeError` for a body that is none; what is stored was checked before.
    """
    priority = tuple(str(slug) for slug in _list(body, "priority"))
    floors = (Floor(str(one["role"]), _number(one["minimum"])) for one in _objects(body, "floors"))
    return RoleRules(
        mode=RoleMode(str(body["mode"])),
        precedence=Precedence(str(body.get("precedence") or Precedence.ROLE_PRIORITY)),
        default_role=str(body["default_role"]),
        priority=priority,
        rules=tuple(_rule(one) for one in _objects(body, "rules")),
        # A role that is gone is kept by nobody.
        floors=tuple(floor for floor in floors if floor.role in priority),
    )


def evaluate_roles(
    rules: RoleRules,
    groups: Sequence[HeldGroup],
    attributes: Mapping[str, Json],
    before: Sequence[RoleGrant],
    now: datetime,
) -> tuple[RoleGrant, ...]:
    """Return the roles of a person, in the order in which they are shown; never none.

    `attributes` are those of the product view by key, standard and custom. `before` are the grants so far: a
    role that stays keeps its `since`. Each grant names the first rule in order that gives the role, and the
    group that matched it (of several the one with the smallest id). Floors are not looked at here
    (`core.settle`).
    """
    held = {grant.role: grant for grant in before}
    matched = rules.matched(groups, attributes)
    if not matched:
        return (_grant(held, rules.fallback, None, None, now),)
    if rules.mode is RoleMode.SINGLE:
        number = min(matched, key=rules._ranks.__getitem__)
        rule = rules.rules[number]
        return (_grant(held, rule.role, rule.id, matched[number], now),)
    first: dict[str, int] = {}
    for number in sorted(matched):
        first.setdefault(rules.rules[number].role, number)
    chosen = (
        (rules.rules[first[role]], first[role]) for role in sorted(first, key=rules._places.__getitem__)
    )
    return tuple(_grant(held, rule.role, rule.id, matched[number], now) for rule, number in chosen)


def _grant(
    held: Mapping[str, RoleGrant], role: str, rule_id: str | None, group_id: str | None, now: datetime
) -> RoleGrant:
    before = held.get(role)
    if before is None:
        return RoleGrant(role, now, rule_id, group_id)
    if before.rule_id == rule_id and before.group_id == group_id and not before.held:
        return before
    return RoleGrant(role, before.since, rule_id, group_id)


def _rule(body: Mapping[str, Json]) -> RoleRule:
    condition = body["condition"]
    if not isinstance(condition, dict):
        raise TypeError("a condition is an object")
    return RoleRule(str(body["id"]), read_condition(condition), str(body["role"]))


def _list(body: Mapping[str, Json], key: str) -> list[Json]:
    found = body.get(key) or []
    if not isinstance(found, list):
        raise TypeError(f"{key} is a list")
    return found


def _objects(body: Mapping[str, Json], key: str) -> list[dict[str, Json]]:
    return [one for one in _list(body, key) if isinstance(one, dict)]


def _number(value: Json) -> int:
    if not isinstance(value, int):
        raise TypeError("a minimum is a whole number")
    return value
