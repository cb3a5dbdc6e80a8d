"""R13 and R14: malformed requests and fuzzed readers, by the commands that exist for them."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from tests.reliability.registry import Context, Result, scenario

_ROOT = Path(__file__).parents[3]
_LINES = 12


@scenario("R13", "malformed requests", gate="100,000 requests: 0 answers of 5xx, memory grows < 50 MB")
async def flood(context: Context) -> Result:
    """Run `scripts/hostile` on one database."""
    count = context.pick(short=1_000, full=100_000)
    status, output = await _run(
        "tests.hostile", "--requests", str(count), "--database", context.engine, "--seed", str(context.seed)
    )
    return _judged(status, output, requests=count)


@scenario("R14", "fuzzed parsers", gate="0 crashes, none slower than 100 ms", engines=("sqlite",))
async def fuzz(context: Context) -> Result:
    """Run `scripts/fuzz` on every target; no database takes part."""
    seconds = context.pick(short=1, full=60)
    status, output = await _run("tests.fuzz", "--seconds", str(seconds), "--seed", str(context.seed))
    executions = sum(int(count) for count in re.findall(r": (\d+) executions", output))
    return _judged(status, output, seconds_each=seconds, executions=executions)


async def _run(module: str, *arguments: str) -> tuple[int, str]:
    """Run a module as its command does; return the exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")


def _judged(status: int, output: str, **figures: int) -> Result:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    measured = "; ".join(lines[1:4] if lines and lines[0].startswith("==") else lines[:3])[:400]
    return Result.judged(measured, lines[-_LINES:] if status else [], **figures)
