"""One simulator for all tests of a process: its template and its compiled statements are kept."""

from __future__ import annotations

import pytest

from tests.reliability.simulation.simulate import Simulator


@pytest.fixture(scope="session")
def simulator() -> Simulator:
    """Runs seeds in this process."""
    return Simulator()
