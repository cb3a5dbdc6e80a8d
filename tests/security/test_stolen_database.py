"""Threat: somebody gets a copy of the database, or of a backup, without the key that is kept outside of it.

Nothing in it opens a door: keys and tokens are there as digests only, signing secrets and kept answers are
sealed, passwords that providers send are nowhere. The token that proves a domain is not a secret: it is meant
for the public DNS, and knowing it gives nobody control of a zone.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.security.needles import found_in
from tests.security.tenants import Tenant, tenant
from tests.support.processes import Process
from tests.support.receiver import Reply, receiver
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e
KEY = "sk_live_Rm9yVGhlU3RvbGVuRGF0YWJhc2VUZXN0"
SECRET = "whsec_//79/Pv6+fj39vX08/Lx8O/u7ezr6unoBx2p"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}


async def test_a_stolen_database_opens_no_door(
    tmp_path: Path, empty_database_url: str, unused_port: int
) -> None:
    """Every secret that was issued, shown or sent is looked for in everything the database keeps."""
    url = f"http://127.0.0.1:{unused_port}"
    settings = {
        "database_url": empty_database_url,
        "port": str(unused_port),
        "api_key": KEY,
        "outbound_allow": "127.0.0.0/8",
    }
    async with receiver() as hooks:
        hooks.answer = lambda request: Reply(
            503 if "/broken" in request.path else 200, body=str(request.headers)
        )
        with Process(tmp_path, "up", **settings) as process:
            await asyncio.to_thread(process.await_ready, url)
            with tenant(url, KEY) as made:
                secrets = await asyncio.to_thread(use_everything, made, hooks.url(), hooks.url("/broken"))
            await wait_until(lambda: len(hooks.at("/hook")) > 5 and hooks.at("/broken"), 30)
            # As a copy taken under load: nothing is written back or tidied up first.
            process.kill()
    secrets.append((tmp_path / "data" / "secret.key").read_text(encoding="ascii"))
    stolen = await asyncio.to_thread(everything, empty_database_url, tmp_path)
    assert found_in(stolen, ["ida@northwind.example"]), "the copy does not hold what it must"
    assert found_in(stolen, secrets) == []


def use_everything(made: Tenant, hook: str, broken: str) -> list[str]:
    """Let every kind of secret be issued, used, rotated and sent in the wrong places; return all of them."""
    issue(made, hook, broken)
    passwords = list(send_passwords(made))
    strangers = list(send_strange_tokens(made))
    return [*made.secrets, *passwords, *strangers]


def issue(made: Tenant, hook: str, broken: str) -> None:
    """Create and rotate whatever has a secret, each with and without an idempotency key."""
    tokens = f"/directories/{made.directory_id}/bearer_tokens"
    for n, url in enumerate((hook, broken)):

        def make(path: str, body: object, once: bool = n == 1) -> Any:
            return made.made(path, body, **({"Idempotency-Key": f"once {path}"} if once else {}))

        make("/api_keys", {"name": f"k{n}"})
        token = make(tokens, {"label": f"t{n}"})
        make(f"{tokens}/{token['id']}/rotate", {})
        endpoint = make("/webhook_endpoints", {"endpoint_url": url, "events": ["dsync.user.created"]})
        make(f"/webhook_endpoints/{endpoint['id']}/rotate_secret", {})
    made.made(
        "/organization_domains", {"organization_id": made.organization_id, "domain": "northwind.example"}
    )
    assert len(set(made.secrets)) == 12
    for secret in made.secrets:
        made.api.get("/directories", headers={"Authorization": f"Bearer {secret}"})


def send_passwords(made: Tenant) -> Iterator[str]:
    """Send a password in every way a provider can; what is accepted must not keep it."""

    def password(n: int) -> str:
        return f"Pw-{n:02d}-correct-horse-battery"

    spellings = ("password", "PassWord", f"{CORE}:password", "urn:scim:schemas:core:1.0:password")
    for n, name in enumerate(spellings):
        yield password(n)
        person = made.user(f"u{n}", emails=[{"value": f"u{n}@northwind.example"}], **{name: password(n)})
        yield password(n + 10)
        body = {"userName": f"u{n}", "title": "Miller", name: password(n + 10)}
        assert made.scim("PUT", f"/Users/{person}", body).status_code == 200
        for m, operation in enumerate(
            (
                {"op": "replace", "path": name, "value": password(n + 20)},
                {"op": "Add", "value": {name: password(n + 30), "title": "Baker"}},
            )
        ):
            yield password(n + 20 + 10 * m)
            patch = PATCH | {"Operations": [operation]}
            assert made.scim("PATCH", f"/Users/{person}", patch).status_code == 200
        yield password(n + 40)
        body = {"userName": f"b{n}", name: password(n + 40)}
        step = {"method": "POST", "path": "/Users", "bulkId": "1", "data": body}
        assert made.scim("POST", "/Bulk", {"Operations": [step]}).status_code == 200
        yield password(n + 50)
        assert made.scim_v1("PATCH", f"/Users/{person}", {name: password(n + 50)}).status_code == 200
    yield password(60)
    nested = {"userName": "nested", CORE: {"password": password(60), "title": "Miller"}}
    assert made.scim("POST", "/Users", nested).status_code == 201
    yield password(61)
    refused = {"userName": "nested", "password": password(61)}
    assert made.scim("POST", "/Users", refused).status_code == 409
    made.user("ida@northwind.example", emails=[{"value": "ida@northwind.example"}])


def send_strange_tokens(made: Tenant) -> Iterator[str]:
    """Show tokens that are none of ours, and good ones where they do not belong."""
    for n, header in enumerate(("Bearer {}", "bearer  {}", "{}", "Digest {}")):
        strange = f"scim_strange-token-{n}-0123456789abcdef"
        yield strange
        made.scim("GET", "/Users", headers={"Authorization": header.format(strange)})
        made.api.get("/directories", headers={"Authorization": header.format(strange)})
    for name in ("access_token", "token", "api_key"):
        strange = f"sk_live_{name}-in-the-query-0123456789"
        yield strange
        made.scim("GET", f"/Users?{name}={strange}")
        made.api.get(f"/directory_users?{name}={strange}")


def everything(database_url: str, folder: Path) -> dict[str, bytes]:
    """Return all that a copy of the database holds: files, or every row as text and a dump."""
    if database_url.startswith("sqlite"):
        path = Path(urlsplit(database_url).path)
        files = {each.name: each.read_bytes() for each in path.parent.glob(f"{path.name}*")}
        assert f"{path.name}-wal" in files
        with sqlite3.connect(path) as connection:
            # What was deleted stays in free pages of the files; this is what is read without tools.
            files["dump"] = "\n".join(connection.iterdump()).encode()
        return files
    return asyncio.run(rows(database_url)) | dump(database_url)


async def rows(database_url: str) -> dict[str, bytes]:
    """Return every table of the database as text."""
    connection = await asyncpg.connect(database_url)
    try:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert len(names) > 10
        found = {}
        for name in (row["tablename"] for row in names):
            lines = await connection.fetch(f'SELECT t::text AS line FROM "{name}" t')  # noqa: S608
            found[name] = "\n".join(row["line"] for row in lines).encode()
        return found
    finally:
        await connection.close()


def dump(database_url: str) -> dict[str, bytes]:
    """Return what pg_dump writes, where there is one."""
    if shutil.which("pg_dump") is None:
        return {}
    done = subprocess.run(["pg_dump", database_url], capture_output=True, timeout=60, check=True)
    return {"pg_dump": done.stdout}


@pytest.mark.parametrize(
    "written",
    [
        SECRET.encode(),
        SECRET.removeprefix("whsec_").encode(),
        SECRET.encode().hex().upper().encode(),
        b64decode(SECRET.removeprefix("whsec_")),
        b64encode(f"x{SECRET}y".encode()),
        urlsafe_b64encode(b"xx" + b64decode(SECRET.removeprefix("whsec_"))),
    ],
    ids=("plain", "random part", "hex", "bytes", "base64 in a text", "base64url of the bytes in a text"),
)
def test_the_search_finds_a_secret_however_it_is_written(written: bytes) -> None:
    """The check above would be worth nothing if it could not see what it looks for."""
    assert found_in({"page": b"\0\1" + written + b"\2"}, [SECRET])
    assert found_in({"page": b"\0\1" + written + b"\2"}, ["whsec_" + "another0" * 4]) == []
