"""What tests of deliveries start from: a database, an environment whose log they fill, and a receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from syncline import faults
from syncline.services.kernel import Kernel
from tests.support.deliveries import Stage
from tests.support.kernels import kernel, seed
from tests.support.receiver import Receiver, receiver


@pytest.fixture
async def within(database_url: str) -> AsyncIterator[Kernel]:
    async with kernel(database_url) as made:
        yield made


@pytest.fixture
async def stage(within: Kernel) -> Stage:
    return Stage(within, (await seed(within)).environment_id)


@pytest.fixture
async def hooks() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


@pytest.fixture
def no_plan_stays() -> Iterator[None]:
    yield
    faults.install(None)
