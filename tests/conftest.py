"""Fixtures that every test room shares."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support import parts, postgres
from tests.support.authority import one_authority
from tests.support.databases import ENGINE_KINDS, EngineKind, PostgresDatabases, SqliteDatabases
from tests.support.order import long_first

if TYPE_CHECKING:
    # The service itself is imported only when a test needs it.
    from tests.support.live import Live

_NODE_FOLDER = Path(__file__).parent / "node"

if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    # Else each of the hundreds of processes that tests start compiles every module anew, as this one does.
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode = False
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
os.environ["SSL_CERT_FILE"] = str(one_authority(Path(__file__).parents[1] / ".pytest_cache"))

# A slow machine must not fail a property, so there is no deadline per example. Continuous integration tries
# more examples and always the same ones: a red run can be repeated.
settings.register_profile("local", deadline=None, max_examples=100)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=200,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if parts.is_continuous_integration() else "local")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the long tests where several processes run them."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        items[:] = long_first(items, int(worker["workercount"]))


def pytest_collection_finish() -> None:
    """Let the collector pass over what stays: thousands of tests, and what they have imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure in continuous integration, unless the part lives outside the repository."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and parts.is_continuous_integration():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not parts.may_be_skipped(reason):
            report.outcome = "failed"
            report.longrepr = f"{reason} (nothing may be skipped with CI=true)"
    return report


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of a PostgreSQL server whose user may create databases."""
    given = os.environ.get("SYNCLINE_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="syncline-postgres-"))
    try:
        try:
            server = postgres.start(folder)
        except postgres.PostgresMissing:
            parts.missing("a PostgreSQL server", "apt-get install postgresql")
        yield server.url
    finally:
        postgres.stop(folder)


@pytest.fixture(scope="session")
def postgres_databases(postgres_url: str) -> Iterator[PostgresDatabases]:
    """Makes databases on the test server."""
    databases = PostgresDatabases(postgres_url)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabases:
    """Makes SQLite files."""
    return SqliteDatabases(tmp_path_factory.mktemp("sqlite-template"))


@pytest.fixture(params=ENGINE_KINDS)
def engine_kind(request: pytest.FixtureRequest) -> EngineKind:
    """Each kind of database in turn: whatever uses it, directly or not, runs on both."""
    kind: EngineKind = request.param
    return kind


@pytest.fixture
def database_url(engine_kind: EngineKind, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a fresh database with the newest schema, on each kind of engine."""
    if engine_kind == "sqlite":
        files: SqliteDatabases = request.getfixturevalue("sqlite_databases")
        yield files.migrated(tmp_path)
        return
    server: PostgresDatabases = request.getfixturevalue("postgres_databases")
    with server.migrated() as url:
        yield url


@pytest.fixture(scope="module", params=ENGINE_KINDS)
def shared_live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A running Syncline for all tests of a module, on each kind of database: each makes a tenant of its own.

    For tests of what a tenant sees, who must not see other tenants in any case.
    """
    from tests.support.live import serving

    if request.param == "sqlite":
        files: SqliteDatabases = request.getfixturevalue("sqlite_databases")
        with serving(files.migrated(tmp_path_factory.mktemp("shared"))) as live:
            yield live
        return
    server: PostgresDatabases = request.getfixturevalue("postgres_databases")
    with server.migrated() as url, serving(url) as live:
        yield live


@pytest.fixture
def empty_database_url(
    engine_kind: EngineKind, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The address of a fresh database without any table, on each kind of engine."""
    if engine_kind == "sqlite":
        files: SqliteDatabases = request.getfixturevalue("sqlite_databases")
        yield files.empty(tmp_path)
        return
    server: PostgresDatabases = request.getfixturevalue("postgres_databases")
    with server.empty() as url:
        yield url


@pytest.fixture
def unused_port() -> int:
    """A TCP port of the loopback address that nobody listens on."""
    return postgres.unused_port()


@pytest.fixture(scope="session")
def corpus_dir() -> Path:
    """The folder of recorded provider traffic."""
    folder = os.environ.get("SYNCLINE_CORPUS")
    if not folder:
        parts.outside("the traffic corpus", "set SYNCLINE_CORPUS to its folder")
    path = Path(folder)
    if not any(path.glob("*.json")):
        pytest.fail(f"SYNCLINE_CORPUS names {folder}, which holds no recordings", pytrace=False)
    return path


@pytest.fixture(scope="session")
def node_sdk() -> Path:
    """The folder from which Node.js scripts can import the official SDK."""
    if shutil.which("node") is None:
        parts.missing("Node.js", "apt-get install nodejs npm")
    if not (_NODE_FOLDER / "node_modules" / "@workos-inc" / "node").exists():
        parts.missing("the Node SDK", "scripts/test, or: npm install --prefix tests/node --no-package-lock")
    return _NODE_FOLDER
