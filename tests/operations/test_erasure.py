"""A person is erased: nothing of them is left in the files, and the log is as dense as before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import select

from syncline import faults
from syncline.core.commands import CreateUser
from syncline.core.ids import Prefix
from syncline.core.scim.errors import ScimError
from syncline.core.scim.normalize import normalize_user
from syncline.core.scim.schema import ENTERPRISE_URN
from syncline.faults import FaultInjected, FaultPlan
from syncline.services.endpoints import Endpoints
from syncline.services.erasure import Erasures
from syncline.services.idempotency import KeptAnswer
from syncline.store import parked, traces
from syncline.store import tables as t
from syncline.store.database import Connection
from tests.support.api import Api, api
from tests.support.directory_world import CAUSE, DirectoryWorld
from tests.support.kernels import seed

ADDRESS, NAME, EXTERNAL = "ida.k@northwind.example", "Ida Kjeldsen-Råd", "00u-ida-7"
NEEDLES = ("ida.k", "IDA.K", "Kjeldsen", EXTERNAL, "Harbour-Master")
OTHER = "bo@northwind.example"
HOOK: dict[str, Any] = {"endpoint_url": "https://receiver.example/hook", "events": ["dsync.user.created"]}


@pytest.fixture
async def calls(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        yield made


def document(**more: Any) -> dict[str, Any]:
    return {
        "userName": ADDRESS,
        "externalId": EXTERNAL,
        "name": {"givenName": "Ida", "familyName": "Kjeldsen-Råd", "formatted": NAME},
        "emails": [{"value": ADDRESS, "primary": True}],
        "title": "Harbour-Master",
        ENTERPRISE_URN: {"department": "Docks"},
        **more,
    }


async def lived(world: DirectoryWorld) -> tuple[str, str]:
    """Let two people live in a directory, one of whom left, came back and is a member; return their ids."""
    applied = await world.do(CreateUser(normalize_user(document())))
    assert applied.view is not None
    ida, bo = applied.view.id, await world.user(OTHER, externalId="E2")
    await world.group("Dispatch", [ida, bo])
    await world.set_active(ida, False)
    await world.set_active(ida, True)
    return ida, bo


async def shown_id(calls: Api, user_name: str) -> str:
    [found] = [
        user
        for user in (await calls.get("/directory_users?limit=100"))["data"]
        if user["username"] == user_name
    ]
    return str(found["id"])


async def deliver(world: DirectoryWorld, endpoint_id: str) -> None:
    """Leave behind what a receiver that repeats everything has answered to each event."""
    rows = [row for row in await world.rows() if row.user_id is not None]
    now = world.services.kernel.clock()
    attempts = [
        parked.Attempt(
            id=world.services.kernel.ids.new(Prefix.ATTEMPT),
            position=row.position,
            event_id=row.event_id,
            event_type=row.type,
            attempt=1,
            started_at=now,
            duration_ms=1,
            outcome="failed",
            status=500,
            error="500",
            response=row.body,
            next_due_at=None,
        )
        for row in rows
    ]
    waiting = [
        parked.Parked(
            position=row.position,
            lane="lane",
            attempts=1,
            first_attempt_at=now,
            next_due_at=now,
            last_error=row.body,
        )
        for row in rows
    ]

    def work(connection: Connection) -> None:
        parked.record(connection, endpoint_id, attempts)
        parked.put(connection, world.environment, endpoint_id, waiting)

    await world.services.kernel.database.write(work)


async def found_in(database_url: str, needles: tuple[str, ...] = NEEDLES) -> list[str]:
    """Return where needles stand: in the bytes of SQLite's files, in rows and statistics of PostgreSQL."""
    if database_url.startswith("sqlite"):
        path = Path(urlsplit(database_url).path)
        held = {each.name: each.read_bytes() for each in path.parent.glob(f"{path.name}*")}
        with closing(sqlite3.connect(path)) as connection:
            held["rows"] = "\n".join(connection.iterdump()).encode()
    else:
        held = await rows(database_url)
    return [
        f"{needle} in {place}"
        for needle in needles
        for place, text in held.items()
        if needle.encode() in text
    ]


def leave_remains(database_url: str) -> None:
    """Leave in free pages what an SQLite that was built without `secure_delete` leaves of old rows."""
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(urlsplit(database_url).path, isolation_level=None)) as connection:
            connection.execute("PRAGMA secure_delete=OFF")
            connection.execute("CREATE TABLE old_rows (x)")
            connection.execute("INSERT INTO old_rows VALUES (?)", (f"{ADDRESS} " * 10_000,))
            connection.execute("DROP TABLE old_rows")


async def rows(database_url: str) -> dict[str, bytes]:
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        names = [*(row["tablename"] for row in tables), "pg_stats"]
        found = {}
        for name in names:
            lines = await connection.fetch(f'SELECT t::text AS line FROM "{name}" t')  # noqa: S608
            found[name] = "\n".join(row["line"] for row in lines).encode()
        return found
    finally:
        await connection.close()


async def test_nothing_of_a_person_is_left_anywhere(calls: Api, database_url: str) -> None:
    world = calls.world
    ida, _ = await lived(world)
    asked = await shown_id(calls, ADDRESS)
    assert asked != f"directory_user_{ida}", "the person came back under another id"
    endpoint = (await calls.call("POST", "/webhook_endpoints", HOOK)).json()["id"]
    await deliver(world, endpoint)
    before = await world.rows()
    leave_remains(database_url)
    assert await found_in(database_url), "the search finds what it is to find"

    assert (await calls.refused(409, "POST", f"/directory_users/{asked}/erase"))[0] == "directory_user_live"
    assert [row.body for row in await world.rows()] == [row.body for row in before]
    answer = await calls.call("POST", f"/directory_users/{asked}/erase", {"delete": True})
    assert answer.status_code == 200, answer.text
    erased = answer.json()
    assert erased["state"] == "complete"
    assert erased["erased"]["people"] == 1

    assert await found_in(database_url) == []
    assert await found_in(database_url, (OTHER,)), "everybody else is as before"
    after = await world.rows()
    kept = ("position", "event_id", "type", "recorded_at", "directory_id", "directory_sequence", "user_id")
    for was, now in zip(before, after, strict=False):
        assert [getattr(was, name) for name in kept] == [getattr(now, name) for name in kept]
    assert [row.position for row in after] == list(range(1, len(after) + 1))
    left = after[len(before) :]
    assert [row.type for row in left] == ["dsync.group.user_removed", "dsync.user.deleted"]
    theirs = [json.loads(row.body) for row in after if row.user_id in (asked, f"directory_user_{ida}")]
    assert erased["erased"]["events"] == len(theirs)
    for data in theirs:
        user = data.get("user", data)
        assert user["erased"] is True
        assert user["email"] is None
        assert user["idp_id"] == ""
        assert user["directory_id"] == world.place.directory.id
    assert {data["group"]["name"] for data in theirs if "group" in data} == {"Dispatch"}
    await calls.refused(404, "GET", f"/directory_users/{asked}")


async def test_cursors_go_on_and_any_id_of_the_person_names_the_erasure(calls: Api) -> None:
    world = calls.world
    ida, _ = await lived(world)
    asked = await shown_id(calls, ADDRESS)
    await world.rows()
    cursor = (await calls.get("/events?limit=2"))["list_metadata"]["after"]
    first = await calls.call("POST", f"/directory_users/{asked}/erase", {"delete": True})
    rest = (await calls.get(f"/events?limit=100&after={cursor}"))["data"]
    assert [event["context"]["sequence"] for event in rest] == list(range(3, 3 + len(rest)))
    again = await calls.call("POST", f"/directory_users/directory_user_{ida}/erase")
    assert again.json() == first.json()


async def test_a_person_whom_the_provider_deleted_is_erased_by_any_id(calls: Api, database_url: str) -> None:
    world = calls.world
    ida, _ = await lived(world)
    asked = await shown_id(calls, ADDRESS)
    await world.delete_user(ida)
    await world.rows()
    answer = await calls.call("POST", f"/directory_users/{asked}/erase")
    assert answer.json()["state"] == "complete", answer.text
    assert await found_in(database_url) == []


async def test_a_provider_that_sends_the_person_again_makes_a_new_one(calls: Api) -> None:
    world = calls.world
    ida, _ = await lived(world)
    old = await shown_id(calls, ADDRESS)
    await calls.call("POST", f"/directory_users/{old}/erase", {"delete": True})
    with pytest.raises(ScimError):
        await world.set_active(ida, True)
    await world.do(CreateUser(normalize_user(document())))
    new = await shown_id(calls, ADDRESS)
    assert new not in (old, f"directory_user_{ida}")
    assert (await world.told())[-1][1]["email"] == ADDRESS
    # The old erasure is over; asking for it again does not touch the new person.
    assert (await calls.call("POST", f"/directory_users/{old}/erase")).json()["state"] == "complete"
    assert (await world.told())[-1][1]["email"] == ADDRESS


async def test_somebody_else_with_the_same_address_is_left_alone(calls: Api) -> None:
    """A company gives the address of somebody who left to somebody new: ids tell them apart."""
    world = calls.world
    ida, _ = await lived(world)
    old = await shown_id(calls, ADDRESS)
    await world.delete_user(ida)
    await world.do(CreateUser(normalize_user(document(externalId="another"))))
    new = await shown_id(calls, ADDRESS)
    assert (await calls.call("POST", f"/directory_users/{old}/erase")).json()["erased"]["people"] == 1
    assert (await calls.get(f"/directory_users/{new}"))["email"] == ADDRESS
    assert (await world.told())[-1][1]["idp_id"] == "another"


async def test_an_erasure_goes_on_wherever_a_process_died(calls: Api, database_url: str) -> None:
    world = calls.world
    erasures = Erasures(world.services.kernel, world.services.writer, hold=timedelta(0))
    for point in ("after_delete", "after_inbox", "after_log", "after_rows", "before_scrub"):
        await lived(world)
        asked = await shown_id(calls, ADDRESS)
        faults.install(FaultPlan.parse(f"erasure.{point}=fail"))
        try:
            with pytest.raises(FaultInjected):
                await erasures.erase(world.environment, asked, CAUSE, delete=True)
        finally:
            faults.install(None)
        assert await erasures.resume() == 1
        assert await found_in(database_url) == [], point
        assert (await erasures.erase(world.environment, asked, CAUSE)).erased.people == 1, point
        await world.delete_user((await shown_id(calls, OTHER)).removeprefix("directory_user_"))


async def test_a_person_of_a_deleted_directory_is_erased(calls: Api, database_url: str) -> None:
    await lived(calls.world)
    asked = await shown_id(calls, ADDRESS)
    await calls.call("DELETE", f"/directories/{calls.world.place.directory.id}")
    answer = await calls.call("POST", f"/directory_users/{asked}/erase")
    assert (answer.status_code, answer.json()["state"]) == (200, "complete")
    assert await found_in(database_url) == []


async def test_what_a_delivery_under_way_writes_down_afterwards_is_removed(
    calls: Api, database_url: str
) -> None:
    world = calls.world
    await lived(world)
    asked = await shown_id(calls, ADDRESS)
    theirs = next(row for row in await world.rows() if ADDRESS in row.body)
    endpoint = (await calls.call("POST", "/webhook_endpoints", HOOK)).json()["id"]
    await calls.call("POST", f"/directory_users/{asked}/erase", {"delete": True})
    now = world.services.kernel.clock()
    late = parked.Attempt(
        id=world.services.kernel.ids.new(Prefix.ATTEMPT),
        position=theirs.position,
        event_id=theirs.event_id,
        event_type=theirs.type,
        attempt=1,
        started_at=now,
        duration_ms=1,
        outcome="failed",
        status=500,
        error="500",
        response=theirs.body,
        next_due_at=None,
    )
    await world.services.kernel.database.write(lambda connection: parked.record(connection, endpoint, [late]))
    assert await world.services.erasures.resume() == 0, "it is not due yet"
    await world.services.kernel.database.write(
        lambda connection: connection.execute(
            t.erasures.update().values(next_due_at=world.services.kernel.clock() - timedelta(seconds=1))
        )
    )
    assert await world.services.erasures.resume() == 1
    assert await found_in(database_url) == []
    assert await world.services.erasures.resume() == 0


async def test_answers_of_every_endpoint_go_and_those_given_to_other_environments_stay(
    calls: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt is of the environment of its endpoint. Both are gone through in steps."""
    monkeypatch.setattr(traces, "SCAN", 2)
    monkeypatch.setattr(traces, "ENDPOINTS", 2)
    world, kernel = calls.world, calls.world.services.kernel
    await lived(world)
    asked = await shown_id(calls, ADDRESS)
    made = [
        (
            await calls.call(
                "POST", "/webhook_endpoints", HOOK | {"endpoint_url": f"https://{name}.example/"}
            )
        ).json()
        for name in ("one", "silent", "two", "three")
    ]
    for endpoint in (made[0], *made[2:]):
        await deliver(world, endpoint["id"])
    elsewhere = await seed(kernel)
    other = await Endpoints(kernel).create(
        elsewhere.environment_id, "https://other.example/", HOOK["events"], CAUSE
    )
    await deliver(world, other.id)
    erased = await calls.call("POST", f"/directory_users/{asked}/erase", {"delete": True})
    c = t.delivery_attempts.c
    statement = select(c.endpoint_id, c.response)
    found = await kernel.database.read(lambda connection: connection.execute(statement).all())
    naming = [row for row in found if row.response is not None and ADDRESS in row.response]
    assert {row.endpoint_id for row in naming} == {other.id}
    assert erased.json()["erased"]["delivery_attempts"] == 3 * len(naming)


async def test_kept_answers_with_the_person_in_them_go_and_others_stay(calls: Api) -> None:
    kernel = calls.world.services.kernel
    await lived(calls.world)
    asked = await shown_id(calls, ADDRESS)
    for key, text in (("theirs", f'{{"id":"{asked}"}}'), ("other", '{"id":"org_1"}')):

        async def answer(text: str = text) -> KeptAnswer:
            return KeptAnswer(200, text.encode())

        await calls.world.services.idempotency.once(calls.world.environment, key, b"request", answer)
    erased = await calls.call("POST", f"/directory_users/{asked}/erase", {"delete": True})
    assert erased.json()["erased"]["stored_answers"] == 1
    keys = select(t.idempotency_keys.c.key)
    left = await kernel.database.read(lambda connection: connection.execute(keys).scalars().all())
    assert left == ["other"]


async def test_only_admins_erase_and_typos_are_told(calls: Api) -> None:
    await lived(calls.world)
    asked = await shown_id(calls, ADDRESS)
    key = await calls.key(["read", "write"])
    answer = await calls.call(
        "POST", f"/directory_users/{asked}/erase", {}, headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 403
    await calls.refused(422, "POST", f"/directory_users/{asked}/erase", {"deleted": True})
    for nobody in ("nobody", "directory_user_01KA0YPX7B9D1F3H5K7M9Q1S3T"):
        await calls.refused(404, "POST", f"/directory_users/{nobody}/erase")
