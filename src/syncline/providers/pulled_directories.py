"""Directories that are read instead of pushed: people as their interfaces show them.

Everything is from the contract, a file each in `providers/`: `entra-graph.md`, `okta-api.md`,
`active-directory.md`, `ldap.md`; the display name of LDAP is that of RFC 2798, the telephone that of RFC
4519. Managers that are named by an id or a DN are found among the people of the directory (`$manager_email`).
"""

from __future__ import annotations

from syncline.providers.profile import Profile
from syncline.providers.pulled_paths import firsts, joined, made, paths, source, step, together

GRAPH = Profile(
    type="entra graph",
    label="Microsoft Entra ID (Graph)",
    attribute_sources={
        "first_name": paths("givenName"),
        "last_name": paths("surname"),
        "name": (*paths("displayName"), *joined("givenName", "surname")),
        "display_name": paths("displayName"),
        # The name of a guest looks like an address of this tenant and is none.
        "email": paths("mail", 'userPrincipalName[not (value co "#EXT#")]'),
        "emails": together("mail", "otherMails", "proxyAddresses"),
        "username": paths("userPrincipalName"),
        "phone_numbers": together("businessPhones", "mobilePhone"),
        "addresses": made(
            street_address="streetAddress",
            locality="city",
            region="state",
            postal_code="postalCode",
            country="country",
            primary=True,
        ),
        "job_title": paths("jobTitle"),
        "department_name": paths("department"),
        "division_name": paths("employeeOrgData.division"),
        "cost_center_name": paths("employeeOrgData.costCenter"),
        "organization": paths("companyName"),
        "employee_number": paths("employeeId"),
        "employee_type": paths("employeeType"),
        "employment_start_date": paths("employeeHireDate"),
        "manager_id": paths("manager.id", "manager"),
    },
)
OKTA = Profile(
    type="okta api",
    label="Okta (management API)",
    attribute_sources={
        "first_name": paths("profile.firstName"),
        "last_name": paths("profile.lastName"),
        "name": joined("profile.firstName", "profile.lastName"),
        "email": paths("profile.email"),
        "emails": together("profile.email", "profile.secondEmail"),
        "username": paths("profile.login"),
        "addresses": made(
            street_address="profile.streetAddress",
            locality="profile.city",
            region="profile.state",
            postal_code="profile.zipCode",
            country="profile.countryCode",
            primary=True,
        ),
        "job_title": paths("profile.title"),
        "department_name": paths("profile.department"),
        "division_name": paths("profile.division"),
        "cost_center_name": paths("profile.costCenter"),
        "organization": paths("profile.organization"),
        "employee_number": paths("profile.employeeNumber"),
        "employee_type": paths("profile.userType"),
        "manager_email": paths('profile.manager[value co "@"]', "$manager_email"),
        "manager_id": paths("profile.managerId"),
    },
)
ACTIVE_DIRECTORY = Profile(
    type="active directory",
    label="Active Directory",
    attribute_sources={
        "first_name": firsts("givenName"),
        "last_name": firsts("sn"),
        "name": (*firsts("displayName"), *joined("givenName", "sn")),
        "display_name": firsts("displayName"),
        "email": paths("mail", "proxyAddresses"),
        "emails": together("mail", "proxyAddresses"),
        "username": firsts("userPrincipalName", "sAMAccountName"),
        "addresses": made(
            street_address="streetAddress",
            locality="l",
            region="st",
            postal_code="postalCode",
            country="co",
            primary=True,
        ),
        "job_title": firsts("title"),
        "department_name": firsts("department"),
        "division_name": firsts("division"),
        "organization": firsts("company"),
        "employee_number": firsts("employeeNumber", "employeeID"),
        "employee_type": firsts("employeeType"),
    },
)
LDAP = Profile(
    type="ldap",
    label="LDAP",
    attribute_sources={
        "first_name": (
            *firsts("givenName"),
            source("cn", "first", step("split", separator=" "), "first"),
        ),
        "last_name": (*firsts("sn"), source("cn", "first", step("split", separator=" "), "last")),
        "name": firsts("displayName", "cn"),
        "display_name": firsts("displayName"),
        "email": paths("mail"),
        "emails": paths("mail"),
        "username": firsts("uid"),
        "phone_numbers": paths("telephoneNumber"),
        "addresses": made(
            street_address="street",
            locality="l",
            region="st",
            postal_code="postalCode",
            country="c",
            primary=True,
        ),
        "job_title": firsts("title"),
        "department_name": firsts("departmentNumber", "ou"),
        "employee_number": firsts("employeeNumber"),
        "employee_type": firsts("employeeType"),
    },
)

PROFILES = (GRAPH, OKTA, ACTIVE_DIRECTORY, LDAP)
