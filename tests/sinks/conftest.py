"""A database with a log, and a NATS server that tests without a grudge against it share."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from syncline.services.kernel import Kernel
from tests.support.deliveries import Stage
from tests.support.kernels import kernel, seed
from tests.support.nats import NatsServer


@pytest.fixture
async def within(database_url: str) -> AsyncIterator[Kernel]:
    async with kernel(database_url) as made:
        yield made


@pytest.fixture
async def stage(within: Kernel) -> Stage:
    return Stage(within, (await seed(within)).environment_id)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def prefix() -> str:
    """Subjects that no other test uses."""
    return f"test{secrets.token_hex(4)}"
