"""Which attributes people of pulled sources get by default, from documents as each source shows them."""

from __future__ import annotations

from typing import Any

import pytest

from syncline.core.json import Json
from syncline.providers import pulled
from tests.support.pulled_directories import READ
from tests.support.pulled_hr import HR
from tests.support.pulled_people import (
    GIVEN,
    MIRA,
    NAMED,
    NOOR,
    QUAY,
    STARTED,
    address,
    attributes,
    mail,
    phone,
)

GOOGLE: dict[str, Any] = {
    "id": "1077",
    "primaryEmail": MIRA,
    "name": {"givenName": "Mira", "familyName": "Voss", "fullName": "Mira Voss"},
    "emails": [
        {"address": "mira@home.example", "type": "home"},
        {"address": MIRA, "primary": True},
    ],
    "aliases": ["mv@northwind.example", "MIRA@home.example"],
    "phones": [
        {"value": "+49 421 1", "type": "home"},
        {"value": "+49 421 7", "type": "work", "primary": True},
    ],
    "addresses": [
        {"type": "home", "formatted": "Elsewhere 1"},
        {
            "type": "work",
            "primary": True,
            "streetAddress": "Quay 7",
            "locality": "Bremen",
            "region": "HB",
            "postalCode": "28195",
            "country": "Germany",
            "countryCode": "DE",
        },
    ],
    "organizations": [
        {"title": "Helper", "department": "Fair", "costCenter": "1", "type": "school"},
        {
            "title": "Planner",
            "department": "Logistics",
            "costCenter": "42",
            "description": "Employee",
            "domain": "North",
            "primary": True,
        },
    ],
    "externalIds": [{"type": "account", "value": "x"}, {"type": "organization", "value": "4711"}],
    "relations": [{"type": "assistant", "value": MIRA}, {"type": "manager", "value": NOOR}],
}


def test_of_lists_the_primary_entry_counts_and_lists_have_the_form_of_the_api() -> None:
    assert attributes("gsuite directory", GOOGLE) == NAMED | {
        "email": MIRA,
        "username": MIRA,
        "display_name": "Mira Voss",
        "emails": [
            mail("mira@home.example", "home"),
            mail(MIRA, primary=True),
            mail("mv@northwind.example"),
        ],
        "phone_numbers": [phone("+49 421 1", "home"), phone("+49 421 7", "work", True)],
        "addresses": [
            address(type="home", raw_address="Elsewhere 1"),
            address(type="work", **QUAY, postal_code="28195", country="Germany", primary=True),
        ],
        "job_title": "Planner",
        "department_name": "Logistics",
        "division_name": "North",
        "cost_center_name": "42",
        "employee_type": "Employee",
        "employee_number": "4711",
        "manager_email": NOOR,
    }


def test_without_a_primary_entry_the_first_counts_and_an_object_is_a_list_of_one() -> None:
    raw: dict[str, Any] = {
        "name": {"givenName": "Mira", "familyName": "Voss"},
        "organizations": [{"department": "Fair"}, {"title": "Planner", "department": "Logistics"}],
        "phones": {"value": "+49 421 1", "type": "mobile"},
        "emails": {"address": MIRA},
        "externalIds": {"type": "organization", "value": "4711"},
        "relations": {"type": "manager", "value": NOOR},
    }
    assert attributes("gsuite directory", raw) == NAMED | {
        "department_name": "Fair",
        "job_title": "Planner",
        "emails": [mail(MIRA)],
        "phone_numbers": [phone("+49 421 1", "mobile", True)],
        "employee_number": "4711",
        "manager_email": NOOR,
    }


COLUMNS: dict[str, Json] = {
    "cost_center_name": "42",
    "department_name": "Logistics",
    "display_name": "Mira V.",
    "division_name": "North",
    "employee_type": "Employee",
    "job_title": "Planner",
    "manager_email": NOOR,
    "manager_id": "9",
    "manager_name": "Noor Ada",
}
WORK_ADDRESS: dict[str, Json] = {
    "work_address_street": "Quay 7",
    "work_address_locality": "Bremen",
    "work_address_region": "HB",
    "work_address_postal_code": "28195",
    "work_address_country": "DE",
}
AT_WORK = [address(type="work", **QUAY, postal_code="28195", country="DE", primary=True)]


def test_the_columns_of_a_report_are_read_under_both_sets_of_names() -> None:
    model: dict[str, Json] = {
        **COLUMNS,
        **WORK_ADDRESS,
        **GIVEN,
        "employee_id": "7",
        "primary_work_email": MIRA,
        "user_name": "mvoss",
        "employment_start_date": "2021-06-27-08:00",
    }
    shown = COLUMNS | {
        **GIVEN,
        "name": "Mira V.",
        "email": MIRA,
        "username": "mvoss",
        "emails": [mail(MIRA, "work", True)],
        "addresses": AT_WORK,
        "employment_start_date": STARTED,
    }
    assert attributes("workday", model) == shown
    assert attributes("sftp workday", model) == shown
    wizard: dict[str, Json] = {
        **GIVEN,
        "email": MIRA,
        "username": "mvoss",
        "title": "Planner",
        "department": "Logistics",
        "division": "North",
        "cost_center": "42",
        "manager_email": NOOR,
        "employee_type": "Employee",
        "hire_date": "2021-06-27",
        "location": "Bremen",
    }
    assert attributes("workday", wizard) == NAMED | {
        "email": MIRA,
        "emails": [mail(MIRA, primary=True)],
        "username": "mvoss",
        "job_title": "Planner",
        "department_name": "Logistics",
        "division_name": "North",
        "cost_center_name": "42",
        "manager_email": NOOR,
        "employee_type": "Employee",
        "employment_start_date": STARTED,
    }


@pytest.mark.parametrize("type_", ["sftp", "s3"])
def test_the_columns_of_files_are_read_under_both_sets_of_names(type_: str) -> None:
    model: dict[str, Json] = {
        **COLUMNS,
        **WORK_ADDRESS,
        **GIVEN,
        "user_id": "7",
        "email": MIRA,
        "username": "mvoss",
    }
    model["employment_start_date"] = "2021-06-27"
    assert attributes(type_, model) == COLUMNS | {
        **GIVEN,
        "name": "Mira V.",
        "email": MIRA,
        "emails": [mail(MIRA, primary=True)],
        "username": "mvoss",
        "addresses": AT_WORK,
        "employment_start_date": STARTED,
    }
    longer: dict[str, Json] = {
        **GIVEN,
        "idp_id": "7",
        "email": MIRA,
        "username": None,
        "job_title": "Planner",
        "department_name": "Logistics",
        "employee_number": "4711",
        "organization": "Northwind",
        "street_address": "Quay 7",
        "locality": "Bremen",
        "region": "HB",
        "postal_code": None,
        "country": "DE",
    }
    assert attributes(type_, longer) == NAMED | {
        "email": MIRA,
        "emails": [mail(MIRA, primary=True)],
        "job_title": "Planner",
        "department_name": "Logistics",
        "employee_number": "4711",
        "organization": "Northwind",
        "addresses": [address(**QUAY, country="DE", primary=True)],
    }


def test_columns_that_are_empty_make_no_address_and_no_name() -> None:
    empty: dict[str, Json] = dict.fromkeys([*WORK_ADDRESS, "first_name", "last_name", "email"])
    for type_ in ("workday", "sftp", "s3", "sftp workday"):
        assert attributes(type_, empty) == {}
    assert attributes("sftp", {"last_name": "Voss"}) == {"last_name": "Voss", "name": "Voss"}


@pytest.mark.parametrize("type_", [*HR, *READ])
def test_a_person_has_everything_that_the_source_says_and_nothing_else(type_: str) -> None:
    raw, shown = (HR | READ)[type_]
    assert attributes(type_, raw, NOOR) == shown


def test_the_name_of_a_guest_is_no_address() -> None:
    guest: dict[str, Json] = {"userPrincipalName": "mira_home.example#EXT#@northwind.example"}
    assert "email" not in attributes("entra graph", guest)
    assert attributes("entra graph", {"userPrincipalName": MIRA})["email"] == MIRA


def test_a_manager_is_an_address_only_where_it_looks_like_one() -> None:
    assert attributes("okta api", {"profile": {"manager": NOOR}})["manager_email"] == NOOR
    assert "manager_email" not in attributes("okta api", {"profile": {"manager": "Noor Ada"}})


def test_every_pulled_source_is_tried_or_said_to_be_unknown() -> None:
    tried = {*HR, *READ, "gsuite directory", "workday", "sftp", "s3", "sftp workday"}
    unknown = {profile.type for profile in pulled.PROFILES if not profile.attribute_sources}
    assert unknown == {"cezanne hr", "fourth hr", "ukg ready"}
    assert tried | unknown == {profile.type for profile in pulled.PROFILES}
