"""Fault points do nothing until a plan says so, and then exactly that."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from syncline import faults
from syncline.faults import EXIT_STATUS, Fault, FaultInjected, FaultPlan

_PROGRAM = """
from syncline import faults
faults.install(faults.FaultPlan.parse("seal.before_commit=exit@2"))
try:
    for number in (1, 2, 3):
        faults.hit("seal.before_commit")
        print(number, flush=True)
finally:
    print("cleaned up", flush=True)
"""


@pytest.fixture(autouse=True)
def no_plan_stays() -> Iterator[None]:
    yield
    faults.install(None)


def test_without_a_plan_a_point_does_nothing() -> None:
    faults.install(FaultPlan.parse("a.b=fail"))
    faults.install(None)
    faults.hit("a.b")


def test_a_point_fails_at_the_pass_that_the_plan_names() -> None:
    plan = FaultPlan.parse("dispatch.after_send=fail@3, other.point=fail")
    faults.install(plan)
    for _ in range(2):
        faults.hit("dispatch.after_send")
    with pytest.raises(FaultInjected):
        faults.hit("dispatch.after_send")
    faults.hit("dispatch.after_send")
    assert plan.passes("dispatch.after_send") == 4


def test_other_points_are_counted_and_pass() -> None:
    plan = FaultPlan.parse("")
    faults.install(plan)
    faults.hit("some.point")
    assert plan.passes("some.point") == 1


def test_an_action_of_the_test_runs_at_each_pass() -> None:
    reached: list[int] = []
    faults.install(FaultPlan({"some.point": Fault(lambda: reached.append(1), at_pass=0)}))
    for _ in range(3):
        faults.hit("some.point")
    assert len(reached) == 3


def test_exit_ends_the_process_without_any_clean_up() -> None:
    run = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert run.returncode == EXIT_STATUS
    assert run.stdout.split() == ["1"]


@pytest.mark.parametrize("text", ["a.b", "a.b=burn", "a.b=exit@0", "a.b=exit@x", "A B=exit", "a=exit=fail"])
def test_a_plan_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="no fault"):
        FaultPlan.parse(text)
