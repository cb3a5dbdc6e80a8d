"""One running Syncline for all tests of a module, and an environment for each test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.cli.shell import Shell
from tests.support.databases import SqliteDatabases
from tests.support.live import Live, serving
from tests.support.waiting import wait_until_sync

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def live(sqlite_databases: SqliteDatabases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A running Syncline."""
    # The server runs in this process, and what it logs must not mix with what commands print.
    with capture_logs(), serving(sqlite_databases.migrated(tmp_path_factory.mktemp("cli"))) as running:
        yield running


@pytest.fixture
def shell(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """A shell with the key of a new environment."""
    made = Shell(live, live.tenant(f"cli {next(_NUMBERS)}"), tmp_path, monkeypatch, capsys)
    # What making it announces must not come in the middle of a test.
    wait_until_sync(lambda: len(made.events()) == 2, reason="the events of the environment's beginning")
    return made
