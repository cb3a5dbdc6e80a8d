"""What a delivery leaves in the database: little, once, and complete for as long as it is kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import StatementError

from syncline.core.circuit import Circuit
from syncline.core.ids import Prefix
from syncline.core.paging import PageRequest
from syncline.services.endpoint_deliveries import EndpointDeliveries
from syncline.services.kernel import Kernel
from syncline.services.retention import Retention
from syncline.store import deliveries
from syncline.store import tables as t
from syncline.store.database import Database, T, UniqueViolation, Work
from syncline.store.deliveries import Ending, Progress, Saved
from syncline.store.delivery_at_once import save_at_once
from syncline.store.parked import Attempt
from tests.reliability.simulation.parts import InstantOutbound, with_outbound
from tests.support import parts, postgres
from tests.support.databases import PostgresDatabases, migrate
from tests.support.deliveries import CREATED, QUICK, Stage, dispatching
from tests.support.kernels import kernel, seed

ADDRESS = "https://receiver.example/"
# Only what is full is saved, so that the number of saves has nothing to do with how fast the machine is.
UNHURRIED = replace(QUICK, save_seconds=600.0, turn_seconds=600.0)
ENDPOINTS, WARM_UP, EVENTS = 5, 25, 200


@pytest.fixture
def quiet_server() -> Iterator[str]:
    """A PostgreSQL server that nobody else writes to: the write-ahead log is one for all its databases."""
    folder = Path(tempfile.mkdtemp(prefix="syncline-postgres-"))
    try:
        yield postgres.start(folder).url
    except postgres.PostgresMissing:
        parts.missing("a PostgreSQL server", "apt-get install postgresql")
    finally:
        postgres.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_delivery_writes_less_than_400_bytes_of_write_ahead_log(quiet_server: str) -> None:
    """Nearly all of it is the row of the attempt and its index: who lengthens them is told here."""
    migrate(quiet_server)
    outbound = InstantOutbound()
    async with kernel(quiet_server) as made:
        stage = Stage(with_outbound(made, outbound), (await seed(made)).environment_id)
        endpoints = [await stage.endpoint(f"{ADDRESS}{number}") for number in range(ENDPOINTS)]
        for events in (WARM_UP, EVENTS):
            await stage.emit(*["directory_A"] * events)
            begun = await _written(stage.kernel)
            async with dispatching(stage.kernel, UNHURRIED):
                for endpoint in endpoints:
                    await stage.settled(endpoint)
            written = await _written(stage.kernel) - begun
        recorded = [len(await stage.attempts(endpoint)) for endpoint in endpoints]
    assert recorded == [WARM_UP + EVENTS] * ENDPOINTS
    assert 200 < written / (ENDPOINTS * EVENTS) < 350


async def _written(within: Kernel) -> int:
    """Return how many bytes of write-ahead log there are."""
    position = text("SELECT CAST(pg_current_wal_lsn() - '0/0' AS bigint)")
    return await within.database.read(lambda connection: int(connection.execute(position).scalar_one()))


async def attempted(stage: Stage) -> tuple[str, Attempt]:
    """Have one event delivered, and return the id of the endpoint and the attempt."""
    stage = replace(stage, kernel=with_outbound(stage.kernel, InstantOutbound()))
    endpoint = await stage.endpoint(ADDRESS)
    await stage.emit("directory_A")
    async with dispatching(stage.kernel):
        await stage.settled(endpoint)
    [attempt] = await stage.attempts(endpoint)
    return endpoint.id, attempt


async def shown(stage: Stage, endpoint_id: str, event_id: str | None = None) -> list[tuple[str, str, bool]]:
    """Return event, type and whether it was a test of each attempt that the owner is shown."""
    page = await EndpointDeliveries(stage.kernel).attempts(
        stage.environment_id, endpoint_id, PageRequest(), event_id=event_id
    )
    return [(one.event_id, one.event, one.test) for one in page.items]


async def test_attempts_are_found_by_their_event_and_by_nothing_that_is_none(stage: Stage) -> None:
    endpoint_id, attempt = await attempted(stage)
    expected = [(attempt.event_id, CREATED, False)]
    assert await shown(stage, endpoint_id, attempt.event_id) == expected
    never = attempt.event_id[:-1] + ("0" if attempt.event_id[-1] != "0" else "1")
    for other in (never, attempt.id, attempt.event_id.lower(), "event_1", ""):
        assert await shown(stage, endpoint_id, other) == []


async def test_an_id_of_another_kind_is_never_taken_for_one_of_an_attempt(stage: Stage) -> None:
    """In the table ids are bytes without a kind, so the kind is looked at before."""
    wrong = replace(_attempt(stage.kernel), event_id=stage.kernel.ids.new(Prefix.ATTEMPT))
    endpoint = await stage.endpoint(ADDRESS)
    with pytest.raises(StatementError, match="no id of the kind 'event'"):
        await stage.kernel.database.write(
            lambda connection: connection.execute(
                insert(t.delivery_attempts), asdict(wrong) | {"endpoint_id": endpoint.id}
            )
        )
    assert await stage.attempts(endpoint) == []


async def test_an_attempt_says_which_event_it_was_of_when_retention_has_removed_the_event(
    stage: Stage,
) -> None:
    endpoint_id, attempt = await attempted(stage)
    await stage.emit("directory_A")
    later = stage.kernel.clock() + timedelta(days=1)
    kernel = replace(stage.kernel, clock=lambda: later, retention=timedelta(hours=1))
    assert await Retention(kernel).run_once() >= 1
    assert attempt.event_id not in await stage.ids()
    assert await shown(stage, endpoint_id) == [(attempt.event_id, CREATED, False)]


@pytest.fixture
async def on_postgres(postgres_databases: PostgresDatabases) -> AsyncIterator[Stage]:
    """An environment on PostgreSQL, where a save is one statement."""
    with postgres_databases.migrated() as url:
        async with kernel(url) as made:
            yield Stage(made, (await seed(made)).environment_id)


async def test_a_save_that_is_repeated_records_its_attempts_once(on_postgres: Stage) -> None:
    """The connection may have broken under the first one, which was committed all the same."""
    stage, database = on_postgres, on_postgres.kernel.database
    endpoint, now = await stage.endpoint(ADDRESS), stage.kernel.clock()
    lease = timedelta(minutes=1)
    [claim] = await database.write(lambda connection: deliveries.claim(connection, [endpoint.id], now, lease))
    attempts = [_attempt(stage.kernel), _attempt(stage.kernel)]
    progress = Progress(2, Circuit(), None, 0, now, attempts=attempts)

    def save(connection: Connection, how: Callable[..., Saved]) -> Saved:
        return how(connection, claim, progress, Ending.KEEP, lease_until=now + lease, next_due_at=None)

    first = await database.at_once(partial(save, how=save_at_once))
    with pytest.raises(UniqueViolation):
        await database.at_once(partial(save, how=save_at_once))
    assert await database.write(partial(save, how=deliveries.save)) == first
    assert await stage.attempts(endpoint) == attempts


def _attempt(within: Kernel) -> Attempt:
    now = within.clock()
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    id_, event = within.ids.new(Prefix.ATTEMPT), within.ids.new(Prefix.EVENT)
    return Attempt(id_, 1, event, CREATED, 1, now, 5, "success", 200, None, "taken", None)


class _ToldTwice:
    """A database that does what it is asked at once, and is told to do it again while that is under way."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.repeated = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def at_once(self, work: Work[T | None]) -> T | None:
        """Do it, and say that somebody else has."""
        done = await self._database.at_once(work)
        if isinstance(done, dict | Saved):
            self.repeated += 1
            raise UniqueViolation
        return done


async def test_a_turn_goes_on_when_its_save_turns_out_to_be_done(on_postgres: Stage) -> None:
    outbound, database = InstantOutbound(), _ToldTwice(on_postgres.kernel.database)
    within = replace(with_outbound(on_postgres.kernel, outbound), database=cast(Database, database))
    stage = replace(on_postgres, kernel=within)
    endpoint = await stage.endpoint(ADDRESS)
    ids = await stage.emit(*["directory_A"] * 60)
    async with dispatching(within, UNHURRIED):
        await stage.settled(endpoint)
    assert outbound.ids[ADDRESS] == ids
    assert [attempt.event_id for attempt in await stage.attempts(endpoint)] == ids
    assert database.repeated >= 2
