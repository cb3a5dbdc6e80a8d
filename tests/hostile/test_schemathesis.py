"""The REST API does what its OpenAPI document says, and nothing that a fuzzer makes of SCIM is a fault."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile.requests import Target
from tests.hostile.schema_runs import Effort, check_rest, check_scim
from tests.hostile.tenant import make_tenant
from tests.support.processes import Process

pytestmark = pytest.mark.e2e
SHORT = Effort(examples=1, phases="examples,fuzzing")


@dataclass(frozen=True)
class Running:
    """A Syncline process, and a tenant in it."""

    url: str
    target: Target
    process: Process


@pytest.fixture
async def running(tmp_path: Path, empty_database_url: str, unused_port: int) -> AsyncIterator[Running]:
    settings = {
        "database_url": empty_database_url,
        "secret_key": "a key of the flood that is long enough",
        "port": str(unused_port),
    }
    url = f"http://127.0.0.1:{unused_port}"
    with Process(tmp_path, "up", **settings) as process:
        process.await_ready(url)
        tenant = await make_tenant(tmp_path, url, "schemathesis", settings)
        yield Running(url, tenant.target, process)
        await tenant.close()


async def test_rest_and_scim_hold_what_their_documents_say(running: Running, tmp_path: Path) -> None:
    rest = check_rest(running.url, running.target, tmp_path, SHORT)
    assert rest.passed, rest.output
    assert "Tested: 0" not in rest.output
    scim = check_scim(running.url, running.target, tmp_path, SHORT)
    assert scim.passed, scim.output
    assert "Traceback" not in running.process.output()
