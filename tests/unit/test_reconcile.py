"""What a roster says, and where it differs from a person as the product view shows them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from syncline.core import wire
from syncline.core.events import UserUpdated
from syncline.core.ids import Prefix, is_id
from syncline.core.json import Json
from syncline.core.reconcile import (
    Difference,
    Drift,
    alike,
    as_the_app_has_it,
    compare,
    finding_id,
    key_of,
    matched_by,
)
from syncline.core.rosters import (
    RosterFormat,
    RosterReader,
    RosterRow,
    RosterUnreadable,
    RowProblem,
    RowRefused,
    read_objects,
    read_row,
)

USER_ID = "directory_user_01KA0Z1B3D5F7H9K1M3P5R7T9V"


def shown(**more: Any) -> wire.DirectoryUser:
    person = wire.DirectoryUser(
        id=USER_ID,
        directory_id="directory_1",
        organization_id="org_1",
        idp_id="00u8",
        email="Mira@Northwind.example",
        first_name="Mira",
        last_name=None,
        name="Mira Voss",
        emails=[],
        job_title="Planner",
        username="mira",
        state="active",
        raw_attributes={},
        custom_attributes={"cost_center": "CC-1", "level": 3, "remote": True, "tags": ["a", "b"]},
        created_at="2026-01-15T12:00:00.000Z",
        updated_at="2026-01-15T12:00:00.000Z",
    )
    return msgspec.structs.replace(person, **more)


def row(**given: Json) -> RosterRow:
    return read_row(1, {"email": "mira@northwind.example", **given})


def found(given: RosterRow, person: wire.DirectoryUser) -> dict[str, dict[str, Any]]:
    """Return the findings about a row by their class, each as app's value by field."""
    return {
        finding.drift.value: {name: one.app for name, one in finding.differences.items()}
        for finding in compare(given, "scim", person)
    }


def read(form: RosterFormat, raw: bytes) -> list[RosterRow | RowProblem]:
    reader = RosterReader(form)
    return [*reader.feed(raw), *reader.feed(b"", last=True)]


def test_only_what_a_row_says_is_compared() -> None:
    assert found(row(), shown()) == {}
    assert found(row(first_name="Mira", last_name=""), shown()) == {}
    assert found(row(job_title=None), shown()) == {"stale_profile": {"job_title": None}}


def test_each_class_is_found_by_itself_and_the_hole_first() -> None:
    roles = [wire.RoleSlug(slug="admin"), wire.RoleSlug(slug="editor")]
    person = shown(state="inactive", role=roles[0], roles=roles)
    given = row(job_title="Pilot", role="viewer", roles=["editor", "admin"])
    assert list(found(given, person).items()) == [
        ("gone_but_active", {"state": "active"}),
        ("wrong_role", {"role": "viewer"}),
        ("stale_profile", {"job_title": "Pilot"}),
    ]


def test_roles_are_not_compared_where_the_directory_gives_none() -> None:
    assert found(row(role="admin", roles="a;b"), shown()) == {}


def test_who_is_inactive_in_the_app_only_has_a_stale_state() -> None:
    assert found(row(active=False), shown()) == {"stale_profile": {"state": "inactive"}}
    assert found(row(active=False), shown(state="inactive")) == {}


@pytest.mark.parametrize(
    ("name", "app", "directory", "same"),
    [
        ("email", "MIRA@northwind.example ", "mira@northwind.example", True),
        ("name", "MIRA", "Mira", False),
        ("name", "Zoe\u0308", "Zo\u00eb", True),
        ("name", None, "", True),
        ("name", None, " ", True),
        ("level", None, 0, False),
        ("remote", "", False, False),
        ("tags", [], None, True),
        ("level", "3", 3, True),
        ("level", "3.0", 3, True),
        ("level", 3.0, 3, True),
        ("level", "three", 3, False),
        ("remote", 1, True, True),
        ("level", 10**400, 10**400, True),
        ("level", "inf", 3, False),
        ("remote", "TRUE", True, True),
        ("remote", "0", False, True),
        ("remote", False, True, False),
        ("tags", '["a","b"]', ["a", "b"], True),
        ("tags", "a,b", ["a", "b"], False),
        ("roles", ["b", "a", "a"], ["a", "b"], True),
        ("name", "x", None, False),
    ],
)
def test_values_that_mean_the_same_are_alike(name: str, app: Json, directory: Json, same: bool) -> None:
    assert alike(name, app, directory) is same


def test_the_state_before_the_missed_event_is_what_the_app_has() -> None:
    roles = [wire.RoleSlug(slug="admin")]
    person = shown(role=roles[0], roles=roles)
    custom: Json = {"level": 2, "gone": "x"}
    given = row(first_name="Mirja", role=None, custom_attributes=custom)
    different: dict[str, Difference] = {}
    for finding in compare(given, "scim", person):
        different |= finding.differences
    before = as_the_app_has_it(person, different)
    assert msgspec.json.decode(UserUpdated(before, person).text())["previous_attributes"] == {
        "first_name": "Mirja",
        "role": None,
        "custom_attributes": {"level": 2, "gone": "x"},
    }


def test_a_row_is_matched_by_the_first_identifier_it_has() -> None:
    every: dict[str, Json] = {"directory_user_id": USER_ID, "idp_id": "00u8", "email": "m@northwind.example"}
    for name in ("directory_user_id", "idp_id", "email"):
        assert matched_by(read_row(1, every)) == name
        every.pop(name)
    assert key_of(row(email="MIRA@northwind.example")) == key_of(row())
    assert key_of(row(idp_id="A")) != key_of(row(idp_id="a"))


def test_ids_of_findings_sort_by_class_then_number() -> None:
    reconciliation = "reconciliation_01KA0Z5D7F9H1K3M5P7R9T1V3X"
    ids = [finding_id(reconciliation, drift, number) for drift in Drift for number in (1, 9, 10, 1_000_000)]
    assert ids == sorted(ids)
    assert all(is_id(Prefix.FINDING, id_) for id_ in ids)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "directory_user_id_required"),
        ({"email": "", "idp_id": None}, "directory_user_id_required"),
        ({"email": "x"}, "email_invalid"),
        ({"idp_id": "a", "name": ["x"]}, "name_invalid"),
        ({"idp_id": "a", "name": "\x00"}, "name_invalid"),
        ({"idp_id": "a", "name": "x" * 2_001}, "name_too_long"),
        ({"idp_id": "a", "active": "perhaps"}, "active_invalid"),
        ({"idp_id": "a", "active": True, "state": "inactive"}, "state_invalid"),
        ({"idp_id": "a", "roles": 7}, "roles_invalid"),
        ({"idp_id": "a", "custom_attributes": []}, "custom_attributes_invalid"),
        ({"idp_id": "a", "custom_attributes.x": "\x00"}, "custom_attributes_invalid"),
        ({"idp_id": "a", "custom_attributes.\x00": 1}, "custom_attributes_invalid"),
        ({"directory_user_id": f"{USER_ID}{'x' * 90}"}, "directory_user_id_invalid"),
        ({"idp_id": "a", "Email": "x"}, "Email_unknown"),
    ],
)
def test_bad_rows_say_what_is_wrong(given: dict[str, Json], code: str) -> None:
    with pytest.raises(RowRefused) as refused:
        read_row(7, given)
    assert (refused.value.problem.line, refused.value.problem.error.code) == (7, code)


def test_objects_are_numbered_and_bad_ones_do_not_hide_others() -> None:
    read_in = list(read_objects([{"idp_id": 1}, 5, {"idp_id": "b"}], first=10))
    assert [one.line for one in read_in] == [10, 11, 12]
    assert [type(one) for one in read_in] == [RosterRow, RowProblem, RosterRow]


def test_a_table_is_read_with_its_quirks() -> None:
    raw = (
        '\ufeffIDP_ID\tActive\tcustom_attributes.CostCenter\r\na\tyes\t"x\t""y""\nz"\r\n\r\nb\tf\t \r\n'
    ).encode()
    first, second = read(RosterFormat.CSV, raw)
    assert isinstance(first, RosterRow)
    assert (first.line, first.values) == (
        2,
        {"custom_attributes.CostCenter": 'x\t"y"\nz', "idp_id": "a"},
    )
    assert isinstance(second, RosterRow)
    assert (second.line, second.active, second.values) == (
        5,
        False,
        {"custom_attributes.CostCenter": None, "idp_id": "b"},
    )


def test_a_quotation_mark_inside_of_a_cell_is_text() -> None:
    [only] = read(RosterFormat.CSV, b'idp_id,name\na,5" pipe\n')
    assert isinstance(only, RosterRow)
    assert only.values["name"] == '5" pipe'


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n",
        b"name\n",
        b"idp_id,IDP_ID\n",
        b"idp_id\n\xff\n",
        b'idp_id\n"a\n',
        b"idp_id\n" + b"x" * 70_000,
    ],
)
def test_a_table_that_makes_no_sense_is_not_read_any_further(raw: bytes) -> None:
    with pytest.raises(RosterUnreadable):
        read(RosterFormat.CSV, raw)


def test_lines_of_json_are_numbered_as_lines() -> None:
    first, second, third = read(RosterFormat.NDJSON, b'\n{"idp_id":"a"}\n{"idp_id":\n["x"]')
    assert isinstance(first, RosterRow)
    assert [first.line, second.line, third.line] == [2, 3, 4]
    assert isinstance(second, RowProblem)
    assert isinstance(third, RowProblem)
