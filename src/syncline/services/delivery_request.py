"""One webhook request: signed headers of both families, the exact bytes, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from syncline.core.cloudevents import CONTENT_TYPE as CLOUDEVENTS_TYPE
from syncline.core.cloudevents import cloud_event
from syncline.core.endpoint_options import EndpointOptions, PayloadFormat
from syncline.core.envelope import envelope
from syncline.core.ids import Prefix
from syncline.core.retry import Outcome, outcome_of_status, parse_retry_after
from syncline.core.signing import (
    MAX_SIGNATURES,
    WORKOS_HEADER,
    SigningKey,
    standard_headers,
    workos_signature,
)
from syncline.net.http import FailureKind, OutboundFailure, OutboundResponse
from syncline.services.kernel import Kernel
from syncline.services.keyring import place
from syncline.store.endpoints import EndpointSecret
from syncline.store.parked import Attempt

_DEFAULTS = EndpointOptions()
# The bytes of a body, and their content type.
Payload = tuple[bytes, str]


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A secret that was opened; from `switch_at` on it makes the `WorkOS-Signature`."""

    key: SigningKey
    switch_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sent:
    """How one attempt ended. `response` is the beginning of the answer, `error` a sentence for the owner."""

    outcome: Outcome
    started_at: datetime
    duration: float
    status: int | None = None
    error: str | None = None
    response: str | None = None
    retry_after: timedelta | None = None


def secret_place(environment_id: str, endpoint_id: str, secret_id: str) -> str:
    """Return the context under which an endpoint's secret is sealed.

    With the endpoint in it, a whole row that somebody gives to another endpoint does not open either.
    """
    return place("endpoint_secrets", f"{environment_id}/{endpoint_id}/{secret_id}", "sealed")


def open_secrets(
    kernel: Kernel, environment_id: str, endpoint_id: str, secrets: Sequence[EndpointSecret]
) -> list[SigningSecret]:
    """Return an endpoint's secrets ready to sign, in the order given. Raises `SealBroken`."""
    return [
        SigningSecret(
            SigningKey(_opened(kernel, secret, secret_place(environment_id, endpoint_id, secret.id))),
            secret.switch_at,
            secret.expires_at,
        )
        for secret in secrets
    ]


def _opened(kernel: Kernel, secret: EndpointSecret, where: str) -> str:
    return kernel.keyring.open(secret.sealed, where).decode()


def signature_headers(
    secrets: Sequence[SigningSecret], message_id: str, now: datetime, body: bytes
) -> dict[str, str]:
    """Return the headers of both families for one attempt; `secrets` are newest first.

    Standard Webhooks carries a signature of every unexpired secret. `WorkOS-Signature` can hold one only:
    that of the newest secret whose moment has come, else of the oldest. Raises `ValueError` without secrets.
    """
    usable = [secret for secret in secrets if secret.expires_at is None or secret.expires_at > now]
    # A long turn may outlive an overlap; the newest secret never expires by itself.
    usable = usable[:MAX_SIGNATURES] or list(secrets[:1])
    if not usable:
        raise ValueError("the endpoint has no secret")
    switched = next((secret for secret in usable if secret.switch_at <= now), usable[-1])
    timestamp_ms = int(now.timestamp() * 1000)
    headers = standard_headers([secret.key for secret in usable], message_id, timestamp_ms // 1000, body)
    headers[WORKOS_HEADER] = workos_signature(switched.key, timestamp_ms, body)
    return headers


def payload(row: Any, options: EndpointOptions, base_url: str) -> Payload:
    """Return the bytes of an event in the format of an endpoint, and their content type."""
    if options.format is PayloadFormat.CLOUDEVENTS:
        return cloud_event(row, base_url), CLOUDEVENTS_TYPE
    body = envelope(
        row.event_id, row.type, row.body, row.recorded_at, row.actor, row.position, row.directory_sequence
    )
    return body, "application/json"


async def send(
    kernel: Kernel,
    url: str,
    secrets: Sequence[SigningSecret],
    row: Any,
    attempt: int,
    options: EndpointOptions = _DEFAULTS,
    written: Payload | None = None,
) -> Sent:
    """Post one log row to an endpoint, signed at this moment; never raises for what the receiver does.

    `written` is the row as it is sent, None if it has to be written for this request.
    """
    body, content_type = written or payload(row, options, kernel.base_url)
    started_at = kernel.clock()
    headers = signature_headers(secrets, row.event_id, started_at, body)
    headers["Content-Type"] = content_type
    headers["Syncline-Event-Id"] = row.event_id
    headers["Syncline-Attempt"] = str(attempt)
    metrics = kernel.metrics
    metrics.deliveries_in_flight.inc()
    begun = asyncio.get_running_loop().time()
    try:
        response = await kernel.outbound.post(url, body, headers)
        sent = _answered(response, started_at, kernel.clock())
    except OutboundFailure as failure:
        outcome = Outcome.TIMEOUT if failure.kind is FailureKind.TIMEOUT else Outcome.FAILED
        sent = Sent(outcome, started_at, failure.duration, error=failure.detail)
    finally:
        metrics.deliveries_in_flight.dec()
        metrics.delivery_seconds.observe(asyncio.get_running_loop().time() - begun)
    metrics.deliveries.labels(sent.outcome.value).inc()
    return sent


def _answered(response: OutboundResponse, started_at: datetime, now: datetime) -> Sent:
    outcome = outcome_of_status(response.status)
    retry_after = response.headers.get("retry-after") if outcome is not Outcome.SUCCESS else None
    return Sent(
        outcome=outcome,
        started_at=started_at,
        duration=response.duration,
        status=response.status,
        error=None if outcome is Outcome.SUCCESS else f"The endpoint answered {response.status}.",
        response=response.body_prefix or None,
        retry_after=parse_retry_after(retry_after, now) if retry_after else None,
    )


def attempt_at(
    kernel: Kernel, event: Any, position: int, number: int, sent: Sent, next_due_at: datetime | None
) -> Attempt:
    """Return what the log of attempts keeps of a request; `event` has the attributes of a row of the log."""
    return Attempt(
        id=kernel.ids.new(Prefix.ATTEMPT),
        position=position,
        event_id=event.event_id,
        event_type=event.type,
        attempt=number,
        started_at=sent.started_at,
        duration_ms=round(sent.duration * 1000),
        outcome=sent.outcome.value,
        status=sent.status,
        error=sent.error,
        response=sent.response,
        next_due_at=next_due_at,
    )
