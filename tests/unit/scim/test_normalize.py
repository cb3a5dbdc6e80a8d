"""Bodies as providers send them become one form; what cannot mean anything is refused by name."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncline.core.json import Json
from syncline.core.scim.errors import ScimError
from syncline.core.scim.normalize import Incoming, normalize_group, normalize_user
from syncline.core.scim.patch import parse_operations, patch_user
from syncline.core.scim.schema import (
    CORE_V1_URN,
    ENTERPRISE_URN,
    ENTERPRISE_V1_URN,
    USER_URN,
    ResourceKind,
)


def document(**body: Json) -> dict[str, Json]:
    return normalize_user({"userName": "mira", **body}).document


def test_an_ordinary_body_stays_as_it_is() -> None:
    body: dict[str, Json] = {
        "userName": "Mira@northwind.example",
        "name": {"givenName": "Mira"},
        "emails": [{"value": "mira@northwind.example", "type": "work", "primary": True}],
        "active": True,
    }
    found = normalize_user({"schemas": [USER_URN], **body})
    assert found.document == body
    assert found.quirks == frozenset()
    assert found.ignored == ()


def test_names_are_answered_in_rfc_spelling_and_unknown_ones_kept() -> None:
    found = normalize_user({"USERNAME": "mira", "DisplayName": "Mira", "favoriteColor": {"r": 1}})
    assert found.document == {
        "userName": "mira",
        "displayName": "Mira",
        "favoriteColor": {"r": 1},
        "active": True,
    }
    assert found.ignored == ("favoriteColor",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("True", True), ("FALSE", False), ("true", True), (["False"], False), ([True], True), (None, True)],
)
def test_active_is_a_real_boolean(value: Json, expected: bool) -> None:
    assert document(active=value)["active"] is expected


@pytest.mark.parametrize("value", ["yes", "", 1, 0, {"value": True}, [True, False]])
def test_other_values_of_active_are_refused_or_absent(value: Json) -> None:
    if value == "":
        assert document(active=value)["active"] is True
        return
    with pytest.raises(ScimError) as refused:
        document(active=value)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")
    assert "active" in refused.value.detail


def test_core_attributes_under_the_core_urn_are_lifted() -> None:
    found = normalize_user({USER_URN: {"userName": "mira", "title": "Planner"}})
    assert found.document == {"userName": "mira", "title": "Planner", "active": True}


def test_dotted_and_qualified_keys_are_expanded() -> None:
    found = document(
        **{
            "name.givenName": "Mira",
            f"{USER_URN}:title": "Planner",
            f"{ENTERPRISE_URN}:department": "Logistics",
            f"{ENTERPRISE_URN}.costCenter": "77",
            'emails[type eq "work"].value': "mira@northwind.example",
        }
    )
    assert found["name"] == {"givenName": "Mira"}
    assert found["title"] == "Planner"
    assert found[ENTERPRISE_URN] == {"department": "Logistics", "costCenter": "77"}
    assert found["emails"] == [{"type": "work", "value": "mira@northwind.example"}]
    assert not [key for key in found if "." in key and not key.startswith("urn:")]


def test_enterprise_attributes_at_top_level_move_to_their_extension() -> None:
    found = document(department="Logistics", manager="m1", employeeNumber=7)
    assert found[ENTERPRISE_URN] == {
        "department": "Logistics",
        "manager": {"value": "m1"},
        "employeeNumber": "7",
    }


@pytest.mark.parametrize(
    "manager", ["m1", {"value": "m1"}, {"managerId": "m1"}, [{"value": "m1"}], {"Value": "m1"}]
)
def test_a_manager_in_any_shape(manager: Json) -> None:
    assert document(**{ENTERPRISE_URN: {"manager": manager}})[ENTERPRISE_URN] == {"manager": {"value": "m1"}}


@pytest.mark.parametrize("manager", ["", None, {}, {"managerId": "", "displayName": ""}, []])
def test_a_blank_manager_is_absent(manager: Json) -> None:
    assert ENTERPRISE_URN not in document(**{ENTERPRISE_URN: {"manager": manager}})


def test_scim_1_1_bodies_are_the_same_document() -> None:
    found = normalize_user(
        {
            "schemas": [CORE_V1_URN, ENTERPRISE_V1_URN],
            "userName": "mira",
            ENTERPRISE_V1_URN: {"manager": {"managerId": "m1"}, "department": "Logistics"},
        }
    )
    assert found.document[ENTERPRISE_URN] == {"manager": {"value": "m1"}, "department": "Logistics"}


def test_foreign_extensions_are_kept_whole() -> None:
    urn = "urn:okta:acme:2.0:user:custom"
    found = normalize_user({"userName": "mira", urn: {"costPool": 4, "gone": None}})
    assert found.document[urn] == {"costPool": 4}
    assert found.ignored == (urn,)


@pytest.mark.parametrize(
    "emails", [{"value": "a@b.example"}, "a@b.example", [{"value": "a@b.example"}], ["a@b.example"]]
)
def test_emails_in_any_shape(emails: Json) -> None:
    assert document(emails=emails)["emails"] == [{"value": "a@b.example"}]


def test_hollow_entries_are_dropped_and_the_last_primary_wins() -> None:
    found = document(
        emails=[
            {"value": "a@b.example", "primary": "True", "type": "home"},
            {"type": "other", "primary": False},
            {"value": "", "type": "work"},
            {"value": "c@d.example", "primary": True, "type": "work"},
        ]
    )
    assert found["emails"] == [
        {"value": "a@b.example", "primary": False, "type": "home"},
        {"value": "c@d.example", "primary": True, "type": "work"},
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"PASSWORD": "secret"},
        {"password.value": "secret"},
        {"password~": "secret"},
        {"urn:example:acme:2.0:User:password": "secret"},
        {"urn:example:acme:2.0:User": {"Password": "secret", "badge": "7"}},
        {f"{ENTERPRISE_URN}:password": "secret"},
    ],
)
def test_a_password_is_nowhere_in_what_is_stored_however_it_is_spelled(body: dict[str, Json]) -> None:
    found = normalize_user({"userName": "mira", **body})
    assert "secret" not in str((found.document, found.raw))
    operations = parse_operations({"Operations": [{"op": "add", "value": body}]}, ResourceKind.USER)
    patched = patch_user(found.document, found.raw, operations)
    assert "secret" not in str((patched.document, patched.raw))


def test_read_only_things_tenants_and_passwords_are_never_taken() -> None:
    found = normalize_user(
        {
            "userName": "mira",
            "id": "x",
            "meta": {"location": "y"},
            "groups": [{"value": "g"}],
            "password": "secret",
            "directory_id": "directory_x",
            "tenantId": "t",
        }
    )
    assert found.document == {"userName": "mira", "active": True}
    assert "secret" not in str(found.raw)


def test_numbers_become_text_where_text_belongs() -> None:
    assert document(externalId=4711)["externalId"] == "4711"
    assert document(title=1.0)["title"] == "1"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"userName": ""},
        {"userName": "   "},
        {"userName": None},
        {"userName": {"a": 1}},
        {"userName": ["a", "b"]},
        {"userName": "x", "title": {"a": 1}},
        {"userName": "x", "name": "Mira"},
        {"userName": "x", "emails": [["a", "b"]]},
        {"userName": "x", "emails": [{"value": {"a": 1}}]},
        [],
        "x",
        None,
    ],
)
def test_what_cannot_mean_anything_is_refused(body: Json) -> None:
    with pytest.raises(ScimError) as refused:
        normalize_user(body)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([{"value": "a"}, {"value": "b", "$ref": None, "display": "B"}], ("a", "b")),
        (["a", "b", "a"], ("a", "b")),
        ({"value": "a"}, ("a",)),
        ("a", ("a",)),
        ([{"$ref": "../Users/a"}], ("a",)),
        ([{"Value": 12}], ("12",)),
        ([], ()),
        (None, None),
    ],
)
def test_members_in_any_shape(members: Json, expected: tuple[str, ...] | None) -> None:
    assert normalize_group({"displayName": "Dispatch", "members": members}).members == expected


def test_members_are_neither_in_the_document_nor_in_the_raw_body() -> None:
    found = normalize_group({"displayName": "Dispatch", "members": ["a"], "description": "x"})
    assert found.document == {"displayName": "Dispatch", "description": "x"}
    assert found.raw == {"displayName": "Dispatch", "description": "x"}
    assert normalize_group({"displayName": "Dispatch"}).members is None


json_values: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["name", "emails", "active", "title", "manager", "department", ENTERPRISE_URN, USER_URN, "x.y", "members"]
)
bodies = st.dictionaries(names | st.text(max_size=6), json_values, max_size=5)


@given(bodies)
def test_any_body_is_read_or_refused_and_left_alone(body: dict[str, Json]) -> None:
    body["userName"] = body["displayName"] = "mira"
    kept = copy.deepcopy(body)
    for read in (normalize_user, normalize_group):
        found = attempt(read, body)
        if isinstance(found, ScimError):
            assert found.status == 400
        else:
            assert read(found.document).document == found.document
    assert body == kept


def attempt(read: Callable[[Json], Incoming], body: Json) -> Incoming | ScimError:
    try:
        return read(body)
    except ScimError as refused:
        return refused
