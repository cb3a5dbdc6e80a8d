"""Sinks as their owners manage them: filters, pauses, rewinds, and what retention takes from them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncline import faults
from syncline.core.errors import (
    BadRequest,
    Conflict,
    CursorExpired,
    NotFound,
    SynclineError,
    ValidationFailed,
)
from syncline.core.events import GroupDeleted
from syncline.core.model import EventDraft
from syncline.net.sinks.kafka import KafkaConfig
from syncline.net.sinks.nats import NatsConfig
from syncline.net.sinks.ndjson import NdjsonConfig
from syncline.services.container import Services
from syncline.services.retention import Retention
from syncline.services.sealing import Sealer
from syncline.services.sink_turn import wants
from syncline.services.sinks import EventSinks, From, NewSink
from syncline.store import log
from syncline.store import tables as t
from syncline.store.sinks import SinkRow, SinkState
from syncline.workers.runner import loops_of, run_loops
from tests.support.deliveries import CAUSE, CREATED, DELETED, Stage
from tests.support.kernels import kernel, seed
from tests.support.sinks import QUICK, caught_up, file_of, ids_in, make_sink, publishing, shown
from tests.support.waiting import wait_until

A, B, C = (f"directory_01KA0YQ2C4E6G8J0M2P4R6T8V{letter}" for letter in "ABC")


async def test_filters_of_types_and_directories_leave_the_rest_out_and_still_move_on(
    stage: Stage, tmp_path: Path
) -> None:
    created = await stage.emit(A, B, A)
    await stage.emit(A, B, event=GroupDeleted)
    folders = [tmp_path / name for name in ("types", "directories", "both", "none")]
    for folder in folders:
        folder.mkdir()
    types, directories, both, none = folders
    async with publishing(stage.kernel, replace(QUICK, batch_events=2)):
        await make_sink(stage, file_of(types), "types", events=[CREATED])
        await make_sink(stage, file_of(directories), "directories", directories=[B])
        await make_sink(stage, file_of(both), "both", events=[DELETED], directories=[A])
        await make_sink(stage, file_of(none), "none", directories=[C])
        for folder in folders:
            await caught_up(stage, folder.name)
    everything = await stage.ids()
    assert ids_in(types) == created
    assert ids_in(directories) == [everything[1], everything[4]]
    assert ids_in(both) == [everything[3]]
    assert not (none / "events.ndjson").exists()


@pytest.mark.parametrize(
    ("named", "type_", "taken"),
    [
        ((), CREATED, True),
        ((), "syncline.endpoint.disabled", False),
        (("syncline.endpoint.disabled",), "syncline.endpoint.disabled", True),
        (("syncline.endpoint.disabled",), CREATED, False),
    ],
)
def test_own_types_are_sent_only_where_they_are_named(
    named: tuple[str, ...], type_: str, taken: bool
) -> None:
    now = datetime.now(UTC)
    row = SinkRow(
        environment_id="environment_1",
        id="sink_1",
        name="copy",
        kind="ndjson",
        config="{}",
        sealed=None,
        events=named,
        directories=(),
        state=SinkState.ACTIVE,
        cursor=0,
        created_at=now,
        updated_at=now,
    )
    assert wants(row, type_, None) is taken


async def test_a_sink_begins_where_it_is_told_to(stage: Stage, tmp_path: Path) -> None:
    ids = await stage.emit(A, A, A)
    async with publishing(stage.kernel):
        for name, begin in (("oldest", "start"), ("second", ids[1]), ("new", "now")):
            (tmp_path / name).mkdir()
            await make_sink(stage, file_of(tmp_path / name), name, begin)
        ids += await stage.emit(B)
        for name in ("oldest", "second", "new"):
            await caught_up(stage, name)
    assert ids_in(tmp_path / "oldest") == ids
    assert ids_in(tmp_path / "second") == ids[1:]
    assert ids_in(tmp_path / "new") == ids[3:]


async def test_a_paused_sink_gets_nothing_and_goes_on_where_it_stood(stage: Stage, tmp_path: Path) -> None:
    sinks = EventSinks(stage.kernel)
    ids = await stage.emit(A)
    async with publishing(stage.kernel):
        await make_sink(stage, file_of(tmp_path))
        await make_sink(stage, NdjsonConfig(str(tmp_path / "witness")), "witness")
        await caught_up(stage)
        await sinks.pause(stage.environment_id, "copy")
        ids += await stage.emit(A, B)
        await caught_up(stage, "witness")
        assert ids_in(tmp_path) == ids[:1]
        assert (await shown(stage)).behind == 2
        await sinks.resume(stage.environment_id, "copy")
        await caught_up(stage)
    assert ids_in(tmp_path) == ids


async def test_a_rewound_sink_sends_again_under_the_same_ids(stage: Stage, tmp_path: Path) -> None:
    sinks = EventSinks(stage.kernel)
    ids = await stage.emit(A, A, A)
    async with publishing(stage.kernel):
        await make_sink(stage, file_of(tmp_path))
        await caught_up(stage)
        for begin in (From(ids[2]), From(ids[0], exclusive=True), From("start")):
            await sinks.rewind(stage.environment_id, "copy", begin)
            await caught_up(stage)
    assert ids_in(tmp_path) == [*ids, ids[2], *ids[1:], *ids]


async def test_a_deleted_sink_leaves_its_file_and_frees_its_name(stage: Stage, tmp_path: Path) -> None:
    sinks = EventSinks(stage.kernel)
    ids = await stage.emit(A)
    async with publishing(stage.kernel):
        await make_sink(stage, file_of(tmp_path))
        await caught_up(stage)
        await sinks.delete(stage.environment_id, "copy")
        await make_sink(stage, file_of(tmp_path))
        await caught_up(stage)
    assert ids_in(tmp_path) == ids * 2
    await sinks.delete(stage.environment_id, "copy")
    assert await sinks.list(stage.environment_id) == []


async def test_nobody_sees_or_changes_the_sinks_of_another_environment(stage: Stage, tmp_path: Path) -> None:
    other = Stage(stage.kernel, (await seed(stage.kernel)).environment_id)
    made = await make_sink(stage, file_of(tmp_path))
    sinks = EventSinks(stage.kernel)
    for name in (made.name, made.id):
        for call in (sinks.get, sinks.pause, sinks.resume, sinks.delete):
            with pytest.raises(NotFound):
                await call(other.environment_id, name)
        with pytest.raises(NotFound):
            await sinks.rewind(other.environment_id, name, From("start"))
    assert await sinks.list(other.environment_id) == []
    await other.emit(A)
    async with publishing(stage.kernel):
        ids = await stage.emit(B)
        await caught_up(stage)
    assert ids_in(tmp_path) == ids


async def test_a_sink_behind_retention_says_what_it_missed_and_goes_on(stage: Stage, tmp_path: Path) -> None:
    kernel = replace(stage.kernel, retention=timedelta(days=10))
    sinks = EventSinks(kernel)
    await make_sink(stage, file_of(tmp_path))
    await sinks.pause(stage.environment_id, "copy")
    old = kernel.clock() - timedelta(days=11)
    drafts = [EventDraft(stage.environment_id, "org_1", A, CREATED, "{}", old) for _ in range(4)]
    await kernel.database.write(lambda connection: log.append(connection, drafts, CAUSE))
    await Sealer(kernel).seal_now(stage.environment_id)
    gone = (await stage.ids())[0]
    [kept] = await stage.emit(A)
    await Retention(kernel).trim_log()

    missed = (await shown(stage)).missed
    assert missed is not None
    assert (missed.first, missed.last) == (1, 4)
    with pytest.raises(CursorExpired, match=kept):
        await sinks.rewind(stage.environment_id, "copy", From(gone))
    await sinks.resume(stage.environment_id, "copy")
    async with publishing(kernel):
        await caught_up(stage)
    assert ids_in(tmp_path) == [kept]
    assert (await shown(stage)).missed == missed


FILE = NdjsonConfig("/tmp/events")


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (NewSink("Upper", FILE), "name"),
        (NewSink("", FILE), "name"),
        (NewSink("x", NdjsonConfig("relative")), "path"),
        (NewSink("x", NdjsonConfig("/folder/")), "path"),
        (NewSink("x", FILE, events=["dsync.nothing"]), "events"),
        (NewSink("x", FILE, directories=["org_1"]), "directories"),
        (NewSink("x", NatsConfig(())), "server"),
        (NewSink("x", NatsConfig(("https://a:1",))), "server"),
        (NewSink("x", NatsConfig(("nats://u:p@a:1",))), "server"),
        (NewSink("x", NatsConfig(("nats://a:99999",))), "server"),
        (NewSink("x", NatsConfig(("nats://a", "tls://b"))), "server"),
        (NewSink("x", NatsConfig(("nats://a",), "with space")), "prefix"),
        (NewSink("x", NatsConfig(("nats://a",), "any.>")), "prefix"),
        (NewSink("x", NatsConfig(("nats://a",), stream="a.b")), "stream"),
        (NewSink("x", NatsConfig(("tls://a",), ca="nothing")), "ca_file"),
        (NewSink("x", KafkaConfig((), "t")), "broker"),
        (NewSink("x", KafkaConfig(("a:b",), "t")), "broker"),
        (NewSink("x", KafkaConfig(("a",), "t t")), "topic"),
        (NewSink("x", KafkaConfig(("a",), "..")), "topic"),
        (NewSink("x", KafkaConfig(("a",), "t", mechanism="GSSAPI")), "mechanism"),
        (NewSink("x", KafkaConfig(("a",), "t", tls=False, ca="x")), "ca_file"),
        (NewSink("x", KafkaConfig(("a",), "t", max_message_bytes=5)), "max_message_bytes"),
    ],
)
def test_what_can_never_work_is_refused_by_name(new: NewSink, field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        new.check()
    assert [error.field for error in refused.value.errors] == [field]


async def test_a_refused_sink_is_not_made(stage: Stage, tmp_path: Path) -> None:
    other = Stage(stage.kernel, (await seed(stage.kernel)).environment_id)
    [foreign] = await other.emit(A)
    await make_sink(stage, file_of(tmp_path))
    sinks = EventSinks(stage.kernel)
    refused: list[tuple[NewSink, type[SynclineError]]] = [
        (NewSink("copy", FILE), Conflict),
        (NewSink("x", FILE, begin=From("yesterday")), BadRequest),
        (NewSink("x", FILE, begin=From(foreign)), BadRequest),
        (NewSink("Upper", FILE), ValidationFailed),
    ]
    for new, error in refused:
        with pytest.raises(error):
            await sinks.create(stage.environment_id, new)
    assert [sink.name for sink in await sinks.list(stage.environment_id)] == ["copy"]


async def test_more_sinks_than_slots_all_get_their_turn(stage: Stage, tmp_path: Path) -> None:
    ids = await stage.emit(A, B)
    names = [f"sink-{number}" for number in range(5)]
    for name in names:
        (tmp_path / name).mkdir()
        await make_sink(stage, file_of(tmp_path / name), name)
    async with publishing(stage.kernel, replace(QUICK, slots=2)):
        for name in names:
            await caught_up(stage, name)
    assert [ids_in(tmp_path / name) for name in names] == [ids] * 5


async def test_figures_show_how_many_sinks_there_are_and_how_far_the_last_is_behind(
    stage: Stage, tmp_path: Path
) -> None:
    await stage.emit(A, B)
    await make_sink(stage, file_of(tmp_path))
    await make_sink(stage, file_of(tmp_path), "other")
    await EventSinks(stage.kernel).pause(stage.environment_id, "other")
    async with publishing(stage.kernel) as dispatcher:
        await caught_up(stage)
        await dispatcher.measure()
    text = stage.kernel.metrics.render().decode()
    assert 'syncline_sinks{kind="ndjson",state="active"} 1.0' in text
    assert 'syncline_sinks{kind="ndjson",state="paused"} 1.0' in text
    assert "syncline_sink_behind 0.0" in text
    assert 'syncline_sink_events_total{kind="ndjson"} 2.0' in text


async def test_a_worker_of_syncline_brings_an_event_to_its_sink_and_stops_at_once(
    stage: Stage, tmp_path: Path, database_url: str
) -> None:
    await make_sink(stage, file_of(tmp_path))
    stop = asyncio.Event()
    async with kernel(database_url) as made:
        loops = loops_of(Services(made))
        running = {name: loops[name] for name in ("sealer", "sinks")}
        task = asyncio.create_task(run_loops(running, made.metrics, stop))
        await Stage(made, stage.environment_id).append(A, B)
        await wait_until(lambda: _published(stage))
        stop.set()
        await task
    assert ids_in(tmp_path) == await stage.ids()
    row = await stage.kernel.database.read(
        lambda connection: connection.execute(t.event_sinks.select()).one()
    )
    assert row.lease_until is None


async def _published(stage: Stage) -> bool:
    return (await shown(stage)).published == 2


async def test_an_error_of_ours_shows_at_the_sink_and_costs_a_pause_and_nothing_else(
    stage: Stage, tmp_path: Path
) -> None:
    ids = await stage.emit(A, B)
    faults.install(faults.FaultPlan.parse("sink.after_publish=fail@1"))
    try:
        async with publishing(stage.kernel, replace(QUICK, back_off=(timedelta(milliseconds=300),))):
            await make_sink(stage, file_of(tmp_path))
            await wait_until(lambda: _complaint(stage))
            assert await _complaint(stage) == "Syncline failed: FaultInjected; see its log."
            await caught_up(stage)
    finally:
        faults.install(None)
    assert ids_in(tmp_path) == ids * 2
    assert await _complaint(stage) is None


async def _complaint(stage: Stage) -> str | None:
    return (await shown(stage)).last_error
