"""What the owner of a webhook endpoint asks for, checked: event types, formats, filters, states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from syncline.core.endpoint_options import MAX_CONCURRENCY, EndpointOptions, Ordering, PayloadFormat
from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.events import is_known_type
from syncline.store import endpoint_positions as store
from syncline.store.database import Connection
from syncline.store.endpoints import EndpointState

MAX_FILTER_IDS = 1_000
# The vendor lists these in its Events API and does not let webhooks subscribe to them (`api.md` §4).
_EVENTS_API_ONLY = frozenset({"dsync.token.created", "dsync.token.revoked"})
_STATES = {
    state.value: state for state in (EndpointState.ACTIVE, EndpointState.PAUSED, EndpointState.DISABLED)
}


@dataclass(frozen=True, slots=True)
class OptionChanges:
    """What an owner wants to change about deliveries; `UNSET` leaves a thing as it is.

    The filters take ids of the environment; None lifts one. Formats and orderings are the words of
    `core.endpoint_options`.
    """

    format: str | UnsetType = UNSET
    ordering: str | UnsetType = UNSET
    concurrency: int | UnsetType = UNSET
    directory_ids: Sequence[str] | UnsetType | None = UNSET
    organization_ids: Sequence[str] | UnsetType | None = UNSET

    def check(self) -> None:
        """Raise `ValidationFailed` for values that are none, whatever they are applied to."""
        wrong: list[FieldError] = []
        if self.format is not UNSET and self.format not in list(PayloadFormat):
            wrong.append(FieldError("format", "format_invalid"))
        if self.ordering is not UNSET and self.ordering not in list(Ordering):
            wrong.append(FieldError("ordering", "ordering_invalid"))
        if self.concurrency is not UNSET and not 1 <= self.concurrency <= MAX_CONCURRENCY:
            wrong.append(FieldError("concurrency", "concurrency_invalid"))
        if _is_no_filter(self.directory_ids):
            wrong.append(FieldError("directory_ids", "directory_ids_invalid"))
        if _is_no_filter(self.organization_ids):
            wrong.append(FieldError("organization_ids", "organization_ids_invalid"))
        if wrong:
            raise refused(wrong)

    def applied(
        self, connection: Connection, environment_id: str, before: EndpointOptions
    ) -> EndpointOptions:
        """Return the options after these changes. Raises `ValidationFailed` for ids of others."""
        unknown: list[FieldError] = []
        known = store.known_directories
        if _has_strangers(connection, environment_id, self.directory_ids, known):
            unknown.append(FieldError("directory_ids", "directory_ids_unknown"))
        known = store.known_organizations
        if _has_strangers(connection, environment_id, self.organization_ids, known):
            unknown.append(FieldError("organization_ids", "organization_ids_unknown"))
        if unknown:
            raise refused(unknown)
        return replace(
            before,
            format=before.format if self.format is UNSET else PayloadFormat(self.format),
            ordering=before.ordering if self.ordering is UNSET else Ordering(self.ordering),
            concurrency=before.concurrency if self.concurrency is UNSET else self.concurrency,
            directory_ids=_filter(self.directory_ids, before.directory_ids),
            organization_ids=_filter(self.organization_ids, before.organization_ids),
        )


def checked_events(events: Sequence[str]) -> tuple[str, ...]:
    """Return event types in the order given, each once. Raises `ValidationFailed`."""
    if not events:
        raise refused([FieldError("events", "events_required")], "At least one event type is required.")
    unknown = [name for name in events if not is_known_type(name) or name in _EVENTS_API_ONLY]
    if unknown:
        message = f"Webhooks cannot subscribe to '{unknown[0][:100]}'."
        raise refused([FieldError("events", "events_unknown")], message)
    return tuple(dict.fromkeys(events))


def check_state(status: str | None, state: str | None) -> None:
    """Raise `ValidationFailed` for words that are no states, or that contradict each other."""
    if status not in (None, "enabled", "disabled"):
        raise refused([FieldError("status", "status_invalid")])
    if state is None:
        return
    contradicts = status is not None and (status == "disabled") != (state == "disabled")
    if state not in _STATES or contradicts:
        raise refused([FieldError("state", "state_invalid")])


def target_state(before: EndpointState, status: str | None, state: str | None) -> EndpointState:
    """Return the state after a change; `enabled` leaves a paused endpoint paused."""
    if state is not None:
        return _STATES[state]
    if status == "disabled":
        return EndpointState.DISABLED
    if status == "enabled" and before is not EndpointState.PAUSED:
        return EndpointState.ACTIVE
    return before


def refused(errors: Sequence[FieldError], message: str = "Validation failed") -> ValidationFailed:
    """Return the refusal of the fields of an endpoint in the vendor's form (`api.md` §2.8)."""
    return ValidationFailed(errors, message, code="invalid_request_parameters")


def _is_no_filter(ids: Sequence[str] | UnsetType | None) -> bool:
    """Tell whether a list is none that could filter: an empty one would let nothing through for ever."""
    return ids is not UNSET and ids is not None and not 1 <= len(ids) <= MAX_FILTER_IDS


def _has_strangers(
    connection: Connection,
    environment_id: str,
    ids: Sequence[str] | UnsetType | None,
    known: Callable[[Connection, str, Sequence[str]], set[str]],
) -> bool:
    if ids is UNSET or ids is None:
        return False
    # PostgreSQL cannot even compare with NUL.
    return any("\0" in id_ for id_ in ids) or not known(connection, environment_id, ids).issuperset(ids)


def _filter(ids: Sequence[str] | UnsetType | None, before: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if ids is UNSET:
        return before
    return None if ids is None else tuple(dict.fromkeys(ids))
