"""A test event for a webhook endpoint: made up, signed, sent once, outside of the log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from syncline.core.errors import FieldError, Overloaded, ValidationFailed
from syncline.core.event_samples import DIRECTORY_ID, ORGANIZATION_ID, NoSample, sample
from syncline.core.ids import Prefix
from syncline.core.wire import DeliveryAttempt
from syncline.obs.logging import get_logger
from syncline.services.delivery_request import attempt_at, open_secrets, send
from syncline.services.endpoint_deliveries import attempt_of
from syncline.services.endpoint_shapes import now_of, required
from syncline.services.kernel import Kernel
from syncline.store import endpoints, parked
from syncline.store.database import Connection
from syncline.store.endpoint_reports import OUTSIDE_THE_LOG
from syncline.store.endpoints import Endpoint, EndpointSecret
from syncline.store.parked import Attempt

_logger = get_logger(__name__)
# Somebody waits for each of them, and they use the connections that deliveries need.
MAX_UNDER_WAY = 10
_BUSY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class _TestEvent:
    """A made-up event with the attributes of a row of the log."""

    event_id: str
    type: str
    body: str
    recorded_at: datetime
    actor: str | None = None
    position: int | None = None
    directory_sequence: int | None = None
    organization_id: str | None = ORGANIZATION_ID
    directory_id: str | None = DIRECTORY_ID
    user_id: str | None = None
    group_id: str | None = None


class EndpointTests:
    """Sends test events."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._under_way = 0

    async def send(self, environment_id: str, endpoint_id: str, type_: str | None) -> DeliveryAttempt:
        """Send one test event and return the attempt: what came back, or why nothing did.

        `type_` is one of the endpoint's types, by default the first that Syncline emits. Endpoints that are
        paused or disabled may be tested, and a test changes nothing about an endpoint. Raises `NotFound`,
        `ValidationFailed` for a type that cannot be tested, `Overloaded` while too many tests are under way.
        """
        endpoint, secrets = await self._kernel.database.read(
            lambda connection: self._load(connection, environment_id, endpoint_id)
        )
        event = self._event(endpoint, type_)
        if self._under_way >= MAX_UNDER_WAY:
            raise Overloaded(_BUSY_SECONDS, "Too many tests are under way; try again later.")
        self._under_way += 1
        try:
            opened = open_secrets(self._kernel, environment_id, endpoint_id, secrets)
            sent = await send(self._kernel, endpoint.endpoint_url, opened, event, 1, endpoint.options)
        finally:
            self._under_way -= 1
        attempt = attempt_at(self._kernel, event, OUTSIDE_THE_LOG, 1, sent, None)
        await self._kernel.database.write(
            lambda connection: self._record(connection, environment_id, endpoint_id, attempt)
        )
        _logger.info("endpoint.tested", endpoint_id=endpoint_id, outcome=attempt.outcome)
        return attempt_of(endpoint_id, attempt)

    def _load(
        self, connection: Connection, environment_id: str, endpoint_id: str
    ) -> tuple[Endpoint, list[EndpointSecret]]:
        endpoint = required(connection, environment_id, endpoint_id)
        now = now_of(self._kernel)
        return endpoint, endpoints.secrets_of(connection, environment_id, [endpoint_id], now)[endpoint_id]

    def _event(self, endpoint: Endpoint, type_: str | None) -> _TestEvent:
        if type_ is not None and type_ not in endpoint.events:
            raise ValidationFailed(
                [FieldError("event", "event_invalid")], "The endpoint does not subscribe to this type."
            )
        now = now_of(self._kernel)
        for candidate in (type_,) if type_ is not None else endpoint.events:
            try:
                body = sample(candidate, now).text()
            except NoSample:
                continue
            return _TestEvent(self._kernel.ids.new(Prefix.EVENT), candidate, body, now)
        raise ValidationFailed(
            [FieldError("event", "event_unsupported")], "Syncline never emits an event of this type."
        )

    def _record(
        self, connection: Connection, environment_id: str, endpoint_id: str, attempt: Attempt
    ) -> None:
        # It may have been deleted while the request was under way.
        if endpoints.get(connection, environment_id, endpoint_id, lock=True) is not None:
            parked.record(connection, endpoint_id, [attempt])
