"""One target fuzzed for some seconds: by atheris where it can be imported, else by Hypothesis."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.inputs import inputs
from tests.fuzz.targets import Target
from tests.fuzz.watch import LONGEST, Finding, Watch, seconds_of

_PROJECT = Path(__file__).resolve().parents[2]
_STARTING_SECONDS = 180.0
_LINE = re.compile(r"#(\d+)\s+(INITED|DONE|NEW|pulse|REDUCE|RELOAD)\s+cov: (\d+)")
_ARTIFACTS = ("crash-*", "timeout-*", "oom-*", "leak-*")
# What libFuzzer ends with when somebody else ends it, and what ends without a word.
_INTERRUPTED = (72, -int(signal.SIGTERM), -int(signal.SIGKILL))
_ROUND = 300


@dataclass
class Run:
    """What became of one target; `coverage` is that of the seeds and that at the end, where it is known."""

    target: Target
    engine: str
    executions: int = 0
    seconds: float = 0.0
    coverage: tuple[int, int] | None = None
    slowest: tuple[float, bytes] = (0.0, b"")
    findings: list[Finding] = field(default_factory=list)

    def settle(self) -> None:
        """Measure the slowest input again, without instrumentation; too slow is a finding."""
        if self.slowest[1] or self.slowest[0] > LONGEST:
            self.slowest = (seconds_of(self.target, self.slowest[1]), self.slowest[1])
        if self.slowest[0] > LONGEST:
            self.findings.append(Finding(self.slowest[1], f"took {self.slowest[0] * 1000:.0f} ms"))


def has_atheris() -> bool:
    """Tell whether coverage can guide the fuzzing here."""
    return importlib.util.find_spec("atheris") is not None


def fuzz(target: Target, seconds: float, number: int, folder: Path) -> Run:
    """Fuzz a target; `number` makes a run repeatable as far as the engine allows it."""
    begun = time.monotonic()
    run = _guided(target, seconds, number, folder) if has_atheris() else _random(target, seconds, number)
    run.seconds = time.monotonic() - begun
    run.settle()
    return run


def _guided(target: Target, seconds: float, number: int, folder: Path) -> Run:
    corpus, report = folder / f"{target.name}-corpus", folder / f"{target.name}.json"
    corpus.mkdir(parents=True, exist_ok=True)
    for n, data in enumerate(target.seeds):
        (corpus / f"seed-{n}").write_bytes(data)
    words = folder / f"{target.name}.dict"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words), "ascii")
    command = [
        *(sys.executable, "-m", "tests.fuzz.child", target.name, str(report), str(corpus)),
        *(f"-max_total_time={max(1, round(seconds))}", f"-seed={number}", f"-max_len={target.longest}"),
        *(f"-dict={words}", f"-artifact_prefix={folder}/{target.name}-", "-timeout=20", "-rss_limit_mb=2048"),
    ]
    ended = subprocess.run(
        command,
        cwd=_PROJECT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds * 3 + _STARTING_SECONDS,
        check=False,
    )
    run = Run(target, "atheris")
    if report.exists():
        found = json.loads(report.read_text())
        run.executions = found["executions"]
        run.slowest = (found["slowest"][0], base64.b64decode(found["slowest"][1]))
        run.findings = [Finding.from_json(one) for one in found["findings"]]
    _read_output(run, ended.stderr)
    for pattern in _ARTIFACTS:
        for path in folder.glob(f"{target.name}-{pattern}"):
            run.findings.append(Finding(path.read_bytes(), f"libFuzzer: {path.name}"))
    if ended.returncode in _INTERRUPTED:
        run.engine = "atheris, interrupted"
    elif ended.returncode != 0 and not run.findings:
        run.findings.append(Finding(b"", f"the fuzzer ended with {ended.returncode}: {ended.stderr[-1500:]}"))
    return run


def _read_output(run: Run, output: str) -> None:
    lines = [(int(count), what, int(cov)) for count, what, cov in _LINE.findall(output)]
    if lines:
        first = next((cov for _, what, cov in lines if what == "INITED"), lines[0][2])
        run.coverage = (first, max(cov for *_, cov in lines))
        run.executions = max(run.executions, *(count for count, *_ in lines))


def _escaped(word: bytes) -> str:
    """Return a word as the dictionaries of libFuzzer write it."""
    return "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\x{byte:02x}" for byte in word)


def _random(target: Target, seconds: float, number: int) -> Run:
    watch = Watch(target)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        run_examples(watch, number, _ROUND)
        number += 1
    return Run(
        target, "hypothesis", watch.executions, slowest=watch.slowest, findings=[*watch.findings.values()]
    )


def run_examples(watch: Watch, number: int, count: int) -> None:
    """Run some inputs, the same ones for the same number."""

    @seed(number)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(watch.target))
    def run(data: bytes) -> None:
        watch.run(data)

    run()
