"""Disable an endpoint that took nothing for days, and say so in the log of its environment."""

from __future__ import annotations

from datetime import datetime

from syncline.core.events import WebhookEndpointDisabled, draft
from syncline.core.ids import Prefix
from syncline.core.model import Cause
from syncline.services.kernel import Kernel
from syncline.store import deliveries, log
from syncline.store.database import Connection
from syncline.store.deliveries import Claim, Progress

REASON = "no_success_for_five_days"


def disable(connection: Connection, kernel: Kernel, claim: Claim, progress: Progress, now: datetime) -> bool:
    """Disable a claimed endpoint with its event in the same transaction; False if its owner stopped it."""
    if not deliveries.disable(connection, claim, REASON):
        return False
    event = WebhookEndpointDisabled(
        endpoint_id=claim.id,
        endpoint_url=claim.endpoint_url,
        reason=REASON,
        failing_since=progress.failing_since or now,
        failed_attempts=progress.failed_attempts,
    )
    written = draft(event, environment_id=claim.environment_id, recorded_at=kernel.clock())
    log.append(connection, [written], Cause(kernel.ids.new(Prefix.REQUEST)))
    return True
