"""Sources that are pulled: what their fields are called (`api.md` §6.1). Data for connectors to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncline.core.json import Json
from syncline.providers.profile import Profile

_Sources = Sequence[Mapping[str, Json]]


def _field(path: str, *transforms: str) -> _Sources:
    steps: list[Json] = [{"name": name, "arguments": {}} for name in transforms]
    return ({"path": path, "transforms": steps},)


_COLUMNS: Mapping[str, _Sources] = {
    key: _field(key)
    for key in (
        "first_name",
        "last_name",
        "cost_center_name",
        "department_name",
        "display_name",
        "division_name",
        "employee_type",
        "employment_start_date",
        "job_title",
        "manager_email",
        "manager_id",
        "manager_name",
    )
}
_CSV: Mapping[str, _Sources] = {**_COLUMNS, "email": _field("email"), "username": _field("username")}

GOOGLE = Profile(
    type="gsuite directory",
    label="Google Workspace",
    attribute_sources={
        "first_name": _field("name.givenName"),
        "last_name": _field("name.familyName"),
        "email": _field("primaryEmail"),
        "username": _field("primaryEmail"),
        "cost_center_name": _field("organizations.costCenter", "first"),
        "department_name": _field("organizations.department", "first"),
        "display_name": _field("name.fullName"),
        "employee_type": _field("organizations.description", "first"),
        "job_title": _field("organizations.title", "first"),
        "manager_email": _field('relations[type eq "manager"].value'),
    },
    note="Groups are pulled with their members; of several organizations the first counts.",
)
WORKDAY = Profile(
    type="workday",
    label="Workday",
    attribute_sources={
        **_COLUMNS,
        "email": _field("primary_work_email"),
        "username": _field("user_name"),
    },
    note="Columns of the reports that are read.",
)
FILES = tuple(
    Profile(type=type_, label=label, attribute_sources=_CSV, note="Columns of `users.csv`.")
    for type_, label in (("sftp", "Files by SFTP"), ("s3", "Files in S3"))
)

PROFILES: tuple[Profile, ...] = (GOOGLE, WORKDAY, *FILES)
"""Every pulled source whose fields are known."""
