"""Some thousand malformed requests at a real process: the short form of `scripts/hostile`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.requests import Interface
from tests.hostile.rounds import Bounds, Flood, Place
from tests.support.processes import Process

pytestmark = pytest.mark.e2e
REQUESTS = 1_500


async def test_no_malformed_request_is_a_fault_or_leaves_a_trace(
    tmp_path: Path, empty_database_url: str, unused_port: int
) -> None:
    settings = {
        "database_url": empty_database_url,
        "secret_key": "a key of the flood that is long enough",
        "port": str(unused_port),
    }
    with Process(tmp_path, "up", **settings) as process:
        place = Place(tmp_path, unused_port, process.process.pid, settings)
        process.await_ready(place.url)
        # Other tests run beside this one: the time of an answer is bounded here, and measured by the command.
        flood = Flood(place, seed=20_261_124, total=REQUESTS, bounds=Bounds(seconds=10))
        report = await flood.run()
        assert report.wrong == [], "\n".join(report.lines())
        assert "Traceback" not in process.output()
        process.terminate()
    assert report.sent >= REQUESTS
    assert report.overloads == 0
    # The requests reached what they were made for: each interface, many kinds of refusal, some acceptance.
    assert {kind.partition(":")[0] for kind in report.kinds} == set(Interface)
    assert {200, 201, 400, 401, 404, 405, 409, 415, 422} <= report.statuses.keys()
    assert report.compared > REQUESTS / 3
