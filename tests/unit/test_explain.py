"""Explanations in sentences: attributes, states, roles that are held and that are not, memberships."""

from __future__ import annotations

import pytest

from syncline.core import explain, wire
from syncline.core.attribute_map import Evidence, Source, Transform
from syncline.core.attribute_sources import Level
from syncline.core.explain import RoleQuestion
from syncline.core.json import Json
from syncline.core.role_conditions import Condition, ConditionKind
from syncline.core.roles import HeldGroup, Precedence, RoleMode, RoleRule, RoleRules

TIME = "2026-03-02T08:00:00.000Z"
ANNOUNCED = wire.Announcement(
    event_id="event_1",
    event="dsync.user.updated",
    actor=wire.HistoryActor(kind="provider", id=None, name=None),
    cause=wire.HistoryCause(kind="run", id="run_1"),
    recorded_at=TIME,
)
RULES = (
    RoleRule("r1", Condition(ConditionKind.GROUP, "G1"), "admin"),
    RoleRule("r2", Condition(ConditionKind.GROUP_NAME, "", "matches", "Sales*"), "seller"),
    RoleRule("r3", Condition(ConditionKind.ATTRIBUTE, "city", "equals", "Bern"), "local"),
)


def question(*groups: HeldGroup, names: dict[str, str] | None = None) -> RoleQuestion:
    rules = RoleRules(
        mode=RoleMode.SINGLE,
        precedence=Precedence.ROLE_PRIORITY,
        default_role="member",
        priority=("admin", "seller", "local", "member"),
        rules=RULES,
    )
    return RoleQuestion(
        rules=rules,
        groups=groups,
        attributes={"city": "Basel"},
        group_names={"G1": "App Admins"} if names is None else names,
        role_names={"admin": "Admin", "seller": "Seller"},
    )


def test_an_attribute_names_path_transforms_level_and_what_brought_it() -> None:
    source = Source("title", transforms=(Transform("trim"), Transform("lower")))
    why = Evidence("job_title", "pilot", 0, source, " Pilot ")
    sentence = explain.attribute_text(why, Level.DIRECTORY, "pilot", ANNOUNCED, pending=False)
    assert sentence == (
        "job_title is pilot: from title, through trim, lower, by the directory's own map "
        f"(run run_1, {TIME})."
    )
    sentence = explain.attribute_text(why, Level.DIRECTORY, None, None, pending=True)
    assert sentence == (
        "job_title is (nothing); by the map in force it is to become pilot, which a job carries out."
    )


@pytest.mark.parametrize(
    ("state", "sent", "sentence"),
    [
        ("inactive", False, f"Inactive because the provider sent active: false (run run_1, {TIME})."),
        ("inactive", "False", f"Inactive because the provider sent active: False (run run_1, {TIME})."),
        ("active", True, f"Active because the provider sent active: true (run run_1, {TIME})."),
        ("active", None, "Active: the provider never said otherwise."),
    ],
)
def test_a_state_repeats_what_was_sent(state: str, sent: Json, sentence: str) -> None:
    assert explain.state_text(state, sent, ANNOUNCED) == sentence


def test_a_role_that_is_not_held_names_what_each_rule_needs() -> None:
    asked = question()
    assert explain.absent_role(asked, "admin", ["member"]).sentence == (
        "Not Admin: rule 1 needs group App Admins; not a member."
    )
    assert explain.absent_role(asked, "seller", ["member"]).sentence == (
        "Not Seller: rule 2 is for whoever is a member of a group that has a name that matches “Sales*”; "
        "in no such group."
    )
    assert explain.absent_role(asked, "local", ["member"]).sentence == (
        "Not local: rule 3 is for whoever has a city that is “Bern”; city is Basel."
    )
    assert explain.absent_role(question(names={}), "admin", []).sentence == (
        "Not Admin: rule 1 needs a group that no longer exists."
    )
    assert (
        explain.absent_role(asked, "member", ["admin"]).sentence
        == "Not member: it is for people whom no rule matches."
    )


def test_a_rule_that_matches_and_does_not_win_says_what_goes_before_it() -> None:
    asked = question(HeldGroup("G1", "App Admins"), HeldGroup("G2", "Sales North"))
    missed = explain.absent_role(asked, "seller", ["admin"])
    assert [rule.matches for rule in missed.rules] == [True]
    assert missed.sentence == "Not Seller: rule 2 matches, and Admin goes before it."


@pytest.mark.parametrize(
    ("rule", "group", "held", "sentence"),
    [
        (None, None, False, f"Editor, the default role, since {TIME}: no rule matches."),
        (
            ("r2", 2),
            "Engineering",
            False,
            f"Editor, because of group Engineering, rule 2, since {TIME}.",
        ),
        (("r9", None), None, False, f"Editor, by a rule of long ago, since {TIME}."),
        (("r2", 2), None, True, f"Editor, since {TIME}: no rule gives it any more, and a floor keeps it."),
    ],
)
def test_a_role_says_why_it_is_held(
    rule: tuple[str, int | None] | None, group: str | None, held: bool, sentence: str
) -> None:
    role = wire.ExplainedRole(
        role="editor",
        name="Editor",
        rule=None if rule is None else wire.ExplainedRule(id=rule[0], number=rule[1], text=None),
        group=None if group is None else wire.ExplainedGroup(id="directory_group_1", name=group),
        since=TIME,
        held=held,
        announced=None,
        sentence="",
    )
    assert explain.role_text(role) == sentence


def test_long_values_are_cut_in_sentences() -> None:
    assert explain.text_of("x" * 100) == "x" * 80 + "…"
    assert explain.text_of(["a", 1]) == '["a",1]'
    assert explain.text_of("") == "(nothing)"
