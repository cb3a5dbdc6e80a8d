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
    "Erasure": {
        "directory_user_id": "The id with which the erasure was asked for.",
        "state": "`running`, or `complete` once files are rewritten as well.",
        "erased": "How much was removed.",
        "finished_at": "When it was complete; null before.",
    },
    "ErasedCounts": {
        "people": "Rows of the person, current and deleted.",
        "events": "Events that became tombstones.",
        "delivery_attempts": "Attempts of which answers and errors were removed.",
        "pending_memberships": "Memberships that waited for the person.",
        "stored_answers": "Answers that were kept under an idempotency key.",
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
        "format": "`workos` for the envelope of the Events API, `cloudevents` for CloudEvents 1.0.",
        "ordering": (
            "What waits behind an event that was not taken: `lanes` later events of its directory, `strict` "
            "all later events, `none` nothing."
        ),
        "concurrency": "How many requests may be under way at once, each for other directories.",
        "directory_ids": "Events of these directories are sent; null where nothing is filtered.",
        "organization_ids": "Events of these organizations are sent; null where nothing is filtered.",
        "health": "How deliveries are going.",
    },
    "EndpointHealth": {
        "lag_events": "How many events of the log lie behind the last that was settled.",
        "lag_seconds": "How long the first of them has been in the log; 0 if there is none.",
        "waiting": "Deliveries that failed, or wait behind one that did.",
        "dead": "Deliveries that were given up and can be replayed.",
        "oldest_waiting_seconds": "How long the event of the oldest waiting delivery has been in the log.",
        "circuit": "`closed` while events flow; `open` between probes of an endpoint that fails; `probing`.",
        "failing_since": "When the present row of failures began; null after a success.",
        "consecutive_failures": "How many failures followed each other.",
        "last_success_at": "When the receiver took an event last.",
        "disabled_reason": "Why Syncline disabled the endpoint; null if it did not.",
        "missed": "The events that retention removed before they were sent; null if there are none.",
        "recent_attempts": "How many attempts, 500 at most, the next two figures are of; tests do not count.",
        "success_ratio": "The share of them that succeeded; null without attempts.",
        "p95_ms": "The time in which 95 of 100 of them ended, in milliseconds; null without attempts.",
    },
    "MissedEvents": {
        "first": "The `sequence` of the first event that was missed.",
        "last": "That of the last one.",
        "flagged_at": "When that was noticed.",
    },
    "AttemptRequest": {
        "method": "Always `POST`.",
        "headers": "The headers that belong to the event and the attempt, without signatures.",
    },
    "DeliveryAttempt": {
        "endpoint_id": "The endpoint it went to.",
        "event_id": "The event that was sent.",
        "event": "The type of the event.",
        "test": "Whether it was a test, whose event stands in no log.",
        "attempt": "The number of the attempt, from 1.",
        "outcome": (
            "`success` for 2xx; `timeout`; `busy` for 429, 502 and 504; `gone` for 410; `failed` otherwise."
        ),
        "status": "The status of the answer; null if none came.",
        "error": "What went wrong, in a sentence; null after a success.",
        "duration_ms": "How long it took, in milliseconds.",
        "started_at": "When the request was signed and sent.",
        "next_attempt_at": "When the event is tried again; null if it is not.",
        "request": "What is known of the request; its body is the event.",
        "response": "The beginning of the answer, 2 KiB at most, without what looks like a secret.",
    },
    "Delivery": {
        "event_id": "The event.",
        "event": "The type of the event.",
        "directory_id": "The directory it is about; null if none.",
        "organization_id": "The organization it is about; null if none.",
        "state": "`waiting` if it will be tried again, `dead` if it was given up.",
        "attempts": "How often it was tried; 0 for one that waits behind another.",
        "first_attempt_at": "When it was tried first.",
        "next_attempt_at": "When it is due; null for one that waits behind another, is due now, or is dead.",
        "last_error": "What went wrong last, in a sentence.",
    },
    "QueuedDeliveries": {
        "count": "How many deliveries are on their way.",
        "lost": "How many cannot be sent, because retention removed their events.",
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

_SAME_AS = {"ManagedDirectoryBody": "Directory", "WebhookEndpointDetails": "WebhookEndpoint"}


def meaning(kind: str, name: str) -> str | None:
    """Return what a field of an object means, or None if nothing is written about it."""
    return OF.get(_SAME_AS.get(kind, kind), {}).get(name) or EVERYWHERE.get(name)
