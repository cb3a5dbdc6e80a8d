"""What people have of each attribute over HTTP: coverage, masked examples, who misses what is required."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from syncline.core.errors import NotFound
from syncline.core.paging import Order, PageRequest
from syncline.services.attribute_coverage import CoverageCount, coverage_of
from syncline.services.attribute_gaps import AttributeGaps
from tests.support.api import Api, api
from tests.support.kernels import seed


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        yield made


def path(here: Api, more: str = "") -> str:
    return f"/directories/{here.world.place.directory.id}/attribute_map{more}"


async def defined(here: Api, key: str, **more: Any) -> None:
    answer = await here.call("POST", "/attributes", {"key": key, **more})
    assert answer.status_code == 201, answer.text
    await here.world.services.reevaluations.complete()


async def shown(here: Api, query: str = "") -> dict[str, Any]:
    found = await here.get(path(here, query))
    return {one["key"]: one for one in found["attributes"]}


async def everybody(here: Api, query: str) -> list[list[str]]:
    """Walk over a list to its end and return the pages by user name."""
    pages = []
    after = ""
    while True:
        found = await here.get(path(here, f"/missing?{query}{after}"))
        pages.append([one["name"] for one in found["data"]])
        if found["list_metadata"]["after"] is None:
            return pages
        after = f"&after={found['list_metadata']['after']}"


async def test_standard_attributes_are_covered_though_no_map_touches_them(here: Api) -> None:
    await here.world.user("a@x.example", name={"givenName": "Ada", "familyName": "Berg"}, title="Chief")
    await here.world.user("ben", displayName="Ben")
    hidden = await here.world.user("gone", title="Chief")
    await here.world.set_active(hidden, False)
    found = await shown(here)
    assert {key: one["coverage"]["filled"] for key, one in found.items()} == {
        "email": 1,
        "first_name": 2,
        "job_title": 1,
        "last_name": 1,
        "name": 2,
        "username": 2,
    }
    assert found["job_title"]["coverage"] == {"people": 2, "examined": 2, "filled": 1, "ratio": 0.5}
    assert {one["missing"] for one in found.values()} == {None}
    nobody = await seed(here.world.services.kernel)
    empty = await here.world.services.attribute_maps.get(nobody.environment_id, nobody.directory.id)
    assert {one.coverage.examined for one in empty.attributes} == {0}


async def test_coverage_of_a_standard_attribute_stays_when_a_map_begins_to_say_it(here: Api) -> None:
    for number in range(4):
        await here.world.user(f"p{number}", title="Chief" if number else "")
    before = (await shown(here))["job_title"]
    await defined(here, "job_title", kind="standard", sources=["title"])
    after = (await shown(here))["job_title"]
    assert (before["level"], after["level"]) == ("built_in", "environment")
    assert (
        before["coverage"]
        == after["coverage"]
        == {
            "people": 4,
            "examined": 4,
            "filled": 3,
            "ratio": 0.75,
        }
    )


async def test_examples_are_masked_unless_they_are_about_nobody(here: Api) -> None:
    for number in range(6):
        await here.world.user(
            f"p{number}@x.example",
            title="Planner" if number < 5 else "Chief",
            nickName="Sam",
            manager={"displayName": "Noor Ali"},
        )
    await defined(here, "pool", sources=["title"])
    # The attribute's own name tells nothing about people, its source does.
    await defined(here, "boss", sources=["manager.displayName", "nickName"])
    await defined(here, "emails")
    found = await shown(here)
    assert found["job_title"]["samples"] == found["pool"]["samples"] == ["Planner", "Xxxxx"]
    assert found["email"]["samples"] == ["x0@x.xxxxxxx"]
    assert found["boss"]["samples"] == ["Xxxx Xxx"]
    assert found["emails"]["samples"] == []
    clear = await shown(here, "?unmasked=true")
    assert clear["boss"]["samples"] == ["Noor Ali"]
    assert clear["email"]["samples"] == ["p0@x.example", "p1@x.example", "p2@x.example"]
    headers = {"Authorization": f"Bearer {await here.key(['read', 'write'])}"}
    answer = await here.call("GET", path(here, "?unmasked=true"), headers=headers)
    assert answer.status_code == 403
    assert (await here.call("GET", path(here), headers=headers)).json()["masked"] is True
    assert await here.refused(422, "GET", path(here, "?unmasked=yes")) == [
        "validation_failed",
        "unmasked_invalid",
    ]


async def test_of_very_many_people_some_documents_are_read_all_over_the_directory(here: Api) -> None:
    for number in range(9):
        await here.world.user(f"p{number}", title="Chief" if number in (0, 5) else "")
    few = CoverageCount(here.world.services.kernel, most_people=4, stretch=2)
    found = {"job_title": coverage_of("job_title", ())}
    stored = {"cost_pool": coverage_of("cost_pool", ())}
    await few.fill(here.world.place.directory.scope, stored, found)
    one = found["job_title"]
    # The first two, and two from the middle.
    assert (one.people, one.examined, one.filled, one.samples(masked=False)) == (9, 4, 2, ["Chief"])
    assert (stored["cost_pool"].people, stored["cost_pool"].examined) == (9, 9)


async def test_everybody_who_misses_something_required_can_be_listed(here: Api) -> None:
    for number in range(7):
        more: dict[str, Any] = {"nickName": "x"} if number % 2 else {"title": "Chief"}
        await here.world.user(f"p{number}", displayName=f"P{number}", **more)
    await defined(here, "nick", required=True, sources=["nickName"])
    await defined(here, "pool", required=True, sources=["title"])
    await defined(here, "floor_number")
    await here.world.set_active(await here.world.user("hidden", displayName="Hidden"), False)
    other = await seed(here.world.services.kernel)
    await here.world.user("far", at=other, displayName="Far")
    assert await everybody(here, "limit=3") == [["P6", "P5", "P4"], ["P3", "P2", "P1"], ["P0"]]
    assert await everybody(here, "attribute=nick&order=asc&limit=2") == [["P0", "P2"], ["P4", "P6"]]
    assert len((await everybody(here, "attribute=floor_number&limit=100"))[0]) == 7
    missing = (await shown(here))["nick"]
    page = await here.get(path(here, "/missing?attribute=nick&order=asc&limit=100"))
    assert [one["directory_user_id"] for one in page["data"]] == missing["missing_examples"]
    assert len(page["data"]) == missing["missing"]
    assert page["data"][0] == {
        "object": "attribute_gap",
        "directory_user_id": missing["missing_examples"][0],
        "email": None,
        "name": "P0",
        "state": "active",
        "missing": ["nick"],
    }


async def test_a_version_with_an_attribute_that_is_gone_can_be_restored(here: Api) -> None:
    """Restoring used to be refused for ever once one of the attributes of a version was deleted."""
    await here.world.user("ada", nickName="Ad", title="Chief")
    await defined(here, "nick", sources=["name.formatted"])
    own = {"nick": ["nickName"], "job_title": ["nickName"]}
    assert (await here.call("PUT", path(here), {"sources": own})).status_code == 200
    assert (await here.call("PUT", path(here), {"sources": {}})).status_code == 200
    (nick,) = (await here.get("/attributes"))["data"]
    assert (await here.call("DELETE", f"/attributes/{nick['id']}")).status_code == 204
    restored = await here.call("POST", path(here, "/versions/1/restore"))
    assert (restored.status_code, restored.json()["version"]) == (200, 3)
    await here.world.services.reevaluations.complete()
    (person,) = (await here.get("/directory_users"))["data"]
    assert (person["job_title"], person["custom_attributes"]) == ("Ad", {})
    await defined(here, "nick", sources=["name.formatted"])
    assert (await shown(here))["nick"]["level"] == "directory"
    (person,) = (await here.get("/directory_users"))["data"]
    assert person["custom_attributes"] == {"nick": "Ad"}


async def test_where_nothing_is_required_nobody_misses_anything(here: Api) -> None:
    await here.world.user("ada")
    await defined(here, "pool")
    await defined(here, "email", sources=["mail"])
    assert await everybody(here, "limit=1") == [[]]
    for query, code in (
        ("attribute=nothing", "attribute_unknown"),
        ("attribute=email", "attribute_unknown"),
        ("attribute=username", "attribute_unknown"),
        ("after=x", "after_invalid"),
        ("limit=0", "limit_invalid"),
    ):
        refused = await here.refused(422, "GET", path(here, f"/missing?{query}"))
        assert refused == ["validation_failed", code], query


async def test_people_whom_a_new_attribute_has_not_reached_yet_miss_it(here: Api) -> None:
    await here.world.user("ada", displayName="Ada", title="Chief")
    body = {"key": "pool", "required": True, "sources": ["title"]}
    assert (await here.call("POST", "/attributes", body)).status_code == 201
    assert await everybody(here, "limit=1") == [["Ada"]]
    assert (await shown(here))["pool"]["missing"] == 1
    await here.world.services.reevaluations.complete()
    assert await everybody(here, "limit=1") == [[]]
    assert (await shown(here))["pool"]["missing"] == 0


async def test_a_page_looks_at_a_bounded_number_of_people_and_says_where_to_go_on(here: Api) -> None:
    people = [
        await here.world.user(
            f"p{number}", displayName=f"P{number}", title="" if number in (0, 1, 8) else "x"
        )
        for number in range(10)
    ]
    await defined(here, "pool", required=True, sources=["title"])
    ids = [f"directory_user_{id_}" for id_ in people]
    bounded = AttributeGaps(here.world.services.kernel, most_people=3)
    scope = here.world.environment, here.world.place.directory.id, None

    async def walk(page: PageRequest, back: bool = False) -> list[tuple[list[int], str | None]]:
        found = []
        while True:
            got = await bounded.list(*scope, page)
            cursor = got.before if back else got.after
            found.append(([ids.index(one.directory_user_id) for one in got.items], cursor))
            if cursor is None:
                return found
            more = {"before": cursor} if back else {"after": cursor}
            page = PageRequest(page.limit, page.order, **more)

    def told(pages: list[tuple[list[int], str | None]]) -> list[tuple[list[int], int | None]]:
        return [(numbers, None if cursor is None else ids.index(cursor)) for numbers, cursor in pages]

    assert told(await walk(PageRequest(2, Order.ASC))) == [([0, 1], 1), ([], 4), ([], 7), ([8], None)]
    assert told(await walk(PageRequest(3, Order.ASC))) == [([0, 1], 2), ([], 5), ([8], 8), ([], None)]
    down = await walk(PageRequest(100, Order.DESC))
    assert [number for numbers, _ in down for number in numbers] == [8, 1, 0]
    assert max(len(numbers) for numbers, _ in down) <= 3
    for page, expected in (
        (PageRequest(2, Order.ASC, before=ids[9]), [8, 1, 0]),
        (PageRequest(2, Order.DESC, before=ids[0]), [1, 8]),
    ):
        back = await walk(page, back=True)
        assert [number for numbers, _ in back for number in numbers[::-1]] == expected
    turned = await bounded.list(*scope, PageRequest(2, Order.NORMAL))
    assert [ids.index(one.directory_user_id) for one in turned.items] == [8]
    assert (turned.before, turned.after) == (ids[7], None)
    with pytest.raises(NotFound):
        await bounded.list("environment_other", scope[1], None, PageRequest())
