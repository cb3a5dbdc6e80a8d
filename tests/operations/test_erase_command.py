"""The command erases beside a running Syncline, and the files are rewritten while it serves."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from syncline.services.environments import DEFAULT_NAME
from tests.support.live import serving
from tests.support.processes import run

pytestmark = pytest.mark.e2e


def test_a_person_is_erased_from_the_shell(tmp_path: Path, database_url: str) -> None:
    with serving(database_url) as live:
        tenant = live.tenant(DEFAULT_NAME)
        headers = {"Authorization": f"Bearer {tenant.scim_token}"}
        users = f"{live.url}/scim/v2/{tenant.directory_key}/Users"
        user = httpx.post(users, json={"userName": "ida@northwind.example"}, headers=headers).json()["id"]
        erase = ("erase", f"directory_user_{user}", "--json")
        refused = run(tmp_path, *erase, database_url=database_url)
        assert refused.returncode == 2
        assert "still in the directory" in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1
        done = run(tmp_path, *erase, "--delete", database_url=database_url)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["state"] == "complete"
        assert httpx.get(f"{users}/{user}", headers=headers).status_code == 404
        if database_url.startswith("sqlite"):
            path = Path(urlsplit(database_url).path)
            assert all(
                b"ida@northwind" not in each.read_bytes() for each in path.parent.glob(f"{path.name}*")
            )
            with closing(sqlite3.connect(path)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        again = httpx.post(users, json={"userName": "ida@northwind.example"}, headers=headers)
        assert again.status_code == 201
        assert again.json()["id"] != user
