"""`syncline import` and `syncline mirror`: files, sources, and a comparison with the old service."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from syncline.cli.import_files import chunks
from tests.cli.shell import Shell
from tests.support.databases import PostgresDatabases, SqliteDatabases
from tests.support.live import Live, serving
from tests.support.waiting import wait_until_sync

ROOT = Path(__file__).resolve().parents[2]
USERS = """id,directory_id,scim_id,user_name,email,first_name,last_name,active,department
u-1,{directory},,mira@northwind.example,mira@northwind.example,Mira,Voss,true,Dispatch
u-2,{directory},,rohan@northwind.example,rohan@northwind.example,Rohan,Mehta,yes,
"""
GROUPS = "id,directory_id,display_name\ng-1,{directory},Dispatch\ng-2,{directory},Company\n"
MEMBERSHIPS = """directory_id,group_id,user_id,member_group_id
{directory},g-1,u-1,
{directory},g-1,u-2,
{directory},g-2,u-1,
{directory},g-2,,g-1
"""


def written(shell: Shell) -> list[str]:
    """CSV files of two people and a group of the shell's own directory."""
    names = []
    for name, text in (("memberships", MEMBERSHIPS), ("users", USERS), ("groups", GROUPS)):
        path = shell.folder / f"{name}.csv"
        path.write_text(text.format(directory=shell.tenant.directory_id))
        names.append(str(path))
    return names


def people(shell: Shell) -> list[str]:
    listed = shell.api("GET", f"/directory_users?directory={shell.tenant.directory_id}")["data"]
    return sorted(one["email"] for one in listed)


def test_csv_files_are_taken_in_in_the_right_order(shell: Shell) -> None:
    report = shell.folder / "report.ndjson"
    done = shell.run("import", "files", *written(shell), "--report", str(report))
    assert done.code == 0, done.err
    assert "users: 2 created" in done.out
    assert "memberships: 4 created" in done.out
    assert people(shell) == ["mira@northwind.example", "rohan@northwind.example"]
    told = [json.loads(line) for line in report.read_text().splitlines()]
    assert [one["source_id"] for one in told] == ["u-1", "u-2", "g-1", "g-2", "g-1", "g-2"]
    assert all(one["id"].startswith("directory_") for one in told)
    again = shell.run("import", "files", *written(shell))
    assert "created" not in again.out.replace("not created", "")


def test_an_import_goes_on_after_the_last_record_that_was_taken_in(shell: Shell) -> None:
    begun = shell.api("POST", "/imports", {"source": "records"})["id"]
    file = shell.folder / "people.ndjson"
    directory = shell.tenant.directory_id
    rows = [
        {
            "type": "user",
            "id": f"u-{n}",
            "directory_id": directory,
            "resource": {"userName": f"p{n}@x.example"},
        }
        for n in range(3)
    ]
    file.write_text("".join(json.dumps(row) + "\n\n" for row in rows))
    shell.api("POST", f"/imports/{begun}/records", {"first": 1, "records": rows[:2]})
    done = shell.run("import", "files", str(file), "--resume", begun, "--json")
    assert (done.code, done.records[0]["id"], done.records[0]["state"]) == (0, begun, "complete")
    assert done.records[0]["counts"] == {"users": {"created": 3}}


def test_files_are_cut_into_parts_that_a_call_takes() -> None:
    found = [{"id": number, "text": "x" * 100_000} for number in range(1, 21)]
    parts = list(chunks(iter(found), 4))
    assert [record["id"] for _, part in parts for record in part] == list(range(4, 21))
    assert [start for start, _ in parts] == [part[0]["id"] for _, part in parts]
    assert all(len(json.dumps(part)) < 1024 * 1024 for _, part in parts)


def test_what_is_wrong_with_a_file_is_said_in_one_line(shell: Shell) -> None:
    folder = shell.folder
    for name, text, said in (
        ("people.txt", "", "is no file of an import"),
        ("a.ndjson", "{", "a.ndjson, line 1: this is no JSON"),
        ("b.ndjson", "\n[]", "b.ndjson, line 2: a record is a JSON object"),
        ("users.csv", "id,shoe_size\nu,43\n", "users.csv, line 2: There is no column 'shoe_size'"),
        ("users.csv", "id,active\nu,perhaps\n", "users.csv, line 2: active must be true or false"),
        ("groups.csv", "id\ng,1\n", "groups.csv, line 2: more cells than columns"),
    ):
        (folder / name).write_text(text)
        done = shell.run("import", "files", str(folder / name))
        assert (done.code, said in done.complaint) in ((2, True), (1, True)), (name, done.err)
    assert "There is no file" in shell.run("import", "files", str(folder / "none.ndjson")).complaint
    assert "no id of an import" in shell.run("import", "status", "import/../keys").complaint


def test_a_refused_record_makes_the_command_fail_and_is_named(shell: Shell) -> None:
    file = shell.folder / "people.ndjson"
    file.write_text(json.dumps({"type": "user", "id": "u-1", "directory_id": "gone", "resource": {}}))
    done = shell.run("import", "files", str(file))
    assert done.code == 1
    assert "directory_missing" in done.out


@pytest.fixture(scope="module")
def old(sqlite_databases: SqliteDatabases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Another Syncline, which plays the service that is left."""
    with capture_logs(), serving(sqlite_databases.migrated(tmp_path_factory.mktemp("old"))) as running:
        yield running


def test_a_source_is_read_to_its_end_while_the_command_waits(shell: Shell, old: Live) -> None:
    source = old.tenant(f"source {shell.tenant.environment_id}")
    headers = {"Authorization": f"Bearer {source.scim_token}"}
    address = f"{old.url}/scim/v2/{source.directory_key}/Users"
    assert httpx.post(address, json={"userName": "mira@x.example"}, headers=headers).status_code == 201
    key = shell.folder / "key"
    key.write_text(source.api_key)
    done = shell.run("import", "workos", "--source-url", old.url, "--source-key-file", str(key), "--json")
    assert done.code == 0, done.err
    assert done.records[0]["state"] == "complete"
    assert done.records[0]["counts"]["users"] == {"created": 1}
    shown = shell.run("import", "status", done.records[0]["id"])
    assert "complete" in shown.out
    assert source.api_key not in shown.out


def block(page: str, language: str, beginning: str) -> str:
    """Return a fenced block of a guide."""
    text = (ROOT / "docs/guides" / page).read_text("utf-8")
    return next(
        str(found)
        for found in re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        if found.startswith(beginning)
    )


def test_the_records_of_the_guide_are_taken_in(shell: Shell) -> None:
    file = shell.folder / "guide.ndjson"
    file.write_text(block("import-format.md", "text", '{"type"'))
    done = shell.run("import", "files", str(file), "--json")
    assert done.code == 0, done.out
    assert {kind: counts["created"] for kind, counts in done.records[0]["counts"].items()} == {
        "organizations": 1,
        "directories": 1,
        "users": 1,
        "groups": 2,
        "memberships": 2,
    }


def test_the_script_of_a_guide_writes_what_its_provider_can_go_on_with(shell: Shell) -> None:
    """Rows as the tables of SSOReady hold them, with a token known by the digest of its bytes."""
    raw = bytes(range(16))
    owner, home, mira, team = (str(uuid.UUID(int=number)) for number in (7, 8, 9, 10))
    address = "https://auth.example/v1/scim/scim_directory_0000000000000000000000008"
    tables: dict[str, dict[str, object]] = {
        "organizations": {"id": owner, "external_id": "cust-9", "domains": ["moved.example"]},
        "directories": {
            "id": home,
            "organization_id": owner,
            "scim_base_url": address,
            "digest": hashlib.sha256(raw).hexdigest(),
        },
        "users": {
            "id": mira,
            "scim_directory_id": home,
            "email": "mira@moved.example",
            "attributes": {"title": "Planner"},
        },
        "groups": {"id": team, "scim_directory_id": home, "display_name": "Dispatch", "attributes": None},
        "memberships": {"scim_directory_id": home, "scim_user_id": mira, "scim_group_id": team},
    }
    for name, row in tables.items():
        (shell.folder / f"{name}.hex").write_text(json.dumps(row).encode().hex() + "\n")
    script = block("move-from-ssoready.md", "python", "import json")
    written = subprocess.run(
        [sys.executable, "-c", script], cwd=shell.folder, capture_output=True, text=True, check=True
    )
    file = shell.folder / "ssoready.ndjson"
    file.write_text(written.stdout)
    assert shell.run("import", "files", str(file)).code == 0
    number, digits = int.from_bytes(raw, "big"), ""
    for _ in range(25):
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    path = address.removeprefix("https://auth.example")
    headers = {"Authorization": f"Bearer ssoready_scim_bearer_token_{digits}"}
    person = httpx.get(
        f"{shell.live.url}{path}/Users/scim_user_0000000000000000000000009", headers=headers
    ).json()
    assert (person["userName"], person["title"]) == ("mira@moved.example", "Planner")
    assert [one["value"] for one in person["groups"]] == ["scim_group_000000000000000000000000a"]


POLIS = {
    "dsync:config:1": {
        "id": "7b1c9d3e-0001",
        "name": "Moved Okta",
        "tenant": "moved.example",
        "product": "app",
        "type": "okta-scim-v2",
        "scim": {"path": "/api/scim/v2.0/7b1c9d3e-0001", "secret": "the-secret-of-a-directory"},
    },
    "dsync:config:2": {
        "id": "7b1c9d3e-0002",
        "name": "Pulled",
        "tenant": "pulled.example",
        "product": "app",
        "type": "google",
    },
    "dsync:users:moved.example:app:5d0f5d3e-0001": {
        "id": "5d0f5d3e-0001",
        "active": True,
        "raw": {"userName": "mira@moved.example", "title": 'Planner "night" \\ ö'},
    },
    "dsync:users:pulled.example:app:5d0f5d3e-0002": {
        "id": "5d0f5d3e-0002",
        "active": True,
        "raw": {"userName": "rohan@pulled.example"},
    },
    "dsync:groups:moved.example:app:9b1deb4d-0001": {"id": "9b1deb4d-0001", "name": "Dispatch", "raw": {}},
    "dsync:members:moved.example:app:1": {"group_id": "9b1deb4d-0001", "user_id": "5d0f5d3e-0001"},
}


async def exported(url: str, statements: str) -> str:
    """Return what the statements of a guide write, over rows as the tables of Polis hold them."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "CREATE TABLE jackson_store (key text, value text, iv text, tag text,"
            " \"createdAt\" timestamp DEFAULT '2024-02-03 04:05:06')"
        )
        rows = [(key, json.dumps(value)) for key, value in POLIS.items()]
        await connection.executemany("INSERT INTO jackson_store (key, value) VALUES ($1, $2)", rows)
        written = io.BytesIO()
        for query in re.findall(r"^\\copy \((.*)\) TO '[a-z-]+\.txt'$", statements, re.MULTILINE):
            await connection.copy_from_query(query, output=written)
    finally:
        await connection.close()
    # As the guide does it with sed.
    return written.getvalue().decode().replace("\\\\", "\\")


def test_the_statements_of_a_guide_write_what_its_provider_can_go_on_with(
    shell: Shell, postgres_databases: PostgresDatabases
) -> None:
    file = shell.folder / "polis.ndjson"
    with postgres_databases.empty() as url:
        file.write_text(asyncio.run(exported(url, block("move-from-polis.md", "sql", "\\copy"))))
    done = shell.run("import", "files", str(file))
    # A directory that is pulled is not left out in silence.
    assert done.code == 1
    assert "directories: 1 created, 1 refused" in done.out
    assert "no connector" in done.out
    assert "users: 1 created, 1 refused" in done.out
    headers = {"Authorization": "Bearer the-secret-of-a-directory"}
    address = f"{shell.live.url}/api/scim/v2.0/7b1c9d3e-0001/Users/5d0f5d3e-0001"
    person = httpx.get(address, headers=headers).json()
    assert (person["userName"], person["title"]) == ("mira@moved.example", 'Planner "night" \\ ö')
    assert person["meta"]["created"] == "2024-02-03T04:05:06.000Z"
    assert [one["value"] for one in person["groups"]] == ["9b1deb4d-0001"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_mirror_gives_the_old_answers_and_tells_how_ours_differ(shell: Shell, old: Live) -> None:
    source = old.tenant(f"mirrored {shell.tenant.environment_id}")
    base = f"/scim/v2/{source.directory_key}"
    old_headers = {"Authorization": f"Bearer {source.scim_token}"}
    # The old service knows somebody of whom Syncline has never heard.
    early = httpx.post(
        f"{old.url}{base}/Users", json={"userName": "early@secret.example"}, headers=old_headers
    ).json()["id"]
    token = shell.folder / "token"
    token.write_text(shell.tenant.scim_token)
    port = _free_port()
    arguments = (
        "mirror",
        "--upstream",
        f"{old.url}{base}",
        "--directory",
        shell.tenant.directory_id,
        "--port",
        str(port),
        "--token-file",
        str(token),
        "--json",
    )
    with shell.start(*arguments) as running:
        proxy = httpx.Client(base_url=f"http://127.0.0.1:{port}{base}", headers=old_headers, timeout=30)

        def answers() -> bool:
            try:
                return proxy.get("/Schemas").status_code == 200
            except httpx.TransportError:
                return False

        wait_until_sync(answers, reason="the mirror to listen", deadline=30)
        mira = proxy.post("/Users", json={"userName": "mira@secret.example", "title": "Planner"})
        assert mira.status_code == 201
        direct = httpx.get(f"{old.url}{base}/Users/{mira.json()['id']}", headers=old_headers)
        through = proxy.get(f"/Users/{mira.json()['id']}")
        assert (through.content, through.headers["etag"]) == (direct.content, direct.headers["etag"])
        group = proxy.post(
            "/Groups", json={"displayName": "Secret", "members": [{"value": mira.json()["id"]}]}
        )
        assert group.status_code == 201
        removal = {"Operations": [{"op": "remove", "path": f'members[value eq "{mira.json()["id"]}"]'}]}
        assert proxy.patch(f"/Groups/{group.json()['id']}", json=removal).json()["members"] == []
        assert proxy.get('/Users?filter=userName eq "early@secret.example"').json()["totalResults"] == 1
        assert proxy.delete(f"/Users/{early}").status_code == 204
        assert proxy.get(f"/Users/{early}").status_code == 404

        def group_is_here() -> bool:
            listed = httpx.get(
                f"{shell.live.url}/scim/v2/{shell.tenant.directory_key}/Groups",
                headers={"Authorization": f"Bearer {shell.tenant.scim_token}"},
            ).json()["Resources"]
            return len(listed) == 1 and listed[0]["members"] == []

        wait_until_sync(group_is_here, reason="what passed the mirror to reach Syncline", deadline=30)
        running.process.send_signal(signal.SIGINT)
        code = running.process.wait(30)
    printed = running.output()
    assert code == 1, printed
    report = json.loads(printed.splitlines()[-1])
    differences = {one["difference"] for one in report["differences"]}
    assert "GET /Users?filter=userName eq: totalResults, Resources" in {
        text.replace("Resources, totalResults", "totalResults, Resources") for text in differences
    }
    assert "DELETE /Users/{id}: the old service answers 204, Syncline 404" in differences
    assert len(differences) == 2, differences
    assert report["compared"] == report["equal"] + 2
    for secret in ("secret", early, shell.tenant.scim_token, source.scim_token):
        assert secret not in printed


def test_the_mirror_wants_an_address_and_a_directory(shell: Shell) -> None:
    wrong = shell.run("mirror", "--upstream", "old.example", "--directory", shell.tenant.directory_id)
    assert "--upstream must be an address" in wrong.complaint
    nobody = shell.run("mirror", "--upstream", "https://old.example", "--directory", "../keys")
    assert "is no id of a directory" in nobody.complaint
