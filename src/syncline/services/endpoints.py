"""Webhook endpoints as their owners manage them: addresses, event types, options and states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from syncline.core.endpoint_options import EndpointOptions
from syncline.core.errors import Conflict, FieldError, ValidationFailed
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Cause
from syncline.core.paging import Page, PageRequest
from syncline.core.wire import WebhookEndpoint, WebhookEndpointDetails
from syncline.net.policy import AddressRefused
from syncline.obs.logging import get_logger
from syncline.services.delivery_changes import let_turns_notice
from syncline.services.endpoint_changes import (
    OptionChanges,
    check_state,
    checked_events,
    refused,
    target_state,
)
from syncline.services.endpoint_health import health_of
from syncline.services.endpoint_resume import ResumePoint, resume
from syncline.services.endpoint_secrets import DEFAULT_OVERLAP, EndpointSecrets, masked, new_secret
from syncline.services.endpoint_shapes import (
    MILLISECOND,
    detailed,
    not_found,
    now_of,
    required,
    shown,
    url_key,
)
from syncline.services.kernel import Kernel
from syncline.store import endpoints as store
from syncline.store import log
from syncline.store.database import Connection, UniqueViolation
from syncline.store.endpoints import Endpoint, EndpointState

_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EndpointChanges:
    """What an owner wants to change; None leaves a thing as it is.

    `status` is the vendor's word (`enabled` leaves a paused endpoint paused), `state` the finer one:
    `active`, `paused` or `disabled`. `resume_from` says where an endpoint that is active afterwards goes on.
    """

    endpoint_url: str | None = None
    events: Sequence[str] | None = None
    status: str | None = None
    state: str | None = None
    options: OptionChanges = field(default_factory=OptionChanges)
    resume_from: ResumePoint | None = None


class Endpoints:
    """Webhook endpoints of environments. Secrets are shown in full when they are made, never again."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._secrets = EndpointSecrets(kernel)

    async def create(
        self,
        environment_id: str,
        endpoint_url: str,
        events: Sequence[str],
        cause: Cause,
        options: OptionChanges | None = None,
        *,
        state: str | None = None,
    ) -> WebhookEndpoint:
        """Make an endpoint that gets what is sealed from now on; the answer has its secret.

        `state` may be `active` or `paused`. Raises `ValidationFailed` for an address no delivery could use,
        for unknown event types and for options that are none, `Conflict` (`duplicate_endpoint`) for an
        address this environment has already.
        """
        types = checked_events(events)
        wanted = options or OptionChanges()
        wanted.check()
        check_state(None, state)
        key = await self._checked_url(endpoint_url)
        now = now_of(self._kernel)
        new = Endpoint(
            id=self._kernel.ids.new(Prefix.WEBHOOK_ENDPOINT),
            endpoint_url=endpoint_url,
            events=types,
            state=target_state(EndpointState.ACTIVE, None, state),
            created_at=now,
            updated_at=now,
        )
        text, secret = new_secret(self._kernel, environment_id, new.id, now, switch_at=now)

        def work(connection: Connection) -> Endpoint:
            endpoint = replace(new, options=wanted.applied(connection, environment_id, EndpointOptions()))
            head = log.head(connection, environment_id).position
            store.add(connection, environment_id, endpoint, key, cursor=head)
            store.add_secret(connection, environment_id, endpoint.id, secret)
            return endpoint

        try:
            endpoint = await self._kernel.database.write(work)
        except UniqueViolation:
            raise _duplicate() from None
        _logger.info("endpoint.created", endpoint_id=endpoint.id, cause=cause.id)
        return shown(endpoint, text)

    async def get(self, environment_id: str, endpoint_id: str) -> WebhookEndpointDetails:
        """Return an endpoint with its health, its secret masked. Raises `NotFound`."""
        now = now_of(self._kernel)

        def work(connection: Connection) -> WebhookEndpointDetails:
            endpoint = required(connection, environment_id, endpoint_id)
            health = health_of(connection, environment_id, endpoint_id, now)
            secrets = store.secrets_of(connection, environment_id, [endpoint_id], now)[endpoint_id]
            return detailed(endpoint, masked(next(iter(secrets), None)), health)

        return await self._kernel.database.read(work)

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

        One that becomes active again goes on where it stopped, or where `resume_from` says. Raises
        `NotFound`, `ValidationFailed` and `Conflict` as `create` does, `CursorExpired` for a point behind
        retention.
        """
        types = None if changes.events is None else checked_events(changes.events)
        check_state(changes.status, changes.state)
        changes.options.check()
        if changes.endpoint_url is not None:
            await self._checked_url(changes.endpoint_url)

        def work(connection: Connection) -> WebhookEndpoint:
            before = required(connection, environment_id, endpoint_id, lock=True)
            after = replace(
                before,
                endpoint_url=before.endpoint_url if changes.endpoint_url is None else changes.endpoint_url,
                events=before.events if types is None else types,
                state=target_state(before.state, changes.status, changes.state),
                options=changes.options.applied(connection, environment_id, before.options),
            )
            after = self._written(connection, environment_id, before, after, changes.resume_from)
            return self._masked(connection, environment_id, [after])[0]

        try:
            changed = await self._kernel.database.write(work)
        except UniqueViolation:
            raise _duplicate() from None
        _logger.info("endpoint.updated", endpoint_id=endpoint_id, state=changed.state, cause=cause.id)
        # Another process finds a woken endpoint by polling; this one need not wait for that.
        self._kernel.sealed.notify(environment_id)
        await let_turns_notice()
        return changed

    async def delete(self, environment_id: str, endpoint_id: str, cause: Cause) -> None:
        """Delete an endpoint with everything that belongs to it. Raises `NotFound`."""
        if not is_id(Prefix.WEBHOOK_ENDPOINT, endpoint_id) or not await self._kernel.database.write(
            lambda connection: store.remove(connection, environment_id, endpoint_id)
        ):
            raise not_found(endpoint_id)
        _logger.info("endpoint.deleted", endpoint_id=endpoint_id, cause=cause.id)
        await let_turns_notice()

    async def rotate_secret(
        self,
        environment_id: str,
        endpoint_id: str,
        cause: Cause,
        *,
        overlap: timedelta = DEFAULT_OVERLAP,
        switch_at: datetime | None = None,
    ) -> WebhookEndpoint:
        """Make a new secret and show it, as `EndpointSecrets.rotate` does."""
        return await self._secrets.rotate(
            environment_id, endpoint_id, cause, overlap=overlap, switch_at=switch_at
        )

    async def end_overlap(self, environment_id: str, endpoint_id: str, cause: Cause) -> WebhookEndpoint:
        """Let every secret but the newest expire now, as `EndpointSecrets.end_overlap` does."""
        return await self._secrets.end_overlap(environment_id, endpoint_id, cause)

    def _written(
        self,
        connection: Connection,
        environment_id: str,
        before: Endpoint,
        after: Endpoint,
        point: ResumePoint | None,
    ) -> Endpoint:
        """Write what differs and start what is active now and was not; return what is stored."""
        is_active = after.state is EndpointState.ACTIVE
        if point is not None and not is_active:
            message = "Only an endpoint that is active afterwards can go on somewhere."
            raise refused([FieldError("resume_from", "resume_from_invalid")], message)
        starts = point is not None or (is_active and before.state is not EndpointState.ACTIVE)
        if after == before and not starts:
            return before
        now = now_of(self._kernel)
        after = replace(after, updated_at=max(now, before.updated_at + MILLISECOND))
        store.change(connection, environment_id, after, url_key(after.endpoint_url))
        if starts:
            resume(connection, environment_id, after.id, point, now)
        return after

    async def _checked_url(self, url: str) -> str:
        """Return the key under which an address is unique. Raises `ValidationFailed`."""
        try:
            await self._kernel.policy.check_url(url, resolve=self._kernel.outbound.resolve)
        except AddressRefused as refusal:
            error = FieldError("endpoint_url", "endpoint_url_invalid")
            raise ValidationFailed([error], refusal.reason, code="invalid_url") from None
        return url_key(url)

    def _masked(
        self, connection: Connection, environment_id: str, found: Sequence[Endpoint]
    ) -> Sequence[WebhookEndpoint]:
        ids = [endpoint.id for endpoint in found]
        secrets = store.secrets_of(connection, environment_id, ids, now_of(self._kernel))
        return [shown(endpoint, masked(next(iter(secrets[endpoint.id]), None))) for endpoint in found]


def _duplicate() -> Conflict:
    return Conflict("There is an endpoint with this address already.", code="duplicate_endpoint")
