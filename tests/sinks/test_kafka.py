"""What a Kafka sink says over the wire, and how it takes refusals and silence; without a real broker."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from syncline.net.policy import AddressPolicy
from syncline.net.sinks.base import Credentials, Message, SinkFailure, Surroundings
from syncline.net.sinks.kafka import KafkaConfig, KafkaPublisher, key_of, partition_of, producer_options
from syncline.services.sinks import EventSinks
from tests.support.databases import SqliteDatabases
from tests.support.deliveries import Stage
from tests.support.kafka import TOPIC_DENIED, KafkaStandIn, kafka_stand_in
from tests.support.sinks import caught_up, in_state, make_sink, publishing, shown
from tests.support.waiting import wait_until

A, B, C = (f"directory_01KA0YQ2C4E6G8J0M2P4R6T8V{letter}" for letter in "ABC")


@pytest.fixture
def database_url(sqlite_databases: SqliteDatabases, tmp_path: Path) -> str:
    """One kind of database: these tests are about the protocol."""
    return sqlite_databases.migrated(tmp_path)


@pytest.fixture
async def broker() -> AsyncIterator[KafkaStandIn]:
    async with kafka_stand_in() as running:
        yield running


def config(broker: KafkaStandIn, max_message_bytes: int = 1_000_000) -> KafkaConfig:
    return KafkaConfig((broker.address,), broker.topic, tls=False, max_message_bytes=max_message_bytes)


async def nothing(host: str, port: int) -> list[str]:
    return []


def surroundings(*allow: str, credentials: Credentials = Credentials()) -> Surroundings:  # noqa: B008
    return Surroundings(credentials, AddressPolicy(allow), nothing)


async def failed(stage: Stage) -> str | None:
    return (await shown(stage)).last_error


async def test_each_event_is_a_record_keyed_by_directory_that_all_replicas_must_have(
    stage: Stage, broker: KafkaStandIn
) -> None:
    ids = await stage.emit(A, B, A, C, A)
    async with publishing(stage.kernel):
        await make_sink(stage, config(broker))
        await caught_up(stage)
        ids += await stage.emit(B, A)
        await caught_up(stage)
    assert sorted(broker.ids()) == sorted(ids)
    assert broker.acks == {-1}
    for directory, lane in ((A, [0, 2, 4, 6]), (B, [1, 5]), (C, [3])):
        records = [record for record in broker.records if record.key == directory.encode()]
        assert [record.event_id for record in records] == [ids[place] for place in lane]
        assert len({record.partition for record in records}) == 1
    record = next(record for record in broker.records if record.event_id == ids[0])
    event = msgspec.json.decode(record.value)
    assert event["id"] == ids[0]
    assert event["event"].encode() == record.headers["event-type"]
    assert record.headers["content-type"] == b"application/json"


async def test_an_answer_that_never_came_repeats_what_may_have_arrived(
    stage: Stage, broker: KafkaStandIn
) -> None:
    broker.drop = 1
    ids = await stage.emit(A, A, A)
    async with publishing(stage.kernel):
        await make_sink(stage, config(broker))
        await caught_up(stage)
    assert list(dict.fromkeys(broker.ids())) == ids
    assert len(broker.records) == 6


async def test_a_topic_that_is_denied_is_a_failure_that_heals(stage: Stage, broker: KafkaStandIn) -> None:
    broker.refuse_with = TOPIC_DENIED
    ids = await stage.emit(A, B)
    async with publishing(stage.kernel):
        await make_sink(stage, config(broker))
        await wait_until(lambda: failed(stage))
        assert "Kafka" in str(await failed(stage))
        broker.refuse_with = None
        await caught_up(stage)
    assert sorted(broker.ids()) == sorted(ids)


async def test_an_event_larger_than_the_topic_takes_stops_the_sink(
    stage: Stage, broker: KafkaStandIn
) -> None:
    broker.largest_batch = 200
    await stage.emit(A)
    async with publishing(stage.kernel):
        await make_sink(stage, config(broker))
        stopped = await in_state(stage, "stopped")
        assert "max.message.bytes" in str(stopped.last_error)
        broker.largest_batch = 1_000_000
        await EventSinks(stage.kernel).resume(stage.environment_id, "copy")
        await caught_up(stage)
    assert broker.ids() == await stage.ids()


async def test_pieces_become_smaller_where_the_topic_takes_less_than_we_were_told(
    stage: Stage, broker: KafkaStandIn
) -> None:
    broker.largest_batch = 3_000
    ids = await stage.emit(*[A] * 15)
    async with publishing(stage.kernel):
        await make_sink(stage, config(broker))
        await caught_up(stage)
    assert broker.ids() == ids
    assert max(broker.batches) <= 3_000


async def test_a_topic_that_does_not_exist_is_named(broker: KafkaStandIn) -> None:
    made = KafkaConfig((broker.address,), "no-such-topic", tls=False)
    publisher = KafkaPublisher(made, surroundings("127.0.0.1/32"), seconds=2)
    message = Message("e", "t", "environment_1", A, None, 1, datetime.now(UTC), b"{}")
    try:
        await publisher.open()
        with pytest.raises(SinkFailure, match="UnknownTopicOrPartition"):
            await publisher.publish([message])
    finally:
        await publisher.close()


async def test_a_share_goes_in_pieces_that_the_topic_takes(stage: Stage, broker: KafkaStandIn) -> None:
    broker.largest_batch = 10_000
    ids = await stage.emit(*[A] * 40)
    async with publishing(stage.kernel):
        await make_sink(stage, config(broker, max_message_bytes=10_000))
        await caught_up(stage)
    assert broker.ids() == ids
    assert len(broker.batches) > 2


async def test_a_broker_that_is_not_there_is_a_failure(stage: Stage, unused_port: int) -> None:
    await stage.emit(A)
    async with publishing(stage.kernel):
        await make_sink(stage, KafkaConfig((f"127.0.0.1:{unused_port}",), "t", tls=False))
        await wait_until(lambda: failed(stage))
    assert "Unable to bootstrap" in str(await failed(stage))


async def test_where_the_brokers_lead_is_asked_of_the_address_policy(
    stage: Stage, broker: KafkaStandIn
) -> None:
    """A cluster names its brokers itself: one of them may lie where nothing may be sent to."""
    broker.advertised = "169.254.169.254"
    await stage.emit(A)
    async with publishing(stage.kernel):
        await make_sink(stage, config(broker))
        await wait_until(lambda: failed(stage))
    assert "169.254.169.254 is a cloud metadata address" in str(await failed(stage))
    assert broker.records == []


async def test_a_broker_without_tls_must_be_on_the_allow_list() -> None:
    publisher = KafkaPublisher(
        KafkaConfig(("93.184.215.14:9092",), "t", tls=False), surroundings(), seconds=5
    )
    with pytest.raises(Exception, match="Without TLS only addresses on the allow-list"):
        await publisher.open()


@pytest.mark.parametrize(
    ("made", "protocol"),
    [
        (KafkaConfig(("a",), "t", tls=False), "PLAINTEXT"),
        (KafkaConfig(("a",), "t"), "SSL"),
        (KafkaConfig(("a",), "t", tls=False, mechanism="PLAIN"), "SASL_PLAINTEXT"),
        (KafkaConfig(("a",), "t", mechanism="SCRAM-SHA-512"), "SASL_SSL"),
    ],
)
async def test_the_producer_is_idempotent_verifies_certificates_and_knows_its_password(
    made: KafkaConfig, protocol: str
) -> None:
    options = producer_options(made, surroundings(credentials=Credentials("app", "open sesame")), 5.0)
    assert (options["security_protocol"], options["acks"]) == (protocol, "all")
    assert options["enable_idempotence"] is True
    context = options["ssl_context"]
    assert (context is not None) == made.tls
    if made.tls:
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    if made.mechanism:
        assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("app", "open sesame")
    from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]

    # The library itself finds nothing to object to.
    await AIOKafkaProducer(**options).stop()


def test_a_key_has_the_partition_that_the_java_client_would_choose() -> None:
    """Values of Kafka's own test of its hash, so that other producers of the topic agree with us."""
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    for key, value in known.items():
        assert partition_of(key, range(12)) == (value & 0x7FFFFFFF) % 12


def test_what_belongs_to_no_directory_is_keyed_by_its_organization() -> None:
    message = Message(
        "e", "organization.created", "environment_1", None, "org_1", 1, datetime.now(UTC), b"{}"
    )
    assert key_of(message) == b"org_1"


async def test_nothing_is_left_running_when_a_sink_ends(stage: Stage, broker: KafkaStandIn) -> None:
    before = len(asyncio.all_tasks())
    await stage.emit(A)
    async with publishing(stage.kernel):
        await make_sink(stage, config(broker))
        await caught_up(stage)
    await wait_until(lambda: len(asyncio.all_tasks()) <= before + 1)


async def test_no_log_holds_what_is_sent(
    stage: Stage, broker: KafkaStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    """The client library writes whole requests into the log when debugging is on."""
    await stage.emit(A)
    with caplog.at_level(logging.DEBUG):
        async with publishing(stage.kernel):
            await make_sink(stage, config(broker))
            await caught_up(stage)
    assert len(broker.records) == 1
    assert "Staff" not in caplog.text
