"""What the scenarios on real databases share: a migrated kernel, a client that answers at once, receipts."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from syncline.net.http import OutboundClient, OutboundResponse
from syncline.services.kernel import Kernel
from syncline.store import sleepers
from syncline.store import tables as t
from syncline.store.database import Connection
from syncline.store.engine import database_now
from tests.reliability.registry import Context
from tests.support.databases import migrate
from tests.support.kernels import kernel


class InstantOutbound(OutboundClient):
    """Takes everything at once and keeps the ids that each address got, in order."""

    def __init__(self) -> None:
        # Nothing of the real client is made: it would want sockets.
        self.ids: dict[str, list[str]] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> OutboundResponse:
        """Answer 200 in the next moment."""
        self.ids.setdefault(url, []).append(headers["webhook-id"])
        await asyncio.sleep(0)
        return OutboundResponse(200, {}, "", 0.0)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return a public address for every name."""
        return ["93.184.215.14"]

    async def close(self) -> None:
        """Close nothing."""


@asynccontextmanager
async def opened(context: Context) -> AsyncIterator[Kernel]:
    """Give a kernel over the scenario's database, migrated."""
    migrate(context.database_url)
    async with kernel(context.database_url) as made:
        yield made


def with_outbound(within: Kernel, outbound: OutboundClient) -> Kernel:
    """Return the kernel with another way out."""
    return replace(within, outbound=outbound)


async def asleep(within: Kernel) -> int:
    """Return how many endpoints sleep behind the head of their log."""

    def work(connection: Connection) -> int:
        return len(sleepers.asleep_behind(connection, database_now(connection)))

    return await within.database.read(work)


async def endpoint_row(within: Kernel, endpoint_id: str) -> Any:
    """Return the row of an endpoint."""
    c = t.webhook_endpoints.c
    return await within.database.read(
        lambda connection: connection.execute(
            t.webhook_endpoints.select().where(c.id == endpoint_id)
        ).one_or_none()
    )


def wrong_receipts(name: str, got: Sequence[str], due: Sequence[str], lanes: int) -> Iterator[str]:
    """What is missing, foreign, or first arrived out of its lane's order; `due` takes the lanes in turn."""
    firsts = list(dict.fromkeys(got))
    places = {id_: at for at, id_ in enumerate(due)}
    yield from (f"{name} never got {id_}" for id_ in due if id_ not in set(firsts))
    yield from (f"{name} got {id_}, which is not in its log" for id_ in firsts if id_ not in places)
    latest = [-1] * lanes
    for id_ in firsts:
        at = places.get(id_, -1)
        if at >= 0 and at < latest[at % lanes]:
            yield f"{name} got {id_} ({at}) after {latest[at % lanes]} of the same directory"
        latest[at % lanes] = max(latest[at % lanes], at)


def repetitions(got: Sequence[str]) -> tuple[int, int]:
    """Return how many receipts were repetitions, and the most receipts of one event."""
    counted = Counter(got)
    return len(got) - len(counted), max(counted.values(), default=0)


def told(body: bytes) -> dict[str, Any]:
    """Return the event in a body."""
    event: dict[str, Any] = json.loads(body)
    return event
