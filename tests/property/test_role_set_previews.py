"""Whatever becomes of the roles of an environment: what the preview says happens, in every directory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from syncline.core.roles import Floor
from syncline.services.role_rule_shapes import RuleSetInput
from syncline.services.role_set_impact import SetPreview
from syncline.services.role_shapes import RoleInput
from tests.property.preview_world import ALIKE, ROLES, RULES, Runner, agrees, shared_world, slugs
from tests.support.directory_world import CAUSE
from tests.support.kernels import Seeded, seed

OWN = "org-lead"
ORDER = st.permutations([*ROLES, "member"])


FLOORS = st.lists(st.builds(Floor, st.sampled_from(ROLES), st.integers(1, 4)), max_size=1)


def second_directory(here: Runner) -> Seeded:
    """Another customer with a few people, and a role of its own that comes first there."""
    world, services = here.world, here.world.services
    other: Seeded = here.run(seed(services.kernel, environment_id=world.environment))
    own = RoleInput("Lead", slug=OWN)
    here.run(services.roles.create(world.environment, own, CAUSE, other.organization_id))
    people = [here.run(world.user(f"q{n}", other, title="Chief" if n else "Planner")) for n in range(3)]
    here.run(world.group("Sales", people[:2], other))
    return other


def put(here: Runner, place: Seeded, rules: RuleSetInput) -> None:
    services = here.world.services
    here.run(services.role_rules.replace(here.world.environment, place.directory.id, rules, CAUSE))
    here.run(services.reevaluations.complete())


def those_of(place: Seeded, people: dict[str, Any]) -> dict[str, Any]:
    return {id_: one for id_, one in people.items() if one.directory_id == place.directory.id}


def came_true(
    found: SetPreview, places: Sequence[Seeded], before: dict[str, Any], after: dict[str, Any]
) -> None:
    changed = {id_ for id_ in before if slugs(before[id_]) != slugs(after[id_])}
    assert found.is_complete
    assert found.changed == len(changed)
    told = {one.directory.id: one.impact for one in found.directories}
    assert found.touched == len(told)
    for place in places:
        then, now = those_of(place, before), those_of(place, after)
        if place.directory.id in told:
            agrees(told[place.directory.id], then, now)
        else:
            assert not changed & then.keys()
    assert {one.person.directory_user_id for one in found.examples} == changed
    for one in found.roles:
        gained = sum(one.role in slugs(after[id_]) and one.role not in slugs(before[id_]) for id_ in before)
        lost = sum(one.role in slugs(before[id_]) and one.role not in slugs(after[id_]) for id_ in before)
        assert (one.gain, one.lose) == (gained, lost)
        assert one.emptied == sum(
            any(one.role in slugs(person) for person in those_of(place, before).values())
            and not any(one.role in slugs(person) for person in those_of(place, after).values())
            for place in places
        )


def test_a_preview_of_an_order_of_roles_is_what_the_order_does(database_url: str) -> None:
    with shared_world(database_url) as here:
        services, environment = here.world.services, here.world.environment
        places = [here.world.place, second_directory(here)]

        @ALIKE
        @given(RULES, RULES, ORDER, st.integers(0, 8))
        def alike(first: RuleSetInput, second: RuleSetInput, order: list[str], asking: int) -> None:
            for place, rules in zip(places, (first, second), strict=True):
                put(here, place, rules)
            before = here.people()
            who = sorted(before)[asking]
            found = here.run(services.role_set_previews.of_order(environment, order, who))
            assert here.people() == before
            here.run(services.roles.order(environment, order, CAUSE))
            here.run(services.reevaluations.complete())
            after = here.people()
            came_true(found, places, before, after)
            assert (found.person.before, found.person.after) == (slugs(before[who]), slugs(after[who]))
            assert [one.role for one in found.roles] == order
            assert here.run(services.role_set_previews.of_order(environment, order)).concerned == 0

        alike()


def test_a_preview_of_a_deletion_is_what_the_deletion_does(database_url: str) -> None:
    with shared_world(database_url) as here:
        services, environment = here.world.services, here.world.environment
        places = [here.world.place, second_directory(here)]

        @ALIKE
        @given(RULES, RULES, st.sampled_from(ROLES[:2]))
        def alike(first: RuleSetInput, second: RuleSetInput, slug: str) -> None:
            for place, rules in zip(places, (first, second), strict=True):
                put(here, place, rules)
            before = here.people()
            found = here.run(services.role_set_previews.of_deletion(environment, slug))
            assert here.people() == before
            here.run(services.roles.delete(environment, slug, CAUSE))
            here.run(services.reevaluations.complete())
            came_true(found, places, before, here.people())
            here.run(services.roles.create(environment, RoleInput(slug.title(), slug=slug), CAUSE))
            here.run(services.reevaluations.complete())

        alike()


def test_what_a_floor_would_hold_is_what_it_holds(database_url: str) -> None:
    with shared_world(database_url) as here:
        services, environment = here.world.services, here.world.environment

        def held() -> dict[str, int]:
            grants = [here.run(services.role_grants.of(environment, id_)) for id_ in here.people()]
            return Counter(one.grant.role for several in grants for one in several if one.grant.held)

        @ALIKE
        @given(RULES, RULES, FLOORS, ORDER)
        def alike(first: RuleSetInput, second: RuleSetInput, floors: list[Floor], order: list[str]) -> None:
            put(here, here.world.place, first)
            floored = RuleSetInput(second.mode, second.precedence, second.default_role, second.rules, floors)
            found = here.run(services.role_previews.of(*here.place, floored)).impact
            put(here, here.world.place, floored)
            assert {one.role: one.held for one in found.roles if one.held} == held()
            ordered = here.run(services.role_set_previews.of_order(environment, order))
            here.run(services.roles.order(environment, order, CAUSE))
            here.run(services.reevaluations.complete())
            if ordered.concerned:
                assert {one.role: one.held for one in ordered.roles if one.held} == held()

        alike()
