"""Whatever the rules and whoever the person: evaluation of roles is pure, and nobody is without a role."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from syncline.core.json import Json
from syncline.core.role_conditions import glob
from syncline.core.roles import HeldGroup, RoleMode, RoleRules, evaluate_roles, read_rules

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
SLUGS = ["admin", "editor", "viewer", "member"]
NAMES = ["Sales", "sales", "Sales EMEA", "Ops", ""]
VALUES: st.SearchStrategy[Json] = st.one_of(
    st.sampled_from([None, "Sales", "ops", 7, True, "", {}]), st.lists(st.sampled_from(["Sales", "x"]))
)
PATTERNS = st.text("ab*?", max_size=6)


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Json]:
    kind = draw(st.sampled_from(["group", "group_name", "attribute"]))
    if kind == "group":
        return {"kind": kind, "subject": draw(st.sampled_from("ABCD"))}
    if kind == "group_name":
        operator = draw(st.sampled_from(["equals", "matches"]))
        return {
            "kind": kind,
            "operator": operator,
            "value": draw(st.sampled_from([*NAMES[:4], "s*", "*e*a"])),
        }
    operators = ["equals", "not_equals", "contains", "starts_with", "matches", "in", "present", "absent"]
    operator = draw(st.sampled_from(operators))
    value = draw(st.sampled_from(["Sales", "ops", "7", "s*"]))
    shown: Json = [value] if operator == "in" else value
    return {"kind": kind, "subject": draw(st.sampled_from("xy")), "operator": operator, "value": shown}


@st.composite
def rule_sets(draw: st.DrawFn) -> RoleRules:
    rules: list[Json] = [
        {"id": f"rule{n}", "condition": condition, "role": draw(st.sampled_from([*SLUGS, "gone"]))}
        for n, condition in enumerate(draw(st.lists(conditions(), max_size=8)))
    ]
    return read_rules(
        {
            "mode": draw(st.sampled_from(["single", "multiple"])),
            "precedence": draw(st.sampled_from(["role_priority", "rule_order"])),
            "default_role": draw(st.sampled_from(["member", "gone"])),
            "priority": [*draw(st.permutations(SLUGS))],
            "rules": rules,
        }
    )


GROUPS = st.lists(
    st.builds(HeldGroup, st.sampled_from("ABCDE"), st.sampled_from(NAMES)), unique_by=lambda one: one.id
)
ATTRIBUTES = st.dictionaries(st.sampled_from("xyz"), VALUES)


@given(rule_sets(), GROUPS, ATTRIBUTES)
def test_the_order_of_groups_does_not_matter_and_twice_gives_the_same(
    rules: RoleRules, groups: Sequence[HeldGroup], attributes: dict[str, Json]
) -> None:
    first = evaluate_roles(rules, groups, attributes, (), NOON)
    assert evaluate_roles(rules, groups[::-1], attributes, (), NOON) == first
    # What comes out goes in next time, later on, and nothing moves.
    assert evaluate_roles(rules, sorted(groups), attributes, first, NOON + timedelta(days=1)) == first


@given(rule_sets(), GROUPS, ATTRIBUTES)
def test_everybody_holds_roles_that_exist_in_order_of_importance(
    rules: RoleRules, groups: Sequence[HeldGroup], attributes: dict[str, Json]
) -> None:
    held = [grant.role for grant in evaluate_roles(rules, groups, attributes, (), NOON)]
    assert held
    assert set(held) <= set(SLUGS)
    assert held == sorted(set(held), key=rules.priority.index)
    if rules.mode is RoleMode.SINGLE:
        assert len(held) == 1


@given(rule_sets(), GROUPS, ATTRIBUTES)
def test_a_grant_names_a_rule_that_gives_the_role_and_matches_on_its_own(
    rules: RoleRules, groups: Sequence[HeldGroup], attributes: dict[str, Json]
) -> None:
    by_id = {rule.id: rule for rule in rules.rules}
    for grant in evaluate_roles(rules, groups, attributes, (), NOON):
        if grant.rule_id is None:
            assert (grant.role, grant.group_id) == (rules.fallback, None)
            continue
        rule = by_id[grant.rule_id]
        assert rule.role == grant.role
        alone = RoleRules(rules.mode, rules.precedence, "none", rules.priority, (rule,))
        assert evaluate_roles(alone, groups, attributes, (), NOON)[0].rule_id == rule.id
        if grant.group_id is not None:
            assert grant.group_id in {group.id for group in groups}


@given(PATTERNS, st.text("ab", max_size=8))
def test_patterns_match_what_those_of_a_shell_match(pattern: str, text: str) -> None:
    assert (glob(pattern).fullmatch(text) is not None) == fnmatchcase(text, pattern)
