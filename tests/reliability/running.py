"""Run scenarios, each in a folder and on a database of its own."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.reliability.registry import Context, Result, Scenario, Size
from tests.support import postgres
from tests.support.databases import EngineKind, PostgresDatabases, SqliteDatabases


@dataclass(frozen=True, slots=True)
class Run:
    """One scenario on one engine, and what came of it."""

    scenario: Scenario
    engine: EngineKind
    result: Result
    seconds: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """How scenarios shall run."""

    size: Size = Size.FULL
    engines: Sequence[EngineKind] = ("sqlite", "postgresql")
    seed: int = 1
    seconds: float | None = None


def run_all(scenarios: Sequence[Scenario], wanted: Wanted, told: Callable[[Run], None]) -> list[Run]:
    """Run scenarios one after the other on every engine they apply to; `told` hears of each as it ends."""
    runs = []
    for one in scenarios:
        for engine in wanted.engines:
            if engine not in one.engines:
                continue
            begun = time.monotonic()
            with place(engine, wanted) as context:
                result = one.run(context)
            runs.append(Run(one, engine, result, time.monotonic() - begun))
            told(runs[-1])
    return runs


@contextmanager
def place(engine: EngineKind, wanted: Wanted) -> Iterator[Context]:
    """Give a scenario a folder, and a database: on PostgreSQL a durable server of its own."""
    folder = Path(tempfile.mkdtemp(prefix="syncline-reliability-"))
    server = Path(tempfile.mkdtemp(prefix="syncline-postgres-")) if engine == "postgresql" else None
    try:
        if server is None:
            url = SqliteDatabases(folder).empty(folder)
            yield Context(engine, wanted.size, folder, url, wanted.seed, wanted.seconds)
            return
        databases = PostgresDatabases(postgres.start(server, durable=True).url)
        with databases.empty() as url:
            yield Context(engine, wanted.size, folder, url, wanted.seed, wanted.seconds, server)
    finally:
        if server is not None:
            postgres.stop(server)
        shutil.rmtree(folder, ignore_errors=True)
