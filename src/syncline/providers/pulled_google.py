"""Google Workspace: people as the Directory API shows them.

Which field is which attribute: the contract (`api.md` §6.1, `providers/google-workspace.md`). What the
entries of the lists hold: https://developers.google.com/workspace/admin/directory/reference/rest/v1/users. At
most one entry of a list is the primary one; where none is, the first counts.
"""

from __future__ import annotations

from syncline.providers.profile import Profile
from syncline.providers.pulled_paths import Sources, firsts, joined, paths, source, together


def _of_organization(name: str) -> Sources:
    return (*paths(f"organizations[primary].{name}"), *firsts(f"organizations.{name}"))


PROFILE = Profile(
    type="gsuite directory",
    label="Google Workspace",
    attribute_sources={
        "first_name": paths("name.givenName"),
        "last_name": paths("name.familyName"),
        "name": (*paths("name.fullName"), *joined("name.givenName", "name.familyName")),
        "display_name": paths("name.fullName"),
        "email": paths("primaryEmail"),
        "username": paths("primaryEmail"),
        "emails": together("emails", "aliases"),
        "phone_numbers": paths("phones"),
        "addresses": paths("addresses"),
        "job_title": _of_organization("title"),
        "department_name": _of_organization("department"),
        "cost_center_name": _of_organization("costCenter"),
        "employee_type": _of_organization("description"),
        "division_name": _of_organization("domain"),
        "employee_number": (source('externalIds[type eq "organization"].value'),),
        "manager_email": (source('relations[type eq "manager"].value'),),
    },
    note=(
        "Groups are pulled with their members. Of several organizations the primary one counts, else the "
        "first. The first day of employment is in custom schemas only."
    ),
)
