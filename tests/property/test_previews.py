"""Whatever rules or sources are tried out: what the preview says happens once they are put in force."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncline.core.attribute_definitions import AttributeInput
from syncline.core.json import Json
from syncline.core.paging import PageRequest
from syncline.core.role_conditions import Condition, ConditionKind
from syncline.core.roles import Precedence, RoleMode, RoleRule
from syncline.services.product import UserQuery
from syncline.services.role_rule_shapes import RuleSetInput
from syncline.services.role_shapes import RoleInput
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world

ALIKE = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
EVERYBODY = UserQuery(), PageRequest(limit=100)
ROLES = ("admin", "editor", "viewer")
GROUPS: dict[str, list[int]] = {"Sales": [0, 1, 2], "Sales EMEA": [1, 4], "Ops": [2, 3, 4], "Empty": []}
TITLES = ["Chief", "Planner", "planner", "", "Chief", ""]

CONDITIONS = st.one_of(
    st.sampled_from(["Sales", "ops", "Empty"]).map(
        lambda name: Condition(ConditionKind.GROUP_NAME, "", "equals", name)
    ),
    st.sampled_from(["s*", "*e*", "?ps"]).map(
        lambda pattern: Condition(ConditionKind.GROUP_NAME, "", "matches", pattern)
    ),
    st.sampled_from(["equals", "not_equals", "contains"]).map(
        lambda operator: Condition(ConditionKind.ATTRIBUTE, "job_title", operator, "planner")
    ),
    st.sampled_from(["present", "absent"]).map(
        lambda operator: Condition(ConditionKind.ATTRIBUTE, "pool", operator)
    ),
)
RULES = st.builds(
    RuleSetInput,
    mode=st.sampled_from(RoleMode),
    precedence=st.sampled_from(Precedence),
    default_role=st.sampled_from(["member", "viewer"]),
    rules=st.lists(st.builds(RoleRule, st.just(""), CONDITIONS, st.sampled_from(ROLES)), max_size=5),
)
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


class Runner:
    """A world that examples share, each of which finds what the one before left."""

    def __init__(self, runner: asyncio.Runner, world: DirectoryWorld) -> None:
        self.run: Callable[[Awaitable[Any]], Any] = runner.run  # type: ignore[assignment]
        self.world = world
        self.place = world.environment, world.place.directory.id

    def people(self) -> dict[str, Any]:
        """Everybody as the product view shows them, by id."""
        page = self.run(self.world.services.product.users(self.world.environment, *EVERYBODY))
        return {one.id: one for one in page.items}

    def updates(self) -> Counter[str]:
        """How often each person was announced so far."""
        told = self.run(self.world.told())
        return Counter(data["id"] for name, data in told if name == "dsync.user.updated")


@contextmanager
def shared_world(database_url: str) -> Iterator[Runner]:
    with asyncio.Runner() as runner:
        opened = directory_world(database_url)
        world = runner.run(opened.__aenter__())
        try:
            runner.run(furnish(world))
            yield Runner(runner, world)
        finally:
            runner.run(opened.__aexit__(None, None, None))


async def furnish(world: DirectoryWorld) -> None:
    services = world.services
    for slug in ROLES:
        await services.roles.create(world.environment, RoleInput(slug.title(), slug=slug), CAUSE)
    for key, source in (("pool", "title"), ("nick", "nickName")):
        await services.attributes.create(world.environment, key, AttributeInput(sources=[source]), CAUSE)
    people = [
        await world.user(
            f"p{number}@x.example",
            title=title,
            nickName="Nick" if number % 2 else "",
            name={"familyName": f"F{number}"},
        )
        for number, title in enumerate(TITLES)
    ]
    for name, members in GROUPS.items():
        await world.group(name, [people[number] for number in members])
    await services.reevaluations.complete()


def slugs(person: Any) -> list[str]:
    return [] if not person.roles else [role.slug for role in person.roles]


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
            shown = {one.directory_user_id: (list(one.before), list(one.after)) for one in found.examples}
            assert shown == {id_: (slugs(before[id_]), slugs(after[id_])) for id_ in changed}
            assert found.changed == len(changed)
            assert here.updates() - told == Counter(changed)
            for impact in found.roles:
                assert impact.before == sum(impact.role in slugs(one) for one in before.values())
                assert impact.after == sum(impact.role in slugs(one) for one in after.values())
            assert (found.person.before, found.person.after) == (slugs(before[who]), slugs(after[who]))
            for conflict in found.conflicts.shown:
                for one in conflict.examples:
                    assert slugs(after[one.directory_user_id]) == list(conflict.roles)
            assert here.run(services.role_previews.of(*here.place, rules)).changed == 0

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
