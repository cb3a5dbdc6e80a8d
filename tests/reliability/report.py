"""The report of a run: JSON for machines, Markdown for people, with what is needed to repeat it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from syncline import __version__
from tests.reliability.running import Run, Wanted

_ROOT = Path(__file__).resolve().parents[2]


def line(run: Run) -> str:
    """Return one run as a line of a terminal."""
    verdict = run.result.verdict.value.upper()
    return (
        f"{run.scenario.number:<4} {run.engine:<10} {verdict:<7} {run.seconds:6.0f} s  {run.scenario.title}\n"
        f"      gate: {run.scenario.gate}\n      measured: {run.result.measured}"
    )


def write(path: Path, runs: Sequence[Run], wanted: Wanted) -> None:
    """Write `path` as JSON and a Markdown file beside it."""
    head = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "size": wanted.size.value,
        "seed": wanted.seed,
    }
    rows = [
        {
            "scenario": run.scenario.number,
            "title": run.scenario.title,
            "gate": run.scenario.gate,
            "engine": run.engine,
            "seconds": round(run.seconds, 1),
            **asdict(run.result),
        }
        for run in runs
    ]
    path.write_text(json.dumps(head | {"runs": rows}, indent=2, ensure_ascii=False, default=str) + "\n")
    path.with_suffix(".md").write_text(_markdown(head, runs))


def _markdown(head: Mapping[str, object], runs: Sequence[Run]) -> str:
    lines = [
        "# Reliability report",
        "",
        ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in head.items()),
        "",
        "| scenario | database | gate | measured | verdict |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {run.scenario.number} {_cell(run.scenario.title)} | {run.engine} | {_cell(run.scenario.gate)} "
        f"| {_cell(run.result.measured)} | {run.result.verdict.value} |"
        for run in runs
    ]
    for run in runs:
        if run.result.figures or run.result.problems:
            lines += ["", f"## {run.scenario.number} on {run.engine}", ""]
            lines += [f"* {name.replace('_', ' ')}: {value}" for name, value in run.result.figures.items()]
            lines += [f"* **wrong:** `{problem}`" for problem in run.result.problems]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _commit() -> str:
    """Return the commit the working tree is at, with a plus if it holds more than that."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"
