"""What a role rule looks at, and the fast form in which many rules are asked about one person.

All comparisons of text are by `core.text.fold`: letter case and Unicode composition do not count. Patterns
know `*` and `?` only and cannot be made to run long: everything between two stars matches at its first place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from syncline.core.json import Json
from syncline.core.text import fold

_GROUP_PREFIX = "directory_group_"
# Directories have far fewer groups than people, so what a name matches is found out once.
_NAMES_REMEMBERED = 2048


class ConditionKind(StrEnum):
    """What a rule looks at."""

    GROUP = "group"
    GROUP_NAME = "group_name"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True, slots=True)
class Condition:
    """When a rule matches.

    `group`: the person is a member of the group `subject` (a SCIM id). `group_name`: of a group whose name
    `operator` (equals, matches) `value`. `attribute`: the attribute `subject` of the product view `operator`
    (equals, not_equals, contains, starts_with, matches, in, present, absent) `value`.
    """

    kind: ConditionKind
    subject: str = ""
    operator: str = ""
    value: Json = None


def read_condition(body: Mapping[str, Json]) -> Condition:
    """Return the condition of its JSON form; a group may be named by its SCIM id or its public id."""
    subject = str(body.get("subject") or "")
    kind = ConditionKind(str(body["kind"]))
    if kind is ConditionKind.GROUP:
        subject = subject.removeprefix(_GROUP_PREFIX)
    return Condition(kind, subject, str(body.get("operator") or ""), body.get("value"))


def glob(pattern: str) -> re.Pattern[str]:
    """Return the compiled form of a pattern for folded text: `*` is any text, `?` any one character.

    The text between two stars is matched where it occurs first and never tried again elsewhere, which is
    enough to find every match and keeps the time linear.
    """
    first, *rest = (
        "".join("." if character == "?" else re.escape(character) for character in part)
        for part in fold(pattern).split("*")
    )
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)


def texts(value: Json) -> tuple[str, ...]:
    """Return a value of an attribute as folded texts: of a list every element, of an object its `value`."""
    if isinstance(value, str):
        return (fold(value),) if value else ()
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(text for element in value for text in texts(element))
    if isinstance(value, dict):
        return texts(value.get("value"))
    if isinstance(value, bool):
        return ("true",) if value else ("false",)
    if isinstance(value, float) and value.is_integer():
        return (str(int(value)),)
    return (str(value),)


class _Subject:
    """All conditions on one attribute: the value is read and folded once for all of them."""

    __slots__ = (
        "_absent",
        "_contained",
        "_differ",
        "_equal",
        "_is_simple",
        "_patterns",
        "_present",
        "_starts",
    )

    def __init__(self) -> None:
        self._equal: dict[str, list[int]] = {}
        self._differ: list[tuple[int, tuple[str, ...]]] = []
        self._contained: list[tuple[int, str]] = []
        self._starts: list[tuple[int, str]] = []
        self._patterns: list[tuple[int, re.Pattern[str]]] = []
        self._present: list[int] = []
        self._absent: list[int] = []
        # Whether all conditions are equalities, as most are: one look-up answers them for a text.
        self._is_simple = True

    def add(self, number: int, condition: Condition) -> None:
        """Take a condition in. Raises `ValueError` for an operator that does not exist."""
        wanted = texts(condition.value)
        self._is_simple &= condition.operator in ("equals", "in")
        match condition.operator:
            case "equals" | "in":
                for text in dict.fromkeys(wanted):
                    self._equal.setdefault(text, []).append(number)
            case "not_equals":
                self._differ.append((number, wanted))
            case "contains":
                self._contained += [(number, part) for part in wanted]
            case "starts_with":
                self._starts += [(number, part) for part in wanted]
            case "matches":
                self._patterns += [(number, glob(part)) for part in wanted]
            case "present":
                self._present.append(number)
            case "absent":
                self._absent.append(number)
            case other:
                raise ValueError(f"no such operator: {other!r}")

    @property
    def equalities(self) -> Mapping[str, Sequence[int]] | None:
        """The numbers of the conditions by the text that meets them, None if not all are equalities."""
        return self._equal if self._is_simple else None

    def of(self, value: Json) -> Sequence[int]:
        """Return the numbers of the conditions that a value of the attribute meets."""
        found = texts(value)
        present = bool(found) or not (value is None or value in ("", [], {}))
        matched = list(self._present if present else self._absent)
        for text in found:
            matched += self._equal.get(text, ())
            matched += [number for number, part in self._contained if part in text]
            matched += [number for number, part in self._starts if text.startswith(part)]
            matched += [number for number, pattern in self._patterns if pattern.fullmatch(text)]
        matched += [number for number, wanted in self._differ if not any(one in wanted for one in found)]
        return matched


class ConditionIndex:
    """Conditions by number, arranged so that asking costs what matches and not what is there."""

    __slots__ = ("_asked", "_groups", "_named", "_names", "_patterns", "_subjects")

    def __init__(self, conditions: Sequence[tuple[int, Condition]]) -> None:
        """Raises `ValueError` for an operator that does not exist."""
        self._groups: dict[str, list[int]] = {}
        self._names: dict[str, list[int]] = {}
        self._patterns: list[tuple[int, re.Pattern[str]]] = []
        self._subjects: dict[str, _Subject] = {}
        for number, condition in conditions:
            self._add(number, condition)
        self._named = lru_cache(maxsize=_NAMES_REMEMBERED)(self._of_name)
        self._asked = [(key, subject.equalities, subject) for key, subject in self._subjects.items()]

    @property
    def needs_groups(self) -> bool:
        """Whether any condition looks at groups."""
        return bool(self._groups) or self.needs_names

    @property
    def needs_names(self) -> bool:
        """Whether any condition looks at names of groups."""
        return bool(self._names or self._patterns)

    @property
    def group_ids(self) -> AbstractSet[str]:
        """The ids of the groups that conditions name."""
        return self._groups.keys()

    @property
    def needs_attributes(self) -> bool:
        """Whether any condition looks at attributes."""
        return bool(self._subjects)

    def matched(
        self, groups: Sequence[tuple[str, str]], attributes: Mapping[str, Json]
    ) -> dict[int, str | None]:
        """Return the conditions that hold, each with the group by which; of several the smallest id.

        `groups` are pairs of id and name.
        """
        found: dict[int, str | None] = {}
        by_name = bool(groups) and self.needs_names
        for id_, name in groups:
            by_id = self._groups.get(id_, ())
            for number in (*by_id, *self._named(name)) if by_name else by_id:
                known = found.get(number)
                if known is None or id_ < known:
                    found[number] = id_
        for key, equalities, subject in self._asked:
            value = attributes.get(key)
            if equalities is None or value.__class__ is not str:
                numbers = subject.of(value)
            else:
                numbers = equalities.get(value.lower() if value.isascii() else fold(value), ())
            for number in numbers:
                found[number] = None
        return found

    def _add(self, number: int, condition: Condition) -> None:
        if condition.kind is ConditionKind.GROUP:
            self._groups.setdefault(condition.subject, []).append(number)
        elif condition.kind is ConditionKind.ATTRIBUTE:
            self._subjects.setdefault(condition.subject, _Subject()).add(number, condition)
        elif condition.operator == "matches":
            self._patterns.append((number, glob(str(condition.value))))
        elif condition.operator == "equals":
            self._names.setdefault(fold(str(condition.value)), []).append(number)
        else:
            raise ValueError(f"no such operator: {condition.operator!r}")

    def _of_name(self, name: str) -> tuple[int, ...]:
        text = fold(name)
        equal = self._names.get(text, ())
        return (*equal, *(number for number, one in self._patterns if one.fullmatch(text)))
