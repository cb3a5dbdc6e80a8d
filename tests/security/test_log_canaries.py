"""Threat: secrets and people's data reach whoever reads the logs, or the place where logs are collected.

A log line is an event name with ids and counts. Whatever a request carries, whether it is accepted, refused
or makes the server fail, none of its text is in the output of the process, not even at the level `debug`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sqlite3
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from syncline.obs.tracebacks import describe_exception
from tests.security.tenants import Tenant, tenant
from tests.support.processes import Process
from tests.support.receiver import Reply, receiver
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e
CANARY = "canary7q3"
"""Part of everything that a log must not carry; looked for in any letter case."""
KEY = f"sk_live_{CANARY}ApiKey0123456789"
CUSTOM = "urn:okta:northwind:1.0:user:custom"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


async def test_nothing_that_was_sent_is_in_the_logs(
    tmp_path: Path, empty_database_url: str, unused_port: int
) -> None:
    """A real process at level debug: good, bad and broken requests; endpoints that live, refuse, are dead."""
    url = f"http://127.0.0.1:{unused_port}"
    settings = {
        "database_url": empty_database_url,
        "port": str(unused_port),
        "api_key": KEY,
        "secret_key": f"{CANARY} of the operator, long enough for a key",
        "secret_key_previous": f"{CANARY} of the operator before that one",
        "metrics_token": f"{CANARY}MetricsToken",
        "log_level": "debug",
        "outbound_allow": "127.0.0.0/8",
    }
    async with receiver() as hooks:
        hooks.answer = lambda request: Reply(
            500 if "refuse" in request.path else 200, body=f"{CANARY} answer"
        )
        with Process(tmp_path, "up", **settings) as process:
            await asyncio.to_thread(process.await_ready, url)
            with tenant(url, KEY) as made:
                await asyncio.to_thread(make_endpoints, made, hooks.url, closed_port())
                await asyncio.to_thread(send_good, made)
                await asyncio.to_thread(send_bad, made)
                await asyncio.to_thread(send_garbage, unused_port)
                await wait_until(lambda: hooks.at(f"/{CANARY}/refuse") and hooks.at(f"/{CANARY}/take"), 30)
                await asyncio.to_thread(refuse_people, empty_database_url)
                statuses = await asyncio.to_thread(send_into_the_fault, made)
            assert statuses == [500, 500]
            await asyncio.to_thread(process.terminate)
    output = process.output()
    assert "scim.request" in output
    assert "endpoint.created" in output
    assert "erasure.complete" in output
    assert "scim.failed" in output
    assert "Traceback" in output
    lines = [line for line in output.splitlines() if CANARY in line.lower()]
    assert lines == []
    for secret in (*made.secrets, urlsplit(empty_database_url).password):
        assert secret is None or secret not in output


def make_endpoints(made: Tenant, url: Any, closed: int) -> None:
    """One that takes everything, one that refuses, one that is dead; their addresses hold tokens."""
    for address in (url(f"/{CANARY}/take"), url(f"/{CANARY}/refuse"), f"http://127.0.0.1:{closed}/{CANARY}"):
        endpoint = made.endpoint(f"{address}?token={CANARY}")
        made.made(f"/webhook_endpoints/{endpoint['id']}/rotate_secret", {})


def send_good(made: Tenant) -> None:
    """Everything that is accepted, with the canary in each text that a caller chooses."""
    c = CANARY
    made.made("/api_keys", {"name": f"{c} key"}, **{"Idempotency-Key": f"{c}-once"})
    made.made(f"/directories/{made.directory_id}/bearer_tokens", {"label": f"{c} label"})
    organization = {"name": f"{c} Ltd", "external_id": f"{c}-id", "metadata": {"note": f"{c} note"}}
    made.made("/organizations", organization | {"domains": [f"{c}.northwind.example"]})
    made.made("/organization_domains", {"organization_id": made.organization_id, "domain": f"{c}.example"})
    made.api.patch(f"/directories/{made.directory_id}", json={"name": f"{c} directory"})
    person = made.user(f"{c}@northwind.example", **attributes())
    for headers in ({"Cookie": f"session={c}"}, {"User-Agent": c}, {"X-Forwarded-For": c, "Referer": c}):
        made.scim("GET", f"/Users/{person}", headers=headers)
    made.scim("PUT", f"/Users/{person}", {"userName": f"{c}2@northwind.example", **attributes()})
    operation = {"op": "replace", "path": "title", "value": f"{c} title"}
    made.scim("PATCH", f"/Users/{person}", {"Operations": [operation]})
    made.scim_v1("PATCH", f"/Users/{person}", {"title": f"{c} v1", "password": f"{c}-v1-password"})
    members = [{"value": person}, {"value": f"{c}-nobody"}]
    made.scim("POST", "/Groups", {"displayName": f"{c} group", "members": members})
    made.scim("GET", f'/Users?filter=userName eq "{c}"&access_token={c}')
    made.scim("POST", "/Users/.search", {"filter": f'emails co "{c}"'})
    made.api.get(f"/directory_users?directory={made.directory_id}&email={c}@northwind.example")
    made.api.get(f"/organizations?search={c}&token={c}")
    for body in ({c: c}, {}, {"delete": True}):
        made.api.post(f"/directory_users/directory_user_{person}/erase", json=body)


def attributes() -> dict[str, Any]:
    """Return a person of whom everything is a secret."""
    c = CANARY
    return {
        "externalId": f"{c}-external",
        "password": f"{c}-password",
        "name": {"givenName": f"{c} given", "familyName": f"{c} family", "formatted": f"{c} formatted"},
        "displayName": f"{c} display",
        "emails": [{"value": f"{c}@mail.example", "type": "work", "primary": True}],
        "phoneNumbers": [{"value": f"+49 {c}"}],
        "addresses": [{"streetAddress": f"{c} street", "type": "home"}],
        "photos": [{"value": f"https://photos.example/{c}"}],
        "title": f"{c} title",
        ENTERPRISE: {"department": f"{c} department", "manager": {"value": f"{c}-boss"}},
        CUSTOM: {"badge": f"{c} badge", "secretQuestion": f"{c} question"},
        "unheardOf": {"of": [c]},
    }


def send_bad(made: Tenant) -> None:
    """Everything that is refused: credentials, documents, filters, addresses, headers."""
    c = CANARY
    for header in (f"Bearer scim_{c}", f"Basic {c}", f"{c}", f"Digest username={c}", f"Bearer {c} {c}"):
        made.scim("GET", "/Users", headers={"Authorization": header})
        made.api.get("/directories", headers={"Authorization": header})
    httpx.get(f"{made.url}/metrics", headers={"Authorization": f"Bearer {c}"})
    bodies: tuple[bytes, ...] = (
        f'{{"userName": "{c}"'.encode(),
        f'{{"userName": "{c}", "userName": "{c}2"}}'.encode(),
        f'{{"{c}": 1, "{c.upper()}": 2}}'.encode(),
        f'["{c}"]'.encode(),
        f'{{"userName": "{c}", "active": "{c}"}}'.encode(),
        f'{{"userName": "{c}", "name": "{c}"}}'.encode(),
        f'{{"userName": "{c}\\u0000"}}'.encode(),
        f'{{"title": "{c}"}}'.encode(),
        f'{{"userName": "{c * 10_000}"}}'.encode(),
        f'{{"Operations": [{{"op": "{c}", "path": "{c}[", "value": "{c}"}}]}}'.encode(),
        f'{{"name": ["{c}"], "organization_id": "{c}", "type": "{c}", "endpoint_url": "{c}"}}'.encode(),
        f'{{"endpoint_url": "https://{c}@{c}.example/", "events": ["{c}"]}}'.encode(),
    )
    for body in bodies:
        for path in ("/Users", "/Groups", "/Bulk", "/.search"):
            made.scim("POST", path, body)
        made.scim_v1("POST", "/Users", body)
        made.scim("PATCH", f"/Users/{c}", body)
        for path in ("/organizations", "/directories", "/webhook_endpoints", "/api_keys", f"/{c}"):
            made.api.post(path, content=body, headers={"Idempotency-Key": f"{c} {len(body)} {path}"})
    for query in (f'filter=userName eq "{c}', f"sortBy={c}", f"count={c}", f"startIndex={c}", f"{c}=%FF"):
        made.scim("GET", f"/Users?{query}")
    for path in (f"/Users/{c}", f"/{c}", f"/Schemas/{c}", f"/ResourceTypes/{c}"):
        made.scim("GET", path)
    for path in (f"/organizations/{c}", f"/{c}?token={c}", f"/events?after={c}", f"/events?events={c}"):
        made.api.get(path)
    for headers in ({"Content-Type": c}, {"Content-Encoding": c}, {"X-HTTP-Method-Override": c}):
        made.scim("POST", "/Users", f'{{"userName": "{c}"}}'.encode(), headers=headers)
    httpx.get(f"{made.url}/scim/v2/{c}/Users", headers={"Host": f"{c}.example"})


def send_garbage(port: int) -> None:
    """Bytes that are no HTTP request, or only the beginning of one."""
    for raw in (
        f"{CANARY}\r\n\r\n".encode(),
        f"GET /{CANARY} HTTP/9.9\r\nAuthorization: Bearer {CANARY}\r\n\r\n".encode(),
        f"GET /Users HTTP/1.1\r\nHost: x\r\n{CANARY}\x00: {CANARY}\r\n\r\n".encode(),
        f"POST /organizations HTTP/1.1\r\nHost: x\r\nContent-Length: {CANARY}\r\n\r\n".encode(),
        f"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{CANARY}".encode(),
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass


def refuse_people(database_url: str) -> None:
    """Break the database so that inserting a person fails in a way that the product does not expect."""
    if database_url.startswith("sqlite"):
        with sqlite3.connect(urlsplit(database_url).path, timeout=30) as connection:
            connection.execute(
                "CREATE TRIGGER broken BEFORE INSERT ON directory_users BEGIN SELECT zeroblob(2e9); END"
            )
        return

    async def run() -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute(
            """
            CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'broken by ''%''', NEW.label USING DETAIL = NEW.document; END $$;
            CREATE TRIGGER broken BEFORE INSERT ON directory_users FOR EACH ROW EXECUTE FUNCTION broken();
            """
        )
        await connection.close()

    asyncio.run(run())


def send_into_the_fault(made: Tenant) -> list[int]:
    """Create people where that cannot work; the drivers' complaints hold whole rows."""
    return [
        made.scim("POST", "/Users", {"userName": f"{CANARY}-{n}", **attributes()}).status_code for n in (1, 2)
    ]


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class TestTracebacks:
    """What is left of an exception's message."""

    @staticmethod
    def shown(error: BaseException) -> str:
        try:
            raise error
        except BaseException as raised:
            return describe_exception((type(raised), raised, raised.__traceback__))

    @pytest.mark.parametrize(
        "error",
        [
            KeyError(CANARY),
            ValueError(f"invalid literal for int() with base 10: '{CANARY}'"),
            RuntimeError(f'cannot read "{CANARY}"'),
            sqlite3.IntegrityError(f"refused\n[parameters: ('{CANARY}',)]"),
            asyncpg.exceptions.CheckViolationError(f"refused\nDETAIL:  Failing row contains ({CANARY})."),
            asyncpg.exceptions.DataError(f'invalid input for query argument $1: "{CANARY}"'),
            ExceptionGroup("several", [KeyError(CANARY), ValueError(f"'{CANARY}'")]),
        ],
    )
    def test_values_are_left_out(self, error: Exception) -> None:
        text = self.shown(error)
        assert CANARY not in text
        assert type(error).__qualname__ in text
        assert "test_log_canaries.py" in text

    def test_causes_are_told_oldest_first_and_reasons_stay(self) -> None:
        error = RuntimeError("the pool is closed")
        error.__cause__ = sqlite3.OperationalError('no such column: "label"')
        text = self.shown(error)
        assert text.index('no such column: "label"') < text.index("direct cause") < text.index("is closed")

    def test_an_exception_that_nobody_awaited_is_told_without_its_values(self) -> None:
        """asyncio writes such an exception into the text of its message, parameters included."""
        from syncline.obs.logging import configure

        root = logging.getLogger()
        before = (root.handlers[:], root.level)
        stream = StringIO()
        try:
            configure(stream=stream)
            logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <%s>", CANARY)
        finally:
            root.handlers[:], root.level = before
        assert json.loads(stream.getvalue())["event"] == "Task exception was never retrieved"
