"""`syncline webhooks verify` says what exactly is wrong with a received request."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncline import cli
from syncline.cli.webhooks_verify import Finding, Received, findings
from syncline.core.json import stringify
from syncline.core.signing import new_endpoint_secret, standard_headers, workos_signature

SECRET = new_endpoint_secret(b"0123456789abcdef0123456789abcdef")
OTHER = new_endpoint_secret(b"another secret of 32 bytes......")
NOW_MS = 1_790_000_000_000
EVENT: dict[str, Any] = {
    "object": "event",
    "id": "event_01KA0Z3W8M6Q4T2R9X7V5B3N1A",
    "event": "dsync.user.created",
    "data": {"email": "mira.voss@northwind.example", "first_name": "Mira", "last_name": "Voß"},
}
BODY = stringify(EVENT).encode()


def sent(body: bytes = BODY, secret: str = SECRET, at_ms: int = NOW_MS) -> Received:
    """A request as Syncline sends it."""
    headers = standard_headers([secret], str(EVENT["id"]), at_ms // 1000, body)
    headers["workos-signature"] = workos_signature(secret, at_ms, body)
    return Received(headers, body, NOW_MS)


def problems(received: Received, *secrets: str) -> list[str | None]:
    return [one.problem for one in findings(received, secrets or (SECRET,))]


def without(received: Received, *names: str) -> Received:
    return replace(received, headers={k: v for k, v in received.headers.items() if k not in names})


def test_a_request_as_it_was_sent_is_right_in_both_families() -> None:
    assert problems(sent()) == [None, None]
    assert problems(sent(), OTHER, SECRET) == [None, None]
    assert problems(without(sent(), "workos-signature")) == [None]


@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_time_that_is_too_far_away_is_named_and_nothing_else(minutes: int) -> None:
    received = sent(at_ms=NOW_MS + minutes * 60_000)
    found = list(findings(received, [SECRET]))
    assert [one.problem for one in found] == ["timestamp", "timestamp"]
    assert all("20 minutes" in one.text and "are right" in one.text for one in found)


def test_times_in_the_wrong_unit_are_named() -> None:
    received = sent()
    seconds = NOW_MS // 1000
    headers = {
        **received.headers,
        "workos-signature": workos_signature(SECRET, seconds, BODY),
        "webhook-timestamp": str(NOW_MS),
    }
    found = list(findings(replace(received, headers=headers), [SECRET]))
    assert [one.problem for one in found] == ["timestamp", "timestamp"]
    assert "milliseconds" in found[0].text
    assert "seconds" in found[1].text


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (SECRET + "\n", "line end"),
        (f'"{SECRET}"', "quotation marks"),
        (SECRET.removeprefix("whsec_"), "whsec_ belongs in front"),
    ],
)
def test_a_secret_that_was_copied_wrongly_is_named(given: str, says: str) -> None:
    [found] = findings(without(sent(), "webhook-id", "webhook-timestamp", "webhook-signature"), [given])
    assert found.problem == "secret"
    assert says in found.text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (BODY + b"\n", "line end"),
        (b"\xef\xbb\xbf" + BODY, "byte order mark"),
        (json.dumps(EVENT).encode(), "written anew"),
        (json.dumps(EVENT, indent=2, ensure_ascii=False).encode(), "written anew"),
        (BODY[:-9], "no JSON"),
        (b"", "no JSON"),
        (stringify(EVENT | {"id": "event_01KA0Z3W8M6Q4T2R9X7V5B3N1B"}).encode(), "headers are of"),
        (json.dumps(EVENT | {"event": "dsync.user.deleted"}).encode(), "written anew"),
    ],
)
def test_a_body_that_was_altered_is_named(body: bytes, says: str) -> None:
    found = list(findings(replace(sent(), body=body), [SECRET]))
    assert [one.problem for one in found] == ["body", "body"]
    assert all(says in one.text for one in found)


def test_another_secret_and_a_changed_value_cannot_be_told_apart_and_that_is_said() -> None:
    changed = replace(sent(), body=BODY.replace(b"Mira", b"Mara"))
    for received, secret in ((sent(), OTHER), (changed, SECRET)):
        found = list(findings(received, [secret]))
        assert [one.problem for one in found] == ["secret_or_body", "secret_or_body"]


@pytest.mark.parametrize("header", ["", "nonsense", "t=1,v1=2", "v1=00,t=1790000000000"])
def test_a_header_of_another_form_is_named(header: str) -> None:
    received = replace(sent(), headers={"workos-signature": header})
    assert problems(received) == ["header"]


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    received = without(sent(), "workos-signature", name)
    [found] = findings(received, [SECRET])
    assert found == Finding("Standard Webhooks", "header", f"The request has no {name}.")


def test_the_command_reads_files_and_headers_and_ends_with_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "body.json"
    path.write_bytes(BODY)
    received = sent()
    standard = [f"{name}: {value}" for name, value in received.headers.items() if name.startswith("webhook-")]
    headers = [part for text in standard for part in ("-H", text)]
    signature = received.headers["workos-signature"]
    at = ["--at", "2026-09-21T14:13:20Z"]

    def verify(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["syncline", "webhooks", "verify", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    base = ["--secret", SECRET, "--body", str(path)]
    code, out, _ = verify(*base, "--signature", signature, *headers, *at)
    assert (code, out.count("ok  ")) == (0, 2)
    code, out, _ = verify(*base, "--signature", signature, *headers, "--json")
    assert code == 1
    assert {json.loads(line)["problem"] for line in out.splitlines()} == {"timestamp"}
    code, _, err = verify(*base)
    assert code == 2
    assert "--signature" in err
    for wrong in (["--header", "nonsense"], ["--at", "noon"], ["--body", str(tmp_path / "nowhere")]):
        code, _, err = verify(*base, "--signature", signature, *wrong)
        assert code == 2
        assert wrong[0] in err
        assert len(err.splitlines()) == 1
