"""Every request verifies with the receivers' official libraries, also while a secret is rotated."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from workos import WorkOSClient

from syncline.core.signing import verify_workos
from syncline.services.endpoint_changes import OptionChanges
from syncline.services.endpoints import Endpoints
from syncline.services.idsource import IdSource
from tests.support.deliveries import CAUSE, CREATED, Stage, dispatching
from tests.support.receiver import Received, Receiver, Reply
from tests.support.waiting import wait_until

A = "directory_A"


async def test_both_signature_families_verify_with_their_official_libraries(
    stage: Stage, hooks: Receiver
) -> None:
    endpoint = await stage.endpoint(hooks.url())
    await stage.emit(A)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    [request] = hooks.received
    event = verified(request, endpoint.secret)
    assert event == request.id
    Webhook(endpoint.secret).verify(request.body, dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(request.body + b" ", dict(request.headers))


def verified(request: Received, secret: str) -> str:
    """Return the event id as the WorkOS SDK reads it; `ValueError` for another signature."""
    client = WorkOSClient(api_key="sk_test", client_id="client_test")
    event = client.webhooks.verify_event(
        event_body=request.body, event_signature=request.headers["workos-signature"], secret=secret
    )
    return str(event.to_dict()["id"])


async def test_during_a_rotation_both_secrets_verify_and_workos_keeps_the_former(
    stage: Stage, hooks: Receiver
) -> None:
    endpoint = await stage.endpoint(hooks.url())
    rotated = await Endpoints(stage.kernel).rotate_secret(stage.environment_id, endpoint.id, CAUSE)
    await stage.emit(A)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    [request] = hooks.received
    for secret in (rotated.secret, endpoint.secret):
        Webhook(secret).verify(request.body, dict(request.headers))
    assert verified(request, endpoint.secret) == request.id
    with pytest.raises(ValueError, match="ignature"):
        verified(request, rotated.secret)


async def test_workos_signature_moves_to_the_new_secret_at_its_moment(stage: Stage, hooks: Receiver) -> None:
    endpoint = await stage.endpoint(hooks.url())
    rotated = await Endpoints(stage.kernel).rotate_secret(
        stage.environment_id, endpoint.id, CAUSE, switch_at=stage.kernel.clock()
    )
    await stage.emit(A)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    [request] = hooks.received
    assert verified(request, rotated.secret) == request.id
    for secret in (rotated.secret, endpoint.secret):
        Webhook(secret).verify(request.body, dict(request.headers))


async def test_after_the_overlap_only_the_new_secret_signs(stage: Stage, hooks: Receiver) -> None:
    endpoint = await stage.endpoint(hooks.url())
    rotated = await Endpoints(stage.kernel).rotate_secret(
        stage.environment_id, endpoint.id, CAUSE, overlap=timedelta(0)
    )
    await stage.emit(A)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    [request] = hooks.received
    assert verified(request, rotated.secret) == request.id
    assert len(request.headers["webhook-signature"].split(" ")) == 1


async def test_an_overlap_that_is_ended_early_leaves_the_new_secret_alone(
    stage: Stage, hooks: Receiver
) -> None:
    endpoint = await stage.endpoint(hooks.url())
    endpoints = Endpoints(stage.kernel)
    rotated = await endpoints.rotate_secret(stage.environment_id, endpoint.id, CAUSE)
    async with dispatching(stage.kernel):
        await stage.emit(A)
        await stage.settled(endpoint)
        await endpoints.end_overlap(stage.environment_id, endpoint.id, CAUSE)
        await stage.emit(A)
        await stage.settled(endpoint)
    during, after = hooks.received
    assert len(during.headers["webhook-signature"].split(" ")) == 2
    assert len(after.headers["webhook-signature"].split(" ")) == 1
    assert verified(during, endpoint.secret) == during.id
    assert verified(after, rotated.secret) == after.id
    Webhook(rotated.secret).verify(after.body, dict(after.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(after.body, dict(after.headers))


async def test_the_secret_made_last_is_the_newest_whatever_the_clocks_of_processes_say(
    stage: Stage, hooks: Receiver
) -> None:
    """Each rotation is asked of another process, the clock of the first one is ahead."""

    def clock() -> datetime:
        return stage.kernel.clock() + timedelta(minutes=10)

    ahead = replace(stage.kernel, clock=clock, ids=IdSource(clock, stage.kernel.random))
    endpoint = await Endpoints(ahead).create(stage.environment_id, hooks.url(), (CREATED,), CAUSE)
    endpoints = Endpoints(stage.kernel)
    async with dispatching(stage.kernel):
        await Endpoints(ahead).rotate_secret(stage.environment_id, endpoint.id, CAUSE)
        last = await endpoints.rotate_secret(stage.environment_id, endpoint.id, CAUSE)
        await stage.emit(A)
        await stage.settled(endpoint)
        await endpoints.end_overlap(stage.environment_id, endpoint.id, CAUSE)
        await stage.emit(A)
        await stage.settled(endpoint)
    during, after = hooks.received
    assert verified(during, endpoint.secret) == during.id
    assert verified(after, last.secret) == after.id
    assert len(after.headers["webhook-signature"].split(" ")) == 1
    shown = await endpoints.get(stage.environment_id, endpoint.id)
    assert shown.secret == f"whsec_…{last.secret[-4:]}"


async def test_the_newest_three_secrets_sign_newest_first(stage: Stage, hooks: Receiver) -> None:
    endpoint = await stage.endpoint(hooks.url())
    secrets = [endpoint.secret]
    for _ in range(3):
        rotated = await Endpoints(stage.kernel).rotate_secret(stage.environment_id, endpoint.id, CAUSE)
        secrets.insert(0, rotated.secret)
    await stage.emit(A)
    async with dispatching(stage.kernel):
        await stage.settled(endpoint)
    [request] = hooks.received
    signatures = request.headers["webhook-signature"].split(" ")
    for secret, signature in zip(secrets[:3], signatures, strict=True):
        one = dict(request.headers) | {"webhook-signature": signature}
        Webhook(secret).verify(request.body, one)
    assert request.headers["workos-signature"].count("v1=") == 1


async def test_cloudevents_are_signed_in_both_families_over_the_bytes_that_are_sent(
    stage: Stage, hooks: Receiver
) -> None:
    hooks.answer = lambda request: Reply(500 if request.attempt == 1 else 200)
    options = OptionChanges(format="cloudevents")
    endpoint = await Endpoints(stage.kernel).create(
        stage.environment_id, hooks.url(), [CREATED], CAUSE, options
    )
    [event_id] = await stage.emit(A)
    async with dispatching(stage.kernel):
        await stage.settled(endpoint)
    first, second = hooks.received
    assert first.body == second.body
    assert first.headers["content-type"] == "application/cloudevents+json"
    event = first.event
    assert (event["specversion"], event["id"], event["type"]) == ("1.0", event_id, CREATED)
    assert event["source"] == f"{stage.kernel.base_url}/directories/{A}"
    assert (event["directoryid"], event["organizationid"]) == (A, "org_1")
    assert event["data"]["name"] == "Staff / Küche"
    assert first.headers["webhook-id"] == event_id
    for request in (first, second):
        Webhook(endpoint.secret).verify(request.body, dict(request.headers))
        verify_workos(
            endpoint.secret,
            request.headers["workos-signature"],
            request.body,
            now_ms=int(stage.kernel.clock().timestamp() * 1000),
        )


async def test_each_attempt_has_the_same_body_and_a_fresh_signature(stage: Stage, hooks: Receiver) -> None:
    hooks.answer = lambda request: Reply(500 if request.attempt == 1 else 200)
    endpoint = await stage.endpoint(hooks.url())
    await stage.emit(A)
    async with dispatching(stage.kernel):
        await wait_until(lambda: stage.is_idle(endpoint))
    first, second = hooks.received
    assert first.body == second.body
    assert first.headers["workos-signature"] != second.headers["workos-signature"]
    assert verified(second, endpoint.secret) == first.id
