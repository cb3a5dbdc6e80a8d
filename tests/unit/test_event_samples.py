"""The made-up events of tests: one for every type, as real as the official SDK can tell."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from workos import WorkOSClient

from syncline.core.envelope import envelope
from syncline.core.event_samples import NoSample, sample
from syncline.core.events import CATALOG, OWN_PREFIX
from syncline.core.json import parse_json, stringify
from syncline.core.signing import new_endpoint_secret, workos_signature

NOW = datetime(2026, 3, 2, 8, 21, 44, tzinfo=UTC)
ID = "event_01KA0Z3W8M6Q4T2R9X7V5B3N1A"


@pytest.mark.parametrize("name", CATALOG)
def test_every_type_has_one_that_the_official_sdk_reads(name: str) -> None:
    body = envelope(ID, name, sample(name, NOW).text(), NOW, None, None, None)
    assert stringify(parse_json(body)).encode() == body
    secret = new_endpoint_secret(b"x" * 32)
    header = workos_signature(secret, int(time.time() * 1000), body)
    client = WorkOSClient(api_key="sk_unused", client_id="client_any")
    read = client.webhooks.verify_event(event_body=body, event_signature=header, secret=secret)
    # Types of our own are none of the vendor's: its SDK hands them over as they are.
    assert (type(read).__name__ == "EventSchemaUnknown") is name.startswith(OWN_PREFIX)


def test_a_change_shows_what_was_before() -> None:
    data = json.loads(sample("dsync.user.updated", NOW).text())
    assert data["previous_attributes"] == {"job_title": "Trainee"}


@pytest.mark.parametrize("name", ["user.created", "nothing.known"])
def test_what_is_never_emitted_has_none(name: str) -> None:
    with pytest.raises(NoSample):
        sample(name, NOW)
