"""What became of deliveries: attempts, deliveries that wait or are dead, and trying again now."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Literal, cast

from syncline.core.errors import FieldError, ValidationFailed
from syncline.core.ids import Prefix
from syncline.core.model import Cause
from syncline.core.paging import Page, PageRequest
from syncline.core.redact import REDACTED, redact_text
from syncline.core.retry import Outcome
from syncline.core.wire import AttemptRequest, Delivery, DeliveryAttempt, iso
from syncline.obs.logging import get_logger
from syncline.services.endpoint_shapes import MILLISECOND, now_of, required, url_key
from syncline.services.kernel import Kernel
from syncline.store import endpoint_positions, endpoints
from syncline.store import endpoint_reports as store
from syncline.store.database import Connection
from syncline.store.endpoint_reports import OUTSIDE_THE_LOG, AttemptFilter
from syncline.store.endpoints import EndpointState
from syncline.store.parked import ParkedState
from syncline.store.types import to_ms

_logger = get_logger(__name__)


class EndpointDeliveries:
    """The deliveries of webhook endpoints, as their owners ask about them."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def attempts(
        self,
        environment_id: str,
        endpoint_id: str,
        page: PageRequest,
        *,
        outcome: str | None = None,
        event_id: str | None = None,
    ) -> Page[DeliveryAttempt]:
        """Return attempts, those with an outcome or of an event if one is given.

        Raises `NotFound`, and `ValidationFailed` for an outcome or a cursor that is none.
        """
        page = page.of(Prefix.ATTEMPT)
        if outcome is not None and outcome not in list(Outcome):
            raise ValidationFailed([FieldError("outcome", "outcome_invalid")])
        wanted = AttemptFilter(outcome, event_id)

        def work(connection: Connection) -> Page[Any]:
            required(connection, environment_id, endpoint_id)
            return page.read(
                lambda span: store.attempts(connection, environment_id, endpoint_id, wanted, span),
                key=lambda row: str(row.id),
            )

        return (await self._kernel.database.read(work)).map(partial(attempt_of, endpoint_id))

    async def list(
        self, environment_id: str, endpoint_id: str, page: PageRequest, *, state: str | None = None
    ) -> Page[Delivery]:
        """Return deliveries that wait or are dead. Raises `NotFound` and `ValidationFailed`."""
        page = page.of(Prefix.EVENT)
        if state is not None and state not in list(ParkedState):
            raise ValidationFailed([FieldError("state", "state_invalid")])

        def work(connection: Connection) -> Page[Any]:
            required(connection, environment_id, endpoint_id)
            return page.read(
                lambda span: store.deliveries(connection, environment_id, endpoint_id, state, span),
                key=lambda row: str(row.event_id),
            )

        return (await self._kernel.database.read(work)).map(_delivery)

    async def retry(self, environment_id: str, endpoint_id: str, cause: Cause) -> int:
        """Make what waits at an endpoint due now and return how many deliveries that are.

        Each lane is tried in its order. Raises `NotFound`, and `ValidationFailed` for an endpoint that is not
        active: nothing would be sent.
        """

        def work(connection: Connection) -> int:
            endpoint = required(connection, environment_id, endpoint_id, lock=True)
            if endpoint.state is not EndpointState.ACTIVE:
                message = "The endpoint is not active, so nothing is sent to it."
                raise ValidationFailed([FieldError("state", "state_invalid")], message)
            # Who holds the endpoint right now reads its deliveries again when it sees that it was changed.
            after = replace(endpoint, updated_at=max(now_of(self._kernel), endpoint.updated_at + MILLISECOND))
            endpoints.change(connection, environment_id, after, url_key(after.endpoint_url))
            return endpoint_positions.retry(connection, environment_id, endpoint_id)

        count = await self._kernel.database.write(work)
        _logger.info("endpoint.retried", endpoint_id=endpoint_id, count=count, cause=cause.id)
        self._kernel.sealed.notify(environment_id)
        return count


def attempt_of(endpoint_id: str, row: Any) -> DeliveryAttempt:
    """Return an attempt as answers show it: of the request what is certain, and no signature."""
    outcome = cast(Literal["success", "failed", "timeout", "busy", "gone"], row.outcome)
    milliseconds = to_ms(row.started_at)
    return DeliveryAttempt(
        id=row.id,
        endpoint_id=endpoint_id,
        event_id=row.event_id,
        event=row.event_type,
        test=row.position == OUTSIDE_THE_LOG,
        attempt=row.attempt,
        outcome=outcome,
        status=row.status,
        error=row.error,
        duration_ms=row.duration_ms,
        started_at=iso(row.started_at),
        next_attempt_at=None if row.next_due_at is None else iso(row.next_due_at),
        request=AttemptRequest(
            headers={
                "workos-signature": f"t={milliseconds}, v1={REDACTED}",
                "webhook-id": row.event_id,
                "webhook-timestamp": str(milliseconds // 1000),
                "webhook-signature": REDACTED,
                "syncline-event-id": row.event_id,
                "syncline-attempt": str(row.attempt),
            }
        ),
        response=None if row.response is None else redact_text(row.response),
    )


def _delivery(row: Any) -> Delivery:
    return Delivery(
        event_id=row.event_id,
        event=row.type,
        directory_id=row.directory_id,
        organization_id=row.organization_id,
        state="dead" if row.state == ParkedState.DEAD else "waiting",
        attempts=row.attempts,
        first_attempt_at=None if row.first_attempt_at is None else iso(row.first_attempt_at),
        next_attempt_at=None if row.next_due_at is None else iso(row.next_due_at),
        last_error=row.last_error,
    )
