"""Run every suite and print the scores: `scripts/conformance [--database sqlite|postgresql|both]`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from syncline.core.model import InactiveUsers
from syncline.store.migrate import upgrade
from tests.conformance.suites import (
    CANAILLE,
    OKTA,
    PYPI,
    Outcome,
    Target,
    canaille,
    version_of,
    version_of_canaille,
)
from tests.support import postgres
from tests.support.corpus import load_player, options
from tests.support.live import Live, serving


def main(arguments: list[str]) -> int:
    """Print a Markdown table; 1 if a suite missed its score."""
    parser = argparse.ArgumentParser(prog="scripts/conformance", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    chosen = parser.parse_args(arguments).database
    databases = ["sqlite", "postgresql"] if chosen == "both" else [chosen]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print("| suite | database | passed | required | |\n|---|---|---|---|---|")
    good = True
    for database in databases:
        with _database(database) as url, serving(url) as live:
            for name, outcome in _outcomes(live):
                good = good and outcome.is_good
                words = "; ".join(outcome.problems or outcome.notes)
                if not outcome.is_good:
                    words = words or "too few checks"
                print(
                    f"| {name} | {database} | {outcome.passed} | {outcome.required} | {words} |", flush=True
                )
    return 0 if good else 1


def _outcomes(live: Live) -> Iterator[tuple[str, Outcome]]:
    for name, suite in PYPI.items():
        yield f"{name} {version_of(name)}", suite(_target(live, name))
    if CANAILLE.exists():
        yield f"canaille {version_of_canaille()}", canaille(_target(live, "canaille"))
    else:
        print("canaille: not there, run tests/conformance/canaille/install", file=sys.stderr)
    folder = Path(os.environ.get("SYNCLINE_OKTA_TESTS") or ".")
    for name, suite in OKTA.items():
        if (folder / name).exists():
            yield name, suite(_target(live, name))
        else:
            print(f"{name}: not there, set SYNCLINE_OKTA_TESTS to its folder", file=sys.stderr)
    corpus = os.environ.get("SYNCLINE_CORPUS")
    if not corpus:
        print("corpus: not there, set SYNCLINE_CORPUS to its folder", file=sys.stderr)
        return
    for policy in InactiveUsers:
        yield f"corpus, inactive people: {policy.value}", _corpus(live, Path(corpus), policy)


def _corpus(live: Live, folder: Path, policy: InactiveUsers) -> Outcome:
    player = load_player(folder)
    passed = 0
    problems: list[str] = []
    for file in sorted(folder.glob("*.json")):
        tenant = live.tenant(f"{file.stem} {policy.value}", policy)
        rows = player.play_file(file, options(live, tenant, policy))
        passed += sum(row["result"] == "pass" for row in rows)
        problems += [f"{file.stem} {row['step']}" for row in rows if row["result"] != "pass"]
    return Outcome(passed, 543, problems)


def _target(live: Live, name: str) -> Target:
    tenant = live.tenant(name)
    base = f"{live.url}/scim"
    return Target(f"{base}/v2/{tenant.directory_key}", f"{base}/v1/{tenant.directory_key}", tenant.scim_token)


@contextmanager
def _database(kind: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sqlite":
            url = f"sqlite:///{folder}/syncline.db"
            upgrade(url)
            yield url
            return
        server = postgres.start(Path(tempfile.mkdtemp(prefix="syncline-postgres-")))
        try:
            upgrade(server.url)
            yield server.url
        finally:
            postgres.stop(server.folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
