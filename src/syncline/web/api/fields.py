"""What the fields of answers mean, for the OpenAPI document; the objects themselves are in `core.wire`."""

from __future__ import annotations

from collections.abc import Mapping

EVERYWHERE: Mapping[str, str] = {
    "object": "The kind of the object.",
    "id": "Its id.",
    "created_at": "When it was made: UTC, with three fraction digits.",
    "updated_at": "When it last changed.",
    "directory_id": "The directory it belongs to.",
    "organization_id": "The organization it belongs to.",
    "raw_attributes": "Always empty; the object as the provider sent it stays inside.",
}
"""Fields that mean the same in every object."""

OF: Mapping[str, Mapping[str, str]] = {
    "Directory": {
        "external_key": "A short key of the directory, accepted in SCIM addresses in place of its id.",
        "type": "The kind of provider.",
        "state": (
            "`validating` until the provider's first request, then `linked`; `unlinked`, "
            "`invalid_credentials`, and `deleting` at its end. Events say `active` for `linked` and "
            "`inactive` for `unlinked`."
        ),
        "name": "Its name, for people.",
        "domain": "The organization's first domain; absent if it has none.",
        "metadata": "How many people and groups it shows.",
    },
    "DirectoryMetadata": {"users": "People, by state.", "groups": "Groups."},
    "DirectoryUserCounts": {"active": "Active people.", "inactive": "Inactive people that are kept."},
    "DirectoryUser": {
        "idp_id": "The person's id at the provider: `externalId`, else the SCIM id.",
        "email": "The primary address; else the one of type `work`, the first, or a userName that is one.",
        "first_name": "The given name.",
        "last_name": "The family name.",
        "name": "The whole name.",
        "emails": "All addresses, each with `value`, `type` and `primary`.",
        "job_title": "The title.",
        "username": "The userName, as sent.",
        "state": "`active` or `inactive`.",
        "custom_attributes": "Attributes that are mapped; none can be mapped yet.",
        "role": "The role; absent, as roles do not exist yet.",
        "roles": "The roles; absent, as roles do not exist yet.",
        "groups": "The groups the person is a direct member of; in lists and reads, not in events.",
    },
    "DirectoryGroup": {
        "idp_id": "The group's id at the provider: `externalId`, else its name.",
        "name": "The displayName.",
    },
    "RoleSlug": {"slug": "The role's short name."},
    "Organization": {
        "name": "Its name.",
        "allow_profiles_outside_organization": "Kept for clients that send it; without effect.",
        "domains": "Its domains.",
        "metadata": "Your own pairs of text.",
        "external_id": "Your own id of the customer.",
        "stripe_customer_id": "Its id at Stripe; absent if none was set.",
    },
    "OrganizationDomain": {
        "domain": "The name, in lower case.",
        "state": "`pending` until the record is found, then `verified`; `failed` after 30 days.",
        "verification_strategy": "`dns`, or `manual` where it is verified at your word.",
        "verification_token": "The token of the TXT record.",
        "verification_prefix": "The name of the TXT record's value, and of the place where it may stand.",
    },
    "WebhookEndpoint": {
        "endpoint_url": "Where events are sent.",
        "secret": "The signing secret: whole after a creation or a rotation, else `whsec_…` and its end.",
        "status": "`enabled` for active and paused endpoints, else `disabled`.",
        "state": "`active`, `paused`, `disabled`, or `gone` after the receiver answered 410.",
        "events": "The types that are sent.",
    },
    "Event": {
        "event": "The type.",
        "data": "What it is about; see the event catalog.",
        "created_at": "When it occurred.",
        "context": (
            "`sequence` is the place in the log of the environment, `directory_sequence` that among the "
            "events of the directory, `actor` who called the API."
        ),
    },
    "DirectoryToken": {"directory_id": "The directory it opens."},
    "Error": {
        "message": "A sentence for people.",
        "code": "The stable name of the error.",
        "errors": "On 422: what is wrong with which field.",
        "entity_id": "On 404: what was not found.",
    },
    "ErrorField": {
        "field": "The field, parameter or header.",
        "code": "`<field>_required`, `_invalid`, `_unknown`, `_too_long`, or a particular code.",
    },
}
"""Fields by the name of the object; they come before what is said everywhere."""

_SAME_AS = {"ManagedDirectoryBody": "Directory"}


def meaning(kind: str, name: str) -> str | None:
    """Return what a field of an object means, or None if nothing is written about it."""
    return OF.get(_SAME_AS.get(kind, kind), {}).get(name) or EVERYWHERE.get(name)
