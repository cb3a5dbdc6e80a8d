"""Whatever rules or sources are tried out: what the preview says happens once they are put in force."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from syncline.core.json import Json
from syncline.core.role_conditions import Condition, ConditionKind
from syncline.core.roles import Precedence, RoleMode, RoleRule
from syncline.services.role_rule_shapes import RuleSetInput
from tests.property.preview_world import ALIKE, RULES, TITLES, agrees, shared_world, slugs
from tests.support.directory_world import CAUSE

SOURCES: st.SearchStrategy[dict[str, Json]] = st.dictionaries(
    st.sampled_from(["pool", "nick", "job_title", "last_name"]),
    st.lists(
        st.sampled_from(["title", "nickName", "name.familyName", "missing", '{"value"}']).map(
            lambda path: {"value": "fixed"} if path.startswith("{") else path
        ),
        min_size=1,
        max_size=3,
    ),
)


def test_a_preview_of_rules_is_what_putting_them_in_force_does(database_url: str) -> None:
    with shared_world(database_url) as here:
        services = here.world.services

        @ALIKE
        @given(RULES, st.integers(0, len(TITLES) - 1))
        def alike(rules: RuleSetInput, asking: int) -> None:
            before, told = here.people(), here.updates()
            who = sorted(before)[asking]
            found = here.run(services.role_previews.of(*here.place, rules, who))
            assert here.people() == before
            here.run(services.role_rules.replace(*here.place, rules, CAUSE))
            here.run(services.reevaluations.complete())
            after = here.people()
            changed = {id_ for id_ in before if slugs(before[id_]) != slugs(after[id_])}
            assert here.updates() - told == Counter(changed)
            agrees(found.impact, before, after)
            assert (found.person.before, found.person.after) == (slugs(before[who]), slugs(after[who]))
            for conflict in found.conflicts.shown:
                for one in conflict.examples:
                    assert slugs(after[one.directory_user_id]) == list(conflict.roles)
            assert here.run(services.role_previews.of(*here.place, rules)).impact.changed == 0
            if asking == 0:
                without = here.run(services.role_previews.of_none(*here.place, who))
                here.run(services.role_rules.clear(*here.place, CAUSE))
                here.run(services.reevaluations.complete())
                agrees(without.impact, after, here.people())
                assert (without.person.before, without.person.after) == (slugs(after[who]), [])
                assert without.impact.changed == len(after)

        alike()


def test_a_preview_of_sources_is_what_writing_them_does(database_url: str) -> None:
    with shared_world(database_url) as here:
        services = here.world.services
        by_pool = RoleRule("", Condition(ConditionKind.ATTRIBUTE, "pool", "present"), "admin")
        rules = RuleSetInput(RoleMode.SINGLE, Precedence.ROLE_PRIORITY, "member", [by_pool])
        here.run(services.role_rules.replace(*here.place, rules, CAUSE))
        here.run(services.reevaluations.complete())

        @ALIKE
        @given(SOURCES)
        def alike(sources: dict[str, Json]) -> None:
            before, told = here.people(), here.updates()
            found = here.run(services.attribute_previews.preview(*here.place, sources=sources))
            here.run(services.attribute_maps.replace(*here.place, sources, CAUSE))
            here.run(services.reevaluations.complete())
            after = here.people()
            different = {id_ for id_ in before if not same(before[id_], after[id_])}
            assert found.changed == len(different)
            assert here.updates() - told == Counter(different)
            for one in found.examples:
                assert value(before[one.directory_user_id], one.key) == one.before
                assert value(after[one.directory_user_id], one.key) == one.after
            assert found.roles == sum(slugs(before[id_]) != slugs(after[id_]) for id_ in before)
            assert here.run(services.attribute_previews.preview(*here.place, sources=sources)).changed == 0

        alike()


def value(person: Any, key: str) -> Any:
    """An attribute as the person shows it, at whichever place it stands."""
    return person.custom_attributes[key] if key in person.custom_attributes else getattr(person, key)


def same(one: Any, other: Any) -> bool:
    """Whether a person is as before, the time of the last change aside."""
    keys = ("custom_attributes", "job_title", "last_name", "name", "roles")
    return all(getattr(one, key) == getattr(other, key) for key in keys)
