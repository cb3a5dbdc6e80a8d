"""A stand-in for a Kafka broker: it speaks the four requests that a producer makes, and stores in memory.

It is no broker. It shows what our side says over the wire, and how that side takes refusals and silence.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka.protocol.admin import ApiVersionResponse_v0  # type: ignore[import-untyped]
from aiokafka.protocol.metadata import (  # type: ignore[import-untyped]
    MetadataRequest_v1,
    MetadataResponse_v1,
)
from aiokafka.protocol.produce import (  # type: ignore[import-untyped]
    ProduceRequest_v3,
    ProduceResponse_v3,
)
from aiokafka.protocol.transaction import InitProducerIdResponse_v0  # type: ignore[import-untyped]
from aiokafka.record.memory_records import MemoryRecords  # type: ignore[import-untyped]

_PRODUCE, _METADATA, _API_VERSIONS, _INIT_PRODUCER = 0, 3, 18, 22
_VERSIONS = [(_PRODUCE, 3, 3), (_METADATA, 1, 1), (_API_VERSIONS, 0, 0), (_INIT_PRODUCER, 0, 0)]
MESSAGE_TOO_LARGE, UNKNOWN_TOPIC, TOPIC_DENIED = 10, 3, 29


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was stored."""

    partition: int
    key: bytes
    value: bytes
    headers: dict[str, bytes]
    timestamp: int

    @property
    def event_id(self) -> str:
        """The id in its headers."""
        return self.headers["event-id"].decode()


@dataclass(slots=True)
class KafkaStandIn:
    """The running stand-in; `advertised` is where it says that it is."""

    topic: str = "directory-events"
    partitions: int = 4
    largest_batch: int = 1_000_000
    # What is answered to each produce request instead of storing it; None stores.
    refuse_with: int | None = None
    # How many produce requests are stored and then not answered, the connection closed.
    drop: int = 0
    advertised: str = "127.0.0.1"
    port: int = 0
    acks: set[int] = field(default_factory=set)
    records: list[Record] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where to ask first."""
        return f"127.0.0.1:{self.port}"

    def ids(self) -> list[str]:
        """Return the event ids in the order they were stored."""
        return [record.event_id for record in self.records]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                request = io.BytesIO(await reader.readexactly(size))
                key = int.from_bytes(request.read(2), "big")
                request.read(2)
                correlation = request.read(4)
                request.read(int.from_bytes(request.read(2), "big"))
                answer = self._answer(key, request)
                if answer is None:
                    return
                body = correlation + answer
                writer.write(len(body).to_bytes(4, "big") + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def _answer(self, key: int, request: io.BytesIO) -> bytes | None:
        if key == _API_VERSIONS:
            return bytes(ApiVersionResponse_v0(0, _VERSIONS).encode())
        if key == _INIT_PRODUCER:
            return bytes(InitProducerIdResponse_v0(0, 0, 7, 0).encode())
        if key == _METADATA:
            return self._metadata(MetadataRequest_v1.decode(request).topics)
        assert key == _PRODUCE, key
        return self._produce(ProduceRequest_v3.decode(request))

    def _metadata(self, wanted: Any) -> bytes:
        partitions = [(0, number, 1, [1], [1]) for number in range(self.partitions)]
        topics: list[Any] = [(0, self.topic, False, partitions)]
        topics += [(UNKNOWN_TOPIC, name, False, []) for name in wanted or () if name != self.topic]
        return bytes(MetadataResponse_v1([(1, self.advertised, self.port, None)], 1, topics).encode())

    def _produce(self, request: Any) -> bytes | None:
        self.acks.add(request.required_acks)
        answered = []
        for topic, shares in request.topics:
            ends = []
            for partition, messages in shares:
                error = self.refuse_with
                if error is None and len(messages) > self.largest_batch:
                    error = MESSAGE_TOO_LARGE
                if error is None:
                    self._store(partition, messages)
                ends.append((partition, error or 0, -1 if error else len(self.records), -1))
            answered.append((topic, ends))
        if self.drop:
            self.drop -= 1
            return None
        return bytes(ProduceResponse_v3(answered, 0).encode())

    def _store(self, partition: int, messages: bytes) -> None:
        self.batches.append(len(messages))
        batches = MemoryRecords(messages)
        while (batch := batches.next_batch()) is not None:
            assert batch.validate_crc()
            for one in batch:
                headers = dict(one.headers)
                self.records.append(Record(partition, one.key, one.value, headers, one.timestamp))


@asynccontextmanager
async def kafka_stand_in(**settings: Any) -> AsyncIterator[KafkaStandIn]:
    """Run a stand-in on a free loopback port."""
    running = KafkaStandIn(**settings)
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
