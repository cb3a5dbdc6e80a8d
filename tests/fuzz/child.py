"""One target under atheris, in a process of its own: libFuzzer ends the process when its time is over.

Arguments: the target, a file for what was found, then those of libFuzzer. The file is written anew every
second and names executions, the slowest input and all findings.
"""

from __future__ import annotations

import base64
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

_WRITTEN_EVERY = 1.0


def main() -> None:
    """Fuzz until libFuzzer ends the process."""
    name, report, *arguments = sys.argv[1:]
    # atheris has no types, and no wheels for most platforms.
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["syncline"]):
        targets = importlib.import_module("tests.fuzz.targets").TARGETS
    watch = importlib.import_module("tests.fuzz.watch").Watch(targets[name])
    written = time.monotonic()

    def run(data: bytes) -> None:
        nonlocal written
        found = len(watch.findings)
        watch.run(data)
        now = time.monotonic()
        if now - written > _WRITTEN_EVERY or len(watch.findings) > found:
            written = now
            _write(Path(report), watch)

    atheris.Setup([sys.argv[0], *arguments], run)
    atheris.Fuzz()


def _write(report: Path, watch: Any) -> None:
    seconds, data = watch.slowest
    found = {
        "executions": watch.executions,
        "slowest": [seconds, base64.b64encode(data).decode()],
        "findings": [finding.as_json() for finding in watch.findings.values()],
    }
    unfinished = report.with_suffix(".new")
    unfinished.write_text(json.dumps(found))
    unfinished.replace(report)


if __name__ == "__main__":
    main()
