"""Events in a stream of a real NATS server: each once, in order, whatever dies on the way."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from syncline.core.events import GroupDeleted
from syncline.core.model import EventDraft
from syncline.net.sinks.base import Credentials
from syncline.net.sinks.nats import NatsConfig
from syncline.services.sealing import Sealer
from syncline.services.sinks import EventSinks, From, NewSink
from syncline.store import log
from syncline.store import tables as t
from tests.support.deliveries import CAUSE, CREATED, DELETED, Stage
from tests.support.kernels import kernel
from tests.support.nats import NatsServer, stream
from tests.support.sinks import QUICK, caught_up, in_state, make_sink, publishing, shown, subjects
from tests.support.waiting import wait_until

A, B, C = (f"directory_01KA0YQ2C4E6G8J0M2P4R6T8V{letter}" for letter in "ABC")


async def test_every_event_is_in_the_stream_with_its_id_subject_and_the_bytes_of_the_log(
    stage: Stage, shared_server: NatsServer, prefix: str
) -> None:
    ids = await stage.emit(A, B, A) + await stage.emit(C, event=GroupDeleted)
    async with stream(shared_server, prefix) as written, publishing(stage.kernel):
        await make_sink(stage, subjects(shared_server.url, prefix))
        await caught_up(stage)
        stored = await written.stored()
    by_id = {one.event_id: one for one in stored}
    assert sorted(by_id) == sorted(ids)
    assert len(stored) == 4
    begin = f"{prefix}.{stage.environment_id}"
    assert by_id[ids[0]].subject == f"{begin}.{A}.{CREATED}"
    assert by_id[ids[3]].subject == f"{begin}.{C}.{DELETED}"
    events = [msgspec.json.decode(by_id[id_].body) for id_ in ids]
    assert [event["context"]["sequence"] for event in events] == [1, 2, 3, 4]
    assert events[3]["data"]["name"] == "Staff / Küche"


async def test_what_is_sealed_later_follows_in_the_order_of_each_directory(
    stage: Stage, shared_server: NatsServer, prefix: str
) -> None:
    async with stream(shared_server, prefix) as written, publishing(stage.kernel):
        await make_sink(stage, subjects(shared_server.url, prefix))
        ids: list[str] = []
        for _ in range(8):
            ids += await stage.emit(A, B, A, C, B, A, A, B)
        await caught_up(stage)
        stored = await written.stored()
    assert sorted(one.event_id for one in stored) == sorted(ids)
    for directory in (A, B, C):
        lane = [one.event_id for one in stored if f".{directory}." in one.subject]
        assert lane == sorted(lane)


async def test_a_server_that_is_killed_in_the_middle_gets_everything_once_when_it_is_back(
    stage: Stage, own_server: NatsServer, prefix: str
) -> None:
    ids = await stage.emit(*[A, B, C] * 40)
    async with stream(own_server, prefix) as written, publishing(stage.kernel):
        await make_sink(stage, subjects(own_server.url, prefix))
        await wait_until(lambda: _some(stage), reason="the first batch")
        own_server.kill()
        ids += await stage.emit(*[A, B] * 20)
        await wait_until(lambda: _is_failing(stage), reason="a failure that shows")
        own_server.start()
        sink = await caught_up(stage)
        await wait_until(lambda: _is_connected(written.jetstream), reason="the test's own connection")
        stored = await written.ids()
    assert sorted(stored) == sorted(ids)
    assert sink.last_error is None
    for lane in (ids[0:120:3] + ids[120::2], ids[1:120:3] + ids[121::2], ids[2:120:3]):
        assert [id_ for id_ in stored if id_ in lane] == lane


async def _some(stage: Stage) -> int:
    return (await shown(stage)).published


async def _is_failing(stage: Stage) -> bool:
    return (await shown(stage)).failing_since is not None


def _is_connected(jetstream: object) -> bool:
    return bool(getattr(jetstream, "_nc").is_connected)  # noqa: B009 (no public way leads there)


async def test_racing_workers_put_everything_there_once_and_in_order(
    stage: Stage, shared_server: NatsServer, prefix: str, database_url: str
) -> None:
    async with stream(shared_server, prefix) as written, AsyncExitStack() as stack:
        await make_sink(stage, subjects(shared_server.url, prefix))
        workers = [await stack.enter_async_context(kernel(database_url)) for _ in range(2)]
        for worker in workers:
            await stack.enter_async_context(publishing(worker))
        ids: list[str] = []
        for _ in range(10):
            ids += await stage.emit(A, A, B)
        await caught_up(stage)
        stored = await written.ids()
        sink = await shown(stage)
    assert sorted(stored) == sorted(ids)
    for lane in ([*ids[0::3], *ids[1::3]], ids[2::3]):
        assert [id_ for id_ in stored if id_ in lane] == sorted(lane)
    assert sink.published == len(ids)
    # Not even sent twice: the stream would hide that.
    sent = [worker.metrics.sink_events.labels("nats")._value.get() for worker in workers]
    assert sum(sent) == len(ids)


async def test_one_that_hangs_past_its_lease_or_a_pause_moves_no_cursor(
    stage: Stage, own_server: NatsServer, prefix: str, database_url: str
) -> None:
    settings = replace(QUICK, lease=timedelta(milliseconds=300))
    sinks = EventSinks(stage.kernel)
    ids = await stage.emit(A)
    async with stream(own_server, prefix) as written, kernel(database_url) as another:
        await make_sink(stage, subjects(own_server.url, prefix))
        async with publishing(another, settings):
            # Connected and settled, so that what hangs is the next batch.
            await caught_up(stage)
            own_server.freeze()
            ids += await stage.emit(A, B)
            await wait_until(lambda: _is_held(stage), reason="a second batch under way")
            await wait_until(lambda: _is_held_again(stage), reason="a lease that ran out")
            await sinks.pause(stage.environment_id, "copy")
            own_server.thaw()
        paused = await shown(stage)
        assert (paused.cursor, paused.published, paused.state) == (1, 1, "paused")

        await sinks.resume(stage.environment_id, "copy")
        async with publishing(stage.kernel):
            await caught_up(stage)
        assert sorted(await written.ids()) == sorted(ids)
        assert (await shown(stage)).published == 3


async def _row(stage: Stage) -> Any:
    return await stage.kernel.database.read(
        lambda connection: connection.execute(t.event_sinks.select()).one()
    )


async def _is_held(stage: Stage) -> bool:
    row = await _row(stage)
    return row.cursor == 1 and row.lease_until is not None


async def _is_held_again(stage: Stage) -> bool:
    row = await _row(stage)
    return bool(row.lease_until is not None and row.lease_until < stage.kernel.clock())


@asynccontextmanager
async def slow_way_to(server: NatsServer, seconds: float) -> AsyncIterator[str]:
    """Give an address from which every answer of a server takes a while longer."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
        while data := await reader.read(65_536):
            await asyncio.sleep(delay)
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, ahead = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(
            pass_on(reader, ahead, 0), pass_on(behind, writer, seconds), return_exceptions=True
        )

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"nats://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()


async def test_a_batch_that_takes_too_long_on_a_slow_way_is_tried_in_smaller_ones(
    stage: Stage, shared_server: NatsServer, prefix: str
) -> None:
    """The same batch was repeated for ever: it could never be acknowledged as a whole in the time allowed."""
    ids = await stage.emit(*[A] * 40)
    settings = replace(QUICK, batch_events=64, publish_seconds=0.6)
    async with (
        stream(shared_server, prefix) as written,
        slow_way_to(shared_server, 0.03) as url,
        publishing(stage.kernel, settings),
    ):
        await make_sink(stage, subjects(url, prefix))
        await caught_up(stage)
        assert await written.ids() == ids


async def test_an_event_that_the_stream_never_takes_stops_the_sink_and_is_not_skipped(
    stage: Stage, shared_server: NatsServer, prefix: str
) -> None:
    await stage.emit(A)
    async with stream(shared_server, prefix, max_msg_size=100) as written, publishing(stage.kernel):
        await make_sink(stage, subjects(shared_server.url, prefix))
        stopped = await in_state(stage, "stopped")
        [first] = await stage.ids()
        assert stopped.last_error is not None
        assert first in stopped.last_error
        assert "max_msg_size" in stopped.last_error
        assert (stopped.cursor, stopped.behind) == (0, 1)

        config = await written.jetstream.stream_info(written.name)
        await written.jetstream.update_stream(config.config.evolve(max_msg_size=-1))
        await EventSinks(stage.kernel).resume(stage.environment_id, "copy")
        sink = await caught_up(stage)
        assert await written.ids() == [first]
    assert (sink.state, sink.last_error) == ("active", None)


async def test_what_comes_before_an_event_beyond_the_servers_limit_arrives_and_what_follows_waits(
    stage: Stage, own_server: NatsServer, tmp_path: Path, prefix: str
) -> None:
    small = tmp_path / "small.conf"
    small.write_text("max_payload: 2000\n")
    own_server.kill()
    limited = NatsServer(tmp_path, "-c", str(small))
    limited.start()
    try:
        ids = await stage.emit(A)
        await _emit_large(stage, A)
        ids += await stage.emit(B)
        async with stream(limited, prefix) as written, publishing(stage.kernel):
            await make_sink(stage, subjects(limited.url, prefix))
            stopped = await in_state(stage, "stopped")
            assert await written.ids() == ids[:1]
            assert "max_payload" in str(stopped.last_error)
            assert stopped.behind == 2

            [_, large, _] = await stage.ids()
            await EventSinks(stage.kernel).rewind(stage.environment_id, "copy", From(large, exclusive=True))
            await EventSinks(stage.kernel).resume(stage.environment_id, "copy")
            await caught_up(stage)
            assert await written.ids() == ids
    finally:
        limited.kill()


async def _emit_large(stage: Stage, directory: str) -> None:
    body = msgspec.json.encode({"name": "x" * 4_000}).decode()
    draft = EventDraft(stage.environment_id, "org_1", directory, CREATED, body, stage.kernel.clock())
    await stage.kernel.database.write(lambda connection: log.append(connection, [draft], CAUSE))
    await Sealer(stage.kernel).seal_now(stage.environment_id)


async def test_a_subject_that_no_stream_takes_is_a_failure_that_heals(
    stage: Stage, shared_server: NatsServer, prefix: str
) -> None:
    ids = await stage.emit(A, B)
    async with publishing(stage.kernel):
        await make_sink(stage, subjects(shared_server.url, prefix))
        await wait_until(lambda: _is_failing(stage))
        assert "No stream takes the subject" in str((await shown(stage)).last_error)
        async with stream(shared_server, prefix) as written:
            await caught_up(stage)
            assert sorted(await written.ids()) == sorted(ids)


async def test_another_stream_than_the_one_named_is_a_failure(
    stage: Stage, shared_server: NatsServer, prefix: str
) -> None:
    await stage.emit(A)
    async with stream(shared_server, prefix) as written, publishing(stage.kernel):
        await make_sink(stage, subjects(shared_server.url, prefix, stream="elsewhere"))
        await wait_until(lambda: _is_failing(stage))
        assert await written.count() == 0


@pytest.fixture
def locked_server(tmp_path: Path) -> Iterator[NatsServer]:
    file = tmp_path / "users.conf"
    file.write_text('authorization { user: "app", password: "open sesame" }\n')
    server = NatsServer(tmp_path, "-c", str(file))
    server.start()
    yield server
    server.kill()


async def test_a_password_opens_a_server_and_is_nowhere_in_the_clear(
    stage: Stage, locked_server: NatsServer, prefix: str
) -> None:
    ids = await stage.emit(A)
    sinks = EventSinks(stage.kernel)
    config = subjects(locked_server.url, prefix)
    async with (
        stream(locked_server, prefix, user="app", password="open sesame") as written,
        publishing(stage.kernel),
    ):
        wrong = NewSink("wrong", config, Credentials("app", "guess"), begin=From("start"))
        right = NewSink("right", config, Credentials("app", "open sesame"), begin=From("start"))
        await sinks.create(stage.environment_id, wrong)
        await wait_until(lambda: _error_of(stage, "wrong"))
        assert "Authorization" in str(await _error_of(stage, "wrong"))
        await sinks.create(stage.environment_id, right)
        await caught_up(stage, "right")
        assert await written.ids() == ids
    rows = await stage.kernel.database.read(
        lambda connection: [tuple(row) for row in connection.execute(t.event_sinks.select())]
    )
    assert len(rows) == 2
    assert "open sesame" not in repr(rows)


async def _error_of(stage: Stage, name: str) -> str | None:
    return (await shown(stage, name)).last_error


async def test_a_server_outside_the_allow_list_is_never_connected_to(
    database_url: str, stage: Stage, shared_server: NatsServer, prefix: str
) -> None:
    await stage.emit(A)
    await make_sink(stage, subjects(shared_server.url, prefix))
    async with kernel(database_url, outbound_allow=()) as strict, publishing(strict):
        await wait_until(lambda: _error_of(stage, "copy"))
    assert "127.0.0.1 is not a public address" in str(await _error_of(stage, "copy"))


async def test_nothing_is_said_in_the_clear_to_a_server_that_offers_no_tls(stage: Stage) -> None:
    """The client library would send user and password to a server whose greeting does not ask for TLS."""
    said: list[bytes] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.9.10","max_payload":1048576}\r\n')
        said.append(await reader.read(1_000))
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await stage.emit(A)
    config = NatsConfig((f"tls://127.0.0.1:{port}",))
    new = NewSink("copy", config, Credentials("app", "open sesame"), begin=From("start"))
    await EventSinks(stage.kernel).create(stage.environment_id, new)
    async with publishing(stage.kernel), server:
        await wait_until(lambda: _error_of(stage, "copy"))
        assert "does not offer TLS" in str(await _error_of(stage, "copy"))
        await wait_until(lambda: said)
    assert set(said) == {b""}


def _self_signed() -> tuple[str, str]:
    """Return key and certificate, in PEM, of a server at 127.0.0.1 that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nats")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private.decode(), certificate.public_bytes(pem).decode()


async def test_tls_is_spoken_and_the_certificate_must_be_of_the_authority(
    stage: Stage, tmp_path: Path, prefix: str
) -> None:
    key, certificate = _self_signed()
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "cert.pem").write_text(certificate)
    file = tmp_path / "tls.conf"
    file.write_text(f'tls {{ cert_file: "{tmp_path}/cert.pem", key_file: "{tmp_path}/key.pem" }}\n')
    server = NatsServer(tmp_path, "-c", str(file))
    server.start()
    try:
        [only] = await stage.emit(A)
        url = f"tls://127.0.0.1:{server.port}"
        async with (
            stream(server, prefix, tls=ssl.create_default_context(cadata=certificate)) as written,
            publishing(stage.kernel),
        ):
            await make_sink(stage, NatsConfig((url,), prefix), "trusting-the-system")
            await wait_until(lambda: _error_of(stage, "trusting-the-system"))
            assert await written.count() == 0
            await make_sink(stage, NatsConfig((url,), prefix, ca=certificate), "trusting-it")
            await caught_up(stage, "trusting-it")
            assert await written.ids() == [only]
    finally:
        server.kill()
