"""Threat: a customer makes Syncline send requests into the network it runs in, or to a cloud's metadata.

Webhook addresses are the customer's choice. They are judged when an endpoint is made, so that the mistake is
told, and again at each connection, because a name may say something else by then. Redirects that are not
followed: `tests/services/test_delivery.py`, `tests/contract/test_http_client.py`; the policy by itself:
`tests/unit/test_address_policy.py`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from syncline.net.http import FailureKind, OutboundClient, OutboundFailure
from syncline.net.policy import AddressPolicy
from syncline.services.container import Services
from syncline.services.kernel import Kernel
from syncline.web.app import build_app
from tests.security.spellings import HOSTS, RESOLVED, URLS
from tests.support.deliveries import CREATED, DELETED, Stage, dispatching
from tests.support.kernels import kernel, seed
from tests.support.waiting import wait_until

PUBLIC = "93.184.215.14"
EVENTS = [CREATED, DELETED]


class Names(AbstractResolver):
    """A name server; a name with several answers gives the next one each time, and keeps the last."""

    def __init__(self, answers: Mapping[str, list[str]]) -> None:
        self._answers = {name: list(addresses) for name, addresses in answers.items()}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the next answer."""
        known = self._answers.get(host)
        if not known:
            raise OSError("no such name")
        address = known.pop(0) if len(known) > 1 else known[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Doors:
    """Listens on both loopback addresses and counts who comes."""

    def __init__(self) -> None:
        self.port = 0
        self.visits = 0

    def visited(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count a connection and close it."""
        self.visits += 1
        writer.close()


@asynccontextmanager
async def doors() -> AsyncIterator[Doors]:
    """Listen until the block ends."""
    found = Doors()
    server = await asyncio.start_server(found.visited, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


@asynccontextmanager
async def strict(database_url: str, answers: Mapping[str, list[str]]) -> AsyncIterator[Kernel]:
    """A kernel as an installation has it: nothing is on the allow-list."""
    async with kernel(database_url) as made:
        policy = AddressPolicy()
        async with OutboundClient(policy, resolver=Names(answers)) as outbound:
            yield replace(made, policy=policy, outbound=outbound)


async def test_no_spelling_of_an_inner_address_becomes_an_endpoint(database_url: str) -> None:
    """Each is a 422 that says why, for a new endpoint and for one that is changed, and nothing is stored."""
    answers = {name: [address] for name, address in RESOLVED.items()}
    async with strict(database_url, answers) as within:
        services = Services(within)
        place = await seed(within)
        key = (await services.api_keys.create(place.environment_id, "tests")).value
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=build_app(services)),
            base_url="http://syncline.test",
            headers={"Authorization": f"Bearer {key}"},
        ) as api:
            good = {"endpoint_url": "https://public.example/hook", "events": EVENTS}
            made = (await api.post("/webhook_endpoints", json=good)).json()
            accepted = []
            for url in (*(f"https://{host}/hook" for host in HOSTS), *URLS):
                new = await api.post("/webhook_endpoints", json=good | {"endpoint_url": url})
                changed = await api.patch(f"/webhook_endpoints/{made['id']}", json={"endpoint_url": url})
                for answer in (new, changed):
                    if answer.status_code != 422 or answer.json()["code"] != "invalid_url":
                        accepted.append((url, answer.status_code, answer.text))
            listed = (await api.get("/webhook_endpoints?limit=100")).json()["data"]
        await services.api_keys.flush()
    assert accepted == []
    assert [(one["id"], one["endpoint_url"], one["updated_at"]) for one in listed] == [
        (made["id"], good["endpoint_url"], made["updated_at"])
    ]


@pytest.mark.parametrize("scheme", ["https", "http", "HTTPS"])
async def test_no_spelling_of_an_inner_address_is_connected_to(scheme: str) -> None:
    """What an older version stored, or an operator put into the database, is refused at the connection."""
    answers = {name: [address] for name, address in RESOLVED.items() if name != "public.example"}
    # A short time for connections: with a hole in the policy there would be many that nobody answers.
    client = OutboundClient(AddressPolicy(), resolver=Names(answers), connect_timeout=0.1, total_timeout=0.2)
    async with doors() as listening, client:
        outcomes = {}
        for host in HOSTS:
            with pytest.raises(OutboundFailure) as raised:
                await client.post(f"{scheme}://{host}:{listening.port}/hook", b"{}", {})
            outcomes[host] = raised.value.kind
    assert {host for host, kind in outcomes.items() if kind is not FailureKind.ADDRESS_REFUSED} == set()
    assert listening.visits == 0


async def test_a_name_that_moves_inside_after_the_endpoint_was_made_reaches_nobody(database_url: str) -> None:
    """DNS rebinding: public while the endpoint is made, inner when the event is sent.

    Nobody is connected to, the attempt is a failure with a reason, and the event waits as for any other one.
    """
    inner = ("127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::1", "169.254.169.254", "3fff::1")
    answers = {f"rebind{n}.example": [PUBLIC, address] for n, address in enumerate(inner)}
    async with doors() as listening, strict(database_url, answers) as within:
        stage = Stage(within, (await seed(within)).environment_id)
        endpoints = [await stage.endpoint(f"https://{name}:{listening.port}/hook") for name in answers]
        [event] = await stage.emit("directory_A")
        async with dispatching(within):
            for endpoint in endpoints:
                await wait_until(lambda at=endpoint: stage.attempts(at))  # type: ignore[misc]
        for endpoint in endpoints:
            attempts = await stage.attempts(endpoint)
            assert {(one.event_id, one.outcome, one.status) for one in attempts} == {(event, "failed", None)}
            assert all("address" in (one.error or "") for one in attempts)
            assert len(await stage.parked(endpoint)) == 1
    assert listening.visits == 0
