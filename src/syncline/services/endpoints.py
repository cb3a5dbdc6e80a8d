"""Webhook endpoints as their owners manage them: addresses, event types, states and signing secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from syncline.core.errors import Conflict, FieldError, NotFound, ValidationFailed
from syncline.core.events import is_known_type
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Cause
from syncline.core.paging import Page, PageRequest
from syncline.core.signing import MAX_SIGNATURES, SECRET_PREFIX, new_endpoint_secret
from syncline.core.wire import WebhookEndpoint, iso
from syncline.net.policy import AddressRefused, parse_url
from syncline.obs.logging import get_logger
from syncline.services.delivery_request import secret_place
from syncline.services.kernel import Kernel
from syncline.store import endpoints as store
from syncline.store import log
from syncline.store.database import Connection, UniqueViolation
from syncline.store.endpoints import Endpoint, EndpointSecret, EndpointState
from syncline.store.rows import exact_key
from syncline.store.types import from_ms, to_ms

_logger = get_logger(__name__)

DEFAULT_OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=30)
_KIND = "Webhook endpoint"
_SECRET_BYTES = 32
# The vendor lists these in its Events API and does not let webhooks subscribe to them (`api.md` §4).
_EVENTS_API_ONLY = frozenset({"dsync.token.created", "dsync.token.revoked"})
_STATES = {
    state.value: state for state in (EndpointState.ACTIVE, EndpointState.PAUSED, EndpointState.DISABLED)
}


@dataclass(frozen=True, slots=True)
class EndpointChanges:
    """What an owner wants to change; None leaves a thing as it is.

    `status` is the vendor's word (`enabled` leaves a paused endpoint paused), `state` the finer one:
    `active`, `paused` or `disabled`.
    """

    endpoint_url: str | None = None
    events: Sequence[str] | None = None
    status: str | None = None
    state: str | None = None


class Endpoints:
    """Webhook endpoints of environments. Secrets are shown in full when they are made, never again."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def create(
        self, environment_id: str, endpoint_url: str, events: Sequence[str], cause: Cause
    ) -> WebhookEndpoint:
        """Make an endpoint that gets what is sealed from now on; the answer has its secret.

        Raises `ValidationFailed` for an address no delivery could use and for unknown event types,
        `Conflict` (`duplicate_endpoint`) for an address this environment has already.
        """
        types = _checked_events(events)
        url_key = await self._checked_url(endpoint_url)
        now = self._now()
        endpoint = Endpoint(
            id=self._kernel.ids.new(Prefix.WEBHOOK_ENDPOINT),
            endpoint_url=endpoint_url,
            events=types,
            state=EndpointState.ACTIVE,
            created_at=now,
            updated_at=now,
        )
        text, secret = self._new_secret(environment_id, endpoint.id, now, switch_at=now)

        def work(connection: Connection) -> None:
            head = log.head(connection, environment_id).position
            store.add(connection, environment_id, endpoint, url_key, cursor=head)
            store.add_secret(connection, environment_id, endpoint.id, secret)

        try:
            await self._kernel.database.write(work)
        except UniqueViolation:
            raise _duplicate() from None
        _logger.info("endpoint.created", endpoint_id=endpoint.id, cause=cause.id)
        return _shown(endpoint, text)

    async def get(self, environment_id: str, endpoint_id: str) -> WebhookEndpoint:
        """Return an endpoint, its secret masked. Raises `NotFound`."""
        return await self._kernel.database.read(
            lambda connection: self._masked(
                connection,
                environment_id,
                [_required(connection, environment_id, endpoint_id)],
            )[0]
        )

    async def list(self, environment_id: str, page: PageRequest) -> Page[WebhookEndpoint]:
        """Return endpoints, their secrets masked. Raises `ValidationFailed` for a malformed cursor."""
        page = page.of(Prefix.WEBHOOK_ENDPOINT)

        def work(connection: Connection) -> Page[WebhookEndpoint]:
            found = page.read(
                lambda span: store.page(
                    connection,
                    environment_id,
                    above=span.above,
                    below=span.below,
                    descending=span.descending,
                    limit=span.limit,
                ),
                key=lambda endpoint: endpoint.id,
            )
            return Page(self._masked(connection, environment_id, found.items), found.before, found.after)

        return await self._kernel.database.read(work)

    async def update(
        self, environment_id: str, endpoint_id: str, changes: EndpointChanges, cause: Cause
    ) -> WebhookEndpoint:
        """Change an endpoint; the answer's secret is masked.

        One that becomes active again goes on where it stopped. Raises `NotFound`, `ValidationFailed` and
        `Conflict` as `create` does.
        """
        types = None if changes.events is None else _checked_events(changes.events)
        _check_state(changes)
        if changes.endpoint_url is not None:
            await self._checked_url(changes.endpoint_url)

        def work(connection: Connection) -> WebhookEndpoint:
            before = _required(connection, environment_id, endpoint_id, lock=True)
            after = replace(
                before,
                endpoint_url=before.endpoint_url if changes.endpoint_url is None else changes.endpoint_url,
                events=before.events if types is None else types,
                state=_target_state(before.state, changes),
            )
            if after != before:
                after = replace(after, updated_at=max(self._now(), before.updated_at + _MILLISECOND))
                awake = after.state is EndpointState.ACTIVE and before.state is not EndpointState.ACTIVE
                store.change(connection, environment_id, after, _url_key(after.endpoint_url), awake=awake)
            return self._masked(connection, environment_id, [after])[0]

        try:
            shown = await self._kernel.database.write(work)
        except UniqueViolation:
            raise _duplicate() from None
        _logger.info("endpoint.updated", endpoint_id=endpoint_id, state=shown.state, cause=cause.id)
        # Another process finds a woken endpoint by polling; this one need not wait for that.
        self._kernel.sealed.notify(environment_id)
        return shown

    async def delete(self, environment_id: str, endpoint_id: str, cause: Cause) -> None:
        """Delete an endpoint with everything that belongs to it. Raises `NotFound`."""
        if not is_id(Prefix.WEBHOOK_ENDPOINT, endpoint_id) or not await self._kernel.database.write(
            lambda connection: store.remove(connection, environment_id, endpoint_id)
        ):
            raise NotFound(_KIND, endpoint_id)
        _logger.info("endpoint.deleted", endpoint_id=endpoint_id, cause=cause.id)

    async def rotate_secret(
        self,
        environment_id: str,
        endpoint_id: str,
        cause: Cause,
        *,
        overlap: timedelta = DEFAULT_OVERLAP,
        switch_at: datetime | None = None,
    ) -> WebhookEndpoint:
        """Make a new secret and show it; the former ones expire when the overlap ends.

        During the overlap Standard Webhooks headers carry signatures of all of them. `WorkOS-Signature` has
        room for one: it moves to the new secret at `switch_at`, by default when the overlap ends. Raises
        `NotFound`, and `ValidationFailed` for an overlap or a moment outside their ranges.
        """
        if not timedelta(0) <= overlap <= MAX_OVERLAP:
            raise ValidationFailed([FieldError("overlap_seconds", "overlap_seconds_invalid")])
        now = self._now()
        ends = now + overlap
        if switch_at is not None and switch_at > ends:
            # Nothing could sign between the end of the overlap and that moment.
            raise ValidationFailed([FieldError("switch_at", "switch_at_invalid")])
        text, secret = self._new_secret(
            environment_id, endpoint_id, now, switch_at=max(switch_at or ends, now)
        )

        def work(connection: Connection) -> Endpoint:
            endpoint = _required(connection, environment_id, endpoint_id, lock=True)
            former = [
                known.id
                for known in store.secrets_of(connection, environment_id, [endpoint_id], now)[endpoint_id]
            ]
            kept, surplus = former[: MAX_SIGNATURES - 1], former[MAX_SIGNATURES - 1 :]
            store.expire_secrets(connection, environment_id, endpoint_id, kept, ends)
            store.expire_secrets(connection, environment_id, endpoint_id, surplus, now)
            store.add_secret(connection, environment_id, endpoint_id, secret)
            after = replace(endpoint, updated_at=max(now, endpoint.updated_at + _MILLISECOND))
            store.change(connection, environment_id, after, _url_key(after.endpoint_url), awake=False)
            return after

        endpoint = await self._kernel.database.write(work)
        _logger.info("endpoint.secret_rotated", endpoint_id=endpoint_id, cause=cause.id)
        return _shown(endpoint, text)

    async def _checked_url(self, url: str) -> str:
        """Return the key under which an address is unique. Raises `ValidationFailed`."""
        try:
            await self._kernel.policy.check_url(url, resolve=self._kernel.outbound.resolve)
        except AddressRefused as refusal:
            error = FieldError("endpoint_url", "endpoint_url_invalid")
            raise ValidationFailed([error], refusal.reason, code="invalid_url") from None
        return _url_key(url)

    def _new_secret(
        self, environment_id: str, endpoint_id: str, now: datetime, *, switch_at: datetime
    ) -> tuple[str, EndpointSecret]:
        text = new_endpoint_secret(self._kernel.random(_SECRET_BYTES))
        secret_id = self._kernel.ids.ulid()
        context = secret_place(environment_id, endpoint_id, secret_id)
        sealed = self._kernel.keyring.seal(text.encode(), context)
        return text, EndpointSecret(secret_id, sealed, text[-4:], now, switch_at, None)

    def _masked(
        self, connection: Connection, environment_id: str, found: Sequence[Endpoint]
    ) -> Sequence[WebhookEndpoint]:
        ids = [endpoint.id for endpoint in found]
        secrets = store.secrets_of(connection, environment_id, ids, self._now())
        return [
            _shown(
                endpoint, f"{SECRET_PREFIX}…{secrets[endpoint.id][0].suffix}" if secrets[endpoint.id] else ""
            )
            for endpoint in found
        ]

    def _now(self) -> datetime:
        return from_ms(to_ms(self._kernel.clock()))


_MILLISECOND = timedelta(milliseconds=1)


def _checked_events(events: Sequence[str]) -> tuple[str, ...]:
    if not events:
        raise _refused_events("events_required", "At least one event type is required.")
    unknown = [name for name in events if not is_known_type(name) or name in _EVENTS_API_ONLY]
    if unknown:
        raise _refused_events("events_unknown", f"Webhooks cannot subscribe to '{unknown[0][:100]}'.")
    return tuple(dict.fromkeys(events))


def _refused_events(code: str, message: str) -> ValidationFailed:
    return ValidationFailed([FieldError("events", code)], message, code="invalid_request_parameters")


def _check_state(changes: EndpointChanges) -> None:
    if changes.status not in (None, "enabled", "disabled"):
        raise ValidationFailed([FieldError("status", "status_invalid")], code="invalid_request_parameters")
    if changes.state is None:
        return
    contradicts = changes.status is not None and (changes.status == "disabled") != (
        changes.state == "disabled"
    )
    if changes.state not in _STATES or contradicts:
        raise ValidationFailed([FieldError("state", "state_invalid")], code="invalid_request_parameters")


def _target_state(before: EndpointState, changes: EndpointChanges) -> EndpointState:
    if changes.state is not None:
        return _STATES[changes.state]
    if changes.status == "disabled":
        return EndpointState.DISABLED
    if changes.status == "enabled" and before is not EndpointState.PAUSED:
        return EndpointState.ACTIVE
    return before


def _url_key(url: str) -> str:
    """Return the address as the HTTP client reads it: letter case of the host and the like do not count."""
    return exact_key(str(parse_url(url)))


def _required(
    connection: Connection, environment_id: str, endpoint_id: str, *, lock: bool = False
) -> Endpoint:
    known = is_id(Prefix.WEBHOOK_ENDPOINT, endpoint_id)
    endpoint = store.get(connection, environment_id, endpoint_id, lock=lock) if known else None
    if endpoint is None:
        raise NotFound(_KIND, endpoint_id)
    return endpoint


def _duplicate() -> Conflict:
    return Conflict("There is an endpoint with this address already.", code="duplicate_endpoint")


def _shown(endpoint: Endpoint, secret: str) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=endpoint.id,
        endpoint_url=endpoint.endpoint_url,
        secret=secret,
        status="enabled" if endpoint.state in (EndpointState.ACTIVE, EndpointState.PAUSED) else "disabled",
        state=endpoint.state.value,
        events=list(endpoint.events),
        created_at=iso(endpoint.created_at),
        updated_at=iso(endpoint.updated_at),
    )
