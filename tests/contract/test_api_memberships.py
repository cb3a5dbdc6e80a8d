"""Nested groups over HTTP: the setting of a directory, what lists show, and the evidence (`ui.md` §11)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from syncline.core.commands import DeleteGroup
from tests.support.api import Api, api

NOBODY = "directory_user_01KA0YPX7B9D1F3H5K7M9Q1S3T"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        yield made


async def nested(here: Api) -> tuple[str, str, str]:
    """A person in Inside, which is in Company; their ids in the product view."""
    user = await here.world.user("ada")
    inside = await here.world.group("Inside", [user])
    company = await here.world.group("Company", [inside])
    return f"directory_user_{user}", f"directory_group_{inside}", f"directory_group_{company}"


async def test_the_choice_of_a_directory_changes_what_lists_show(here: Api) -> None:
    user, inside, company = await nested(here)
    path = f"/directories/{here.world.place.directory.id}"
    assert (await here.call("PATCH", path, {})).json()["membership"] == "direct"
    assert (await here.get(f"/directory_users?group={company}"))["data"] == []
    assert (await here.call("PATCH", path, {"membership": "effective"})).json()["membership"] == "effective"
    assert [one["id"] for one in (await here.get(f"/directory_users?group={company}"))["data"]] == [user]
    listed = (await here.get(f"/directory_groups?user={user}&order=asc"))["data"]
    assert [one["id"] for one in listed] == [inside, company]
    assert (await here.get(f"/directory_users/{user}"))["groups"] == listed
    # What the vendor's clients read of a directory has no key more.
    assert "membership" not in await here.get(path)


async def test_a_directory_is_made_with_a_choice(here: Api) -> None:
    wanted = {
        "organization_id": here.world.place.organization_id,
        "name": "People",
        "type": "generic scim v2.0",
    }
    assert (await here.call("POST", "/directories", wanted)).json()["membership"] == "direct"
    made = await here.call("POST", "/directories", wanted | {"membership": "effective"})
    assert (made.status_code, made.json()["membership"]) == (201, "effective")
    wrongs: tuple[object, ...] = ("nested", "", 1, [])
    for wrong in wrongs:
        codes = await here.refused(422, "POST", "/directories", wanted | {"membership": wrong})
        assert codes == ["validation_failed", "membership_invalid"]
        path = f"/directories/{made.json()['id']}"
        assert await here.refused(422, "PATCH", path, {"name": "x", "membership": wrong}) == codes
    assert (await here.get(path))["name"] == "People"


async def test_a_membership_comes_with_its_evidence(here: Api) -> None:
    user, inside, company = await nested(here)
    found = await here.get(f"/directory_users/{user}/memberships?order=asc")
    assert found["list_metadata"] == {"before": None, "after": None}
    direct, through = found["data"]
    assert direct == {
        "object": "directory_membership",
        "group": await here.get(f"/directory_groups/{inside}"),
        "direct": True,
        "shown": True,
        "path": [{"id": inside, "name": "Inside"}],
        "path_known": True,
    }
    assert through == {
        "object": "directory_membership",
        "group": await here.get(f"/directory_groups/{company}"),
        "direct": False,
        "shown": False,
        "path": [{"id": inside, "name": "Inside"}, {"id": company, "name": "Company"}],
        "path_known": True,
    }
    newest = await here.get(f"/directory_users/{user}/memberships?limit=1")
    assert newest["data"] == [through]
    older = await here.get(f"/directory_users/{user}/memberships?after={newest['list_metadata']['after']}")
    assert older["data"] == [direct]


async def test_memberships_as_of_a_time(here: Api) -> None:
    """The call took no notice of `at` and answered what is so now."""
    user, inside, company = await nested(here)
    await here.world.rows()
    joined = (await here.get(f"/directory_users/{user}/history"))["data"][0]
    assert joined["kind"] == "joined"
    group = await here.get(f"/directory_groups/{inside}")
    await here.world.do(DeleteGroup(inside.removeprefix("directory_group_")))
    then = {
        "object": "directory_membership",
        "group": group,
        "direct": None,
        "shown": True,
        "path": [],
        "path_known": False,
    }
    path = f"/directory_users/{user}/memberships"
    assert (await here.get(path))["data"] == []
    assert (await here.get(f"{path}?at={joined['recorded_at']}"))["data"] == [then]
    assert (await here.get(f"{path}?at={joined['recorded_at']}&after={inside}"))["data"] == []
    assert (await here.get(f"{path}?at={joined['recorded_at']}&after={company}"))["data"] == [then]
    for at, code in (
        ("2030-01-01T00:00:00Z", "at_in_future"),
        ("2001-01-01T00:00:00Z", "at_before_environment"),
    ):
        assert await here.refused(422, "GET", f"{path}?at={at}") == [code, "at_invalid"]
    missing = f"/directory_users/{NOBODY}/memberships?at={joined['recorded_at']}"
    assert await here.refused(404, "GET", missing) == ["entity_not_found"]


async def test_what_is_wrong_about_a_call_is_named(here: Api) -> None:
    user, inside, _ = await nested(here)
    assert await here.refused(404, "GET", f"/directory_users/{NOBODY}/memberships") == ["entity_not_found"]
    assert await here.refused(404, "GET", f"/directory_users/{inside}/memberships") == ["entity_not_found"]
    for query, code in ((f"after={user}", "after_invalid"), ("limit=0", "limit_invalid")):
        refusal = await here.refused(422, "GET", f"/directory_users/{user}/memberships?{query}")
        assert refusal == ["validation_failed", code]
    answer = await here.call("DELETE", f"/directory_users/{user}/memberships")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
