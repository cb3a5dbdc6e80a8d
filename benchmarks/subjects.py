"""The servers that are compared: each is started fresh for its measurements and stopped after them."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support import postgres

_PEERS = Path(__file__).parent / "peers"
PEER_PYTHON = _PEERS / ".venv" / "bin" / "python"
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Subject:
    """A running server and how to talk to it.

    `pids` are the processes whose CPU counts: the server's and its database's. `api_key` is set for Syncline
    only, whose log and webhooks are measured too.
    """

    name: str
    base_url: str
    token: str
    pids: Sequence[int]
    start_seconds: float
    url: str = ""
    api_key: str = ""
    can_entra: bool = True


Starter = Callable[[], AbstractContextManager[Subject]]


@contextmanager
def syncline_sqlite() -> Iterator[Subject]:
    """Syncline in one process on its embedded default."""
    with (
        tempfile.TemporaryDirectory(prefix="syncline-bench-") as folder,
        _syncline("sqlite", folder, {}) as it,
    ):
        yield it


@contextmanager
def syncline_postgres() -> Iterator[Subject]:
    """Syncline in one process on a durable PostgreSQL."""
    with (
        tempfile.TemporaryDirectory(prefix="syncline-bench-") as folder,
        _postgres() as (address, pid),
        _syncline("postgresql", folder, {"SYNCLINE_DATABASE_URL": address}, pid) as it,
    ):
        yield it


@contextmanager
def scimmy() -> Iterator[Subject]:
    """SCIMMY with its express routers on a durable PostgreSQL: the best open server that keeps its data."""
    token, port = secrets.token_hex(16), postgres.unused_port()
    with (
        _postgres() as (address, database_pid),
        _process(
            ["node", str(_PEERS / "scimmy.mjs")],
            {"PORT": str(port), "DATABASE_URL": address, "TOKEN": token, "NODE_ENV": "production"},
            _PEERS,
        ) as pid,
    ):
        base_url = f"http://127.0.0.1:{port}/scim"
        seconds = _await_answer(f"{base_url}/ServiceProviderConfig", token)
        yield Subject("scimmy + postgresql", base_url, token, (pid, database_pid), seconds)


@contextmanager
def scim2_server() -> Iterator[Subject]:
    """scim2-server in memory: strict, and nothing is written anywhere."""
    token, port = secrets.token_hex(16), postgres.unused_port()
    command = [str(PEER_PYTHON), "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools"]
    command += ["--port", str(port), "--log-level", "warning", "scim2_app:app"]
    with _process(command, {"TOKEN": token}, _PEERS) as pid:
        base_url = f"http://127.0.0.1:{port}/v2"
        seconds = _await_answer(f"{base_url}/ServiceProviderConfig", token)
        yield Subject("scim2-server (memory)", base_url, token, (pid,), seconds)


OURS: Mapping[str, Starter] = {"sqlite": syncline_sqlite, "postgresql": syncline_postgres}
PEERS: Mapping[str, Starter] = {"scimmy": scimmy, "scim2-server": scim2_server}


@contextmanager
def _syncline(name: str, folder: str, settings: Mapping[str, str], *others: int) -> Iterator[Subject]:
    port, key = postgres.unused_port(), "sk_" + secrets.token_hex(24)
    url = f"http://127.0.0.1:{port}"
    environment = {
        "SYNCLINE_DATA": folder,
        "SYNCLINE_PORT": str(port),
        "SYNCLINE_BASE_URL": url,
        "SYNCLINE_API_KEY": key,
        "SYNCLINE_OUTBOUND_ALLOW": "127.0.0.0/8",
        **settings,
    }
    command = [sys.executable, "-m", "syncline", "up"]
    with _process(command, environment, Path(folder)) as pid:
        seconds = _await_answer(f"{url}/health/ready", key)
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:
            organization = client.post("/organizations", json={"name": "Northwind"}).raise_for_status().json()
            asked = {"organization_id": organization["id"], "name": "Northwind", "type": "generic scim v2.0"}
            directory = client.post("/directories", json=asked).raise_for_status().json()
        scim = directory["scim"]
        yield Subject(
            f"syncline + {name}", scim["endpoint"], scim["bearer_token"], (pid, *others), seconds, url, key
        )


@contextmanager
def _postgres() -> Iterator[tuple[str, int]]:
    folder = Path(tempfile.mkdtemp(prefix="syncline-bench-pg-"))
    try:
        address = postgres.start(folder, durable=True).url
        pid = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        yield address, pid
    finally:
        postgres.stop(folder)


@contextmanager
def _process(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[int]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNCLINE_")}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**kept, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield process.pid
        except BaseException:
            output.seek(0)
            sys.stderr.write(output.read().decode(errors="replace")[-4000:])
            raise
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()
            process.wait()


def _await_answer(address: str, token: str) -> float:
    begun = time.perf_counter()
    while time.perf_counter() - begun < _START_SECONDS:
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=2)
            if answer.status_code < 500:
                return time.perf_counter() - begun
        time.sleep(0.01)
    raise RuntimeError(f"nothing answered at {address} within {_START_SECONDS:.0f} s")
