"""Managers are found by the ids that providers know, whichever service gave them and whoever came first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from syncline.core.commands import PatchUser
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.scim.schema import ENTERPRISE_URN, ResourceKind
from syncline.services.container import Services
from syncline.services.imports import ImportRequest, Imports
from syncline.services.reevaluation import Reevaluations
from tests.services.test_access import define
from tests.services.test_apply import CAUSE, World, patch, world

OLD_MIRA, OLD_ROHAN = "5d0f5d3e-8f0a-4f7e", "5d0f5d3e-8f0a-4f7f"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[World]:
    async with world(database_url, InactiveUsers.KEEP) as made:
        await define(made, "manager_email", "predefined")
        yield made


def person(here: World, id_: str, name: str, manager: str | None = None) -> dict[str, Any]:
    address = f"{name}@northwind.example"
    resource: dict[str, Json] = {"userName": address, "emails": [{"value": address, "primary": True}]}
    if manager is not None:
        resource[ENTERPRISE_URN] = {"manager": {"value": manager}}
    return {"type": "user", "id": id_, "directory_id": here.place.directory.id, "resource": resource}


async def managers(here: World) -> dict[str, str | None]:
    """Return what the last event of each person says about the manager."""
    found: dict[str, str | None] = {}
    for name, data in await here.events():
        if name.startswith("dsync.user."):
            found[data["username"].partition("@")[0]] = data["custom_attributes"]["manager_email"]
    return found


async def test_a_manager_is_found_by_the_id_of_the_service_that_was_left(here: World) -> None:
    imports = Imports(here.kernel, here.writer)
    environment = here.place.environment_id
    made = await imports.create(environment, ImportRequest("records", events="created"), CAUSE)
    # Tom comes before his manager, Mira with hers and Rohan after them.
    people = [
        person(here, "u-tom", "tom", OLD_MIRA),
        person(here, OLD_ROHAN, "rohan"),
        person(here, OLD_MIRA, "mira", OLD_ROHAN),
        person(here, "u-ida", "ida", "nobody-we-know"),
    ]
    results, _ = await imports.take_in(environment, made.id, 1, people, CAUSE)
    assert [one.outcome for one in results] == ["created"] * 4
    assert await managers(here) == {
        "tom": None,
        "rohan": None,
        "mira": "rohan@northwind.example",
        "ida": None,
    }
    await imports.finish(environment, made.id)
    await Reevaluations(here.kernel).complete()
    assert await managers(here) == {
        "tom": "mira@northwind.example",
        "rohan": None,
        "mira": "rohan@northwind.example",
        "ida": None,
    }
    # Once: ending it again finds nothing to say.
    count = len(await here.events())
    await imports.finish(environment, made.id)
    await Reevaluations(here.kernel).complete()
    assert len(await here.events()) == count

    # The provider goes on to name managers as it always did.
    operation: dict[str, Json] = {
        "op": "replace",
        "path": f"{ENTERPRISE_URN}:manager",
        "value": {"value": OLD_ROHAN},
    }
    tom = str(results[0].id)
    await here.do(PatchUser(tom.removeprefix("directory_user_"), patch(ResourceKind.USER, operation)))
    assert (await managers(here))["tom"] == "rohan@northwind.example"
    services = Services(here.kernel)
    told = await services.explain.of_user(environment, tom)
    [manager] = [one for one in told.attributes if one.key == "manager_email"]
    assert manager.value == "rohan@northwind.example"
