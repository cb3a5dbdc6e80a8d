"""A roster is compared with a directory, and what the app has missed is emitted: once, if it is still so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from syncline import faults
from syncline.core import wire
from syncline.core.commands import PatchUser
from syncline.core.errors import Conflict, NotFound, ValidationFailed
from syncline.core.json import Json
from syncline.core.model import InactiveUsers
from syncline.core.paging import Order, PageRequest
from syncline.core.reconcile import Drift
from syncline.core.rosters import RosterRow, read_objects
from syncline.core.scim.patch import parse_operations
from syncline.core.scim.schema import ResourceKind
from syncline.faults import FaultInjected, FaultPlan
from syncline.services.kernel import Keep
from syncline.services.reconciliation import Reconciliations
from syncline.services.reconciliation_corrections import Corrections
from syncline.services.reconciliation_run import Claim, ClaimLost
from syncline.services.retention import Retention
from syncline.store import reconciliation_rows as staging
from syncline.store import reconciliations as store
from syncline.store.engine import database_now
from syncline.store.reconciliations import Correction, Reconciliation
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[DirectoryWorld]:
    async with directory_world(database_url) as made:
        yield made


@pytest.fixture
async def keeping(database_url: str) -> AsyncIterator[DirectoryWorld]:
    """A world that keeps inactive people in its product view."""
    async with directory_world(database_url, InactiveUsers.KEEP) as made:
        yield made


def address(name: str) -> str:
    return f"{name}@northwind.example"


async def person(world: DirectoryWorld, name: str, /, **more: Json) -> str:
    """Create a person with an address and a provider's id; return the SCIM id."""
    emails: Json = [{"value": address(name), "primary": True}]
    given: dict[str, Any] = {"externalId": f"ext-{name}", "emails": emails, **more}
    return await world.user(address(name), **given)


async def shown_id(world: DirectoryWorld, name: str) -> str:
    [found] = [data["id"] for type_, data in await world.told() if data.get("idp_id") == f"ext-{name}"][-1:]
    return str(found)


async def compared(
    world: DirectoryWorld, *rows: dict[str, Json], service: Reconciliations | None = None, **more: Any
) -> wire.ReconciliationResult:
    ours = service or world.services.reconciliations
    items: list[Json] = [*rows]
    return await ours.compare(world.environment, world.place.directory.id, CAUSE, read_objects(items), **more)


async def corrected(
    world: DirectoryWorld,
    made: wire.Reconciliation,
    drift: str,
    service: Reconciliations | None = None,
) -> wire.ReconciliationCorrection:
    ours = service or world.services.reconciliations
    return await ours.correct(world.environment, world.place.directory.id, made.id, drift, CAUSE)


def classes(found: wire.ReconciliationResult) -> list[str]:
    return [finding.class_ for finding in found.findings]


async def new_events(world: DirectoryWorld, known: int) -> list[tuple[str, dict[str, Any]]]:
    return (await world.told())[known:]


async def test_every_kind_of_drift_is_found_and_the_security_hole_comes_first(world: DirectoryWorld) -> None:
    await person(world, "mira", title="Planner")
    await person(world, "ivo")
    gone = await person(world, "gone")
    gone_id = await shown_id(world, "gone")
    await world.delete_user(gone)
    done = await compared(
        world,
        {"email": "Mira@Northwind.example", "job_title": "Trainee", "username": address("mira")},
        {"email": address("stranger"), "app_id": "7"},
        {"idp_id": "ext-gone", "app_id": 8},
    )
    assert done.state == "complete"
    assert done.rows == 3
    assert classes(done) == ["gone_but_active", "missing", "stale_profile", "extra"]
    hole, missing, stale, extra = done.findings
    assert (hole.directory_user_id, hole.app_id, hole.line) == (gone_id, "8", 3)
    assert missing.directory_user_id == await shown_id(world, "ivo")
    assert missing.email == address("ivo")
    [difference] = stale.differences
    assert (difference.field, difference.app, difference.directory) == ("job_title", "Trainee", "Planner")
    assert (extra.app_id, extra.email, extra.line) == ("7", address("stranger"), 2)
    assert done.counts.gone_but_active == 1
    assert done.progress.done == done.progress.total


async def test_a_roster_that_agrees_has_no_findings_and_emits_nothing(world: DirectoryWorld) -> None:
    for name in ("a", "b", "c"):
        await person(world, name)
    known = len(await world.told())
    rows: list[dict[str, Json]] = [
        {"directory_user_id": await shown_id(world, "a"), "email": address("A")},
        {"idp_id": "ext-b", "active": True, "first_name": ""},
        {"email": address("c"), "role": None},
    ]
    done = await compared(world, *rows)
    assert classes(done) == []
    assert await new_events(world, known) == []


async def test_who_left_and_is_inactive_in_the_app_is_no_finding(world: DirectoryWorld) -> None:
    await world.set_active(await person(world, "left"), False)
    done = await compared(world, {"idp_id": "ext-left", "active": False})
    assert classes(done) == []


@pytest.mark.parametrize("key", ["directory_user_id", "idp_id", "email"])
async def test_who_became_inactive_and_is_hidden_is_gone(world: DirectoryWorld, key: str) -> None:
    hidden = await person(world, "hidden")
    id_ = await shown_id(world, "hidden")
    await world.set_active(hidden, False)
    row: dict[str, Json] = {"directory_user_id": id_, "idp_id": "ext-hidden", "email": address("hidden")}
    done = await compared(world, {key: row[key]})
    assert classes(done) == ["gone_but_active"]
    known = await world.told()
    assert (await corrected(world, done, "gone_but_active")).emitted == 1
    [(type_, data)] = await new_events(world, len(known))
    assert type_ == "dsync.user.deleted"
    # What the app gets is the very event that it has missed.
    assert data == known[-1][1]
    assert data["id"] == id_


async def test_an_old_id_of_somebody_who_came_back_is_gone_and_the_new_one_is_missing(
    world: DirectoryWorld,
) -> None:
    back = await person(world, "back")
    old = await shown_id(world, "back")
    await world.set_active(back, False)
    await world.set_active(back, True)
    new = await shown_id(world, "back")
    done = await compared(world, {"directory_user_id": old})
    assert [(one.class_, one.directory_user_id) for one in done.findings] == [
        ("gone_but_active", old),
        ("missing", new),
    ]
    by_address = await compared(world, {"email": address("back")})
    assert classes(by_address) == []


async def test_a_kept_inactive_person_is_gone_with_the_state_that_was_missed(keeping: DirectoryWorld) -> None:
    await keeping.set_active(await person(keeping, "kept"), False)
    done = await compared(keeping, {"email": address("kept")})
    assert classes(done) == ["gone_but_active"]
    known = len(await keeping.told())
    assert (await corrected(keeping, done, "gone_but_active")).emitted == 1
    [(type_, data)] = await new_events(keeping, known)
    assert type_ == "dsync.user.updated"
    assert data["state"] == "inactive"
    assert data["previous_attributes"] == {"state": "active"}


async def test_missing_people_are_created_with_what_they_are_now(world: DirectoryWorld) -> None:
    await person(world, "new", title="Pilot")
    done = await compared(world)
    known = len(await world.told())
    assert (await corrected(world, done, "missing")).emitted == 1
    [(type_, data)] = await new_events(world, known)
    assert (type_, data["job_title"]) == ("dsync.user.created", "Pilot")
    [row] = (await world.rows())[known:]
    assert row.cause == done.id
    assert '"name":"reconciliation"' in row.actor


async def test_a_stale_profile_is_updated_from_what_the_app_had(world: DirectoryWorld) -> None:
    await person(world, "mira", title="Planner", name={"givenName": "Mira", "familyName": "Voss"})
    done = await compared(
        world, {"idp_id": "ext-mira", "job_title": "Trainee", "first_name": "Mirja", "active": False}
    )
    known = len(await world.told())
    assert (await corrected(world, done, "stale_profile")).emitted == 1
    [(type_, data)] = await new_events(world, known)
    assert (type_, data["job_title"], data["state"]) == ("dsync.user.updated", "Planner", "active")
    assert data["previous_attributes"] == {
        "first_name": "Mirja",
        "job_title": "Trainee",
        "state": "inactive",
    }


async def test_asking_again_emits_nothing_again(world: DirectoryWorld) -> None:
    await person(world, "new")
    done = await compared(world)
    known = len(await world.told())
    for _ in range(3):
        assert (await corrected(world, done, "missing")).emitted == 1
    assert len(await new_events(world, known)) == 1
    page = await world.services.reconciliations.findings(
        world.environment, world.place.directory.id, done.id, PageRequest(order=Order.ASC)
    )
    assert [one.outcome for one in page.items] == ["emitted"]


async def test_what_is_not_true_any_more_is_skipped_and_said(world: DirectoryWorld) -> None:
    leaver, joiner = await person(world, "leaver"), await person(world, "joiner")
    mira = await person(world, "mira", title="Planner")
    await world.set_active(joiner, False)
    done = await compared(
        world, {"email": address("joiner")}, {"email": address("mira"), "job_title": "Pilot"}
    )
    assert classes(done) == ["gone_but_active", "missing", "stale_profile"]
    await world.delete_user(leaver)
    await world.set_active(joiner, True)
    change: dict[str, Json] = {"Operations": [{"op": "replace", "path": "title", "value": "Pilot"}]}
    await world.do(PatchUser(mira, parse_operations(change, ResourceKind.USER)))
    known = len(await world.told())
    assert (await corrected(world, done, "missing")).skipped == {"left": 1}
    assert (await corrected(world, done, "gone_but_active")).skipped == {"returned": 1}
    assert (await corrected(world, done, "stale_profile")).skipped == {"agrees": 1}
    assert await new_events(world, known) == []


async def test_rows_that_may_mean_several_people_are_not_guessed(world: DirectoryWorld) -> None:
    shared: Json = [{"value": address("team"), "primary": True}]
    for name in ("one", "two"):
        await world.user(address(name), externalId=f"ext-{name}", emails=shared)
    await person(world, "twice")
    done = await compared(
        world,
        {"email": address("team")},
        {"email": address("twice"), "app_id": "1"},
        {"idp_id": "ext-twice", "app_id": "2"},
    )
    assert Counter(classes(done)) == {"ambiguous": 2}
    several = next(one for one in done.findings if one.reason == "several_people")
    assert set(several.candidates) == {await shown_id(world, name) for name in ("one", "two")}
    repeated = next(one for one in done.findings if one.reason == "several_rows")
    assert list(repeated.lines) == [2, 3]
    for drift in ("ambiguous", "extra"):
        with pytest.raises(ValidationFailed) as refused:
            await corrected(world, done, drift)
        assert refused.value.code == "class_uncorrectable"


async def test_two_rows_of_one_who_left_make_one_event(world: DirectoryWorld) -> None:
    await world.delete_user(await person(world, "gone"))
    done = await compared(world, {"idp_id": "ext-gone"}, {"email": address("gone")})
    assert classes(done) == ["gone_but_active"] * 2
    known = len(await world.told())
    settled = await corrected(world, done, "gone_but_active")
    assert (settled.emitted, settled.skipped) == (1, {"told_already": 1})
    assert len(await new_events(world, known)) == 1


async def test_an_address_that_two_who_left_had_is_ambiguous(world: DirectoryWorld) -> None:
    shared: Json = [{"value": address("desk"), "primary": True}]
    for name in ("one", "two"):
        await world.delete_user(await world.user(address(name), externalId=name, emails=shared))
    done = await compared(world, {"email": address("desk")})
    assert classes(done) == ["ambiguous"]
    assert len(done.findings[0].candidates) == 2


async def test_people_who_changed_after_the_roster_was_written_are_left_out(world: DirectoryWorld) -> None:
    await person(world, "new")
    await person(world, "mira", title="Planner")
    long_ago = world.services.kernel.clock() - timedelta(hours=1)
    done = await compared(world, {"email": address("mira"), "job_title": "Pilot"}, taken_at=long_ago)
    assert classes(done) == []
    assert done.counts.changed_since == 2


async def test_bad_rows_are_all_named_and_nothing_is_kept(world: DirectoryWorld) -> None:
    rows: list[dict[str, Json]] = [{"email": address("a")}, {"email": "no address"}, {"name": "x"}]
    with pytest.raises(ValidationFailed) as refused:
        await compared(world, *rows)
    assert [(one.field, one.code) for one in refused.value.errors] == [
        ("rows[2].email", "email_invalid"),
        ("rows[3].directory_user_id", "directory_user_id_required"),
    ]
    assert "line 2" in refused.value.message
    listed = await world.services.reconciliations.list(
        world.environment, world.place.directory.id, PageRequest()
    )
    assert listed.items == []


async def rows_in_calls(world: DirectoryWorld, rows: Sequence[RosterRow]) -> wire.ReconciliationResult:
    service, place = world.services.reconciliations, (world.environment, world.place.directory.id)
    made = await service.open(*place, CAUSE)
    assert made.state == "receiving"
    await service.add_rows(*place, made.id, rows[:2])
    # A call that is repeated, as after a lost answer.
    await service.add_rows(*place, made.id, rows[1:])
    return await service.start(*place, made.id)


async def test_rows_may_come_in_several_calls_and_a_call_twice(world: DirectoryWorld) -> None:
    for name in ("a", "b", "c"):
        await person(world, name)
    rows = [RosterRow(line, email=address(name)) for line, name in enumerate("abc", 1)]
    done = await rows_in_calls(world, rows)
    assert (done.state, done.rows, classes(done)) == ("complete", 3, [])
    service, place = world.services.reconciliations, (world.environment, world.place.directory.id)
    with pytest.raises(Conflict):
        await service.add_rows(*place, done.id, rows)
    assert (await service.start(*place, done.id)).id == done.id


async def test_rows_without_numbers_follow_each_other_also_at_the_same_time(world: DirectoryWorld) -> None:
    service, place = world.services.reconciliations, (world.environment, world.place.directory.id)
    made = await service.open(*place, CAUSE)
    calls = [
        service.add_rows(*place, made.id, [RosterRow(1, email=address(f"x{number}"))], numbered=False)
        for number in range(5)
    ]
    await asyncio.gather(*calls)
    assert (await service.start(*place, made.id)).counts.extra == 5


async def test_a_comparison_that_is_not_complete_is_not_corrected(world: DirectoryWorld) -> None:
    made = await world.services.reconciliations.open(world.environment, world.place.directory.id, CAUSE)
    with pytest.raises(Conflict) as refused:
        await corrected(world, made, "missing")
    assert refused.value.code == "reconciliation_incomplete"


async def test_the_rows_of_the_app_do_not_stay_and_a_removed_one_is_gone(world: DirectoryWorld) -> None:
    await person(world, "a")
    done = await compared(world, {"email": address("b")})

    async def left() -> int:
        return await world.services.kernel.database.read(
            lambda connection: staging.extent(connection, done.id)[0]
        )

    assert await left() == 0
    service, place = world.services.reconciliations, (world.environment, world.place.directory.id)
    await service.remove(*place, done.id)
    with pytest.raises(NotFound):
        await service.get(*place, done.id)


async def test_a_worker_whose_claim_ran_out_writes_nothing_more(world: DirectoryWorld) -> None:
    await person(world, "new")
    done = await compared(world)
    kernel = world.services.kernel

    def claimed(connection: Connection) -> Reconciliation:
        now = database_now(connection)
        current = store.get(connection, world.place.directory.scope, done.id, lock=True)
        assert current is not None
        asked = Correction(requested_by="key", requested_at=now)
        store.change(connection, replace(current, corrections={"missing": asked}, next_due_at=now))
        taken = store.claim(connection, done.id, now, timedelta(0))
        assert taken is not None
        return taken

    late = await kernel.database.write(claimed)
    known = len(await world.told())
    service = Reconciliations(kernel, hold=timedelta(0))
    assert await service.resume() == 1
    assert len(await new_events(world, known)) == 1
    with pytest.raises(ClaimLost):
        await Corrections(Claim(kernel, late.id, late.fence, timedelta(0))).carry_on(Drift.MISSING)
    assert len(await new_events(world, known)) == 1


@pytest.mark.parametrize("point", ["reconciliation.after_batch", "reconciliation.before_commit"])
@pytest.mark.parametrize("hits", [1, 3])
@pytest.mark.usefixtures("no_plan_stays")
async def test_a_process_that_dies_leaves_nothing_undone_and_nothing_twice(
    world: DirectoryWorld, point: str, hits: int
) -> None:
    """Small batches, and an end in each of them: whoever goes on comes to the same findings and events."""
    for name in ("a", "b", "c", "d", "e"):
        await person(world, name)
    await world.delete_user(await person(world, "gone"))
    rows: list[dict[str, Json]] = [
        {"email": address("a")},
        {"email": address("gone")},
        {"email": address("x")},
    ]
    service = Reconciliations(world.services.kernel, hold=timedelta(0), batch=2)
    known = len(await world.told())
    place = (world.environment, world.place.directory.id)

    faults.install(FaultPlan.parse(f"{point}=fail@{hits}"))
    with suppress(FaultInjected):
        await compared(world, *rows, service=service)
    faults.install(None)
    while await service.resume():
        pass
    [kept] = (await service.list(*place, PageRequest())).items
    done = await service.start(*place, kept.id)
    assert Counter(classes(done)) == {"missing": 4, "gone_but_active": 1, "extra": 1}

    faults.install(FaultPlan.parse(f"{point}=fail@{hits}"))
    for drift in ("missing", "gone_but_active"):
        with suppress(FaultInjected):
            await corrected(world, done, drift, service)
    faults.install(None)
    while await service.resume():
        pass
    events = Counter(type_ for type_, _ in await new_events(world, known))
    assert events == {"dsync.user.created": 4, "dsync.user.deleted": 1}


async def test_an_erased_person_is_in_no_finding_and_no_row_any_more(world: DirectoryWorld) -> None:
    await person(world, "ida", title="Planner")
    await person(world, "bo", title="Planner")
    ida = await shown_id(world, "ida")
    service, place = world.services.reconciliations, (world.environment, world.place.directory.id)
    rows: list[dict[str, Json]] = [
        {"email": address(name), "job_title": "Pilot", "app_id": name} for name in ("ida", "bo")
    ]
    done = await compared(world, *rows)
    assert {one.app_id for one in done.findings} == {"ida", "bo"}
    waiting = await service.open(*place, CAUSE)
    await service.add_rows(*place, waiting.id, [RosterRow(1, email=address("IDA")), RosterRow(2, idp_id="x")])
    await world.services.erasures.erase(world.environment, ida, CAUSE, delete=True)
    left = await service.findings(*place, done.id, PageRequest())
    assert [one.app_id for one in left.items] == ["bo"]
    started = await service.start(*place, waiting.id)
    assert started.rows == 1


async def test_old_reconciliations_are_purged_with_their_findings(world: DirectoryWorld) -> None:
    await person(world, "a")
    done = await compared(world)
    kernel, place = world.services.kernel, (world.environment, world.place.directory.id)
    assert await Retention(kernel).run_once() == 0
    await Retention(replace(kernel, keep=Keep(deleted=timedelta(seconds=-1)))).run_once()
    with pytest.raises(NotFound):
        await world.services.reconciliations.get(*place, done.id)
