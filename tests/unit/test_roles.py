"""Role rules: who gets which role, which match wins, and the reason that is kept with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from syncline.core.json import Json
from syncline.core.model import RoleGrant
from syncline.core.role_conditions import glob
from syncline.core.roles import HeldGroup, RoleRules, evaluate_roles, read_rules

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
PRIORITY: list[Json] = ["admin", "editor", "viewer", "member"]
SALES, STAFF = HeldGroup("01SALES", "Sales"), HeldGroup("01STAFF", "All Staff")


def rule(role: str, **condition: Json) -> dict[str, Json]:
    return {"id": f"rule_{role}", "condition": {**condition}, "role": role}


def group(id_: str, role: str) -> dict[str, Json]:
    return rule(role, kind="group", subject=id_)


def named(operator: str, value: str, role: str = "editor") -> dict[str, Json]:
    return rule(role, kind="group_name", operator=operator, value=value)


def about(subject: str, operator: str, value: Json = None, role: str = "editor") -> dict[str, Json]:
    return rule(role, kind="attribute", subject=subject, operator=operator, value=value)


def rules(*given: dict[str, Json], mode: str = "single", **more: Json) -> RoleRules:
    body: dict[str, Json] = {
        "mode": mode,
        "default_role": "member",
        "priority": PRIORITY,
        "rules": [*given],
        "floors": [],
    }
    return read_rules(body | more)


def roles(of: RoleRules, *groups: HeldGroup, **attributes: Json) -> list[str]:
    return [grant.role for grant in evaluate_roles(of, groups, attributes, (), NOON)]


class TestWhichRole:
    def test_nobody_is_without_a_role(self) -> None:
        assert roles(rules()) == ["member"]
        assert roles(rules(mode="multiple")) == ["member"]

    def test_the_most_important_role_wins_whatever_the_order_of_rules(self) -> None:
        of = rules(group(STAFF.id, "viewer"), group(SALES.id, "admin"))
        assert roles(of, STAFF, SALES) == roles(of, SALES, STAFF) == ["admin"]
        assert roles(of, STAFF) == ["viewer"]

    def test_by_rule_order_the_first_match_wins(self) -> None:
        of = rules(group(STAFF.id, "viewer"), group(SALES.id, "admin"), precedence="rule_order")
        assert roles(of, SALES, STAFF) == ["viewer"]
        assert roles(of, SALES) == ["admin"]

    def test_several_roles_are_shown_most_important_first(self) -> None:
        of = rules(group(STAFF.id, "viewer"), group(SALES.id, "admin"), mode="multiple")
        assert roles(of, STAFF, SALES) == ["admin", "viewer"]

    def test_the_default_role_is_not_added_to_others(self) -> None:
        assert roles(rules(group(SALES.id, "admin"), mode="multiple"), SALES) == ["admin"]

    def test_a_deleted_role_is_given_to_nobody(self) -> None:
        for mode in ("single", "multiple"):
            of = rules(group(SALES.id, "owner"), group(STAFF.id, "viewer"), mode=mode)
            assert roles(of, SALES) == ["member"]
            assert roles(of, SALES, STAFF) == ["viewer"]

    def test_a_default_role_that_is_gone_is_the_least_important_one(self) -> None:
        assert roles(rules(default_role="guest", priority=["admin", "viewer"])) == ["viewer"]
        assert roles(rules(default_role="guest", priority=[])) == ["guest"]


class TestReasons:
    def test_a_grant_names_rule_and_group(self) -> None:
        [grant] = evaluate_roles(rules(group(SALES.id, "admin")), [STAFF, SALES], {}, (), NOON)
        assert grant == RoleGrant("admin", NOON, "rule_admin", SALES.id)

    def test_of_several_rules_the_first_and_of_several_groups_the_smallest_id(self) -> None:
        of = rules({**named("matches", "*s*"), "id": "first"}, {**named("equals", "Sales"), "id": "second"})
        [grant] = evaluate_roles(of, [STAFF, SALES], {}, (), NOON)
        assert (grant.rule_id, grant.group_id) == ("first", SALES.id)

    def test_attributes_and_the_default_role_have_no_group(self) -> None:
        [grant] = evaluate_roles(rules(about("job_title", "present")), [SALES], {"job_title": "x"}, (), NOON)
        assert (grant.rule_id, grant.group_id) == ("rule_editor", None)
        [grant] = evaluate_roles(rules(), [SALES], {}, (), NOON)
        assert (grant.role, grant.rule_id, grant.group_id) == ("member", None, None)

    def test_a_role_that_stays_is_held_since_it_was_given_first(self) -> None:
        of = rules(group(SALES.id, "admin"), {**group(STAFF.id, "admin"), "id": "other"})
        before = evaluate_roles(of, [SALES], {}, (), NOON)
        [grant] = evaluate_roles(of, [STAFF], {}, before, LATER)
        assert (grant.since, grant.rule_id, grant.group_id) == (NOON, "other", STAFF.id)
        [grant] = evaluate_roles(of, [], {}, before, LATER)
        assert (grant.role, grant.since) == ("member", LATER)

    def test_a_role_that_only_a_floor_kept_is_given_again_by_its_rule(self) -> None:
        before = (RoleGrant("admin", NOON, "rule_admin", SALES.id, held=True),)
        [grant] = evaluate_roles(rules(group(SALES.id, "admin")), [SALES], {}, before, LATER)
        assert grant == RoleGrant("admin", NOON, "rule_admin", SALES.id)


class TestConditions:
    def test_a_group_is_named_by_either_of_its_ids(self) -> None:
        assert roles(rules(group("directory_group_01SALES", "admin")), SALES) == ["admin"]

    @pytest.mark.parametrize(
        ("operator", "value", "matches"),
        [
            ("equals", "sAlEs", True),
            ("equals", "Sale", False),
            ("equals", "*", False),
            ("matches", "sales", True),
            ("matches", "S*s", True),
            ("matches", "*A?E*", True),
            ("matches", "s?", False),
            ("matches", "*x*", False),
            ("matches", "*", True),
            ("matches", "s.*", False),
        ],
    )
    def test_names(self, operator: str, value: str, matches: bool) -> None:
        assert (roles(rules(named(operator, value)), SALES) == ["editor"]) is matches

    @pytest.mark.parametrize(
        ("found", "operator", "value", "matches"),
        [
            ("Sales", "equals", "SALES", True),
            ("Straße", "equals", "STRASSE", True),
            ("Sales", "equals", "Sale", False),
            (7, "equals", "7", True),
            (7.0, "equals", 7, True),
            (True, "equals", "true", True),
            (False, "equals", False, True),
            (["a", "B"], "equals", "b", True),
            ([{"value": "x@y.example", "type": "work"}], "contains", "@Y.", True),
            (None, "equals", "", False),
            ("Sales", "not_equals", "sales", False),
            ("Sales", "not_equals", "Ops", True),
            (["Sales", "Ops"], "not_equals", "Ops", False),
            (None, "not_equals", "Ops", True),
            ("Sales EMEA", "contains", "emea", True),
            ("Sales EMEA", "starts_with", "SALES", True),
            ("Sales EMEA", "starts_with", "EMEA", False),
            ("Sales EMEA", "matches", "sales ????", True),
            ("Sales EMEA", "matches", "sales", False),
            ("Sales", "in", ["Ops", "sales"], True),
            ("Sales", "in", ["Ops"], False),
            ("Sales", "present", None, True),
            ({"a": 1}, "present", None, True),
            (0, "present", None, True),
            (False, "present", None, True),
            ("", "present", None, False),
            ([], "present", None, False),
            ([], "absent", None, True),
            (None, "absent", None, True),
            ("Sales", "absent", None, False),
        ],
    )
    def test_attributes(self, found: Json, operator: str, value: Json, matches: bool) -> None:
        assert (roles(rules(about("x", operator, value)), x=found) == ["editor"]) is matches

    def test_an_attribute_that_nobody_has_is_absent(self) -> None:
        assert roles(rules(about("nothing", "absent"))) == ["editor"]
        assert roles(rules(about("nothing", "present"))) == ["member"]

    def test_only_groups_that_a_rule_may_look_at_are_needed(self) -> None:
        ids = {SALES.id, STAFF.id}
        assert rules(group(SALES.id, "admin")).looked_at(ids) == {SALES.id}
        assert rules(group(SALES.id, "admin"), named("equals", "Sales")).looked_at(ids) == ids
        assert rules(about("title", "present")).looked_at(ids) == set()

    def test_what_rules_look_at_is_known(self) -> None:
        assert (rules().needs_groups, rules().needs_attributes) == (False, False)
        assert rules(named("equals", "x")).needs_groups
        assert not rules(group("x", "owner")).needs_groups
        assert rules(about("x", "present")).needs_attributes
        assert not rules(about("x", "present")).needs_groups

    @pytest.mark.parametrize(
        "given", [named("near", "x"), about("x", "near", "y"), rule("editor", kind="moon")]
    )
    def test_what_is_no_condition_is_refused(self, given: dict[str, Json]) -> None:
        with pytest.raises(ValueError, match=r"near|moon"):
            rules(given)


class TestPatterns:
    def test_nothing_but_stars_and_question_marks_is_special(self) -> None:
        assert glob("a+(b)[c]{2}\\d^$|*").fullmatch("a+(b)[c]{2}\\d^$| and more")
        assert not glob("a.c").fullmatch("abc")

    def test_a_star_takes_lines_and_nothing_as_well(self) -> None:
        assert glob("a*b").fullmatch("ab")
        assert glob("a*b").fullmatch("a\n\nb")

    def test_text_between_stars_is_found_wherever_it_is(self) -> None:
        assert glob("*ab*ab*c").fullmatch("aab xx abab yy abc")
        assert not glob("*ab*ab*").fullmatch("ab")

    def test_a_pattern_made_to_run_long_does_not(self) -> None:
        # Tried at every place by a search that goes back, this takes longer than the tests may.
        assert not glob("*a" * 40 + "*b").fullmatch("a" * 20_000)
