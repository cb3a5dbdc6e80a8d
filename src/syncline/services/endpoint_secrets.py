"""The signing secrets of webhook endpoints: made, rotated with an overlap, and shown once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.model import Cause
from syncline.core.signing import MAX_SIGNATURES, SECRET_PREFIX, new_endpoint_secret
from syncline.core.wire import WebhookEndpoint
from syncline.obs.logging import get_logger
from syncline.services.delivery_changes import let_turns_notice
from syncline.services.delivery_request import secret_place
from syncline.services.endpoint_shapes import MILLISECOND, now_of, required, shown, url_key
from syncline.services.kernel import Kernel
from syncline.store import endpoints as store
from syncline.store.database import Connection
from syncline.store.endpoints import Endpoint, EndpointSecret

_logger = get_logger(__name__)

DEFAULT_OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=30)
_SECRET_BYTES = 32


def new_secret(
    kernel: Kernel, environment_id: str, endpoint_id: str, now: datetime, *, switch_at: datetime
) -> tuple[str, EndpointSecret]:
    """Return a new secret in the clear and as it is stored."""
    text = new_endpoint_secret(kernel.random(_SECRET_BYTES))
    secret_id = kernel.ids.ulid()
    sealed = kernel.keyring.seal(text.encode(), secret_place(environment_id, endpoint_id, secret_id))
    return text, EndpointSecret(secret_id, sealed, text[-4:], now, switch_at, None)


def masked(secret: EndpointSecret | None) -> str:
    """Return a secret as lists show it: its beginning and its last four characters."""
    return "" if secret is None else f"{SECRET_PREFIX}…{secret.suffix}"


class EndpointSecrets:
    """Replaces the secrets of webhook endpoints."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def rotate(
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
        now = now_of(self._kernel)
        ends = now + overlap
        if switch_at is not None and switch_at > ends:
            # Nothing could sign between the end of the overlap and that moment.
            raise ValidationFailed([FieldError("switch_at", "switch_at_invalid")])
        text, secret = new_secret(
            self._kernel, environment_id, endpoint_id, now, switch_at=max(switch_at or ends, now)
        )

        def work(connection: Connection) -> Endpoint:
            endpoint = required(connection, environment_id, endpoint_id, lock=True)
            known = store.secrets_of(connection, environment_id, [endpoint_id], now)[endpoint_id]
            former = [one.id for one in known]
            kept, surplus = former[: MAX_SIGNATURES - 1], former[MAX_SIGNATURES - 1 :]
            store.expire_secrets(connection, environment_id, endpoint_id, kept, ends)
            store.expire_secrets(connection, environment_id, endpoint_id, surplus, now)
            # Another process may have made the one before, and its clock may be ahead.
            made_at = max([now, *(one.created_at + MILLISECOND for one in known)])
            store.add_secret(connection, environment_id, endpoint_id, replace(secret, created_at=made_at))
            return _touched(connection, environment_id, endpoint, now)

        endpoint = await self._kernel.database.write(work)
        _logger.info("endpoint.secret_rotated", endpoint_id=endpoint_id, cause=cause.id)
        await let_turns_notice()
        return shown(endpoint, text)

    async def end_overlap(self, environment_id: str, endpoint_id: str, cause: Cause) -> WebhookEndpoint:
        """Let every secret but the newest expire now; from here on it alone signs both headers.

        Nothing changes where no overlap runs. The answer's secret is masked. Raises `NotFound`.
        """
        now = now_of(self._kernel)

        def work(connection: Connection) -> tuple[Endpoint, EndpointSecret | None]:
            endpoint = required(connection, environment_id, endpoint_id, lock=True)
            known = store.secrets_of(connection, environment_id, [endpoint_id], now)[endpoint_id]
            former = [secret.id for secret in known[1:]]
            if former:
                store.expire_secrets(connection, environment_id, endpoint_id, former, now)
                endpoint = _touched(connection, environment_id, endpoint, now)
            return endpoint, next(iter(known), None)

        endpoint, newest = await self._kernel.database.write(work)
        _logger.info("endpoint.overlap_ended", endpoint_id=endpoint_id, cause=cause.id)
        await let_turns_notice()
        return shown(endpoint, masked(newest))


def _touched(connection: Connection, environment_id: str, endpoint: Endpoint, now: datetime) -> Endpoint:
    """Note a change of an endpoint, so that who delivers to it reads its secrets again."""
    after = replace(endpoint, updated_at=max(now, endpoint.updated_at + MILLISECOND))
    store.change(connection, environment_id, after, url_key(after.endpoint_url))
    return after
