"""One person as each HR system shows them, and the attributes that come of it."""

from __future__ import annotations

from typing import Any

from syncline.core.json import Json
from tests.support.pulled_people import (
    ADDRESSED,
    GIVEN,
    MIRA,
    NAMED,
    NAMED_BY_ADDRESS,
    NOOR,
    STARTED,
    mail,
    phone,
)


def _attribute(value: Json) -> dict[str, Json]:
    return {"label": "A label", "value": value, "type": "standard"}


def _field(value: Json) -> dict[str, Json]:
    return {"DisplayValue": value, "FormattedValue": "not this", "History": [{"Value": "old"}]}


HR: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bamboohr": (
        {
            "employeeId": "7",
            "firstName": "Miranda",
            "preferredName": "Mira",
            "lastName": "Voss",
            "workEmail": MIRA,
            "jobTitleName": "Planner",
            "departmentName": "Logistics",
            "divisionName": "North",
            "employmentStatusName": "Full-Time",
            "employeeNumber": "4711",
            "hireDate": "2021-06-27",
            "reportsToId": "9",
            "workPhone": "+49 421 7",
        },
        NAMED_BY_ADDRESS
        | {
            "job_title": "Planner",
            "department_name": "Logistics",
            "division_name": "North",
            "employee_type": "Full-Time",
            "employee_number": "4711",
            "employment_start_date": STARTED,
            "manager_id": "9",
            "manager_email": NOOR,
            "phone_numbers": [phone("+49 421 7", None, True)],
        },
    ),
    "hibob": (
        {
            "/root/id": {"value": "7"},
            "/root/firstName": {"value": "Mira"},
            "/root/email": {"value": MIRA},
            "surname": "Voss",
            "/work/title": {"value": "250"},
            "/work/department": {"value": "209"},
            "work": {
                "department": "209",
                "reportsTo": {"id": "9", "email": NOOR, "displayName": "Noor Ada"},
                "startDate": "2021-06-27",
            },
            "/work/employeeIdInCompany": {"value": 4711},
            "humanReadable": {
                "work": {"title": "Planner", "department": "Logistics", "startDate": "27/06/2021"}
            },
        },
        NAMED_BY_ADDRESS
        | {
            "job_title": "Planner",
            "department_name": "Logistics",
            "employee_number": "4711",
            "employment_start_date": STARTED,
            "manager_email": NOOR,
        },
    ),
    "personio": (
        {
            "type": "Employee",
            "attributes": {
                "id": _attribute(7),
                "first_name": _attribute("Mira"),
                "preferred_name": _attribute(""),
                "last_name": _attribute("Voss"),
                "email": _attribute(MIRA),
                "position": _attribute("Planner"),
                "department": _attribute(
                    {"type": "Department", "attributes": {"id": 1, "name": "Logistics"}}
                ),
                "subcompany": _attribute({"type": "Subcompany", "attributes": {"id": 2, "name": "North"}}),
                "cost_centers": _attribute(
                    [
                        {"type": "CostCenter", "attributes": {"id": 3, "name": "42"}},
                        {"type": "CostCenter", "attributes": {"id": 4, "name": "43"}},
                    ]
                ),
                "employment_type": _attribute("internal"),
                "hire_date": _attribute("2021-06-27"),
                "supervisor": _attribute(
                    {"type": "Employee", "attributes": {"id": _attribute(9), "email": _attribute(NOOR)}}
                ),
            },
        },
        NAMED_BY_ADDRESS
        | {
            "job_title": "Planner",
            "department_name": "Logistics",
            "division_name": "North",
            "cost_center_name": "42",
            "employee_type": "internal",
            "employment_start_date": STARTED,
            "manager_id": "9",
            "manager_email": NOOR,
        },
    ),
    "breathe hr": (
        {
            "id": 7,
            **GIVEN,
            "email": MIRA,
            "job_title": "Planner",
            "department": {"id": 1, "name": "Logistics"},
            "division": "North",
            "line_manager": {"id": 9},
            "company_join_date": "2021-06-27",
            "full_or_part_time": "Full time",
        },
        NAMED_BY_ADDRESS
        | {
            "job_title": "Planner",
            "department_name": "Logistics",
            "division_name": "North",
            "employee_type": "Full time",
            "employment_start_date": STARTED,
            "manager_id": "9",
            "manager_email": NOOR,
        },
    ),
    "people hr": (
        {
            "EmployeeId": _field("7"),
            "FirstName": _field("Mira"),
            "LastName": _field("Voss"),
            "EmailId": _field(MIRA),
            "JobRole": _field("Planner"),
            "Department": _field("Logistics"),
            "Location": _field("Bremen"),
            "EmploymentType": _field("Permanent"),
            "StartDate": _field("2021-06-27"),
            "ReportsToEmailAddress": _field(NOOR),
        },
        NAMED_BY_ADDRESS
        | {
            "job_title": "Planner",
            "department_name": "Logistics",
            "employee_type": "Permanent",
            "employment_start_date": STARTED,
            "manager_email": NOOR,
        },
    ),
    "rippling api": (
        {
            "id": "7",
            "work_email": MIRA,
            "user": {"username": "mvoss", "name": {"given": "Mira", "family": "Voss"}},
            "title": "Planner",
            "department": {"name": "Logistics"},
            "employment_type": "SALARIED",
            "number": 4711,
            "start_date": "2021-06-27",
            "manager": {"id": "9", "work_email": NOOR},
        },
        ADDRESSED
        | {
            "username": "mvoss",
            "job_title": "Planner",
            "department_name": "Logistics",
            "employee_type": "SALARIED",
            "employee_number": "4711",
            "employment_start_date": STARTED,
            "manager_email": NOOR,
        },
    ),
    "ukg pro": (
        {
            "employeeId": "7",
            "preferredName": "Mira",
            "firstName": "Miranda",
            "lastName": "Voss",
            "emailAddress": MIRA,
            "jobDescription": "Planner",
            "employeeTypeDescription": "Regular",
            "lastHireDate": "2021-06-27",
        },
        ADDRESSED
        | {
            "job_title": "Planner",
            "employee_type": "Regular",
            "employment_start_date": STARTED,
            "manager_email": NOOR,
        },
    ),
    "adp": (
        {
            "associateOID": "7",
            "workerID": {"idValue": "4711"},
            "person": {"legalName": {"givenName": "Mira", "familyName1": "Voss"}},
            "businessCommunication": {"emails": [{"emailUri": MIRA}, {"emailUri": "mv@northwind.example"}]},
            "workAssignments": [
                {"primaryIndicator": False, "jobTitle": "Helper"},
                {"primaryIndicator": True, "jobTitle": "Planner"},
            ],
            "workerTypeCode": {"codeValue": "E", "shortName": "Employee"},
            "workerDates": {"originalHireDate": "2021-06-27"},
            "reportsTo": [{"associateOID": "9"}],
        },
        NAMED
        | {
            "email": MIRA,
            "emails": [mail(MIRA), mail("mv@northwind.example")],
            "job_title": "Planner",
            "employee_type": "Employee",
            "employee_number": "4711",
            "employment_start_date": STARTED,
            "manager_id": "9",
            "manager_email": NOOR,
        },
    ),
    "gusto": (
        {
            "uuid": "7",
            "first_name": "Miranda",
            "preferred_first_name": "Mira",
            "last_name": "Voss",
            "email": "private@home.example",
            "work_email": MIRA,
            "jobs": [
                {"primary": False, "title": "Helper"},
                {"primary": True, "title": "Planner", "hire_date": "2021-06-27"},
            ],
            "department": "Logistics",
            "manager_uuid": "9",
        },
        ADDRESSED
        | {
            "job_title": "Planner",
            "department_name": "Logistics",
            "employment_start_date": STARTED,
            "manager_id": "9",
            "manager_email": NOOR,
        },
    ),
    "namely": (
        {
            "id": "7",
            **GIVEN,
            "email": MIRA,
            "job_title": {"id": "1", "title": "Planner"},
            "start_date": "2021-06-27",
            "employee_type": "Full time",
            "employee_id": "4711",
            "reports_to": [{"id": "9", "email": NOOR}],
        },
        ADDRESSED
        | {
            "job_title": "Planner",
            "employee_type": "Full time",
            "employee_number": "4711",
            "employment_start_date": STARTED,
            "manager_email": NOOR,
        },
    ),
}
