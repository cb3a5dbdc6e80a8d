"""The past over HTTP: histories, `?at=` and what they refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from syncline.core.commands import DeleteGroup, PatchUser
from syncline.core.model import InactiveUsers
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from syncline.core.wire import iso
from tests.support.api import Api, api
from tests.support.waiting import wait_until

NOBODY = "01KA0YPX7B9D1F3H5K7M9Q1S3T"


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url, InactiveUsers.KEEP) as made:
        yield made


async def retitle(here: Api, user: str, title: str) -> None:
    operation: dict[str, Any] = {"op": "replace", "path": "title", "value": title}
    await here.world.do(PatchUser(user, parse_operations({"Operations": [operation]}, ResourceKind.USER)))


async def promoted(here: Api) -> tuple[str, str]:
    """Somebody with two titles and a group, all of it sealed; return their id and the group's."""
    user = await here.world.user("mira@northwind.example", title="Engineer", name={"formatted": "Mira Voss"})
    await retitle(here, user, "Staff Engineer")
    group = await here.world.group("Engineering", [user])
    await here.world.rows()
    return f"directory_user_{user}", f"directory_group_{group}"


async def test_a_history_says_what_changed_who_did_it_and_with_what(here: Api) -> None:
    user, group = await promoted(here)
    answer = await here.get(f"/directory_users/{user}/history")
    joined, updated, created = answer["data"]
    assert answer["list_metadata"] == {"before": None, "after": None, "truncated_before": None}
    assert [one["kind"] for one in answer["data"]] == ["joined", "updated", "created"]
    assert updated == {
        "object": "history_entry",
        "id": updated["id"],
        "event": "dsync.user.updated",
        "kind": "updated",
        "text": "job_title: Engineer → Staff Engineer",
        "changes": [{"field": "job_title", "before": "Engineer", "after": "Staff Engineer"}],
        "actor": {"kind": "provider", "id": None, "name": None},
        "cause": {"kind": "request", "id": "request_scim"},
        "erased": False,
        "recorded_at": updated["recorded_at"],
    }
    assert joined["text"] == "Became a member of Engineering."
    assert joined["changes"] == [
        {"field": "groups", "before": None, "after": {"id": group, "name": "Engineering"}}
    ]
    assert {"field": "job_title", "before": None, "after": "Engineer"} in created["changes"]
    told = await here.get("/events?order=desc&limit=10")
    assert [one["id"] for one in answer["data"]] == [
        one["id"] for one in told["data"] if one["event"] != "dsync.group.created"
    ]


async def test_a_group_tells_who_came_and_went(here: Api) -> None:
    _, group = await promoted(here)
    joined, created = (await here.get(f"/directory_groups/{group}/history"))["data"]
    assert (joined["text"], created["text"]) == ("Mira Voss became a member.", "Created.")
    assert [one["field"] for one in joined["changes"]] == ["members"]


async def test_a_history_is_paged_and_narrowed_to_a_field(here: Api) -> None:
    user, _ = await promoted(here)
    path = f"/directory_users/{user}/history"
    first = await here.get(f"{path}?limit=1&order=asc")
    assert [one["kind"] for one in first["data"]] == ["created"]
    cursor = first["list_metadata"]["after"]
    rest = await here.get(f"{path}?order=asc&after={cursor}")
    assert [one["kind"] for one in rest["data"]] == ["updated", "joined"]
    assert rest["list_metadata"]["before"] == rest["data"][0]["id"]
    titles = await here.get(f"{path}?field=job_title&limit=1")
    assert [one["text"] for one in titles["data"]] == ["job_title: Engineer → Staff Engineer"]
    assert titles["list_metadata"]["after"] == titles["data"][0]["id"]
    assert [one["kind"] for one in (await here.get(f"{path}?field=groups"))["data"]] == ["joined"]
    assert (await here.get(f"{path}?field=nothing"))["data"] == []


async def test_who_is_gone_still_has_a_history(here: Api) -> None:
    user, group = await promoted(here)
    await here.world.delete_user(user.removeprefix("directory_user_"))
    await here.world.do(DeleteGroup(group.removeprefix("directory_group_")))
    await here.world.rows()
    history = (await here.get(f"/directory_users/{user}/history"))["data"]
    assert [one["kind"] for one in history] == ["deleted", "left", "joined", "updated", "created"]
    history = (await here.get(f"/directory_groups/{group}/history"))["data"]
    assert [one["kind"] for one in history] == ["deleted", "left", "joined", "created"]


async def test_nothing_is_told_of_an_erased_person(here: Api) -> None:
    user, group = await promoted(here)
    answer = await here.call("POST", f"/directory_users/{user}/erase", {"delete": True})
    assert answer.status_code in (200, 202), answer.text
    for path in (f"/directory_users/{user}/history", f"/directory_groups/{group}/history"):
        text = (await here.call("GET", path)).text
        assert "Mira" not in text
        assert "Engineer →" not in text
    about = (await here.get(f"/directory_users/{user}/history"))["data"]
    assert all(one["erased"] for one in about)
    assert {one["text"] for one in about if one["kind"] == "updated"} == {
        "Updated; what it said was erased with the person."
    }


@pytest.mark.parametrize("kind", ["directory_user", "directory_group"])
async def test_who_was_never_there_has_no_history(here: Api, kind: str) -> None:
    for id_ in (f"{kind}_{NOBODY}", "nonsense"):
        assert await here.refused(404, "GET", f"/{kind}s/{id_}/history") == ["entity_not_found"]
    wrong = await here.refused(422, "GET", f"/{kind}s/{kind}_{NOBODY}/history?after=x")
    assert wrong == ["validation_failed", "after_invalid"]


async def test_lists_and_reads_as_of_a_time(here: Api) -> None:
    before = await here.world.user("ada", title="Pilot")
    clock = here.world.services.kernel.clock
    now = clock()
    then = iso(now)
    # Times are told to the millisecond.
    await wait_until(lambda: clock() > now + timedelta(milliseconds=2))
    await retitle(here, before, "Planner")
    await here.world.user("ben")
    await here.world.group("Staff", [before])
    path = f"/directory_users/directory_user_{before}"
    assert (await here.get(path))["job_title"] == "Planner"
    past = await here.get(f"{path}?at={then}")
    assert (past["job_title"], past["groups"]) == ("Pilot", [])
    listed = await here.get(f"/directory_users?at={then}&directory={here.world.place.directory.id}")
    assert listed["data"] == [past]
    assert (await here.get(f"/directory_groups?at={then}"))["data"] == []


async def test_a_time_of_which_nothing_is_known_is_refused_with_its_reason(here: Api) -> None:
    user = await here.world.user("ada")
    later = iso(datetime.now(UTC) + timedelta(minutes=5))
    for path in (
        "/directory_users",
        "/directory_groups",
        f"/directory_users/directory_user_{user}",
        f"/directory_groups/directory_group_{NOBODY}",
    ):
        for moment, code in ((later, "at_in_future"), ("1969-01-01T00:00:00Z", "at_before_environment")):
            assert await here.refused(422, "GET", f"{path}?at={moment}") == [code, "at_invalid"]
        assert await here.refused(422, "GET", f"{path}?at=yesterday") == ["validation_failed", "at_invalid"]
