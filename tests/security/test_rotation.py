"""Threat: a secret that has leaked, or is old, stays in use because replacing it would interrupt the service.

Tokens, keys and signing secrets are replaced while they are used. Whoever has the new one never sees a
failure, and from the answer to a revocation on the old one opens nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from syncline.core.signing import SignatureRefused, verify_standard, verify_workos
from tests.security.tenants import Tenant, tenant
from tests.support.live import Live, serving
from tests.support.receiver import Gate, Received, receiver
from tests.support.waiting import wait_until

ENOUGH = 12
"""Requests of each client in each phase: several of every kind."""
BACKLOG = 20


@pytest.fixture
def live(database_url: str) -> Iterator[Live]:
    with serving(database_url) as running:
        yield running


@pytest.fixture
def made(live: Live) -> Iterator[Tenant]:
    with tenant(live.url, live.tenant("rotation").api_key) as found:
        yield found


@dataclass(slots=True)
class Pusher:
    """A client that goes on and on with one credential, and notes when it asked and what it was told."""

    send: Callable[[str, int], Awaitable[httpx.Response]]
    credential: str
    told: list[tuple[float, int]] = field(default_factory=list)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            asked = time.monotonic()
            answer = await self.send(self.credential, len(self.told))
            self.told.append((asked, answer.status_code))

    async def more(self) -> None:
        """Wait until the client has got some more answers."""
        wanted = len(self.told) + ENOUGH
        await wait_until(lambda: len(self.told) >= wanted, 60)

    def statuses(self, *, since: float = 0.0, until: float = float("inf")) -> set[int]:
        """Return the statuses of what was asked in a time."""
        return {status for asked, status in self.told if since <= asked < until}


@asynccontextmanager
async def pushing(*pushers: Pusher) -> AsyncIterator[None]:
    """Let clients push until the block ends."""
    tasks = [asyncio.create_task(pusher.run()) for pusher in pushers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError), outcome


async def test_a_providers_token_is_replaced_while_it_pushes(made: Tenant) -> None:
    """Both tokens are live until the old one is revoked; not one request fails that should not."""
    async with httpx.AsyncClient(base_url=made.base, timeout=60) as scim, api_of(made) as api:

        async def push(token: str, n: int) -> httpx.Response:
            headers = {"Authorization": f"Bearer {token}"}
            if n % 3 == 2:
                return await scim.get("/Users?count=5", headers=headers)
            name = f"u{n}-{token[-6:]}"
            return await scim.post("/Users", json={"userName": name}, headers=headers)

        tokens = f"/directories/{made.directory_id}/bearer_tokens"
        [listed] = (await api.get(tokens)).json()["data"]
        old = [Pusher(push, made.scim_token)]
        async with pushing(*old):
            await old[0].more()
            rotated = await api.post(f"{tokens}/{listed['id']}/rotate", json={"overlap_seconds": 3600})
            new = Pusher(push, rotated.json()["token"])
            async with pushing(new):
                await asyncio.gather(new.more(), old[0].more())
                asked = time.monotonic()
                assert (await api.delete(f"{tokens}/{listed['id']}")).status_code == 204
                revoked = time.monotonic()
                await asyncio.gather(new.more(), old[0].more())
    assert new.statuses() == {200, 201}
    assert old[0].statuses(until=asked) == {200, 201}
    assert old[0].statuses(since=revoked) == {401}


async def test_an_api_key_is_deleted_while_it_is_used(made: Tenant) -> None:
    """The deleted key opens nothing from the answer on, and its neighbour never notices."""
    key = made.made("/api_keys", {"name": "doomed"})
    async with httpx.AsyncClient(base_url=made.url, timeout=60) as client, api_of(made) as api:

        async def call(value: str, n: int) -> httpx.Response:
            headers = {"Authorization": f"Bearer {value}"}
            if n % 2:
                return await client.get("/directories", headers=headers)
            return await client.post("/organizations", json={"name": f"o{n}"}, headers=headers)

        neighbour = Pusher(call, made.made("/api_keys", {"name": "neighbour"})["value"])
        doomed = [Pusher(call, key["value"]) for _ in range(2)]
        async with pushing(neighbour, *doomed):
            await asyncio.gather(*(each.more() for each in (neighbour, *doomed)))
            asked = time.monotonic()
            assert (await api.delete(f"/api_keys/{key['id']}")).status_code == 204
            deleted = time.monotonic()
            await asyncio.gather(*(each.more() for each in (neighbour, *doomed)))
    assert neighbour.statuses() == {200, 201}
    for each in doomed:
        assert each.statuses(until=asked) == {200, 201}
        assert each.statuses(since=deleted) == {401}


async def test_a_signing_secret_is_replaced_while_webhooks_flow(made: Tenant) -> None:
    """From the answer to a rotation on, every request verifies with the old secret and with the new one.

    `WorkOS-Signature` has room for one signature: the old secret's until the moment of the switch, the new
    one's from then on, and after the overlap only the new secret signs. Each rotation happens in the middle
    of a backlog, while a request is under way.
    """
    async with receiver() as hooks, api_of(made) as api:
        endpoint = await asyncio.to_thread(made.endpoint, hooks.url(), ("dsync.user.created",))

        async def rotated(**wish: object) -> tuple[str, list[Received]]:
            """Rotate in the middle of a backlog; return the new secret and what was sent after that."""
            seen, gate = len(hooks.received), Gate()
            hooks.answer = gate.reply
            await asyncio.to_thread(push_many, made, f"u{seen}")
            await wait_until(lambda: hooks.in_flight == 1)
            answer = await api.post(f"/webhook_endpoints/{endpoint['id']}/rotate_secret", json=wish)
            gate.open()
            await wait_until(lambda: len(hooks.received) == seen + BACKLOG, 30)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["secret"]), hooks.received[seen + 1 :]

        first = endpoint["secret"]
        second, in_overlap = await rotated(overlap_seconds=3600)
        third, switched = await rotated(overlap_seconds=3600, switch_at=endpoint["created_at"])
        last, after = await rotated(overlap_seconds=0)
    secrets = (first, second, third, last)
    assert signers(hooks.received[0], *secrets) == ((first,), first)
    assert {signers(request, *secrets) for request in in_overlap} == {((first, second), first)}
    assert {signers(request, *secrets) for request in switched} == {((first, second, third), third)}
    assert {signers(request, *secrets) for request in after} == {((last,), last)}
    assert [request.attempt for request in hooks.received] == [1] * len(hooks.received)


def push_many(made: Tenant, name: str) -> None:
    """Let the provider create as many people as a backlog has events."""
    steps = [
        {"method": "POST", "path": "/Users", "bulkId": str(n), "data": {"userName": f"{name}-{n}"}}
        for n in range(BACKLOG)
    ]
    assert made.scim("POST", "/Bulk", {"Operations": steps}).status_code == 200


def signers(request: Received, *secrets: str) -> tuple[tuple[str, ...], str | None]:
    """Return whose Standard Webhooks signature a request carries, and whose `WorkOS-Signature`."""
    timestamp = int(request.headers["webhook-timestamp"])
    header = request.headers["workos-signature"]

    def is_standard(secret: str) -> bool:
        try:
            verify_standard([secret], request.headers, request.body, now_s=timestamp)
        except SignatureRefused:
            return False
        return True

    def is_workos(secret: str) -> bool:
        try:
            verify_workos(secret, header, request.body, now_ms=timestamp * 1000)
        except SignatureRefused:
            return False
        return True

    workos = [secret for secret in secrets if is_workos(secret)]
    assert len(workos) <= 1
    return tuple(filter(is_standard, secrets)), workos[0] if workos else None


@asynccontextmanager
async def api_of(made: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the tenant's API key."""
    headers = {"Authorization": made.api.headers["Authorization"]}
    async with httpx.AsyncClient(base_url=made.url, headers=headers, timeout=60) as client:
        yield client
