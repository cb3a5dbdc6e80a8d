"""Webhook deliveries of one process: a backlog, a thousand endpoints, and how late they are under load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from benchmarks import traffic
from benchmarks.http import Connection, closed_loop
from benchmarks.receiver import Arrived, Receiver, receiving
from benchmarks.sender import bare_rate
from benchmarks.subjects import Subject
from benchmarks.workloads import People

EVENTS = ["dsync.user.created"]
_SETTLE_SECONDS = 120.0
_BARE_COUNT = 20_000
# The dispatcher has no more requests under way to one host.
_IN_FLIGHT = 10


@dataclass(frozen=True, slots=True)
class Rate:
    """Deliveries a second once all had begun, and those of a bare sender with as many requests in flight."""

    work: str
    per_second: float
    bare: float
    arrived: int
    expected: int


@dataclass(frozen=True, slots=True)
class Late:
    """Seconds from the record of an event to its arrival while people are created at a steady rate."""

    p50: float
    p99: float
    arrived: int
    expected: int


@dataclass(frozen=True, slots=True)
class Webhooks:
    """All figures of one process."""

    rates: tuple[Rate, ...]
    late: Late


async def webhooks(
    subject: Subject, people: People, *, backlog: int, endpoints: int, lagged: int
) -> Webhooks:
    """Measure a backlog of one endpoint, of ten, of `endpoints`, of the same size; then lateness."""
    with receiving() as receiver:
        alone = bare_rate(receiver.url, _BARE_COUNT // 4, 1)
        together = bare_rate(receiver.url, _BARE_COUNT, _IN_FLIGHT)
        receiver.take()
        rates = []
        for count, bare in ((1, alone), (_IN_FLIGHT, together), (endpoints, together)):
            work = f"webhooks, {count:,} endpoint{'s' if count > 1 else ''}"
            rates.append(await _drain(subject, people, receiver, work, count, backlog // count, bare))
        return Webhooks(tuple(rates), await _late(subject, people, receiver, lagged))


async def _drain(
    subject: Subject, people: People, receiver: Receiver, work: str, count: int, events: int, bare: float
) -> Rate:
    """Let events pile up in front of paused endpoints, resume them and time what arrives."""
    async with _endpoints(subject, receiver.url, count) as (api, ids):
        await _set_state(api, ids, "paused")
        await _create(subject, people, events)
        await asyncio.sleep(1)
        await _set_state(api, ids, "active")
        arrived = await _arrivals(receiver, count * events)
    moments = sorted(arrived.moments)
    # The first and the last tenth are ramps: connections are made, endpoints run dry one after the other.
    steady = moments[len(moments) // 10 : len(moments) - len(moments) // 10]
    seconds = steady[-1] - steady[0] if len(steady) > 1 else float("nan")
    return Rate(work, (len(steady) - 1) / seconds, bare, len(moments), count * events)


async def _late(subject: Subject, people: People, receiver: Receiver, count: int) -> Late:
    async with _endpoints(subject, receiver.url, 1):
        await _create(subject, people, count, per_second=200)
        arrived = await _arrivals(receiver, count)
    lags = sorted(arrived.lags)
    return Late(_share(lags, 0.5), _share(lags, 0.99), len(lags), count)


async def _create(subject: Subject, people: People, count: int, per_second: float = 1e9) -> None:
    first, begun = people.next_number, time.perf_counter()

    async def one(connection: Connection, job: int) -> None:
        await asyncio.sleep(max(0.0, begun + job / per_second - time.perf_counter()))
        made = await connection.request("POST", "/Users", traffic.user(first + job))
        people.ids[first + job] = made.json()["id"]

    connections = 64 if per_second >= 1e9 else 8
    await closed_loop(lambda: Connection(subject.base_url, subject.token), count, connections, one, 600)


async def _arrivals(receiver: Receiver, wanted: int) -> Arrived:
    found = Arrived([], [])
    ends = time.monotonic() + _SETTLE_SECONDS
    while len(found.moments) < wanted and time.monotonic() < ends:
        await asyncio.sleep(0.5)
        part = await asyncio.to_thread(receiver.take)
        found.moments += part.moments
        found.lags += part.lags
    return found


@asynccontextmanager
async def _endpoints(
    subject: Subject, address: str, count: int
) -> AsyncIterator[tuple[httpx.AsyncClient, list[str]]]:
    headers = {"Authorization": f"Bearer {subject.api_key}"}
    async with httpx.AsyncClient(base_url=subject.url, headers=headers, timeout=60) as api:
        ids = []
        for number in range(count):
            body = {"endpoint_url": f"{address}{number}", "events": EVENTS}
            ids.append(str((await api.post("/webhook_endpoints", json=body)).raise_for_status().json()["id"]))
        yield api, ids
        for endpoint in ids:
            (await api.delete(f"/webhook_endpoints/{endpoint}")).raise_for_status()


async def _set_state(api: httpx.AsyncClient, ids: list[str], state: str) -> None:
    async def one(endpoint: str) -> None:
        (await api.patch(f"/webhook_endpoints/{endpoint}", json={"state": state})).raise_for_status()

    for at in range(0, len(ids), 16):
        await asyncio.gather(*map(one, ids[at : at + 16]))


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
