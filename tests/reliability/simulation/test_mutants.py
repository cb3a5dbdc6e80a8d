"""The simulation objects to dispatchers that are wrong, each for its fault and for nothing else."""

from __future__ import annotations

import pytest

from tests.reliability.simulation import mutants
from tests.reliability.simulation.mutants import Mutant
from tests.reliability.simulation.plan import Deed, Plan, make_focused_plan, make_hurried_plan, make_plan
from tests.reliability.simulation.simulate import Simulator

WITHIN = 25
"""Within so many seeds a fault must be noticed."""

# What has to happen for some faults to show.
FOCUS: dict[Mutant, Deed] = {
    mutants.no_fence: Deed.STOP,
    mutants.never_asked: Deed.PAUSE,
    mutants.one_secret_only: Deed.ROTATE,
    mutants.idle_without_wake: Deed.SWEEP,
}


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_faulty_dispatcher_is_noticed(simulator: Simulator, mutant: Mutant) -> None:
    for seed in range(1, WITHIN + 1):
        plan = _plan(seed, FOCUS.get(mutant))
        with mutant():
            verdict = simulator.plan(plan)
        if verdict.problems:
            assert not simulator.plan(plan).problems, "broken without the fault as well"
            return
    pytest.fail(f"{WITHIN} seeds did not show that {mutant.__doc__}")


@pytest.mark.parametrize("deed", [Deed.PAUSE, Deed.ROTATE, Deed.DELETE])
def test_an_owner_who_is_told_of_a_change_too_early_is_noticed(simulator: Simulator, deed: Deed) -> None:
    for seed in range(1, WITHIN + 1):
        plan = make_hurried_plan(seed, deed)
        with mutants.told_at_once():
            verdict = simulator.plan(plan)
        if verdict.problems:
            assert not simulator.plan(plan).problems, "broken without the fault as well"
            return
    pytest.fail(f"{WITHIN} seeds did not show it")


def _plan(seed: int, focus: Deed | None) -> Plan:
    return make_plan(seed) if focus is None else make_focused_plan(seed, focus)
