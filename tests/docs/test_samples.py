"""The samples that pages show, and the README's, work against a real Syncline as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from scripts.docs_site.directives import samples_in
from syncline.core.signing import workos_signature
from tests.docs.conftest import SAMPLES, Running
from tests.docs.sessions import ROOT
from tests.support.waiting import wait_until_sync

pytestmark = pytest.mark.e2e
USER_CREATED = "dsync.user.created"
LANGUAGES = [
    pytest.param("py", id="python"),
    pytest.param("mjs", id="node", marks=pytest.mark.node),
]


@dataclass(frozen=True, slots=True)
class World:
    """An environment of the running Syncline with one directory, and a folder to work in."""

    running: Running
    folder: Path
    variables: dict[str, str]
    directory: str
    scim: str
    token: str

    def api(self, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.variables['SYNCLINE_API_KEY']}"}
        return httpx.request(method, self.running.live.url + path, json=body, headers=headers)

    def push(self, path: str, body: object) -> str:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.post(self.scim + path, json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def command(self, sample: str, *arguments: str) -> list[str]:
        program = sys.executable if sample.endswith(".py") else "node"
        return [program, str(self.folder / sample), *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "PYTHONUNBUFFERED": "1", **self.variables, **more}


@pytest.fixture
def world(running: Running, tmp_path: Path, request: pytest.FixtureRequest) -> World:
    is_node = request.node.get_closest_marker("node") is not None
    if is_node:
        (tmp_path / "node_modules").symlink_to(request.getfixturevalue("node_sdk") / "node_modules")
    for sample in SAMPLES.iterdir():
        if sample.is_file():
            (tmp_path / sample.name).write_bytes(sample.read_bytes())
    variables = running.variables(f"samples-{tmp_path.name}")
    headers = {"Authorization": f"Bearer {variables['SYNCLINE_API_KEY']}"}
    organization = httpx.post(
        f"{running.live.url}/organizations", json={"name": "Northwind"}, headers=headers
    ).json()
    body = {"organization_id": organization["id"], "name": "Northwind", "type": "generic scim v2.0"}
    directory = httpx.post(f"{running.live.url}/directories", json=body, headers=headers).json()
    scim = directory["scim"]
    return World(running, tmp_path, variables, directory["id"], scim["endpoint"], scim["bearer_token"])


class Program:
    """A sample that keeps running, and what it has printed."""

    def __init__(self, world: World, command: list[str], **variables: str) -> None:
        self._log = world.folder / "program.log"
        self._out = self._log.open("wb")
        self._process = subprocess.Popen(
            command,
            cwd=world.folder,
            env=world.environment(**variables),
            stdout=self._out,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)
        self._out.close()

    def lines(self) -> list[str]:
        return self._log.read_text("utf-8").splitlines()

    def await_line(self, pattern: str) -> None:
        wait_until_sync(lambda: any(re.fullmatch(pattern, line) for line in self.lines()), 20, reason=pattern)


def person(name: str) -> dict[str, object]:
    return {"userName": f"{name}@northwind.example", "active": True}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_receiver_takes_what_is_signed_once_and_nothing_else(world: World, language: str) -> None:
    address = f"http://127.0.0.1:{world.running.ports[9000]}/"
    made = world.api(
        "POST", "/webhook_endpoints", {"endpoint_url": address, "events": ["dsync.user.created"]}
    )
    secret = made.json()["secret"]
    with Program(world, world.command(f"receive_webhooks.{language}"), WEBHOOK_SECRET=secret) as program:
        program.await_line("listening on .*")
        world.push("/Users", person("mira"))
        program.await_line(r"dsync\.user\.created event_\w{26}")
        body = json.dumps({"id": "event_1", "event": "dsync.user.created"}).encode()
        now = int(time.time() * 1000)
        for header in ("", "t=1, v1=00", workos_signature(secret, now - 600_000, body)):
            refused = httpx.post(address, content=body, headers={"WorkOS-Signature": header})
            assert refused.status_code == 401, header
        forged = workos_signature(secret, now, body)
        assert (
            httpx.post(address, content=body + b" ", headers={"WorkOS-Signature": forged}).status_code == 401
        )
        for _ in range(2):
            taken = httpx.post(address, content=body, headers={"WorkOS-Signature": forged})
            assert taken.status_code == 204
        assert sum("event_1" in line.split() for line in program.lines()) == 1
    assert world.api("DELETE", f"/webhook_endpoints/{made.json()['id']}").status_code == 204


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_receiver_with_both_secrets_misses_nothing_while_the_secret_is_changed(
    world: World, language: str
) -> None:
    address = f"http://127.0.0.1:{world.running.ports[9000]}/"
    made = world.api("POST", "/webhook_endpoints", {"endpoint_url": address, "events": [USER_CREATED]}).json()
    endpoint = f"/webhook_endpoints/{made['id']}"
    rotated = world.api("POST", f"{endpoint}/rotate_secret", {}).json()
    both = f"{rotated['secret']} {made['secret']}"
    with Program(world, world.command(f"receive_webhooks.{language}"), WEBHOOK_SECRET=both) as program:
        program.await_line("listening on .*")
        during = world.api("POST", f"{endpoint}/test", {}).json()
        assert world.api("POST", f"{endpoint}/end_overlap").status_code == 200
        after = world.api("POST", f"{endpoint}/test", {}).json()
        assert (during["status"], after["status"]) == (204, 204)
        taken = [line.split() for line in program.lines()[1:]]
        assert taken == [[USER_CREATED, during["event_id"]], [USER_CREATED, after["event_id"]]]
    assert world.api("DELETE", endpoint).status_code == 204


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as an endpoint gets it during a rotation; `secrets` are the new and the old one."""

    event_id: str
    headers: dict[str, str]
    body: bytes
    secrets: tuple[str, str]


@pytest.fixture
def sent(world: World) -> Sent:
    caught: list[tuple[dict[str, str], bytes]] = []

    class Catcher(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            caught.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", world.running.ports[9000]), Catcher)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/"
        wish = {"endpoint_url": address, "events": [USER_CREATED]}
        made = world.api("POST", "/webhook_endpoints", wish).json()
        rotated = world.api("POST", f"/webhook_endpoints/{made['id']}/rotate_secret", {}).json()
        attempt = world.api("POST", f"/webhook_endpoints/{made['id']}/test", {}).json()
        assert attempt["outcome"] == "success", attempt
        world.api("DELETE", f"/webhook_endpoints/{made['id']}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
    [(headers, body)] = caught
    return Sent(attempt["event_id"], headers, body, (rotated["secret"], made["secret"]))


@pytest.mark.parametrize("language", LANGUAGES)
def test_standard_webhooks_verify_with_either_secret_during_a_rotation(
    world: World, language: str, sent: Sent
) -> None:
    headers = json.dumps({name: value for name, value in sent.headers.items() if name.startswith("webhook-")})

    def verify(body: bytes, secret: str) -> subprocess.CompletedProcess[bytes]:
        command = world.command(f"verify_standard.{language}", headers, secret)
        return subprocess.run(command, cwd=world.folder, input=body, capture_output=True, check=False)

    for secret in sent.secrets:
        done = verify(sent.body, secret)
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode().split() == [USER_CREATED, sent.event_id]
    assert verify(sent.body.replace(b"mira", b"eve"), sent.secrets[0]).returncode != 0
    assert verify(sent.body, "whsec_" + "c3luY2xpbmU=" * 3).returncode != 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_events_are_applied_once_and_never_over_newer_ones(world: World, language: str) -> None:
    mira = world.push("/Users", person("mira"))
    group = world.push("/Groups", {"displayName": "Dispatch", "members": [{"value": mira}]})
    headers = {"Authorization": f"Bearer {world.token}"}
    assert httpx.delete(f"{world.scim}/Groups/{group}", headers=headers).status_code == 204
    assert httpx.delete(f"{world.scim}/Users/{mira}", headers=headers).status_code == 204

    def listed() -> list[dict[str, object]]:
        names = ("user.created", "group.created", "group.user_added", "group.deleted", "user.deleted")
        types = ",".join(f"dsync.{name}" for name in names)
        found: list[dict[str, object]] = world.api("GET", f"/events?events={types}").json()["data"]
        return found

    wait_until_sync(lambda: len(listed()) == 5, 20, reason="five events")
    made, grouped, joined, ungrouped, left = listed()
    # Each again, and what was taken late: the person's beginning after the end, which is known already.
    played = [made, made, joined, ungrouped, grouped, left, joined, left]
    done = subprocess.run(
        world.command(f"apply_in_order.{language}"),
        input="".join(f"{json.dumps(event)}\n" for event in played).encode(),
        cwd=world.folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.decode().splitlines()] == [
        "applied",
        "skipped",
        "applied",
        "applied",
        "skipped",
        "applied",
        "skipped",
        "skipped",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_follower_deals_with_every_event_once_and_goes_on_where_it_was(
    world: World, language: str
) -> None:
    command = world.command(f"follow_events.{language}")
    with Program(world, command) as program:
        program.await_line(r"dsync\.token\.created event_\w{26}")
        assert [line.split()[0] for line in program.lines()][:1] == ["organization.created"]
    world.push("/Users", person("mira"))
    with Program(world, command) as program:
        program.await_line(r"dsync\.user\.created event_\w{26}")
        assert [line.split()[0] for line in program.lines()] == ["dsync.activated", "dsync.user.created"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_official_sdk_reads_people_and_events(world: World, language: str) -> None:
    mira = world.push("/Users", person("mira"))
    world.push("/Groups", {"displayName": "Dispatch", "members": [{"value": mira}]})
    done = subprocess.run(
        world.command(f"official_sdk.{language}", world.directory),
        cwd=world.folder,
        env=world.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["active mira@northwind.example", "dsync.group.created Dispatch", ""]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_official_sdk_verifies_a_webhook(world: World, language: str) -> None:
    world.push("/Users", person("mira"))
    listed = world.api("GET", "/events?events=dsync.user.created").json()["data"][0]
    body = json.dumps(listed, ensure_ascii=False, separators=(",", ":")).encode()
    secret = "whsec_" + "c3luY2xpbmU=" * 3
    header = workos_signature(secret, int(time.time() * 1000), body)
    done = subprocess.run(
        world.command(f"verify_with_sdk.{language}", header, secret),
        cwd=world.folder,
        env=world.environment(),
        input=body,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split() == ["dsync.user.created", "mira@northwind.example"]


def test_every_sample_is_shown_on_a_page() -> None:
    shown = {name for page in (ROOT / "docs").rglob("*.md") for name in samples_in(page.read_text("utf-8"))}
    assert shown == {path.name for path in SAMPLES.iterdir() if path.is_file()}


@pytest.fixture
def readme_values(world: World) -> dict[str, str]:
    """What a reader puts in the place of the README's ellipses: a key, a directory, a signed request."""
    world.push("/Users", person("mira"))
    event = world.api("GET", "/events?events=dsync.user.created").json()["data"][0]
    secret = "whsec_" + "c3luY2xpbmU=" * 3
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return {
        "sk_…": world.variables["SYNCLINE_API_KEY"],
        "directory_01K…": world.directory,
        "whsec_…": secret,
        "localhost": "127.0.0.1",
        "8000": str(world.running.ports[8000]),
        "body": body,
        "header": workos_signature(secret, int(time.time() * 1000), body.encode()),
    }


def _block(language: str) -> str:
    [block] = re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    return str(block)


def _filled(text: str, values: dict[str, str]) -> str:
    for shown in ("sk_…", "directory_01K…", "whsec_…", "localhost", "8000"):
        text = text.replace(shown, values[shown])
    assert "…" not in text
    return text


def test_the_readmes_python(world: World, readme_values: dict[str, str]) -> None:
    given = f"request_body = {readme_values['body']!r}\n"
    given += f"headers = {{'WorkOS-Signature': {readme_values['header']!r}}}\n"
    program = given + _filled(_block("python"), readme_values) + "\nprint(event.event)\n"
    person_line, event_line = _run([sys.executable, "-c", program], world)
    assert person_line.startswith("mira@northwind.example ")
    assert event_line == "dsync.user.created"


@pytest.mark.node
def test_the_readmes_javascript(world: World, readme_values: dict[str, str]) -> None:
    given = f"const body = {json.dumps(readme_values['body'])};\n"
    given += f"const headers = {{'workos-signature': {json.dumps(readme_values['header'])}}};\n"
    ending = "\nconsole.log(users.length, users[0].email);\nconsole.log(event.event);\n"
    file = world.folder / "readme.mjs"
    file.write_text(given + _filled(_block("js"), readme_values) + ending, encoding="utf-8")
    assert _run(["node", str(file)], world) == ["1 mira@northwind.example", "dsync.user.created"]


def _run(command: list[str], world: World) -> list[str]:
    done = subprocess.run(
        command,
        cwd=world.folder,
        env=world.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
