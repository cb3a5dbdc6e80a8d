"""The built site, and a Syncline for the pages whose commands need one."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from syncline.services.container import Services
from tests.docs.pages import Site
from tests.docs.sessions import ROOT, Session
from tests.support import parts
from tests.support.databases import SqliteDatabases
from tests.support.live import Live, serving
from tests.support.postgres import unused_port

SAMPLES = ROOT / "tests" / "docs" / "samples"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Site:
    """The site, built strictly, once for all workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder = shared / "site"
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "index.html").exists():
            done = subprocess.run(
                [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
                cwd=ROOT,
                env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
    return Site(folder)


@dataclass(frozen=True, slots=True)
class Running:
    """A Syncline that may send webhooks to this machine; `ports` are the real ones by those of the pages."""

    live: Live
    ports: Mapping[int, int]

    def variables(self, environment: str) -> dict[str, str]:
        """Make an environment and return what a reader of the guides has exported."""

        async def make(services: Services) -> str:
            made = await services.environments.create(environment)
            return (await services.api_keys.create(made.id, "reader")).value

        return {
            "SYNCLINE_API_KEY": self.live.run(make),
            "SYNCLINE_URL": self.live.url,
            "WEBHOOK_PORT": str(self.ports[9000]),
        }


@pytest.fixture(scope="module")
def running(sqlite_databases: SqliteDatabases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running Syncline on loopback."""
    with serving(sqlite_databases.migrated(tmp_path_factory.mktemp("running"))) as live:
        yield Running(live, {8000: urlsplit(live.url).port or 0, 9000: unused_port()})


@pytest.fixture(scope="session")
def curl() -> str:
    """The path of a curl that knows `--json`, which the pages use."""
    path = shutil.which("curl")
    version = (
        subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
        if path
        else ""
    )
    found = re.match(r"curl (\d+)\.(\d+)", version)
    if path is None or found is None or (int(found[1]), int(found[2])) < (7, 82):
        parts.missing("curl 7.82 or newer", "apt-get install curl")
    return path


@pytest.fixture
def new_session(tmp_path: Path, curl: str) -> Callable[..., AbstractContextManager[Session]]:
    """Makes a reader at work in an empty folder with the samples in it."""

    def make(
        variables: Mapping[str, str] | None = None, ports: Mapping[int, int] | None = None
    ) -> AbstractContextManager[Session]:
        for sample in SAMPLES.iterdir():
            if sample.is_file():
                shutil.copy(sample, tmp_path)
        return Session(tmp_path, ports or {8000: unused_port(), 9000: unused_port()}, variables or {})

    return make
