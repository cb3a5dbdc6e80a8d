"""Event sinks in tests: quick settings, a running dispatcher, and questions about where a sink stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec

from syncline.net.sinks.factory import SinkConfig
from syncline.net.sinks.nats import NatsConfig
from syncline.net.sinks.ndjson import NdjsonConfig
from syncline.services.kernel import Kernel
from syncline.services.sink_dispatch import SinkDispatcher
from syncline.services.sink_settings import SinkSettings
from syncline.services.sinks import EventSink, EventSinks, From, NewSink
from tests.support.deliveries import Stage
from tests.support.waiting import wait_until

QUICK = SinkSettings(
    poll=0.02,
    lease=timedelta(seconds=15),
    publish_seconds=5.0,
    batch_events=20,
    back_off=(timedelta(milliseconds=30),),
)


@asynccontextmanager
async def publishing(kernel: Kernel, settings: SinkSettings = QUICK) -> AsyncIterator[SinkDispatcher]:
    """Run what a worker runs for sinks."""
    dispatcher = SinkDispatcher(kernel, settings)
    stop = asyncio.Event()
    task = asyncio.create_task(dispatcher.run(stop))
    try:
        yield dispatcher
    finally:
        stop.set()
        await task


async def make_sink(
    stage: Stage,
    config: SinkConfig,
    name: str = "copy",
    begin: str = "start",
    events: Sequence[str] = (),
    directories: Sequence[str] = (),
) -> EventSink:
    """Make a sink from the beginning of the log."""
    new = NewSink(name, config, events=events, directories=directories, begin=From(begin))
    return await EventSinks(stage.kernel).create(stage.environment_id, new)


async def shown(stage: Stage, name: str = "copy") -> EventSink:
    """Return where a sink stands."""
    return await EventSinks(stage.kernel).get(stage.environment_id, name)


async def caught_up(stage: Stage, name: str = "copy", deadline: float = 20.0) -> EventSink:
    """Wait until a sink has nothing left to send, and return it."""

    async def standing() -> EventSink | None:
        sink = await shown(stage, name)
        return sink if sink.behind == 0 else None

    found = await wait_until(standing, deadline, reason=f"{name} at the head of the log")
    assert found is not None
    return found


async def in_state(stage: Stage, state: str, name: str = "copy") -> EventSink:
    """Wait until a sink is in a state, and return it."""

    async def standing() -> EventSink | None:
        sink = await shown(stage, name)
        return sink if sink.state == state else None

    found = await wait_until(standing, reason=f"{name} {state}")
    assert found is not None
    return found


def file_of(folder: Path) -> NdjsonConfig:
    """Return a file sink in a folder."""
    return NdjsonConfig(str(folder / "events.ndjson"))


def lines(folder: Path) -> list[dict[str, object]]:
    """Return the events of that file."""
    return [msgspec.json.decode(line) for line in (folder / "events.ndjson").read_bytes().splitlines()]


def ids_in(folder: Path) -> list[str]:
    """Return the event ids of that file, in its order."""
    return [str(event["id"]) for event in lines(folder)]


def subjects(url: str, prefix: str, **more: str) -> NatsConfig:
    """Return a NATS sink."""
    return NatsConfig((url,), prefix, **more)
