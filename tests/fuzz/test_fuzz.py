"""Every reader of strangers' text for a moment, and proof that the fuzzing finds what there is to find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import main
from tests.fuzz.runs import Run, run_examples
from tests.fuzz.targets import TARGETS, Target
from tests.fuzz.watch import Watch, seconds_of

_PROJECT = Path(__file__).resolve().parents[2]
_EXAMPLES = 100
# The command holds inputs to a tenth of a second; here other tests run beside.
_LONGEST = 5.0


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_is_a_crash_or_takes_long(name: str) -> None:
    watch = Watch(TARGETS[name])
    for data in watch.target.seeds:
        watch.run(data)
    run_examples(watch, 20_261_125, _EXAMPLES)
    assert list(watch.findings.values()) == []
    assert watch.slowest[0] < _LONGEST
    assert watch.executions > _EXAMPLES


def _planted(data: bytes) -> None:
    if b"planted" in data:
        raise KeyError(len(data))


def test_an_input_that_fails_is_found_and_kept_once() -> None:
    target = Target("planted", _planted, [b"plant", b"the tree"], [b"ed", b"planted"])
    watch = Watch(target)
    run_examples(watch, 1, 200)
    [finding] = watch.findings.values()
    assert b"planted" in finding.data
    assert "KeyError" in finding.what


def _slow(data: bytes) -> None:
    sum(range(20_000 * len(data)))


def test_an_input_that_takes_too_long_is_a_finding() -> None:
    target = Target("slow", _slow, [b"x"], [b"y"])
    run = Run(target, "none", slowest=(1.0, b"x" * 1_000))
    run.settle()
    assert "took" in run.findings[0].what
    assert seconds_of(target, b"") < _LONGEST


def test_the_command_fuzzes_and_reports(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--folder", str(tmp_path), "--seconds", "1"]
    ended = subprocess.run(
        [*command, "--target", "moment"],
        cwd=_PROJECT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "moment (" in ended.stdout
    assert "0 findings" in ended.stdout


@pytest.mark.parametrize(("data", "code"), [(b"2026-01-15T12:00:00Z", 0), (b"planted", 1)])
def test_the_command_runs_an_input_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, code: int
) -> None:
    monkeypatch.setitem(TARGETS, "planted", Target("planted", _planted, [b"x"], [b"y"]))
    kept = tmp_path / "planted-1.input"
    kept.write_bytes(data)
    monkeypatch.setattr(sys, "argv", ["fuzz", "--replay", str(kept)])
    assert main() == code
