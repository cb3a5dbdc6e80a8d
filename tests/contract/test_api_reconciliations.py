"""Reconciling a roster over HTTP, as an app's program would (`api.md` §11)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.api import Api, api

CSV = {"content-type": "text/csv"}
LINES = {"content-type": "application/x-ndjson"}


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[Api]:
    async with api(database_url) as made:
        for name in ("mira", "ivo"):
            emails: Any = [{"value": f"{name}@northwind.example", "primary": True}]
            await made.world.user(name, externalId=f"ext-{name}", emails=emails, title="Planner")
        yield made


def place(here: Api) -> str:
    return f"/directories/{here.world.place.directory.id}"


async def test_a_csv_file_is_compared_at_once_and_its_findings_are_listed(here: Api) -> None:
    table = (
        "\ufeffApp_ID;email;job_title;active\r\n"
        '1;"MIRA@northwind.example";"Planner";true\r\n'
        '2;ivo@northwind.example;"Night\n shift";t\r\n'
        "3;stranger@northwind.example;;no\r\n"
    )
    answer = await here.call("POST", f"{place(here)}/reconcile", content=table.encode(), headers=CSV)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["state"], made["rows"]) == ("complete", 3)
    stale, extra = made["findings"]
    assert stale["class"] == "stale_profile"
    assert (stale["line"], stale["app_id"]) == (3, "2")
    assert stale["differences"] == [{"field": "job_title", "app": "Night\n shift", "directory": "Planner"}]
    assert (extra["class"], extra["line"]) == ("extra", 5)
    one = f"{place(here)}/reconciliations/{made['id']}"
    assert await here.get(one) == {key: value for key, value in made.items() if key != "findings"}
    assert (await here.get(f"{one}/findings"))["data"] == made["findings"]
    assert (await here.get(f"{one}/findings?class=extra"))["data"] == [extra]
    first = await here.get(f"{one}/findings?limit=1")
    assert first["data"] == [stale]
    rest = await here.get(f"{one}/findings?limit=1&after={first['list_metadata']['after']}")
    assert (rest["data"], rest["list_metadata"]["after"]) == ([extra], None)
    assert [found["id"] for found in (await here.get(f"{place(here)}/reconciliations"))["data"]] == [
        made["id"]
    ]


async def test_json_and_lines_say_the_same_as_a_table(here: Api) -> None:
    row = {"idp_id": "ext-mira", "job_title": "Trainee"}
    as_json = await here.call("POST", f"{place(here)}/reconcile", {"users": [row]})
    lines = b'{"idp_id":"ext-mira","job_title":"Trainee"}\n\n'
    as_lines = await here.call("POST", f"{place(here)}/reconcile", content=lines, headers=LINES)
    table = b"idp_id,job_title\next-mira,Trainee\n"
    as_table = await here.call("POST", f"{place(here)}/reconcile", content=table, headers=CSV)
    told = [
        [
            {key: value for key, value in finding.items() if key not in ("id", "line")}
            for finding in answer.json()["findings"]
        ]
        for answer in (as_json, as_lines, as_table)
    ]
    assert told[0] == told[1] == told[2]
    assert [finding["class"] for finding in told[0]] == ["missing", "stale_profile"]


async def test_a_correction_is_made_once_and_told(here: Api) -> None:
    made = (await here.call("POST", f"{place(here)}/reconcile", {"users": []})).json()
    one = f"{place(here)}/reconciliations/{made['id']}"
    for _ in range(2):
        answer = await here.call("POST", f"{one}/correct", {"class": "missing"})
        assert answer.status_code == 200, answer.text
        correction = answer.json()
        assert (await here.get(one))["corrections"] == [correction]
        assert (correction["class"], correction["state"], correction["emitted"]) == ("missing", "complete", 2)
    await here.world.services.sealer.seal_now(here.world.environment)
    events = (await here.get("/events?limit=100&order=desc"))["data"]
    ours = [event for event in events if event["context"].get("actor", {}).get("id") == made["id"]]
    assert [event["event"] for event in ours] == ["dsync.user.created"] * 2
    assert ours[0]["context"]["actor"]["name"] == "reconciliation"
    outcomes = [finding["outcome"] for finding in (await here.get(f"{one}/findings"))["data"]]
    assert outcomes == ["emitted", "emitted"]


async def test_a_large_roster_comes_in_calls_and_then_starts(here: Api) -> None:
    made = (await here.call("POST", f"{place(here)}/reconcile", {"upload": True})).json()
    assert made["state"] == "receiving"
    one = f"{place(here)}/reconciliations/{made['id']}"
    first = {"users": [{"email": "mira@northwind.example"}]}
    for _ in range(2):
        answer = await here.call("POST", f"{one}/rows?first_line=1", first)
        assert (answer.status_code, answer.json()["rows"]) == (200, 1)
    table = b"email\nivo@northwind.example\n"
    more = await here.call("POST", f"{one}/rows", content=table, headers=CSV)
    assert more.json()["rows"] == 2
    done = (await here.call("POST", f"{one}/start")).json()
    assert (done["state"], done["rows"], done["findings"]) == ("complete", 2, [])
    assert await here.refused(409, "POST", f"{one}/rows", first) == ["reconciliation_started"]
    assert (await here.call("DELETE", one)).status_code == 204
    await here.refused(404, "GET", one)


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        (b"", ["row_invalid"]),
        (b"mail,name\na@b.example,x\n", ["mail_unknown"]),
        (b"name\nMira\n", ["directory_user_id_required"]),
        (b"email,email\n", ["email_unknown"]),
        (b"email\nnobody\n\xff", ["row_invalid"]),
        (b"email,name\na@b.example\nb@b.example,x,y\n", ["row_invalid", "row_invalid"]),
        (b'email,name\na@b.example,"open\n', ["row_invalid"]),
        (b"email,active\na@b.example,maybe\nb@,yes\n", ["active_invalid", "email_invalid"]),
        (b"directory_user_id\n17\n", ["directory_user_id_invalid"]),
    ],
)
async def test_bad_tables_are_refused_by_line_and_leave_nothing(
    here: Api, table: bytes, codes: list[str]
) -> None:
    answer = await here.call("POST", f"{place(here)}/reconcile", content=table, headers=CSV)
    assert answer.status_code == 422, answer.text
    error = answer.json()
    assert error["code"] == "roster_invalid"
    assert [one["code"] for one in error["errors"]] == codes
    assert all(one["field"].startswith("rows[") for one in error["errors"])
    assert (await here.get(f"{place(here)}/reconciliations"))["data"] == []


async def test_calls_that_cannot_be_are_refused(here: Api) -> None:
    reconcile = f"{place(here)}/reconcile"
    for body in ({}, {"users": [], "upload": True}, {"users": [], "bearer_token": "x"}):
        code, *_ = await here.refused(422, "POST", reconcile, body)
        assert code == "validation_failed"
    assert (await here.refused(422, "POST", reconcile, {"url": "http://example.com/x"}))[0] == "invalid_url"
    assert "users_invalid" in await here.refused(422, "POST", reconcile, {"users": 7})
    assert "rows_unknown" in await here.refused(422, "POST", reconcile, {"rows": []})
    late = {"users": [], "taken_at": "2999-01-01T00:00:00Z"}
    assert "taken_at_invalid" in await here.refused(422, "POST", reconcile, late)
    one = f"{place(here)}/reconciliations/{(await here.call('POST', reconcile, {'users': []})).json()['id']}"
    for drift in ("extra", "ambiguous"):
        found = await here.refused(422, "POST", f"{one}/correct", {"class": drift})
        assert found[0] == "class_uncorrectable"
    assert "class_invalid" in await here.refused(422, "POST", f"{one}/correct", {"class": "all"})
    assert "class_required" in await here.refused(422, "POST", f"{one}/correct", {})
    assert "class_invalid" in await here.refused(422, "GET", f"{one}/findings?class=all")
    assert "after_invalid" in await here.refused(422, "GET", f"{one}/findings?after=event_1")
    assert "first_line_invalid" in await here.refused(422, "POST", f"{one}/rows?first_line=0", {"users": []})


async def test_a_key_that_may_only_read_reconciles_nothing(here: Api) -> None:
    key = await here.key(["read"])
    headers = {"authorization": f"Bearer {key}"}
    answer = await here.call("POST", f"{place(here)}/reconcile", {"users": []}, headers=headers)
    assert answer.status_code == 403
