"""Kafka: one record an event, keyed by directory, from an idempotent producer to all in-sync replicas."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from syncline.net.sinks.base import (
    CONTENT_TYPE,
    ConfigRefused,
    EventRefused,
    Message,
    SinkFailure,
    Surroundings,
    permitted,
    split_address,
    tls_context,
)

DEFAULT_PORT = 9092
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_TOPIC = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,249}")
# Room for the record's own frame and the batch's, below a broker's usual limit of 1,048,588.
_FRAME = 512
_STOP_SECONDS = 5.0


class KafkaConfig(msgspec.Struct, frozen=True, tag="kafka"):
    """Where to: brokers to ask first as `host:port`, the topic, how to connect and authenticate.

    `max_message_bytes` is what the topic takes; a larger event stops the sink.
    """

    brokers: tuple[str, ...]
    topic: str
    tls: bool = True
    mechanism: str | None = None
    ca: str | None = None
    max_message_bytes: int = 1_000_000

    def check(self) -> None:
        """Raise `ConfigRefused` for what can never work."""
        if not self.brokers:
            raise ConfigRefused("broker", "At least one broker is required.")
        for broker in self.brokers:
            split_address("broker", broker, DEFAULT_PORT)
        if _TOPIC.fullmatch(self.topic) is None:
            raise ConfigRefused("topic", "A topic is 1 to 249 letters, digits, dots, - and _.")
        if self.mechanism is not None and self.mechanism not in MECHANISMS:
            raise ConfigRefused("mechanism", f"The mechanism must be one of {', '.join(MECHANISMS)}.")
        if self.ca is not None:
            if not self.tls:
                raise ConfigRefused("ca_file", "Without TLS there is no certificate to verify.")
            tls_context(self.ca)
        if not 10_000 <= self.max_message_bytes <= 100_000_000:
            raise ConfigRefused("max_message_bytes", "The limit must be 10,000 to 100,000,000 bytes.")

    @property
    def target(self) -> str:
        """Where the events go, for people."""
        return f"{','.join(self.brokers)} {self.topic}"


def key_of(message: Message) -> bytes:
    """Return the key that gives all events of a directory one partition, and so their order."""
    return message.lane.encode()


def headers_of(message: Message) -> list[tuple[str, bytes]]:
    """Return the headers of a record."""
    return [
        ("event-id", message.event_id.encode()),
        ("event-type", message.type.encode()),
        ("content-type", CONTENT_TYPE.encode()),
    ]


def producer_options(
    config: KafkaConfig, surroundings: Surroundings, request_seconds: float
) -> Mapping[str, Any]:
    """Return the arguments of the producer: idempotent, acknowledged by all replicas in sync."""
    protocol = f"{'SASL_' if config.mechanism else ''}{'SSL' if config.tls else 'PLAINTEXT'}"
    options: dict[str, Any] = {
        "bootstrap_servers": list(config.brokers),
        "client_id": "syncline",
        "acks": "all",
        "enable_idempotence": True,
        "request_timeout_ms": int(request_seconds * 1000),
        "max_batch_size": config.max_message_bytes,
        "max_request_size": config.max_message_bytes,
        "security_protocol": protocol,
        "ssl_context": tls_context(config.ca) if config.tls else None,
    }
    if config.mechanism:
        credentials = surroundings.credentials
        options |= {
            "sasl_mechanism": config.mechanism,
            "sasl_plain_username": credentials.user,
            "sasl_plain_password": credentials.password,
        }
    return options


class KafkaPublisher:
    """Sends each partition's share of a batch in pieces, each when the one before is acknowledged.

    A piece is taken or refused as a whole, so a record never overtakes another one of its key.
    """

    def __init__(self, config: KafkaConfig, surroundings: Surroundings, *, seconds: float) -> None:
        """`seconds`: how long one `publish` may take."""
        self._config = config
        self._surroundings = surroundings
        self._seconds = seconds
        self._producer: Any = None
        # Why a broker that the cluster named may not be connected to.
        self._refusal: asyncio.Future[SinkFailure] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Learn the cluster from the first broker that answers. Raises `SinkFailure`."""
        try:
            # It has no types of its own.
            from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
        except ImportError:
            raise SinkFailure(
                "The client of Kafka is not installed: pip install 'syncline[kafka]'."
            ) from None
        # At the level of debugging it writes whole requests, people's data included.
        logging.getLogger("aiokafka").setLevel(logging.WARNING)
        for broker in self._config.brokers:
            await self._check(*split_address("broker", broker, DEFAULT_PORT))
        self._producer = AIOKafkaProducer(
            **producer_options(self._config, self._surroundings, self._seconds / 2)
        )
        self._guard(self._producer.client)
        await self._translated(self._producer.start())

    def refusal(self, message: Message) -> str | None:
        """Return why the topic's limit excludes this event, None if it does not."""
        parts = (message.body, key_of(message), *(part for _, part in headers_of(message)))
        size = sum(map(len, parts)) + _FRAME
        if size <= self._config.max_message_bytes:
            return None
        return f"It needs {size} bytes, and max_message_bytes is {self._config.max_message_bytes}."

    async def publish(self, batch: Sequence[Message]) -> None:
        """Send and wait for every acknowledgement."""
        await self._translated(self._publish(batch))

    async def close(self) -> None:
        """Stop the producer."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await producer.stop()
        except Exception:
            # The library may fail in many ways on a cluster that is gone already.
            return

    async def _publish(self, batch: Sequence[Message]) -> None:
        topic = self._config.topic
        partitions = sorted(await self._producer.partitions_for(topic))
        shares: dict[int, list[Message]] = {}
        for message in batch:
            shares.setdefault(partition_of(key_of(message), partitions), []).append(message)
        await asyncio.gather(*(self._send_share(number, share) for number, share in shares.items()))

    async def _send_share(self, partition: int, share: Iterable[Message]) -> None:
        from aiokafka.errors import (  # type: ignore[import-untyped]
            MessageSizeTooLargeError,
            RecordListTooLargeError,
        )

        waiting = list(share)
        most = len(waiting)
        while waiting:
            piece, count = self._producer.create_batch(), 0
            while count < min(len(waiting), most) and _append(piece, waiting[count]):
                count += 1
            try:
                acknowledged = await self._producer.send_batch(piece, self._config.topic, partition=partition)
                await acknowledged
            except (MessageSizeTooLargeError, RecordListTooLargeError):
                if count == 1:
                    reason = "It is larger than the topic takes (max.message.bytes)."
                    raise EventRefused(waiting[0], reason) from None
                # The topic takes less than we were told; nothing of the piece was written.
                most = count // 2
                continue
            waiting = waiting[count:]

    async def _check(self, host: str, port: int) -> None:
        await permitted(self._surroundings, host, port, encrypted=self._config.tls)

    def _guard(self, client: Any) -> None:
        """Look at every broker before it is connected to: they name each other, whoever was asked first."""
        connect = client._get_conn

        async def guarded(node_id: Any, *arguments: Any, **options: Any) -> Any:
            broker = client.cluster.broker_metadata(node_id)
            is_open = any(
                known == node_id and connection.connected()
                for (known, _), connection in client._conns.items()
            )
            try:
                if broker is not None and not is_open:
                    await self._check(broker.host, broker.port)
            except SinkFailure as refused:
                if not self._refusal.done():
                    self._refusal.set_result(refused)
                return None
            return await connect(node_id, *arguments, **options)

        # The library has no public place for it.
        client._get_conn = guarded

    async def _translated(self, work: Coroutine[Any, Any, None]) -> None:
        from aiokafka.errors import KafkaError

        task = asyncio.ensure_future(work)
        try:
            waiting: set[asyncio.Future[Any]] = {task, self._refusal}
            await asyncio.wait(waiting, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if self._refusal.done():
                raise self._refusal.result()
            if not task.done():
                raise SinkFailure(f"{self._seconds:g} seconds passed without an acknowledgement.")
            task.result()
        except (KafkaError, OSError, AssertionError, ValueError) as error:
            text = str(error).strip() or type(error).__name__
            raise SinkFailure(f"Kafka: {text[:300]}.") from error
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def partition_of(key: bytes, partitions: Sequence[int]) -> int:
    """Return the partition of a key, the same that the Java client's default partitioner chooses."""
    from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]

    return partitions[(int(murmur2(key)) & 0x7FFFFFFF) % len(partitions)]


def _append(piece: Any, message: Message) -> bool:
    """Put a record into a piece; False if it is full."""
    timestamp = int(message.recorded_at.timestamp() * 1000)
    appended = piece.append(
        timestamp=timestamp, key=key_of(message), value=message.body, headers=headers_of(message)
    )
    return appended is not None
