"""Records, ids and the exchange of ids, by themselves."""

from __future__ import annotations

import json

import pytest

from syncline.core import import_workos
from syncline.core.ids import Prefix, is_id
from syncline.core.import_csv import COLUMNS, record_of
from syncline.core.imports import RecordRefused, own_id, read_record, read_time, resource_ids
from syncline.core.json import Json
from syncline.core.mirroring import Ids, compare, redacted_path
from syncline.core.scim import renaming
from syncline.core.scim.filter import parse_filter, to_text
from syncline.core.scim.normalize import normalize_user
from syncline.core.scim.schema import ENTERPRISE_URN, ResourceKind

ULID = "01KA0YQ2C4E6G8J0M2P4R6T8V0"
OTHER = "01KA0YQ2C4E6G8J0M2P4R6T8V1"
GROUP = Prefix.DIRECTORY_GROUP
USER = Prefix.DIRECTORY_USER


def test_an_id_of_our_form_is_kept_and_another_always_becomes_the_same() -> None:
    for old in (f"directory_group_{ULID}", ULID, f"directory_grp_{ULID}"):
        assert own_id(GROUP, old, within="d") == f"directory_group_{ULID}"
    made = own_id(USER, "5d0f5d3e", within="d")
    assert is_id(USER, made)
    assert made == own_id(USER, "5d0f5d3e", within="d")
    others = {own_id(USER, "5d0f5d3f", within="d"), own_id(USER, "5d0f5d3e", within="e")}
    assert made not in others
    assert own_id(GROUP, "5d0f5d3e", within="d").removeprefix("directory_group_") not in made
    # An id of another kind is not taken for one of this.
    assert own_id(USER, f"directory_group_{ULID}", within="d") != f"directory_user_{ULID}"


def test_which_id_a_provider_goes_on_to_use() -> None:
    whole = f"directory_user_{ULID}"
    assert resource_ids(USER, whole, None, within="d").alias is None
    assert resource_ids(USER, whole, ULID, within="d").alias is None
    assert resource_ids(USER, whole, whole, within="d").alias == whole
    found = resource_ids(USER, whole, OTHER, within="d")
    assert (found.product_id, found.resource_id, found.alias) == (whole, OTHER, None)
    uuid = resource_ids(USER, "5d0f5d3e", None, within="d")
    assert uuid.alias == "5d0f5d3e"
    assert uuid.product_id == f"directory_user_{uuid.resource_id}"
    # A group has one ULID for both sides, so another one can only be a further name.
    team = resource_ids(GROUP, f"directory_group_{ULID}", OTHER, within="d")
    assert (team.resource_id, team.alias) == (ULID, OTHER)


def test_a_record_names_what_is_wrong_with_it() -> None:
    for value, said in (
        ({"type": "user", "directory_id": "d", "resource": {}}, "id"),
        ({"type": "user", "id": "", "directory_id": "d", "resource": {}}, "id"),
        ({"type": "user", "id": 7, "directory_id": "d", "resource": {}}, "id"),
        ({"type": "membership", "directory_id": "d", "group_id": "g", "user_ids": []}, "user_ids"),
        ([], "object"),
    ):
        with pytest.raises(RecordRefused, match=said):
            read_record(json.loads(json.dumps(value)))
    for text in ("yesterday", "2024-01-01T00:00:00", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-10:00"):
        with pytest.raises(RecordRefused):
            read_time(text)


def test_every_column_of_a_csv_file_has_its_place() -> None:
    for kind, columns in COLUMNS.items():
        row = dict.fromkeys(columns, "7") | {"active": "no", "created_at": "2024-01-01T00:00:00Z"}
        row = {name: value for name, value in row.items() if name in columns}
        text = json.dumps(record_of(kind, row))
        for name in columns:
            assert json.dumps(record_of(kind, row | {name: ""})) != text, (kind, name)
    found = record_of("user", {"id": "u", "directory_id": "d", "user_name": "mira", "active": "No"})
    assert found["resource"] == {"userName": "mira", "active": False}


def test_a_person_of_the_workos_api_becomes_the_resource_that_shows_the_same() -> None:
    shown = {
        "id": f"directory_user_{ULID}",
        "directory_id": f"directory_{ULID}",
        "idp_id": "00u8k2",
        "email": "mira@northwind.example",
        "first_name": "Mira",
        "last_name": "Voss",
        "state": "inactive",
        "custom_attributes": {
            "job_title": "Planner",
            "department_name": "Dispatch",
            "manager_email": "rohan@northwind.example",
            "addresses": [{"street_address": "Quay 1", "locality": "Port", "primary": True, "region": None}],
            "shoe_size": 43,
            "cost_center_name": None,
        },
        "raw_attributes": {},
    }
    resource = import_workos.user(shown).resource
    assert resource["userName"] == "mira@northwind.example"
    assert resource[ENTERPRISE_URN] == {
        "department": "Dispatch",
        "manager": {"value": "rohan@northwind.example"},
    }
    assert resource["addresses"] == [{"streetAddress": "Quay 1", "locality": "Port", "primary": True}]
    assert resource[import_workos.EXTRA_URN] == {"shoe_size": 43}
    document = normalize_user(resource).document
    assert (document["active"], document["title"]) == (False, "Planner")
    assert document[import_workos.EXTRA_URN] == {"shoe_size": 43}
    sent = {"userName": "mira", "nickName": "M", "active": True}
    assert import_workos.user(shown | {"raw_attributes": sent}).resource == sent | {"active": False}
    assert import_workos.user(shown, keeps_id=True).scim_id == shown["id"]


def _marked(id_: str) -> str:
    return f"<{id_}>"


def test_only_what_names_a_resource_is_exchanged() -> None:
    body: dict[str, Json] = {
        "id": "x",
        "externalId": "x",
        "displayName": "x",
        "members": [{"value": "x", "display": "x", "$ref": "https://old.example/Users/x"}, "x"],
    }
    assert renaming.in_body(body, _marked) == {
        "id": "<x>",
        "externalId": "x",
        "displayName": "x",
        "members": [{"value": "<x>", "display": "x", "$ref": "https://old.example/Users/<x>"}, "<x>"],
    }
    patch: dict[str, Json] = {
        "Operations": [
            {"op": "replace", "path": "externalId", "value": "x"},
            {"op": "Add", "Path": 'Members[value eq "x"]', "value": None},
            {"op": "add", "path": "members", "value": {"value": "x"}},
            {"op": "replace", "value": {"displayName": "x", "members": ["x"]}},
        ]
    }
    assert renaming.in_body(patch, _marked) == {
        "Operations": [
            {"op": "replace", "path": "externalId", "value": "x"},
            {"op": "Add", "Path": 'Members[value eq "<x>"]', "value": None},
            {"op": "add", "path": "members", "value": {"value": "<x>"}},
            {"op": "replace", "value": {"displayName": "x", "members": ["<x>"]}},
        ]
    }
    for kind, text, expected in (
        (ResourceKind.USER, 'id eq "x" and externalId eq "x"', 'id eq "<x>" and externalId eq "x"'),
        (ResourceKind.USER, 'not (groups.value eq "x")', 'not (groups.value eq "<x>")'),
        (ResourceKind.GROUP, 'members[value eq "x"]', 'members[value eq "<x>"]'),
        (ResourceKind.GROUP, 'members eq "x" or displayName eq "x"', None),
    ):
        term = parse_filter(text, kind)
        assert term is not None
        found = to_text(renaming.in_filter(term, _marked))
        assert found == expected or expected is None
        assert found.count("<x>") == 1


def test_answers_are_compared_by_meaning_and_reported_without_values() -> None:
    ids = Ids()
    old: Json = {"id": "a-old-id", "userName": "Mira", "active": True, "title": "Planner", "meta": {"x": 1}}
    new: Json = {"id": ULID, "active": True, "userName": "Mira", "title": "Planner", "emails": [], "x": None}
    ids.learn_from(old, new)
    assert ids.ours("a-old-id") == ULID
    assert ids.in_text('{"value":"a-old-id","other":"a-old-id2"}').count(ULID) == 1
    assert compare("GET", "/Users/{id}", (200, old), (200, new), ids) is None
    assert compare("PATCH", "/Users/{id}", (204, None), (200, None), ids) is None
    team: Json = {"id": "g-old-id", "members": [{"value": "a-old-id", "display": "Mira"}]}
    assert compare("GET", "/Groups/{id}", (200, team), (200, {"members": [{"value": ULID}]}), ids) is None
    other = dict(new) if isinstance(new, dict) else {}
    found = compare("GET", "/Users/{id}", (200, old), (200, other | {"title": "Secret"}), ids)
    assert found is not None
    assert found.sentence == "GET /Users/{id}: title"
    lost = compare("DELETE", "/Users/{id}", (204, None), (404, None), ids)
    assert lost is not None
    assert "answers 204, Syncline 404" in lost.sentence


def test_a_path_is_shown_without_what_it_says_about_people() -> None:
    shown = redacted_path("/Users", 'filter=userName eq "mira" and title eq "x eq y"&count=1')
    assert shown == "/Users?filter=userName eq and title eq"
    assert redacted_path("/Groups", "filter=mira eq x and meta.created gt y") == (
        "/Groups?filter=… eq and meta.created gt"
    )
    assert redacted_path("/Users/5d0f5d3e", "") == "/Users/{id}"
    assert redacted_path("/Users/.search", "") == "/Users/.search"
    assert redacted_path("/mira", "") == "/…"


def test_only_so_many_ids_are_remembered() -> None:
    ids = Ids(most=2)
    for number in range(3):
        ids.learn(f"old-{number}", f"new-{number}")
    assert [ids.ours(f"old-{number}") for number in range(3)] == ["old-0", "new-1", "new-2"]
