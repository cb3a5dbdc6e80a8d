"""What a person shows comes from what the provider sent, by the sources of the map."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from syncline.core.attribute_map import AttributeMap, address_of, evaluate, evidence, read_map
from syncline.core.attribute_sources import Problems, paths_in, read_sources
from syncline.core.attributes import attribute_changes, product_attributes, same_mapped
from syncline.core.json import Json
from syncline.core.model import Document, Mapped, UserRecord
from syncline.core.predefined import PREDEFINED, STANDARD
from syncline.core.scim.normalize import normalize_user
from syncline.core.scim.schema import ENTERPRISE_URN

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OKTA = "urn:okta:acme:2.0:user:custom"


def normalized(raw: Document) -> Document:
    return normalize_user(raw).document


def rule(*sources: object, key: str = "it", kind: str = "custom", type_: str = "string") -> dict[str, Any]:
    return {"key": key, "kind": kind, "type": type_, "required": False, "sources": list(map(source, sources))}


def source(given: object) -> dict[str, Any]:
    return dict(given) if isinstance(given, dict) else {"path": given, "transforms": []}


def of(raw: Document, *rules: dict[str, Any], manager_email: str | None = None) -> Mapped:
    document = normalized({"userName": "mira@northwind.example", **raw})
    return evaluate(read_map(rules), document, raw, resource_id="01", manager_email=manager_email)


def found(raw: Document, *sources: object, type_: str = "string") -> Any:
    return of(raw, rule(*sources, type_=type_)).custom["it"]


@pytest.mark.parametrize(
    ("raw", "path", "value"),
    [
        ({"title": "Planner"}, "title", "Planner"),
        ({"TITLE": "Planner"}, "title", "Planner"),
        ({"title": "Planner"}, "Title", "Planner"),
        ({"name": {"givenName": "Mira"}}, "name.givenName", "Mira"),
        ({"name.givenName": "Mira"}, "name.givenName", "Mira"),
        ({OKTA: {"costPool": "north"}}, f"{OKTA}.costPool", "north"),
        ({OKTA: {"costPool": "north"}}, f"{OKTA}:costPool", "north"),
        ({OKTA.upper(): {"COSTPOOL": "north"}}, f"{OKTA}.costPool", "north"),
        ({OKTA: {"site": {"code": "B1"}}}, f"{OKTA}.site.code", "B1"),
        ({ENTERPRISE_URN: {"costCenter": "42"}}, f"{ENTERPRISE_URN}:costCenter", "42"),
        ({ENTERPRISE_URN: {"costCenter": "42"}}, "costCenter", "42"),
        ({"urn:scim:schemas:extension:enterprise:1.0": {"costCenter": "42"}}, "costCenter", "42"),
        ({"costCenter": "42"}, f"{ENTERPRISE_URN}.costCenter", "42"),
        ({"title": "Planner"}, "urn:ietf:params:scim:schemas:core:2.0:User:title", "Planner"),
        ({"a": {"b.c": {"d": "deep"}}}, "a.b.c.d", "deep"),
        ({"a.b": {"c": "long"}, "a": {"b": {"c": "short"}}}, "a.b.c", "long"),
        ({"a.b": {}, "a": {"b": {"c": "short"}}}, "a.b.c", "short"),
        ({"Straße": "Hafenweg"}, "STRASSE", "Hafenweg"),
        ({"Cost Center": "42"}, "Cost Center", "42"),
    ],
)
def test_a_path_finds_a_value_wherever_the_provider_put_it(raw: Document, path: str, value: str) -> None:
    assert found(raw, path) == value


EMAILS: Document = {
    "emails": [
        {"value": "home@x.example", "type": "home"},
        {"value": "Work@x.example", "type": "Work", "primary": "True"},
        {"value": "old@x.example", "type": "work"},
    ]
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ('emails[type eq "work"].value', "Work@x.example"),
        ('emails[type eq "work" and value sw "old"].value', "old@x.example"),
        ('emails[type eq "other"].value', None),
        ("emails[primary].value", "Work@x.example"),
        ("emails[primary eq true].value", "Work@x.example"),
        ('emails[not (type eq "home")].value', "Work@x.example"),
    ],
)
def test_a_filter_picks_the_first_entry_that_satisfies_it(path: str, value: str | None) -> None:
    assert found(EMAILS, path) == value


def test_a_list_without_a_filter_is_a_list() -> None:
    addresses = ["home@x.example", "Work@x.example", "old@x.example"]
    assert found(EMAILS, "emails.value", type_="list") == addresses
    assert found(EMAILS, "emails.value") is None
    assert found(
        {"teams": [{"tags": ["a", "b"]}, {"tags": []}, {"tags": ["c"]}]}, "teams.tags", type_="list"
    ) == [
        "a",
        "b",
        "c",
    ]
    assert found({"teams": ["only"]}, "teams") == "only"


def test_an_entry_of_which_the_part_is_missing_is_not_picked() -> None:
    raw: Document = {"emails": [{"type": "work", "display": "x"}, {"type": "work", "value": "w@x.example"}]}
    assert found(raw, 'emails[type eq "work"].value') == "w@x.example"


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_the_first_source_that_is_not_empty_wins(nothing: Any) -> None:
    assert found({"x": nothing, "y": "second", "z": "third"}, "x", "missing", "y", "z") == "second"
    assert found({"x": nothing}, "x") is None
    assert found({"x": nothing}, "x", {"value": "fixed"}) == "fixed"


@pytest.mark.parametrize(("kept", "type_"), [(False, "boolean"), (0, "number")])
def test_false_and_zero_are_values(kept: Any, type_: str) -> None:
    value = found({"x": kept, "y": 7}, "x", "y", type_=type_)
    assert value == kept
    assert type(value) is type(kept)


def test_something_is_taken_of_everything_that_was_sent() -> None:
    raw: Document = {"street": "Quay 7", "city": "Bremen", "given": "Mira", "family": "Voss", "secret": "s"}
    taken: Any = {"name": "object", "arguments": {"fields": {"street": "street", "town": ["place", "city"]}}}
    source: Any = {"path": "$sent", "transforms": [taken]}
    assert found(raw, source, type_="object") == {"street": "Quay 7", "town": "Bremen"}
    listed: Any = {"name": "list", "arguments": {"paths": ["given", "middle", "family"]}}
    join: Any = {"name": "join", "arguments": {"separator": " "}}
    assert found(raw, {"path": "$sent", "transforms": [listed, join]}) == "Mira Voss"
    made: dict[str, Json] = {"key": "x", "kind": "custom", "type": "object", "sources": [source]}
    (why,) = evidence(read_map([made]), {}, raw, resource_id="01")
    assert why.found == {"street": "Quay 7", "town": "Bremen"}
    refused: Any = ([], ["trim"], ["first", listed])
    for steps in refused:
        problems = Problems()
        read_sources([{"path": "$sent", "transforms": steps}], "sources", problems)
        assert [one.code for one in problems.errors] == ["sources[0].transforms_required"]
    assert paths_in(source) == ["street", "place", "city"]
    assert paths_in({"path": "$sent", "transforms": [listed, join]}) == ["given", "middle", "family"]
    assert paths_in({"path": "title", "transforms": []}) == ["title"]
    assert paths_in({"value": "title", "transforms": []}) == []


def test_a_source_that_does_not_fit_the_type_is_passed_over() -> None:
    assert found({"x": "soon", "y": "2026-03-02"}, "x", "y", type_="date") == "2026-03-02"
    assert found({"x": {"a": 1}, "y": "text"}, "x", "y") == "text"


@pytest.mark.parametrize(
    ("type_", "given", "value"),
    [
        ("string", 12, "12"),
        ("string", 1.0, "1"),
        ("string", True, "true"),
        ("string", {"a": 1}, None),
        ("string", ["a", "b"], None),
        ("number", "12", 12),
        ("number", " -0.5 ", -0.5),
        ("number", "1e3", 1000.0),
        ("number", "123456789012345678901234567890", 123456789012345678901234567890),
        ("number", "0.12345678901234567890123", None),
        ("number", "1e999", None),
        ("number", "nan", None),
        ("number", "Infinity", None),
        ("number", "1_000", None),
        ("number", "٣", None),
        ("number", True, None),
        ("boolean", "Yes", True),
        ("boolean", "false", False),
        ("boolean", 1, True),
        ("boolean", 2, None),
        ("boolean", "maybe", None),
        ("date", "2026-03-02", "2026-03-02"),
        ("date", "2026-03-02T10:00:00+02:00", "2026-03-02T08:00:00.000Z"),
        ("date", "2026-02-30", None),
        ("date", "02.03.2026", None),
        ("date", 20260302, None),
        ("list", "a", ["a"]),
        ("list", ["a", 1], ["a", 1]),
        ("object", {"a": [1]}, {"a": [1]}),
        ("object", "a", None),
    ],
)
def test_values_have_the_type_of_their_attribute_or_are_null(type_: str, given: Any, value: Any) -> None:
    made = found({"x": given}, "x", type_=type_)
    assert made == value
    assert type(made) is type(value)


def test_a_number_is_what_was_sent() -> None:
    exact = 2**63 + 1
    assert found({"x": exact}, "x", type_="number") == exact
    assert found({"x": exact}, "x") == str(exact)
    assert found({"x": math.pi}, "x", type_="number") == math.pi


def test_without_a_raw_body_the_document_is_looked_at() -> None:
    document = normalized({"userName": "mira", "title": "Planner", "department": "Logistics"})
    made = read_map([rule("TITLE"), rule("department", key="d")])
    assert evaluate(made, document, None, resource_id="01").custom == {"it": "Planner", "d": "Logistics"}


PERSON: Document = {
    "userName": "mira.voss",
    "displayName": "Mira V.",
    "name": {"givenName": "Mira", "familyName": "Voss"},
    "title": "Planner",
    "userType": "Employee",
    "emails": [{"value": "mira@northwind.example", "type": "work", "primary": True}],
    "phoneNumbers": [{"value": "+1 555 0100", "type": "work"}],
    "addresses": [{"type": "work", "locality": "Bergen", "country": "NO", "formatted": "Quay 1"}],
    ENTERPRISE_URN: {
        "department": "Logistics",
        "division": "North",
        "costCenter": "42",
        "employeeNumber": "7001",
        "organization": "Northwind",
        "manager": {"value": "m-1", "displayName": "Noor Haas"},
    },
}


def test_every_predefined_attribute_has_its_place_in_scim() -> None:
    rules = [
        {"key": key, "kind": "predefined", "type": one.type, "sources": []} for key, one in PREDEFINED.items()
    ]
    assert of(PERSON, *rules, manager_email="noor@northwind.example").custom == {
        "addresses": [
            {
                "type": "work",
                "street_address": None,
                "locality": "Bergen",
                "region": None,
                "postal_code": None,
                "country": "NO",
                "raw_address": "Quay 1",
                "primary": False,
            }
        ],
        "cost_center_name": "42",
        "department_name": "Logistics",
        "display_name": "Mira V.",
        "division_name": "North",
        "emails": [{"primary": True, "type": "work", "value": "mira@northwind.example"}],
        "employee_number": "7001",
        "employee_type": "Employee",
        "employment_start_date": None,
        "job_title": "Planner",
        "manager_email": "noor@northwind.example",
        "manager_id": "m-1",
        "manager_name": "Noor Haas",
        "organization": "Northwind",
        "phone_numbers": [{"value": "+1 555 0100", "display": None, "type": "work", "primary": False}],
        "username": "mira.voss",
    }


def test_there_are_21_keys_of_standard_and_predefined_attributes() -> None:
    standard = {"idp_id", "first_name", "last_name", "email", "state"}
    assert len(standard | set(PREDEFINED)) == 21
    assert set(STANDARD) == {"email", "first_name", "last_name", "name", "username", "job_title"}


def test_a_predefined_attribute_of_which_nothing_is_sent_is_there_and_null() -> None:
    rules = [
        {"key": key, "kind": "predefined", "type": one.type, "sources": []} for key, one in PREDEFINED.items()
    ]
    custom = dict(of({}, *rules).custom)
    assert custom.pop("username") == "mira@northwind.example"
    assert custom == dict.fromkeys(set(PREDEFINED) - {"username"})


def test_a_start_date_is_a_moment_as_the_vendor_writes_it() -> None:
    rules = rule("hired", key="employment_start_date", kind="predefined", type_="date")
    assert of({"hired": "2021-06-27"}, rules).custom == {"employment_start_date": "2021-06-27T12:00:00.000Z"}


def test_the_address_of_a_manager_may_be_what_names_them() -> None:
    raw: Document = {"manager": {"value": "noor@northwind.example"}}
    assert of(raw, rule("$manager_email")).custom == {"it": "noor@northwind.example"}
    assert of({"manager": {"value": "m-1"}}, rule("$manager_email")).custom == {"it": None}


def test_a_map_tells_whether_managers_have_to_be_looked_up() -> None:
    built_in: dict[str, Any] = {"key": "manager_email", "kind": "predefined", "type": "string", "sources": []}
    assert read_map([built_in]).needs_manager
    assert read_map([rule("title", "$manager_email")]).needs_manager
    assert not read_map([rule("title")]).needs_manager
    assert not read_map([rule("boss", key="manager_email", kind="predefined")]).needs_manager


def test_the_address_of_somebody_else_is_the_one_that_the_map_gives_them() -> None:
    raw: Document = {**PERSON, "mail": "mira@corp.example"}
    document = normalized(raw)
    other = read_map([rule("mail", key="email", kind="standard")])
    assert address_of(other, document, raw, resource_id="01") == "mira@corp.example"
    assert address_of(other, normalized(PERSON), PERSON, resource_id="01") is None
    usual = read_map([rule("mail")])
    assert address_of(usual, document, raw, resource_id="01") == "mira@northwind.example"
    round_trip = read_map([rule("$manager_email", key="email", kind="standard")])
    assert address_of(round_trip, document, raw, resource_id="01") is None


def test_a_standard_attribute_can_come_from_elsewhere() -> None:
    raw: Document = {**PERSON, "mail": " Mira@Corp.example ", "nick": "Mi"}
    made = of(
        raw,
        rule("mail", key="email", kind="standard"),
        rule("nick", key="first_name", kind="standard"),
    )
    assert made.custom == {}
    assert made.standard == {"email": "Mira@Corp.example", "first_name": "Mi"}
    document = normalized(raw)
    shown = product_attributes(document, made, "01")
    assert (shown["email"], shown["first_name"], shown["last_name"]) == ("Mira@Corp.example", "Mi", "Voss")


def test_an_address_from_elsewhere_must_look_like_one() -> None:
    email = rule("mail", "$email", key="email", kind="standard")
    assert of({**PERSON, "mail": "nobody"}, email).standard == {"email": "mira@northwind.example"}
    assert of({**PERSON, "mail": "nobody"}, rule("mail", key="email", kind="standard")).standard == {
        "email": None
    }


def test_an_attribute_at_both_places_says_the_same_at_both() -> None:
    made = of({**PERSON, "role": "Chief"}, rule("role", key="job_title", kind="predefined"))
    assert (made.standard, made.custom) == ({"job_title": "Chief"}, {"job_title": "Chief"})
    usual = {"key": "job_title", "kind": "predefined", "type": "string", "sources": []}
    assert of(PERSON, usual) == Mapped({}, {"job_title": "Planner"})


def test_the_evidence_names_the_source_and_what_stood_there() -> None:
    made = read_map([rule("missing", {"path": "title", "transforms": [{"name": "upper"}]})])
    (why,) = evidence(made, normalized(PERSON), PERSON, resource_id="01")
    assert (why.value, why.number, why.found) == ("PLANNER", 1, "Planner")
    assert why.source is not None
    assert why.source.path == "title"
    (nothing,) = evidence(read_map([rule("missing")]), normalized(PERSON), PERSON, resource_id="01")
    assert (nothing.value, nothing.number, nothing.source) == (None, None, None)


def test_the_product_view_has_every_attribute_by_key() -> None:
    document = normalized({**PERSON, "externalId": "e-1", "active": False})
    shown = product_attributes(document, Mapped({}, {"pool": 7}), "01")
    assert shown == {
        "idp_id": "e-1",
        "email": "mira@northwind.example",
        "first_name": "Mira",
        "last_name": "Voss",
        "name": "Mira V.",
        "emails": [{"primary": True, "type": "work", "value": "mira@northwind.example"}],
        "job_title": "Planner",
        "username": "mira.voss",
        "state": "inactive",
        "pool": 7,
    }
    assert "pool" not in product_attributes(document, None, "01")


def test_true_is_another_outcome_than_one() -> None:
    assert same_mapped(Mapped({}, {"a": 1}), Mapped({}, {"a": 1.0}))
    assert not same_mapped(Mapped({}, {"a": True}), Mapped({}, {"a": 1}))
    assert not same_mapped(Mapped({}, {"a": [True]}), Mapped({}, {"a": [1]}))
    assert not same_mapped(Mapped({}, {"a": None}), Mapped({}, {}))
    assert not same_mapped(Mapped({}, {}), None)
    assert same_mapped(None, None)


def test_a_value_that_was_missing_and_is_null_has_not_changed() -> None:
    def person(mapped: Mapped | None) -> UserRecord:
        return UserRecord("01", "directory_user_01", DOCUMENT, None, 1, NOON, NOON, mapped=mapped)

    without, empty = person(None), person(Mapped({}, {"pool": None}))
    assert attribute_changes(without, empty) == {}
    assert attribute_changes(empty, person(Mapped({}, {"pool": "north"}))) == {"pool": (None, "north")}
    assert attribute_changes(person(Mapped({"name": "M"}, {})), without) == {"name": ("M", "Mira V.")}


def test_a_predefined_attribute_that_stands_at_the_top_as_well_is_two_values() -> None:
    """Where the top level said the same already, switching it on used to count as no change."""

    def person(mapped: Mapped | None) -> UserRecord:
        return UserRecord("01", "directory_user_01", DOCUMENT, None, 1, NOON, NOON, mapped=mapped)

    without, shown = person(None), person(Mapped({}, {"job_title": "Planner"}))
    assert attribute_changes(without, shown) == {"job_title": (None, "Planner")}
    assert attribute_changes(shown, without) == {"job_title": ("Planner", None)}
    elsewhere = person(Mapped({"job_title": "Chief"}, {"job_title": "Chief"}))
    assert attribute_changes(shown, elsewhere) == {"job_title": ("Planner", "Chief")}
    assert attribute_changes(without, person(Mapped({"job_title": "Chief"}, {}))) == {
        "job_title": ("Planner", "Chief")
    }


DOCUMENT = normalized(PERSON)


def test_an_empty_map_shows_nothing_more() -> None:
    assert evaluate(AttributeMap(()), DOCUMENT, PERSON, resource_id="01") == Mapped({}, {})
