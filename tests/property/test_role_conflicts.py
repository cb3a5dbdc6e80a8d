"""Conflicts of role rules are counted as each person alone would have it, with what the person then holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from syncline.core.json import Json
from syncline.core.role_conflicts import Conflicts, Names, Somebody
from syncline.core.roles import HeldGroup, RoleMode, RoleRules, evaluate_roles
from tests.property.test_roles import ATTRIBUTES, GROUPS, NOON, rule_sets

Person = tuple[list[HeldGroup], dict[str, Json]]
PEOPLE = st.lists(st.tuples(GROUPS, ATTRIBUTES), max_size=5)
NAMES = Names({}, {})


def matching(rules: RoleRules, person: Person) -> tuple[int, ...]:
    """The places of the rules that match somebody when nothing but the one rule is there."""
    found = []
    for place, rule in enumerate(rules.rules):
        alone = RoleRules(RoleMode.MULTIPLE, rules.precedence, "none", rules.priority, (rule,))
        if evaluate_roles(alone, *person, (), NOON)[0].rule_id == rule.id:
            found.append(place)
    return tuple(found)


def counted(rules: RoleRules, people: Sequence[Person], most: int = 2_000) -> Conflicts:
    found = Conflicts(rules, most)
    for number, person in enumerate(people):
        grants = evaluate_roles(rules, *person, (), NOON)
        found.add(*person, grants, lambda number=number: Somebody(str(number), None))  # type: ignore[misc]
    return found


@given(rule_sets(), PEOPLE)
def test_each_person_is_counted_under_the_rules_that_match_them(
    rules: RoleRules, people: Sequence[Person]
) -> None:
    expected = Counter(places for person in people if len(places := matching(rules, person)) > 1)
    found = counted(rules, people)
    assert {one.rules: one.people for one in found.found()} == expected
    assert found.people == expected.total()
    for one in found.found():
        assert len(one.examples) == min(one.people, 5)
        for example in one.examples:
            person = people[int(example.directory_user_id)]
            grants = evaluate_roles(rules, *person, (), NOON)
            assert [grant.role for grant in grants] == list(one.roles)
            assert [rules.rules[place].id for place in one.winners] == [grant.rule_id for grant in grants]
        given_roles = {rules.rules[place].role for place in one.rules}
        assert one.contested == (rules.mode is RoleMode.SINGLE and len(given_roles) > 1)
        assert found.text(one, NAMES).startswith("1 person " if one.people == 1 else f"{one.people} people ")


@given(rule_sets(), PEOPLE)
def test_of_more_sets_than_are_kept_the_people_are_still_counted(
    rules: RoleRules, people: Sequence[Person]
) -> None:
    whole, short = counted(rules, people), counted(rules, people, most=1)
    assert (short.people, short.contested) == (whole.people, whole.contested)
    assert short.is_complete == (len(whole.found()) <= 1)
    kept = {one.rules: one.people for one in short.found()}
    assert kept.items() <= {one.rules: one.people for one in whole.found()}.items()
