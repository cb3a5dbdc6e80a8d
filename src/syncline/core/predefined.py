"""The predefined attributes, and where they and the standard ones come from by default (`api.md` §6.1, §6.2).

Data only. A path that begins with `$` is a value that Syncline selects itself (`core.attributes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncline.core.scim.schema import ENTERPRISE_URN


@dataclass(frozen=True, slots=True)
class Predefined:
    """An attribute with a name, a type and default sources of its own."""

    type: str
    sources: tuple[str, ...]
    description: str


FIXED_STANDARD = ("idp_id", "state")
"""Standard attributes that cannot come from anywhere else."""

STANDARD: Mapping[str, Predefined] = {
    "email": Predefined("string", ("$email",), "The primary e-mail address."),
    "first_name": Predefined("string", ("$first_name",), "The given name."),
    "last_name": Predefined("string", ("$last_name",), "The family name."),
    "name": Predefined("string", ("$name",), "The full name."),
    "username": Predefined("string", ("userName",), "The name under which the provider knows the person."),
    "job_title": Predefined("string", ("title",), "The title."),
}
"""Standard attributes that may get other sources."""

PREDEFINED: Mapping[str, Predefined] = {
    "addresses": Predefined("list", ("$addresses",), "All addresses."),
    "cost_center_name": Predefined("string", (f"{ENTERPRISE_URN}.costCenter",), "The cost center."),
    "department_name": Predefined("string", (f"{ENTERPRISE_URN}.department",), "The department."),
    "display_name": Predefined("string", ("displayName",), "The name as it is shown."),
    "division_name": Predefined("string", (f"{ENTERPRISE_URN}.division",), "The division."),
    "emails": Predefined("list", ("$emails",), "All e-mail addresses."),
    "employee_number": Predefined("string", (f"{ENTERPRISE_URN}.employeeNumber",), "The employee number."),
    "employee_type": Predefined("string", ("userType",), "The kind of employment."),
    "employment_start_date": Predefined("date", (), "The first day of employment."),
    "job_title": Predefined("string", ("title",), "The title."),
    "manager_email": Predefined("string", ("$manager_email",), "The e-mail address of the manager."),
    "manager_id": Predefined("string", (f"{ENTERPRISE_URN}.manager.value",), "The id of the manager."),
    "manager_name": Predefined(
        "string", (f"{ENTERPRISE_URN}.manager.displayName",), "The name of the manager."
    ),
    "organization": Predefined("string", (f"{ENTERPRISE_URN}.organization",), "The organization."),
    "phone_numbers": Predefined("list", ("$phone_numbers",), "All phone numbers."),
    "username": Predefined("string", ("userName",), "The name under which the provider knows the person."),
}
"""Attributes that an environment may switch on; their names are fixed."""


def built_in_sources(key: str) -> tuple[str, ...]:
    """Return the paths that an attribute has by itself; none for custom ones."""
    found = PREDEFINED.get(key) or STANDARD.get(key)
    return found.sources if found is not None else ()
