"""The event envelope: one text for the Events API and for webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from syncline.core.envelope import envelope
from syncline.core.json import stringify

AT = datetime(2026, 3, 2, 8, 21, 44, 10_999, UTC)
ID = "event_01KA0Z3W8M6Q4T2R9X7V5B3N1A"


def test_an_event_of_a_directory_caused_by_an_api_call() -> None:
    body = envelope(ID, "dsync.deleted", '{"id":"d"}', AT, '{"id":"key_7","source":"api","name":null}', 12, 3)
    assert body.decode() == (
        '{"object":"event","id":"event_01KA0Z3W8M6Q4T2R9X7V5B3N1A","event":"dsync.deleted","data":{"id":"d"},'
        '"created_at":"2026-03-02T08:21:44.010Z",'
        '"context":{"actor":{"id":"key_7","source":"api","name":null},"sequence":12,"directory_sequence":3}}'
    )


def test_an_event_of_the_environment_has_no_directory_sequence() -> None:
    body = json.loads(envelope(ID, "organization.created", "{}", AT, None, 1, None))
    assert body["context"] == {"sequence": 1}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False, width=32))
def test_the_stored_body_goes_in_byte_for_byte(text: str, number: float) -> None:
    if number in (float("inf"), float("-inf")):
        number = 1e21
    stored = stringify({"7": number, "text": text, "empty": []})
    body = envelope(ID, "dsync.user.updated", stored, AT, None, 1, 1)
    assert f'"data":{stored},"created_at"'.encode() in body


def test_a_test_stands_in_no_log_and_says_so() -> None:
    body = json.loads(envelope(ID, "dsync.deleted", "{}", AT, None, None, None))
    assert body["context"] == {"test": True}
