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
        "custom_attributes": (
            "The predefined and custom attributes that the environment defines, by key; null where there is "
            "no value."
        ),
        "raw_attributes": (
            "Empty, unless the environment shows people as their provider sent them, without passwords."
        ),
        "role": "The role, or the first of several; absent where the directory has no role rules.",
        "roles": "The roles, the most important first; absent where the directory has no role rules.",
        "groups": "The groups the person is a member of; in lists and reads, not in events.",
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
    "DirectoryMembership": {
        "group": "The group.",
        "direct": (
            "Whether the provider named the person as a member of this very group; null where that is not "
            "known as of a time."
        ),
        "shown": (
            "Whether lists and events speak of the membership: direct ones always, others where the "
            "directory's `membership` is `effective`."
        ),
        "path": (
            "The groups from one that the person is a direct member of to this one, each inside of the next: "
            "a shortest way. As of a time a way that was there then and has been ever since, with the names "
            "of then; empty if there is none."
        ),
        "path_known": (
            "Whether `path` tells the way. False only as of a time, where a membership or a nesting on every "
            "way has ended or begun anew since: what has ended is not kept."
        ),
    },
    "MembershipStep": {"name": "The displayName."},
    "Reconciliation": {
        "state": (
            "`receiving` until the rows are said to be complete, `fetching` while an address is asked, "
            "`comparing`, then `complete`; `failed` if nothing could be compared."
        ),
        "source": "`upload`, or `url`.",
        "taken_at": "When the app wrote the roster: people who changed later are left out.",
        "rows": "How many rows the roster has; 0 until they are all there.",
        "counts": "How many findings there are, by class.",
        "progress": "How far the comparison is.",
        "corrections": "The corrective events that were asked for, by class.",
        "problems": "The rows that could not be read, where an address gave them.",
        "error": "Why it failed, or why the address is asked again; null otherwise.",
        "finished_at": "When it was complete or failed; null before.",
        "findings": "The first 100 findings.",
    },
    "ReconciliationCounts": {
        "gone_but_active": "Active in the app, but left or inactive in the directory.",
        "wrong_role": "With another role than the directory gives.",
        "missing": "In the directory, not in the app.",
        "stale_profile": "With attributes or a state that are not those of the directory.",
        "extra": "In the app, never known to the directory.",
        "ambiguous": "Rows that may mean several people, or several rows that mean one.",
        "changed_since": "People who were left out as they changed after the roster was written.",
    },
    "ReconciliationProgress": {
        "done": "How many rows and people are done with.",
        "total": "How many there are; null while rows are still coming.",
    },
    "ReconciliationCorrection": {
        "class": "The class of the findings.",
        "state": "`running` or `complete`.",
        "emitted": "How many events were emitted.",
        "skipped": (
            "For how many findings there was nothing to emit, by the reason: `returned` (active again), "
            "`left` (not in the directory any more), `agrees` (no difference is left), `told_already` (by "
            "another finding), `id_unknown` (no event is left that tells the id)."
        ),
        "requested_at": "When it was asked for.",
        "finished_at": "When every finding was settled; null before.",
    },
    "ReconciliationProblem": {
        "line": "The line of the file, or the number of the row.",
        "field": "The column.",
        "code": "`<column>_required`, `_invalid`, `_unknown` or `_too_long`.",
        "message": "A sentence for people.",
    },
    "ReconciliationFinding": {
        "class": "What it is; see the counts of a reconciliation.",
        "line": "The line of the file, or the number of the row; null for who is missing.",
        "app_id": "Your own id, as the row has it.",
        "matched_by": "What the row was matched by; null for who is missing.",
        "directory_user_id": "The person's id in the product view, as far as it is known.",
        "idp_id": "The person's id at the provider.",
        "email": "The person's address.",
        "reason": (
            "`inactive` or `left` for who is gone; `unknown_to_directory`; `several_people` or "
            "`several_rows` for what is ambiguous; null otherwise."
        ),
        "differences": "What app and directory do not agree on.",
        "candidates": "The first ten people whom an ambiguous row may mean.",
        "lines": "The first and last of several rows that mean one person.",
        "outcome": "What a correction came to: `emitted`, or why there was nothing to emit; null before.",
        "settled_at": "When that was; null before.",
    },
    "FindingDifference": {
        "field": "The attribute; `custom_attributes.<key>` for those that are mapped.",
        "app": "What the app has.",
        "directory": "What the directory says.",
    },
    "HistoryEntry": {
        "id": "The id of the event, which is the cursor of the list as well.",
        "event": "The type of the event.",
        "kind": (
            "`created`, `updated` or `deleted`; `joined` and `left` for a membership of the person, or of "
            "somebody in the group."
        ),
        "text": "The entry in a sentence.",
        "changes": "The fields that changed; of a creation those that had a value.",
        "actor": "Who brought it about.",
        "cause": "What it came with.",
        "erased": "Whether an erasure has removed what the event said about a person.",
        "recorded_at": "When it was recorded: UTC, with three fraction digits.",
    },
    "Announcement": {
        "event_id": "The id of the event.",
        "event": "Its type.",
        "actor": "Who brought it about.",
        "cause": "What it came with.",
        "recorded_at": "When it was recorded.",
    },
    "ExplainedSource": {
        "number": "Its place among the sources of the attribute, from 1: the first with a value wins.",
        "path": "Where the value was found; null for a fixed value.",
        "value": "The fixed value; null for a path.",
        "transforms": "The names of the steps that were taken, in order.",
    },
    "ExplainedAttribute": {
        "key": "The attribute.",
        "kind": "`standard`, `predefined` or `custom`.",
        "value": "The value that is shown.",
        "level": (
            "Which level says where it comes from: the `directory`, the `environment`, the `provider`'s "
            "usual sources, or the `built_in` ones."
        ),
        "source": "The source that had a value; null if none had.",
        "raw": "What was found there, before any step.",
        "pending": "Whether a changed map gives another value, which a job has not written yet.",
        "announced": "The event that told the value; null if the log does not hold it.",
        "sentence": "All of it in a sentence.",
    },
    "ExplainedRule": {
        "id": "The id of the rule.",
        "number": "Its place among the rules, from 1; null for a rule of long ago.",
        "text": "Its condition in words; null for a rule of long ago.",
    },
    "ExplainedGroup": {"name": "Its name; null if it is gone."},
    "ExplainedRole": {
        "role": "The slug of the role.",
        "name": "Its name.",
        "rule": "The rule that gives it; null for the default role.",
        "group": "The group that matched; null if the rule asks for none.",
        "since": "Since when the person has held it.",
        "held": "Whether no rule gives it any more and a floor keeps it.",
        "announced": "The event that told the roles; null if the log does not hold it.",
        "sentence": "All of it in a sentence.",
    },
    "MissedRule": {
        "id": "The id of the rule.",
        "number": "Its place among the rules, from 1.",
        "text": "Its condition in words.",
        "matches": "Whether the person meets it, so that another role went before.",
    },
    "AbsentRole": {
        "role": "The slug of the role.",
        "name": "Its name.",
        "rules": "The rules that would give it.",
        "sentence": "Why the person does not hold it.",
    },
    "ExplainedMembership": {
        "id": "The id of the group.",
        "name": "Its name.",
        "direct": "Whether the provider named the person as a member of this very group.",
        "shown": "Whether lists and events speak of it.",
        "path": "The groups from one that the person is a direct member of to this one.",
        "announced": "The event that told it; null if none did or the log does not hold it.",
        "sentence": "All of it in a sentence.",
    },
    "Explanation": {
        "attributes": "The state, then every attribute that is shown.",
        "roles": "The roles that the person holds.",
        "absent_roles": "The roles of the environment and the organization that they do not hold.",
        "memberships": "The groups that they are in, directly or through others.",
        "truncated_before": "The time before which retention has removed events; null if none is missing.",
        "unsearched_before": (
            "The time before which events were not looked at, where the person has more than 50,000 and not "
            "everything was found: `announced` may then be null though the log holds the event. Null if the "
            "search went as far as it had to."
        ),
    },
    "HistoryChange": {
        "field": (
            "The field of the directory user or group; `custom_attributes.<key>` for a mapped attribute, "
            "`groups` and `members` for memberships, each with `id` and `name`."
        ),
        "before": "Its value before; null if it had none.",
        "after": "Its value after; null if it has none.",
    },
    "HistoryActor": {
        "kind": (
            "`provider` for what the identity provider said, `api_key` for a call of the API, `operator` and "
            "`admin` for people at the dashboard and the portal, `role_rules` and `attribute_map` for a "
            "changed rule or map, `system` for the rest."
        ),
        "id": "The id of whoever it was; null for the provider.",
        "name": "Their name; null if there is none.",
    },
    "HistoryCause": {
        "kind": "What it was: `request`, `run`, `erasure` and so on.",
        "id": "Its id; that of a request is what the answer's `X-Request-ID` named.",
    },
    "DirectoryGroup": {
        "idp_id": "The group's id at the provider: `externalId`, else its name.",
        "name": "The displayName.",
    },
    "Role": {
        "slug": "Its short name, which never changes.",
        "name": "Its name, for people.",
        "description": "What it is for; null for nothing.",
        "type": "`EnvironmentRole`, or `OrganizationRole` for one of an organization's own.",
        "resource_type_slug": "Kept for clients that send it; `organization` by default.",
        "permissions": "Permission slugs, which mean what you make of them.",
    },
    "RoleList": {"data": "All of them, the most important first."},
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

_SAME_AS = {
    "ManagedDirectoryBody": "Directory",
    "WebhookEndpointDetails": "WebhookEndpoint",
    "ReconciliationResult": "Reconciliation",
}


def meaning(kind: str, name: str) -> str | None:
    """Return what a field of an object means, or None if nothing is written about it."""
    return OF.get(_SAME_AS.get(kind, kind), {}).get(name) or EVERYWHERE.get(name)
