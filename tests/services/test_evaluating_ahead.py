"""People are evaluated ahead of the step that writes them, and somebody else writes in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from syncline.core.commands import DeleteUser, PatchGroup, PatchUser
from syncline.core.scim.schema import ResourceKind
from syncline.services.reevaluation import Reevaluations
from syncline.store.database import Database, T, Work
from tests.services.test_access import by_name, define, here, rule
from tests.services.test_apply import World, patch, remove_member

__all__ = ["here"]
_NAMES = [f"p{number}@northwind.example" for number in range(8)]
# The job asks what is due, then looks ahead: after its third look nothing of those people is written yet.
_READS = 4


@dataclass
class _Meanwhile:
    """A database after whose n-th read something else happens before anything more is done with it."""

    inner: Database
    act: Callable[[], Awaitable[object]]
    reads: int = 0

    async def read(self, work: Work[T]) -> T:
        result = await self.inner.read(work)
        self.reads += 1
        if self.reads == _READS:
            await self.act()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def _job(here: World, act: Callable[[], Awaitable[object]]) -> None:
    database = cast(Database, _Meanwhile(here.kernel.database, act))
    await Reevaluations(replace(here.kernel, database=database)).complete()


async def _roles(here: World) -> dict[str, list[str]]:
    """What the last event says of everybody, by user name; nothing for those who have left."""
    found: dict[str, list[str]] = {}
    for name, data in await here.events():
        if name == "dsync.user.deleted":
            del found[data["username"]]
        elif name.startswith("dsync.user."):
            found[data["username"]] = [role["slug"] for role in data.get("roles", [])]
    return found


async def _is_settled(here: World) -> None:
    """Evaluating everybody once more finds nothing to tell."""
    count = len(await here.types())
    await define(here, "never", "custom", {"path": "never"})
    await Reevaluations(here.kernel).complete()
    assert len(await here.types()) == count


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncline.services.reevaluation.BATCH", 2)


async def test_a_group_that_is_renamed_meanwhile_gives_its_new_role(here: World) -> None:
    people = [await here.user(name) for name in _NAMES]
    editors = await here.group("Editors", [person.id for person in people])
    await rule(here, by_name(1, "Writers", "editor"), work=False)
    rename = patch(ResourceKind.GROUP, {"op": "replace", "path": "displayName", "value": "Writers"})
    await _job(here, lambda: here.do(PatchGroup(editors.id, rename)))
    assert set(map(tuple, (await _roles(here)).values())) == {("editor",)}
    await _is_settled(here)


async def test_who_leaves_a_group_meanwhile_does_not_get_its_role(here: World) -> None:
    people = [await here.user(name) for name in _NAMES]
    writers = await here.group("Writers", [person.id for person in people])
    await rule(here, by_name(1, "Writers", "editor"), work=False)
    leaver = people[4]
    await _job(here, lambda: here.do(PatchGroup(writers.id, remove_member(leaver.id))))
    roles = await _roles(here)
    assert roles.pop("p4@northwind.example") == ["member"]
    assert set(map(tuple, roles.values())) == {("editor",)}
    await _is_settled(here)


async def test_a_profile_that_changes_meanwhile_is_told_as_it_is(here: World) -> None:
    people = [await here.user(name, title="Planner") for name in _NAMES]
    await define(here, "job", "custom", {"path": "title"})
    change = patch(ResourceKind.USER, {"op": "replace", "path": "title", "value": "Pilot"})
    await _job(here, lambda: here.do(PatchUser(people[4].id, change)))
    seen = [
        (data["job_title"], data["custom_attributes"]["job"])
        for name, data in await here.events()
        if name == "dsync.user.updated" and data["username"] == "p4@northwind.example"
    ]
    assert seen == [("Pilot", "Pilot")]
    await _is_settled(here)


async def test_of_somebody_who_leaves_meanwhile_nothing_more_is_told(here: World) -> None:
    people = [await here.user(name) for name in _NAMES]
    await here.group("Writers", [person.id for person in people])
    await rule(here, by_name(1, "Writers", "editor"), work=False)
    await _job(here, lambda: here.do(DeleteUser(people[4].id)))
    assert len(await _roles(here)) == len(_NAMES) - 1
    told = [name for name, data in await here.events() if data.get("username") == "p4@northwind.example"]
    assert told == ["dsync.user.created", "dsync.user.deleted"]
    await _is_settled(here)


async def test_rules_that_change_meanwhile_begin_anew_with_everybody(here: World) -> None:
    people = [await here.user(name) for name in _NAMES]
    await here.group("Writers", [person.id for person in people])
    await rule(here, by_name(1, "Writers", "editor"), work=False)
    await _job(here, lambda: rule(here, by_name(2, "Writers", "admin"), work=False))
    assert set(map(tuple, (await _roles(here)).values())) == {("admin",)}
    await _is_settled(here)
