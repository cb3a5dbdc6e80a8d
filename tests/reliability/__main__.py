"""The command: `scripts/reliability --only R1 R9 --short --report report.json`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tests.reliability.registry import Size, Verdict, load
from tests.reliability.report import line, write
from tests.reliability.running import Run, Wanted, run_all
from tests.support.databases import ENGINE_KINDS

_ENDED = 143


def main() -> int:
    """Run the command and return its exit code: 0 if every gate that ran was passed."""
    # Whoever ends the run must not leave its servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_ENDED))
    scenarios = load()
    given = _arguments(list(scenarios))
    chosen = [scenarios[number] for number in given.only] if given.only else list(scenarios.values())
    wanted = Wanted(
        Size.SHORT if given.short else Size.FULL,
        ENGINE_KINDS if given.database == "both" else (given.database,),
        given.seed,
        given.seconds,
    )
    report = Path(given.report)
    report.parent.mkdir(parents=True, exist_ok=True)
    runs = list[Run]()

    def told(run: Run) -> None:
        # At full size a run takes hours: whoever ends it has the report of what is done.
        runs.append(run)
        _tell(run)
        write(report, runs, wanted)

    run_all(chosen, wanted, told)
    write(report, runs, wanted)
    print(f"report: {report} and {report.with_suffix('.md')}")
    return 1 if any(run.result.verdict is Verdict.FAILED for run in runs) else 0


def _tell(run: Run) -> None:
    print(line(run), flush=True)
    for problem in run.result.problems:
        print(f"      {problem}", flush=True)


def _arguments(numbers: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/reliability", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="R", choices=numbers, help=f"of {', '.join(numbers)}")
    parser.add_argument("--short", action="store_true", help="the sizes of continuous integration")
    parser.add_argument("--database", choices=(*ENGINE_KINDS, "both"), default="both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="length of the soak (R26); 1800 unless it is short")
    parser.add_argument(
        "--report",
        default="build/reliability.json",
        help="where the report goes; a .md is written beside it",
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
