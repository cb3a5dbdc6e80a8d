"""An event as CloudEvents 1.0: what the specification asks for, and the data as it is stored."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from syncline.core.cloudevents import cloud_event
from syncline.core.json import parse_json, stringify

BASE = "https://sync.example"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the log."""

    event_id: str = "event_01KA0Z3W8M6Q4T2R9X7V5B3N1A"
    type: str = "dsync.user.created"
    body: str = '{"7":1,"name":"Küche / \\"B\\""}'
    recorded_at: datetime = datetime(2026, 3, 2, 8, 21, 44, 10_999, UTC)
    actor: str | None = None
    position: int | None = 1042
    directory_sequence: int | None = 310
    organization_id: str | None = "org_1"
    directory_id: str | None = "directory_1"
    user_id: str | None = "directory_user_1"
    group_id: str | None = None


def test_an_event_of_a_directory_has_every_attribute() -> None:
    assert cloud_event(Row(), BASE).decode() == (
        '{"specversion":"1.0","id":"event_01KA0Z3W8M6Q4T2R9X7V5B3N1A",'
        '"source":"https://sync.example/directories/directory_1","type":"dsync.user.created",'
        '"subject":"directory_user_1","time":"2026-03-02T08:21:44.010Z",'
        '"datacontenttype":"application/json","sequence":"00000000000000001042",'
        '"directorysequence":"00000000000000000310","organizationid":"org_1","directoryid":"directory_1",'
        '"data":{"7":1,"name":"Küche / \\"B\\""}}'
    )


def test_an_event_of_an_organization_by_an_api_call() -> None:
    row = Row(
        type="organization.created",
        actor='{"id":"key_7","source":"api","name":null}',
        directory_id=None,
        directory_sequence=None,
        user_id=None,
    )
    event = json.loads(cloud_event(row, BASE))
    assert (event["source"], event["subject"]) == ("https://sync.example/organizations/org_1", "org_1")
    assert event["actorid"] == "key_7"
    assert "directoryid" not in event
    assert "directorysequence" not in event


def test_what_belongs_to_nobody_comes_from_the_installation_and_has_no_subject() -> None:
    row = Row(organization_id=None, directory_id=None, directory_sequence=None, user_id=None)
    event = json.loads(cloud_event(row, BASE))
    assert event["source"] == BASE
    assert "subject" not in event


def test_a_test_says_so_and_stands_in_no_sequence() -> None:
    event = json.loads(cloud_event(Row(position=None, directory_sequence=None), BASE))
    assert event["test"] is True
    assert "sequence" not in event


def test_attributes_are_named_and_typed_as_the_specification_wants() -> None:
    event = json.loads(cloud_event(Row(), BASE))
    assert {"id", "source", "specversion", "type"} <= event.keys()
    for name, value in event.items():
        assert re.fullmatch("[a-z0-9]{1,20}", name)
        assert name == "data" or (isinstance(value, str) and value)


def test_sequences_sort_as_texts_like_the_numbers_they_are() -> None:
    numbers = [1, 9, 10, 99, 2**31, 2**63 - 1]
    texts = [json.loads(cloud_event(Row(position=number), BASE))["sequence"] for number in numbers]
    assert sorted(texts) == texts


def test_the_bytes_are_what_javascript_writes_of_them() -> None:
    """So a receiver that parses and serializes again before it verifies gets the signed bytes."""
    body = cloud_event(Row(), BASE)
    assert stringify(parse_json(body)).encode() == body
