"""The command line with real processes."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.support.live import eventually
from tests.support.processes import Process, WholeProcess, run

pytestmark = pytest.mark.e2e
KEY = "sk_test_0123456789abcdefghijkl"


def test_up_serves_and_stops_in_time(tmp_path: Path, empty_database_url: str, unused_port: int) -> None:
    url = f"http://127.0.0.1:{unused_port}"
    settings = {"database_url": empty_database_url, "port": str(unused_port), "api_key": KEY}
    with WholeProcess(tmp_path, "up", **settings) as process:
        process.await_ready(url)
        headers = {"Authorization": f"Bearer {KEY}"}
        assert httpx.get(f"{url}/directories", headers=headers).json()["data"] == []
        assert httpx.get(f"{url}/health/live").json() == {"status": "ok"}
        assert "syncline_requests_total" in httpx.get(f"{url}/metrics").text
        paths = httpx.get(f"{url}/openapi.json").json()
        assert paths["openapi"] == "3.1.0"
        assert "/directory_users/{id}" in paths["paths"]
        assert process.terminate() < 10
    with Process(tmp_path, "up", **settings) as process:
        process.await_ready(url)
        assert httpx.get(f"{url}/directories", headers=headers).status_code == 200
        assert process.terminate() < 10
    assert KEY not in "".join(path.read_text() for path in tmp_path.glob("*.log"))


def test_serve_and_worker_share_a_database(tmp_path: Path, empty_database_url: str, unused_port: int) -> None:
    settings = {"database_url": empty_database_url, "port": str(unused_port), "api_key": KEY}
    url = f"http://127.0.0.1:{unused_port}"
    assert run(tmp_path, "migrate", **settings).returncode == 0
    with Process(tmp_path, "serve", **settings) as web, Process(tmp_path, "worker", **settings) as worker:
        web.await_ready(url)
        headers = {"Authorization": f"Bearer {KEY}"}
        assert (
            httpx.post(f"{url}/organizations", json={"name": "Northwind"}, headers=headers).status_code == 201
        )
        eventually(
            lambda: len(httpx.get(f"{url}/events", headers=headers).json()["data"]) == 1, "the sealed event"
        )
        assert web.terminate() < 10
        assert worker.terminate() < 10


def test_keys_from_the_shell(tmp_path: Path, empty_database_url: str) -> None:
    settings = {"database_url": empty_database_url}

    def keys(*arguments: str) -> object:
        done = run(tmp_path, "keys", *arguments, "--json", **settings)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    made = keys("create", "--name", "ci", "--scope", "read")
    assert isinstance(made, dict)
    assert made["value"].startswith("sk_")
    assert made["scopes"] == ["read"]
    found = keys("list")
    assert isinstance(found, list)
    [listed] = found
    assert listed["id"] == made["id"]
    assert "value" not in listed
    rolled = keys("roll", made["id"])
    assert isinstance(rolled, dict)
    assert rolled["value"] != made["value"]
    keys("revoke", made["id"])
    left = keys("list")
    assert isinstance(left, list)
    assert [key["id"] for key in left] == [rolled["id"]]
    unknown = run(tmp_path, "keys", "revoke", "key_nobody", **settings)
    assert unknown.returncode == 2
    assert "Traceback" not in unknown.stderr


def test_the_doctor_says_what_to_do(tmp_path: Path, empty_database_url: str) -> None:
    settings = {"database_url": empty_database_url}
    before = run(tmp_path, "doctor", **settings)
    assert before.returncode == 1
    assert "syncline migrate" in before.stdout
    assert run(tmp_path, "migrate", **settings).returncode == 0
    after = run(tmp_path, "doctor", **settings)
    assert after.returncode == 0, after.stdout + after.stderr
    assert "FAIL" not in after.stdout


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"mode": "production"}, "SYNCLINE_SECRET_KEY"),
        ({"mode": "production", "secret_key": "short"}, "SYNCLINE_SECRET_KEY"),
        ({"mode": "production", "secret_key": "a" * 64}, "SYNCLINE_SECRET_KEY"),
        ({"mode": "production", "secret_key": "R9v2kLm4Qx7Zt1Wb8Ny5Hc3Jd6Fg0Ps-uEo"}, "SYNCLINE_BASE_URL"),
        ({"api_key": "too-short"}, "SYNCLINE_API_KEY"),
        ({"database_url": "mysql://x"}, "SYNCLINE_DATABASE_URL"),
        ({"port": "x"}, "SYNCLINE_PORT"),
        ({"outbound_allow": "nonsense"}, "nonsense"),
        ({"secret_key_file": "/nowhere"}, "SYNCLINE_SECRET_KEY_FILE"),
        ({"config": "/nowhere.toml"}, "SYNCLINE_CONFIG"),
    ],
)
def test_a_bad_setting_is_one_clear_line(tmp_path: Path, settings: dict[str, str], names: str) -> None:
    done = run(tmp_path, "up", **settings)
    assert done.returncode == 2
    assert names in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_settings_come_from_a_file_and_from_secret_files(tmp_path: Path, unused_port: int) -> None:
    (tmp_path / "key").write_text(KEY + "\n", encoding="utf-8")
    (tmp_path / "settings.toml").write_text(f"port = {unused_port}\n", encoding="utf-8")
    settings = {"config": str(tmp_path / "settings.toml"), "api_key_file": str(tmp_path / "key")}
    with Process(tmp_path, "up", **settings) as process:
        url = f"http://127.0.0.1:{unused_port}"
        process.await_ready(url)
        assert httpx.get(f"{url}/directories", headers={"Authorization": f"Bearer {KEY}"}).is_success
        assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o777 == 0o600
        process.terminate()
