"""HR systems: people as their APIs show them, where the names of fields are known.

Everything is from the contract, a file each in `providers/`: `bamboohr.md`, `hibob.md`, `personio.md`,
`breathe-hr.md`, `people-hr.md`, `rippling-api.md`, `ukg.md`, `adp.md`, `gusto-namely.md`. HiBob's answers
hold values under `value` of keys with slashes, and names of list entries under `humanReadable` where that is
asked for: https://apidocs.hibob.com/docs/how-to-work-with-lists-public-api. Personio's keys of standard
attributes are universal ids: https://developer.personio.de/changelog/employees-api-universal-id-is-now-exposed.

Cezanne HR, Fourth and UKG Ready have no sources: the contract does not know what their fields are called.
What it marks as inferred or as common knowledge (names of UKG Pro, People HR and ADP) is no more than that
here. Managers that are named by an id are found among the people of the directory (`$manager_email`).
"""

from __future__ import annotations

from syncline.providers.profile import Profile
from syncline.providers.pulled_paths import Sources, firsts, joined, paths

BAMBOOHR = Profile(
    type="bamboohr",
    label="BambooHR",
    attribute_sources={
        "first_name": paths("preferredName", "firstName"),
        "last_name": paths("lastName"),
        "name": joined(("preferredName", "firstName"), "lastName"),
        "email": paths("workEmail"),
        "emails": paths("workEmail"),
        "username": paths("workEmail"),
        "job_title": paths("jobTitleName"),
        "department_name": paths("departmentName"),
        "division_name": paths("divisionName"),
        "employee_number": paths("employeeNumber"),
        "employee_type": paths("employmentStatusName"),
        "employment_start_date": paths("hireDate"),
        "manager_id": paths("reportsToId"),
        "phone_numbers": paths("workPhone"),
    },
)


def _bob(section: str, name: str) -> tuple[str, ...]:
    """Return the paths of a field: under its key with slashes, and in nested objects."""
    nested = name if section == "root" else f"{section}.{name}"
    return f"/{section}/{name}.value", f"/{section}/{name}", nested


def _bob_list(section: str, name: str) -> Sources:
    """Return the sources of a field whose value may be an id, with its name beside."""
    return paths(f"humanReadable.{section}.{name}", *_bob(section, name))


HIBOB = Profile(
    type="hibob",
    label="HiBob",
    attribute_sources={
        "first_name": paths(*_bob("root", "firstName")),
        "last_name": paths(*_bob("root", "surname")),
        "name": joined(_bob("root", "firstName"), _bob("root", "surname")),
        "email": paths(*_bob("root", "email")),
        "emails": paths(*_bob("root", "email")),
        "username": paths(*_bob("root", "email")),
        "job_title": _bob_list("work", "title"),
        "department_name": _bob_list("work", "department"),
        "employee_number": paths(*_bob("work", "employeeIdInCompany")),
        "employee_type": paths(
            "humanReadable.payroll.employment.type",
            "/payroll/employment/type.value",
            "/payroll/employment/type",
            "payroll.employment.type",
        ),
        "employment_start_date": paths(*_bob("work", "startDate")),
        "manager_email": paths(*(f"{path}.email" for path in _bob("work", "reportsTo"))),
    },
    note="The division is a column that each company adds itself.",
)


def _personio(name: str) -> str:
    return f"attributes.{name}.value"


def _person(name: str) -> Sources:
    nested = f"{_personio('supervisor')}.attributes.{name}"
    return paths(f"{nested}.value", nested)


PERSONIO = Profile(
    type="personio",
    label="Personio",
    attribute_sources={
        "first_name": paths(_personio("preferred_name"), _personio("first_name")),
        "last_name": paths(_personio("last_name")),
        "name": joined((_personio("preferred_name"), _personio("first_name")), _personio("last_name")),
        "email": paths(_personio("email")),
        "emails": paths(_personio("email")),
        "username": paths(_personio("email")),
        "job_title": paths(_personio("position")),
        "department_name": paths(f"{_personio('department')}.attributes.name"),
        "division_name": paths(f"{_personio('subcompany')}.attributes.name"),
        "cost_center_name": firsts(f"{_personio('cost_centers')}.attributes.name"),
        "employee_type": paths(_personio("employment_type")),
        "employment_start_date": paths(_personio("hire_date")),
        "manager_email": _person("email"),
        "manager_id": _person("id"),
    },
)
BREATHE = Profile(
    type="breathe hr",
    label="Breathe HR",
    attribute_sources={
        "first_name": paths("first_name"),
        "last_name": paths("last_name"),
        "name": joined("first_name", "last_name"),
        "email": paths("email"),
        "emails": paths("email"),
        "username": paths("email"),
        "job_title": paths("job_title"),
        "department_name": paths("department.name"),
        "division_name": paths("division"),
        "employee_type": paths("full_or_part_time"),
        "employment_start_date": paths("company_join_date"),
        "manager_id": paths("line_manager.id"),
    },
)
PEOPLE_HR = Profile(
    type="people hr",
    label="Access People HR",
    attribute_sources={
        "first_name": paths("FirstName.DisplayValue"),
        "last_name": paths("LastName.DisplayValue"),
        "name": joined("FirstName.DisplayValue", "LastName.DisplayValue"),
        "email": paths("EmailId.DisplayValue"),
        "emails": paths("EmailId.DisplayValue"),
        "username": paths("EmailId.DisplayValue"),
        "job_title": paths("JobRole.DisplayValue"),
        "department_name": paths("Department.DisplayValue"),
        "employee_type": paths("EmploymentType.DisplayValue"),
        "employment_start_date": paths("StartDate.DisplayValue"),
        "manager_email": paths("ReportsToEmailAddress.DisplayValue"),
    },
    note="Whether the division is the company or the location is the administrator's choice.",
)
RIPPLING = Profile(
    type="rippling api",
    label="Rippling (REST API)",
    attribute_sources={
        "first_name": paths("user.name.preferred", "user.name.given"),
        "last_name": paths("user.name.family"),
        "name": joined(("user.name.preferred", "user.name.given"), "user.name.family"),
        "email": paths("work_email"),
        "emails": paths("work_email"),
        "username": paths("user.username"),
        "job_title": paths("title"),
        "department_name": paths("department.name"),
        "employee_number": paths("number"),
        "employee_type": paths("employment_type"),
        "employment_start_date": paths("start_date"),
        "manager_email": paths("manager.work_email"),
    },
)
UKG_PRO = Profile(
    type="ukg pro",
    label="UKG Pro",
    attribute_sources={
        "first_name": paths("preferredName", "firstName"),
        "last_name": paths("lastName"),
        "name": joined(("preferredName", "firstName"), "lastName"),
        "email": paths("emailAddress"),
        "emails": paths("emailAddress"),
        "job_title": paths("jobDescription"),
        "employee_type": paths("employeeTypeDescription"),
        "employment_start_date": paths("lastHireDate"),
    },
    note="Which organizational level is the department, the fields of a company tell.",
)


def _legal(name: str) -> tuple[str, ...]:
    return f"person.preferredName.{name}", f"person.legalName.{name}"


ADP = Profile(
    type="adp",
    label="ADP Workforce Now",
    attribute_sources={
        "first_name": paths(*_legal("givenName")),
        "last_name": paths(*_legal("familyName1")),
        "name": joined(_legal("givenName"), _legal("familyName1")),
        "email": firsts("businessCommunication.emails.emailUri"),
        "emails": paths("businessCommunication.emails.emailUri"),
        "job_title": (
            *paths("workAssignments[primaryIndicator eq true].jobTitle"),
            *firsts("workAssignments.jobTitle"),
        ),
        "employee_number": paths("workerID.idValue"),
        "employee_type": paths(
            *(f"workerTypeCode.{name}" for name in ("longName", "shortName", "codeValue"))
        ),
        "employment_start_date": paths("workerDates.originalHireDate", "workerDates.rehireDate"),
        "manager_id": firsts("reportsTo.associateOID"),
    },
)
GUSTO = Profile(
    type="gusto",
    label="Gusto",
    attribute_sources={
        "first_name": paths("preferred_first_name", "first_name"),
        "last_name": paths("last_name"),
        "name": joined(("preferred_first_name", "first_name"), "last_name"),
        "email": paths("work_email"),
        "emails": paths("work_email"),
        "job_title": paths("jobs[primary].title"),
        "department_name": paths("department"),
        "employment_start_date": paths("jobs[primary].hire_date"),
        "manager_id": paths("manager_uuid"),
    },
    note="The private address is taken only where an administrator maps it.",
)
NAMELY = Profile(
    type="namely",
    label="Namely",
    attribute_sources={
        "first_name": paths("preferred_name", "first_name"),
        "last_name": paths("last_name"),
        "name": joined(("preferred_name", "first_name"), "last_name"),
        "email": paths("email"),
        "emails": paths("email"),
        "job_title": paths("job_title.title"),
        "employee_number": paths("employee_id"),
        "employee_type": paths("employee_type"),
        "employment_start_date": paths("start_date"),
        "manager_email": firsts("reports_to.email"),
    },
    note="Departments and divisions are groups.",
)

PROFILES = (
    BAMBOOHR,
    HIBOB,
    PERSONIO,
    BREATHE,
    PEOPLE_HR,
    RIPPLING,
    UKG_PRO,
    ADP,
    GUSTO,
    NAMELY,
    *(
        Profile(type=type_, label=label, note="What its fields are called is not known before one is seen.")
        for type_, label in (
            ("cezanne hr", "Cezanne HR"),
            ("fourth hr", "Fourth"),
            ("ukg ready", "UKG Ready"),
        )
    ),
)
