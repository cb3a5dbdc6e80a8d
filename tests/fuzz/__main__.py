"""The command: `scripts/fuzz --seconds 60 --target filter`, or `scripts/fuzz --replay FILE`."""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.runs import Run, fuzz, has_atheris
from tests.fuzz.targets import TARGETS
from tests.fuzz.watch import LONGEST, Finding, seconds_of


def main() -> int:
    """Run the command and return its exit code: 0 if nothing was found."""
    given = _arguments()
    if given.replay:
        return _replay(Path(given.replay), given.target)
    if not has_atheris():
        print("atheris is not here (it has wheels for Linux on x86-64): random input instead of guided.")
    names = list(TARGETS) if given.target == ["all"] else given.target
    folder = Path(given.folder or tempfile.mkdtemp(prefix="syncline-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in names:
        run = fuzz(TARGETS[name], given.seconds, given.seed, folder)
        print("\n".join(_lines(run)), flush=True)
        for finding in run.findings:
            print("\n".join(_reproducer(name, finding, folder)), flush=True)
        failed = failed or bool(run.findings)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument(
        "--target", nargs="+", default=["all"], choices=[*TARGETS, "all"], help="what to fuzz (default: all)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="where the corpus and the findings are kept (default: a new one)")
    parser.add_argument(
        "--replay", metavar="FILE", help="run one input again; its name begins with the target"
    )
    return parser.parse_args()


def _lines(run: Run) -> list[str]:
    rate = f"{run.executions / max(run.seconds, 0.001):.0f}/s"
    grown = f"coverage {run.coverage[0]} → {run.coverage[1]}, " if run.coverage else ""
    return [
        f"{run.target.name} ({run.engine}): {run.executions} executions in {run.seconds:.0f} s, {rate}, "
        f"{grown}slowest {run.slowest[0] * 1000:.1f} ms ({len(run.slowest[1])} bytes), "
        f"{len(run.findings)} findings"
    ]


def _reproducer(name: str, finding: Finding, folder: Path) -> list[str]:
    path = folder / f"{name}-{hashlib.sha256(finding.data).hexdigest()[:12]}.input"
    path.write_bytes(finding.data)
    shown = base64.b64encode(finding.data[:600]).decode()
    more = "…" if len(finding.data) > 600 else ""
    return [f"  {finding.what}", f"    base64: {shown}{more}", f"    again:  scripts/fuzz --replay {path}"]


def _replay(path: Path, targets: Sequence[str]) -> int:
    name = path.name.partition("-")[0] if targets == ["all"] else targets[0]
    if name not in TARGETS:
        print(f"{path.name} names no target; say --target NAME.", file=sys.stderr)
        return 2
    target, data = TARGETS[name], path.read_bytes()
    try:
        target.run(data)
    except Exception:
        traceback.print_exc()
        return 1
    seconds = seconds_of(target, data)
    print(f"{name}: nothing is raised; {seconds * 1000:.1f} ms")
    return 1 if seconds > LONGEST else 0


if __name__ == "__main__":
    raise SystemExit(main())
