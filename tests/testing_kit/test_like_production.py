"""What the kit sends looks like what the dispatcher sends."""

from __future__ import annotations

from typing import Any

from syncline.testing.consumer import Options, check
from tests.support.deliveries import Stage, dispatching
from tests.support.kernels import kernel, seed
from tests.support.receiver import Received, receiver

# What differs from one request to the next, whoever sends it.
_VARYING = ("host", "content-length", "syncline-event-id", "webhook-id", "webhook-timestamp")
_SIGNATURES = ("webhook-signature", "workos-signature")


def form(value: Any) -> Any:
    """Return the keys of an event, without what they hold."""
    return {key: form(part) for key, part in value.items()} if isinstance(value, dict) else None


def steady(request: Received) -> dict[str, str]:
    """Return the headers with what varies blanked out."""
    varying = {*_VARYING, *_SIGNATURES}
    return {name: "" if name in varying else value for name, value in request.headers.items()}


async def test_requests_have_the_headers_and_the_form_of_real_ones(database_url: str) -> None:
    async with kernel(database_url) as made, receiver() as hooks:
        stage = Stage(made, (await seed(made)).environment_id)
        endpoint = await stage.endpoint(hooks.url("/real"))
        await stage.emit("directory_A")
        async with dispatching(made):
            await stage.settled(endpoint)
        await check(hooks.url("/kit"), endpoint.secret, options=Options(only=["delivery"]))
    [real] = hooks.at("/real")
    played = next(one for one in hooks.at("/kit") if one.event["event"] == real.event["event"])
    assert steady(played) == steady(real)
    assert form(played.event) == form(real.event)
    for name in _SIGNATURES:
        assert len(played.headers[name]) == len(real.headers[name])
