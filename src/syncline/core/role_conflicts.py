"""People whom several role rules match, by the rules that do, counted in bounded memory (`ui.md` §12.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from syncline.core.json import Json
from syncline.core.model import RoleGrant
from syncline.core.role_conditions import ConditionKind
from syncline.core.role_words import condition_text, quoted
from syncline.core.roles import HeldGroup, Precedence, RoleMode, RoleRule, RoleRules

MAX_SETS = 2_000
"""So many different sets of rules are told apart; of more, their people are still counted."""

MAX_EXAMPLES = 5
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Somebody:
    """A person, by the id and address of the product view."""

    directory_user_id: str
    email: str | None


@dataclass(slots=True)
class Conflict:
    """A set of rules (by place from 0, ascending) that match the same people.

    `roles` is what they get, `winners` the places of the rules that give it; `contested` tells whether the
    rules give different roles of which not all are got.
    """

    rules: tuple[int, ...]
    roles: tuple[str, ...]
    winners: tuple[int, ...]
    contested: bool
    people: int = 0
    examples: list[Somebody] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Names:
    """What groups (by SCIM id) and roles (by slug) are called."""

    groups: Mapping[str, str]
    roles: Mapping[str, str]


class Conflicts:
    """Counts the people of a directory whom more than one rule matches.

    `people` and `contested` are exact for everybody who was added. Sets beyond `MAX_SETS` are not kept:
    `is_complete` is False then.
    """

    def __init__(self, rules: RoleRules, most: int = MAX_SETS) -> None:
        self._rules = rules
        self._most = most
        self._places = {rule.id: place for place, rule in enumerate(rules.rules)}
        # Sets of rules as bits: rules can be 500, and sets as many as people.
        self._found: dict[int, Conflict] = {}
        self.people = 0
        self.contested = 0
        self.is_complete = True

    def add(
        self,
        groups: Sequence[HeldGroup],
        attributes: Mapping[str, Json],
        grants: Sequence[RoleGrant],
        who: Callable[[], Somebody],
    ) -> None:
        """Count a person with the groups and attributes that rules look at, and the roles they come to.

        `who` is only asked for somebody who becomes an example.
        """
        matched = self._rules.matched(groups, attributes)
        if len(matched) < 2:
            return
        self.people += 1
        bits = sum(1 << place for place in matched)
        found = self._found.get(bits)
        if found is None:
            found = self._conflict(sorted(matched), grants)
            if len(self._found) >= self._most:
                self.is_complete = False
                self.contested += found.contested
                return
            self._found[bits] = found
        self.contested += found.contested
        found.people += 1
        if len(found.examples) < MAX_EXAMPLES:
            found.examples.append(who())

    def found(self) -> list[Conflict]:
        """Return what was found: first where one role goes before another, then by people."""
        return sorted(self._found.values(), key=lambda one: (not one.contested, -one.people, one.rules))

    def text(self, found: Conflict, names: Names) -> str:
        """Return a conflict in two sentences: who is in it, and what they get."""
        rules = [self._rules.rules[place] for place in found.rules]
        return f"{_who(found.people, rules, names.groups)} {self._outcome(found, rules, names.roles)}"

    def _conflict(self, places: Sequence[int], grants: Sequence[RoleGrant]) -> Conflict:
        given = {self._rules.rules[place].role for place in places}
        roles = tuple(grant.role for grant in grants)
        return Conflict(
            rules=tuple(places),
            roles=roles,
            winners=tuple(self._places[grant.rule_id] for grant in grants if grant.rule_id in self._places),
            contested=not given <= set(roles),
        )

    def _outcome(self, found: Conflict, rules: Sequence[RoleRule], names: Mapping[str, str]) -> str:
        got = _joined([names.get(role, role) for role in found.roles])
        if len({rule.role for rule in rules}) == 1:
            return f"They get {got} either way."
        if self._rules.mode is RoleMode.MULTIPLE:
            return f"They get {got}."
        if self._rules.precedence is Precedence.RULE_ORDER:
            return f"They get {got}, which the first of these rules gives."
        return f"They get {got}, the most important of these roles."


def _who(people: int, rules: Sequence[RoleRule], groups: Mapping[str, str]) -> str:
    is_one = people == 1
    names = [_group_name(rule, groups) for rule in rules]
    if all(names):
        distinct = list(dict.fromkeys(quoted(name) for name in names))
        subject = "1 person is" if is_one else f"{people} people are"
        if len(distinct) == 1:
            return f"{subject} in {distinct[0]}, which {len(rules)} rules name."
        both = "both " if len(distinct) == 2 else ""
        return f"{subject} in {both}{_joined(distinct, more='more groups')}."
    subject = "1 person matches" if is_one else f"{people} people match"
    conditions = [f"whoever {condition_text(rule.condition, groups)}" for rule in rules]
    return f"{subject} {len(rules)} rules: {_joined(conditions, more='more')}."


def _group_name(rule: RoleRule, groups: Mapping[str, str]) -> str | None:
    condition = rule.condition
    if condition.kind is ConditionKind.GROUP:
        return groups.get(condition.subject)
    if condition.kind is ConditionKind.GROUP_NAME and condition.operator == "equals":
        return str(condition.value)
    return None


def _joined(words: Sequence[str], more: str | None = None) -> str:
    """Return words in a row; with `more` only some of many, and how many others there are."""
    if more is not None and len(words) > _NAMED + 1:
        words = [*words[:_NAMED], f"{len(words) - _NAMED} {more}"]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
