"""A directory that examples share, rules to try out on it, and whether what a preview said came true."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from syncline.core.attribute_definitions import AttributeInput
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


def agrees(impact: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
    """What was said of people of a directory is what has become of them."""
    changed = {id_ for id_ in before if slugs(before[id_]) != slugs(after[id_])}
    shown = {one.directory_user_id: (list(one.before), list(one.after)) for one in impact.examples}
    assert shown == {id_: (slugs(before[id_]), slugs(after[id_])) for id_ in changed}
    assert (impact.total, impact.changed) == (len(before), len(changed))
    for one in impact.roles:
        figures_agree(one, before, after)
        assert one.is_left_empty == (one.before > 0 and one.after == 0)


def figures_agree(impact: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
    """What was said of a role is what has become of it."""
    role = impact.role
    had = {id_ for id_, one in before.items() if role in slugs(one)}
    has = {id_ for id_, one in after.items() if role in slugs(one)}
    assert (impact.before, impact.after) == (len(had), len(has)), role
    assert (impact.gain, impact.lose) == (len(has - had), len(had - has)), role
