"""Which people of a directory several rules match, found while rules are tried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syncline.core.attributes import product_attributes
from syncline.core.events import user_body
from syncline.core.json import Json
from syncline.core.model import Directory
from syncline.core.role_conflicts import Conflict, Conflicts, Names, Somebody
from syncline.core.role_words import condition_text
from syncline.core.roles import RoleMode, RoleRules
from syncline.services.evaluations import Tried

MAX_SHOWN = 20
MAX_RULES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class ConflictingRule:
    """A rule of a conflict; `number` is its place in the rules, from 1."""

    number: int
    role: str
    text: str


@dataclass(frozen=True, slots=True)
class FoundConflict:
    """People whom the same several rules match.

    `matched` rules do, of which `rules` are some. `rule` is the number of the one that wins, None where all
    count.
    """

    people: int
    matched: int
    rules: Sequence[ConflictingRule]
    roles: Sequence[str]
    rule: int | None
    contested: bool
    text: str
    examples: Sequence[Somebody]


@dataclass(frozen=True, slots=True)
class FoundConflicts:
    """All conflicts of a directory: `shown` are those of the most people, the contested ones first.

    `sets` counts the different sets of rules, and is the least there are where not all were told apart.
    """

    people: int = 0
    contested: int = 0
    sets: int = 0
    is_complete: bool = True
    shown: Sequence[FoundConflict] = ()


class ConflictCount:
    """Counts conflicts of proposed rules person by person."""

    def __init__(self, directory: Directory, rules: RoleRules) -> None:
        self._directory = directory
        self._rules = rules
        self._conflicts = Conflicts(rules)

    @property
    def needs_groups(self) -> bool:
        """Whether the groups of people have to be known."""
        return self._rules.needs_groups

    def add(self, tried: Tried) -> None:
        """Count a person."""
        before, after = tried.before, tried.after
        attributes: Mapping[str, Json] = {}
        if self._rules.needs_attributes:
            attributes = product_attributes(after.document, after.mapped, after.id)

        def who() -> Somebody:
            shown = user_body(self._directory, before)
            return Somebody(shown.id, shown.email)

        self._conflicts.add(tried.groups, attributes, after.roles or (), who)

    def found(self, names: Names) -> FoundConflicts:
        """Return what was found, in words."""
        found = self._conflicts.found()
        return FoundConflicts(
            people=self._conflicts.people,
            contested=self._conflicts.contested,
            sets=len(found),
            is_complete=self._conflicts.is_complete,
            shown=[self._shown(one, names) for one in found[:MAX_SHOWN]],
        )

    def _shown(self, found: Conflict, names: Names) -> FoundConflict:
        # Of many rules those that win are among the ones that are shown.
        others = [place for place in found.rules if place not in found.winners]
        places = sorted([*found.winners, *others][:MAX_RULES_SHOWN])
        return FoundConflict(
            people=found.people,
            matched=len(found.rules),
            rules=[self._rule(place, names.groups) for place in places],
            roles=found.roles,
            rule=found.winners[0] + 1 if self._is_single and found.winners else None,
            contested=found.contested,
            text=self._conflicts.text(found, names),
            examples=found.examples,
        )

    def _rule(self, place: int, groups: Mapping[str, str]) -> ConflictingRule:
        rule = self._rules.rules[place]
        return ConflictingRule(place + 1, rule.role, condition_text(rule.condition, groups))

    @property
    def _is_single(self) -> bool:
        return self._rules.mode is RoleMode.SINGLE
