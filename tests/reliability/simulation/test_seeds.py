"""500 seeds of the log and the dispatcher on a virtual clock, and that a seed is the same run everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.simulation.simulate import Simulator

SEEDS = 500
PARTS = 10
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("part", range(PARTS))
def test_every_promise_is_kept_whatever_happens(simulator: Simulator, part: int) -> None:
    verdicts = (simulator.seed(seed) for seed in range(1 + part, 1 + SEEDS, PARTS))
    broken = [str(verdict) for verdict in verdicts if verdict.problems]
    assert not broken, "\n".join(broken)


def test_a_seed_is_the_same_run_in_every_process(simulator: Simulator) -> None:
    program = "from tests.reliability.simulation.simulate import Simulator; print(Simulator().seed(7).digest)"
    printed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == simulator.seed(7).digest
