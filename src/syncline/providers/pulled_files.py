"""Files and reports whose columns are named by whoever made them: CSV by SFTP and S3, and Workday.

Columns are those of the contract: the model's own (`api.md` §6.1), the longer set of `users.csv`
(`providers/csv-files.md`) and the aliases of the wizard for reports (`providers/workday.md`). Where two sets
name the same thing, the model's name comes first.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncline.providers.profile import Profile
from syncline.providers.pulled_paths import Sources, joined, made, paths

_WORK_ADDRESS = made(
    type="work",
    street_address="work_address_street",
    locality="work_address_locality",
    region="work_address_region",
    postal_code="work_address_postal_code",
    country="work_address_country",
    primary=True,
)
_COMMON: Mapping[str, Sources] = {
    "first_name": paths("first_name"),
    "last_name": paths("last_name"),
    "name": (*paths("display_name"), *joined("first_name", "last_name")),
    "display_name": paths("display_name"),
    "addresses": _WORK_ADDRESS,
    "cost_center_name": paths("cost_center_name"),
    "department_name": paths("department_name"),
    "division_name": paths("division_name"),
    "employee_type": paths("employee_type"),
    "employment_start_date": paths("employment_start_date"),
    "job_title": paths("job_title"),
    "manager_email": paths("manager_email"),
    "manager_id": paths("manager_id"),
    "manager_name": paths("manager_name"),
}
_ALIASES: Mapping[str, str] = {
    "cost_center_name": "cost_center",
    "department_name": "department",
    "division_name": "division",
    "employment_start_date": "hire_date",
    "job_title": "title",
}
_REPORT: Mapping[str, Sources] = {
    **_COMMON,
    **{key: (*_COMMON[key], *paths(alias)) for key, alias in _ALIASES.items()},
    "email": paths("primary_work_email", "email"),
    "emails": (
        *made(type="work", value="primary_work_email", primary=True),
        *paths("email"),
    ),
    "username": paths("user_name", "username"),
}
_CSV: Mapping[str, Sources] = {
    **_COMMON,
    "addresses": (
        *_WORK_ADDRESS,
        *made(
            street_address="street_address",
            locality="locality",
            region="region",
            postal_code="postal_code",
            country="country",
            primary=True,
        ),
    ),
    "email": paths("email"),
    "emails": paths("email"),
    "employee_number": paths("employee_number"),
    "organization": paths("organization"),
    "username": paths("username"),
}

WORKDAY = Profile(
    type="workday",
    label="Workday",
    attribute_sources=_REPORT,
    note="Columns of the reports that are read.",
)
FILES = (
    *(
        Profile(type=type_, label=label, attribute_sources=_CSV, note="Columns of `users.csv`.")
        for type_, label in (("sftp", "Files by SFTP"), ("s3", "Files in S3"))
    ),
    Profile(
        type="sftp workday",
        label="Workday by SFTP",
        attribute_sources={**_CSV, **_REPORT, "addresses": _CSV["addresses"]},
        note="Columns of a report that is delivered as `users.csv`.",
    ),
)
