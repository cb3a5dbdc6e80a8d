"""From a stored configuration to a publisher."""

from __future__ import annotations

import msgspec

from syncline.net.sinks.base import Publisher, Surroundings
from syncline.net.sinks.kafka import KafkaConfig, KafkaPublisher
from syncline.net.sinks.nats import NatsConfig, NatsPublisher
from syncline.net.sinks.ndjson import NdjsonConfig, NdjsonPublisher

SinkConfig = NatsConfig | KafkaConfig | NdjsonConfig
KINDS = ("nats", "kafka", "ndjson")

_encode = msgspec.json.Encoder().encode


def read_config(text: str) -> SinkConfig:
    """Return a stored configuration. Raises `msgspec.DecodeError` for a text that is none."""
    config: SinkConfig = msgspec.json.decode(text, type=SinkConfig)
    return config


def write_config(config: SinkConfig) -> str:
    """Return the text under which a configuration is stored."""
    return _encode(config).decode()


def kind_of(config: SinkConfig) -> str:
    """Return the name of a configuration's kind."""
    return str(config.__struct_config__.tag)


def make_publisher(config: SinkConfig, surroundings: Surroundings, *, seconds: float) -> Publisher:
    """Return a publisher that is not open yet; `seconds` is how long one `publish` may take."""
    if isinstance(config, NatsConfig):
        return NatsPublisher(config, surroundings, seconds=seconds)
    if isinstance(config, KafkaConfig):
        return KafkaPublisher(config, surroundings, seconds=seconds)
    return NdjsonPublisher(config)
