"""Reading a source: page by page, with patience, and from where it stopped; a service that is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from syncline import faults
from syncline.core.imports import Outcome
from syncline.core.model import Cause
from syncline.core.paging import PageRequest
from syncline.faults import FaultPlan
from syncline.services.container import Services
from syncline.services.import_records import ImportOptions, ImportRecords
from syncline.services.imports import Import, ImportRequest, Imports
from syncline.services.keyring import Keyring
from syncline.services.product import UserQuery
from syncline.store.imports import ImportState
from tests.support.kernels import Seeded, kernel, seed
from tests.support.waiting import wait_until

CAUSE = Cause("request_test")
ORG, DIRECTORY = "org_01KA0YPX7B9D1F3H5K7M9Q1S3T", "directory_01KA0YQ2C4E6G8J0M2P4R6T8V0"
GROUP = "directory_group_01KA0YQ2C4E6G8J0M2P4R6T8V2"
PULLED, STRANGE = "directory_01KA0YQ2C4E6G8J0M2P4R6T8V7", "directory_01KA0YQ2C4E6G8J0M2P4R6T8V8"
_AT = {"created_at": "2024-04-03T04:05:06.007Z", "updated_at": "2024-04-03T04:05:06.007Z"}


def _person(number: int) -> dict[str, Any]:
    return {
        "id": f"directory_user_01KA0YQ2C4E6G8J0M2P4R6{number:04d}",
        "directory_id": DIRECTORY,
        "idp_id": f"00u{number}",
        "email": f"p{number}@southwind.example",
        "first_name": "P",
        "last_name": str(number),
        "state": "active",
        "custom_attributes": {"department_name": "Dispatch", "shoe_size": 43},
        "raw_attributes": {},
        **_AT,
    }


@dataclass
class Old:
    """A service that speaks the WorkOS API and answers as a test tells it to."""

    url: str = ""
    people: list[dict[str, Any]] = field(default_factory=lambda: [_person(n) for n in range(250)])
    counted: int = 250
    # Shows a directory that has to be pulled as well, and one of a type that nobody knows.
    mixed: bool = False
    # Called with the path; what it returns is the answer instead of the real one.
    before: Callable[[str], web.Response | None] = lambda path: None
    asked: list[str] = field(default_factory=list)

    def page(self, request: web.Request) -> list[dict[str, Any]]:
        match request.path:
            case "/organizations":
                return [{"id": ORG, "name": "Southwind", "domains": [], "metadata": {}, **_AT}]
            case "/directories":
                size = {"users": {"active": self.counted, "inactive": 0}, "groups": 1}
                made = {
                    "id": DIRECTORY,
                    "organization_id": ORG,
                    "external_key": "q7Hd2mXv9",
                    "type": "okta scim v2.0",
                    "state": "linked",
                    "name": "Southwind",
                    "metadata": size,
                    **_AT,
                }
                pulled = made | {"id": PULLED, "external_key": "p1", "type": "gsuite directory"}
                strange = made | {"id": STRANGE, "external_key": "p2", "type": "acme", "metadata": {}}
                return [pulled, made, strange] if self.mixed else [made]
            case "/directory_groups":
                return [{"id": GROUP, "directory_id": DIRECTORY, "name": "All", "idp_id": "All", **_AT}]
            case "/directory_users":
                return self.people
        raise web.HTTPNotFound

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.headers.get("Authorization") != "Bearer sk_old":
            return web.json_response({"message": "Unauthorized"}, status=401)
        told = self.before(request.path)
        if told is not None:
            return told
        items, after = self.page(request), request.query.get("after")
        start = next((n + 1 for n, one in enumerate(items) if one["id"] == after), 0)
        shown = items[start : start + int(request.query.get("limit", "10"))]
        more = start + len(shown) < len(items)
        metadata = {"before": None, "after": shown[-1]["id"] if shown and more else None}
        return web.json_response({"object": "list", "data": shown, "list_metadata": metadata})


@dataclass(frozen=True, slots=True)
class World:
    """A Syncline that is moved to, and the service that is left."""

    services: Services
    imports: Imports
    seeded: Seeded
    old: Old
    database_url: str

    async def begin(self, **more: Any) -> str:
        asked = ImportRequest(source="workos", base_url=self.old.url, api_key="sk_old", **more)
        return (await self.imports.create(self.seeded.environment_id, asked, CAUSE)).id

    async def ended(self, import_id: str, state: ImportState = ImportState.COMPLETE) -> Import:
        async def found() -> Import | None:
            current = await self.imports.get(self.seeded.environment_id, import_id)
            return current if current.state is state else None

        made = await wait_until(found, 60, reason=f"an import that is {state}")
        assert made is not None
        return made

    async def people(self) -> int:
        """How many people the directory shows, and that each of them is in the group."""
        found = await self.services.directories.get(self.seeded.environment_id, DIRECTORY)
        assert found.metadata
        return found.metadata.users.active


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    old = Old()
    app = web.Application()
    app.router.add_get("/{rest:.*}", old.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    old.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with kernel(database_url) as parts:
        services = Services(parts)
        await services.writer.start()
        # Whoever comes later finds what a dead process had claimed free.
        imports = Imports(parts, services.writer, hold=timedelta())
        yield World(services, imports, await seed(parts), old, database_url)
        await imports.close()
        await services.close()
    faults.install(None)
    await runner.cleanup()


async def test_a_walk_goes_through_all_pages_and_fills_the_group(world: World) -> None:
    done = await world.ended(await world.begin())
    assert done.counts["users"] == {"created": 250}
    assert done.counts["memberships"] == {"created": 250}
    assert (done.problems, done.sealed) == ([], None)
    query = UserQuery(directory=DIRECTORY, idp_id="00u7")
    [person] = (await world.services.product.users(world.seeded.environment_id, query, PageRequest())).items
    assert (person.id, person.created_at) == (_person(7)["id"], _AT["created_at"])
    assert isinstance(person.groups, list)
    assert [group.id for group in person.groups] == [GROUP]


async def test_directories_that_cannot_be_taken_in_are_reported_and_the_others_come(world: World) -> None:
    world.old.mixed = True
    done = await world.ended(await world.begin())
    assert done.counts == {
        "organizations": {"created": 1},
        "directories": {"refused": 2, "created": 1},
        "users": {"refused": 250, "created": 250},
        "groups": {"refused": 1, "created": 1},
        "memberships": {"created": 250},
    }
    assert await world.people() == 250
    found = [(one["type"], one["id"], one["code"]) for one in done.problems]
    assert found == [
        ("directory", PULLED, "type_unsupported"),
        ("directory", STRANGE, "provider_unknown"),
        ("directory", PULLED, "directory_left_out"),
        ("directory", STRANGE, "directory_left_out"),
    ]
    told = [one["message"] for one in done.problems]
    assert "no connector" in told[0]
    assert "pushed by SCIM" in told[0]
    assert "people: 250, groups: 1" in told[2]


async def test_a_walk_goes_on_from_the_page_at_which_its_process_died(world: World) -> None:
    """Each page may be the last that a process reads; nothing is lost and nothing is doubled."""
    import_id = await world.begin()
    await world.imports.close()
    deaths = 0
    while (await world.imports.get(world.seeded.environment_id, import_id)).state is ImportState.RUNNING:
        faults.install(FaultPlan.parse("import.after_page=fail@2"))
        try:
            await world.imports.resume()
        except faults.FaultInjected:
            deaths += 1
    assert deaths >= 5
    done = await world.ended(import_id)
    assert sum(done.counts["users"].values()) == 250
    assert await world.people() == 250
    # No list was begun again at its start.
    assert world.old.asked.count("/directory_users") == 2 * 3
    assert len(world.old.asked) < 16


async def test_a_source_that_is_busy_is_waited_for(world: World) -> None:
    answers = iter([429, 503, 429])

    def busy(path: str) -> web.Response | None:
        status = next(answers, None) if path == "/directory_users" else None
        if status is None:
            return None
        return web.json_response({"message": "later"}, status=status, headers={"Retry-After": "0"})

    world.old.before = busy
    assert (await world.ended(await world.begin())).counts["users"] == {"created": 250}


async def test_a_long_wait_puts_the_import_down_and_says_so(world: World) -> None:
    world.old.before = lambda path: web.json_response(
        {"message": "later"}, status=429, headers={"Retry-After": "3000"}
    )
    import_id = await world.begin()

    async def waits() -> bool:
        return (await world.imports.get(world.seeded.environment_id, import_id)).error is not None

    await wait_until(waits, reason="an import that waits")
    current = await world.imports.get(world.seeded.environment_id, import_id)
    assert (current.state, current.error) == (ImportState.RUNNING, "The source answered 429.")
    assert await world.imports.resume() == 0
    ended = await world.imports.cancel(world.seeded.environment_id, import_id)
    assert (ended.state, ended.sealed) == (ImportState.CANCELED, None)


async def test_an_import_whose_key_was_lost_asks_for_it_again(world: World) -> None:
    """The operator's secret key was changed, and the old one not kept."""
    import_id = await world.begin()
    await world.imports.close()
    async with kernel(world.database_url) as parts:
        other = replace(parts, keyring=Keyring.from_secret("another key that is long enough to be one"))
        imports = Imports(other, world.services.writer, hold=timedelta())
        await imports.resume()
    failed = await world.imports.get(world.seeded.environment_id, import_id)
    assert failed.state is ImportState.FAILED
    assert "give it again" in str(failed.error)
    await world.imports.retry(world.seeded.environment_id, import_id, "sk_old", CAUSE)
    await world.ended(import_id)


async def test_a_list_that_ends_early_is_noticed(world: World) -> None:
    world.old.counted = 260
    done = await world.ended(await world.begin())
    assert [problem["code"] for problem in done.problems] == ["count_differs"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: web.json_response({"message": "Nobody may"}, status=403), "403: Nobody may"),
        (lambda: web.json_response([]), "answered 200"),
        (lambda: web.Response(text="<html>", content_type="text/html"), "answered 200"),
        (lambda: web.json_response({"data": 1}), "does not speak the WorkOS API"),
        (lambda: web.json_response({"data": [{"x": 1}], "list_metadata": {}}), "does not speak"),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1/"}), "answered 302"),
    ],
)
async def test_what_does_not_speak_the_api_ends_the_import_with_a_reason(
    world: World, answer: Callable[[], web.Response], said: str
) -> None:
    world.old.before = lambda path: answer()
    failed = await world.ended(await world.begin(), ImportState.FAILED)
    assert said in str(failed.error)


async def test_records_that_arrive_while_a_provider_writes_are_safe_to_repeat(world: World) -> None:
    """Two processes may carry on one import at the same time, when a claim has run out."""
    records = ImportRecords(world.services.kernel, world.services.writer)
    environment_id = world.seeded.environment_id
    directory_id = world.seeded.directory.id
    values: list[Any] = [
        {"type": "user", "id": f"u-{n}", "directory_id": directory_id, "resource": {"userName": f"p{n}"}}
        for n in range(60)
    ]
    both = await asyncio.gather(
        *(records.take_in(environment_id, values, ImportOptions(), CAUSE) for _ in range(2))
    )
    created = [one for results in both for one in results if one.outcome is Outcome.CREATED]
    assert len(created) == 60
    assert {one.outcome for results in both for one in results} == {Outcome.CREATED, Outcome.UNCHANGED}
