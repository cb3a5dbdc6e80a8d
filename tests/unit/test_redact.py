"""Logs and records carry no secrets, and lose nothing else."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncline.core.json import Json
from syncline.core.redact import (
    REDACTED,
    names_a_secret,
    redact_event,
    redact_headers,
    redact_json,
    redact_text,
    redact_url,
)
from syncline.core.signing import new_endpoint_secret

CANARY = "Zx9Qw7Ek3Rt5Yu1Io0PaSdFgHjKl"
TOKENS = [
    f"scim_{CANARY}",
    f"sk_test_{CANARY}",
    f"sk_{CANARY}",
    new_endpoint_secret(bytes(range(100, 132))),
    f"eyJhbGciOi.eyJzdWIi{CANARY}.{CANARY}",
    f"Bearer {CANARY}",
    f"basic {CANARY}==",
    f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
]


class TestKeys:
    @pytest.mark.parametrize(
        "key",
        [
            "password",
            "Password",
            "userPassword",
            "clientSecret",
            "client_secret",
            "CLIENT_SECRET",
            "clientsecret",
            "X-API-Key",
            "apiKey",
            "apikey",
            "accessToken",
            "access_token",
            "bearertoken",
            "refreshToken",
            "token",
            "secrets",
            "Authorization",
            "Set-Cookie",
            "privateKey",
            "session_id",
            "otp",
            "recoveryCodes",
            "credentials",
            "unicodePwd",
            "urn:ietf:params:scim:schemas:core:2.0:User:password",
        ],
    )
    def test_keys_that_hold_secrets(self, key: str) -> None:
        assert names_a_secret(key)

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "userName",
            "secretary",
            "token_id",
            "directory_token_id",
            "tokenType",
            "passwordLastSet",
            "tokenExpires",
            "footprint",
            "hotpink",
            "externalId",
            "event",
            "displayName",
            "tokenizer",
            "X-Request-ID",
            "département",
        ],
    )
    def test_keys_that_do_not(self, key: str) -> None:
        assert not names_a_secret(key)


class TestText:
    @pytest.mark.parametrize("token", TOKENS)
    def test_a_token_in_a_sentence_is_replaced_and_the_sentence_stays(self, token: str) -> None:
        shown = redact_text(f"before {token} after")
        assert CANARY not in shown
        assert token not in shown
        assert shown.startswith("before ")
        assert shown.endswith(" after")
        assert REDACTED in shown

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "Anna Sk_oog",
            "task_01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "directory_user_01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "scim_ok",
            "2026-01-15T12:00:00.000Z",
            "https://app.example.com/users?page=2",
            "mail anna@example.com",
            "Basic plan",
        ],
    )
    def test_ordinary_text_stays(self, text: str) -> None:
        assert redact_text(text) == text

    def test_a_password_in_an_address_is_replaced(self) -> None:
        assert redact_text(f"postgresql://app:{CANARY}@db/x") == f"postgresql://{REDACTED}@db/x"

    @pytest.mark.parametrize(
        "unit", ["eyJ-", "Bearer ", "://a:", ":", "sk_", "-----BEGIN ", "token=", "A", "://" + ":" * 50]
    )
    def test_hostile_text_costs_linear_time(self, unit: str) -> None:
        started = time.perf_counter()
        redact_text(unit * (200_000 // len(unit)))
        # Ten times what it takes: quadratic time would be a thousand times.
        assert time.perf_counter() - started < 10


class TestHeaders:
    def test_what_authenticates_is_replaced_and_the_rest_stays(self) -> None:
        shown = redact_headers(
            {
                "Authorization": f"Bearer {CANARY}",
                "Cookie": f"a={CANARY}",
                "X-Api-Key": CANARY,
                "Content-Type": "application/scim+json",
                "User-Agent": "Okta SCIM Client 1.0.0",
            }
        )
        assert CANARY not in str(shown)
        assert shown["content-type"] == "application/scim+json"
        assert shown["user-agent"] == "Okta SCIM Client 1.0.0"
        assert shown["authorization"] == REDACTED

    def test_a_repeated_header_keeps_all_its_values(self) -> None:
        assert redact_headers([("Accept", "a"), ("accept", "b")]) == {"accept": "a, b"}


class TestAddresses:
    def test_secrets_in_query_user_info_and_fragment_are_taken_out(self) -> None:
        shown = redact_url(
            f"https://user:{CANARY}@host.example:8443/p?token={CANARY}&page=2&apiKey={CANARY}#{CANARY}"
        )
        assert CANARY not in shown
        assert shown == f"https://host.example:8443/p?token={REDACTED}&page=2&apiKey={REDACTED}"

    def test_an_ordinary_address_stays(self) -> None:
        assert (
            redact_url("/scim/v2/Users?filter=userName%20eq%20%22a%22")
            == "/scim/v2/Users?filter=userName%20eq%20%22a%22"
        )

    @given(st.text(max_size=60))
    def test_any_text_is_shown_or_replaced(self, text: str) -> None:
        assert isinstance(redact_url(text), str)
        assert isinstance(redact_url(f"https://{text}"), str)


class TestBodies:
    def test_passwords_go_and_everything_else_stays(self) -> None:
        body: Json = {
            "userName": "anna",
            "password": CANARY,
            "active": True,
            "emails": [{"value": "a@example.com"}],
            "n": None,
        }
        shown = redact_json(body)
        assert shown == {
            "userName": "anna",
            "password": REDACTED,
            "active": True,
            "emails": [{"value": "a@example.com"}],
            "n": None,
        }
        assert isinstance(body, dict)
        assert body["password"] == CANARY

    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "replace", "path": "password", "value": CANARY},
            {"op": "Replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:password", "value": CANARY},
            {"op": "add", "value": {"password": CANARY}},
            {"op": "add", "value": {"urn:ietf:params:scim:schemas:core:2.0:User:password": CANARY}},
            {"op": "add", "path": "password", "value": [{"value": CANARY}]},
        ],
    )
    def test_operations_on_passwords_lose_their_value(self, operation: Json) -> None:
        shown = json.dumps(redact_json({"Operations": [operation]}))
        assert CANARY not in shown
        assert '"op"' in shown

    def test_other_operations_stay(self) -> None:
        operation: Json = {"op": "replace", "path": "displayName", "value": "Secret Santa"}
        assert redact_json([operation]) == [operation]


class TestLogLines:
    def test_a_line_has_no_secret_no_body_and_no_bytes(self) -> None:
        shown = redact_event(
            {
                "event": "delivery.failed",
                "token": CANARY,
                "headers": {"authorization": CANARY, "accept": "*/*"},
                "body": {"userName": CANARY},
                "payload": CANARY,
                "chunk": CANARY.encode(),
                "error": f"refused Bearer {CANARY}",
                "list": [f"sk_{CANARY}"],
                "problem": ValueError(f"scim_{CANARY}"),
                "count": 3,
                "tokens": 2,
                "user_id": "directory_user_1",
            }
        )
        assert CANARY not in str(shown)
        assert shown["event"] == "delivery.failed"
        assert shown["count"] == 3
        assert shown["tokens"] == 2
        assert shown["user_id"] == "directory_user_1"
        assert shown["chunk"] == f"[{len(CANARY)} bytes]"
