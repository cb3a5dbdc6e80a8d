"""From a committed change to whoever reads the log, and what an idle process costs. Syncline only."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from benchmarks import traffic
from benchmarks.http import Connection, closed_loop
from benchmarks.machine import cpu_seconds, resident_mb
from benchmarks.subjects import Subject
from benchmarks.webhooks import EVENTS
from benchmarks.workloads import People
from tests.support.waiting import wait_until

_IDLE_SECONDS = 10.0
_SETTLE_SECONDS = 30.0
_POLL_SECONDS = 0.003


@dataclass(frozen=True, slots=True)
class Lag:
    """Seconds from the provider's 201 to the event, and how many of the changes arrived."""

    readable_p50: float
    readable_p99: float
    arrived: int
    expected: int


@dataclass(frozen=True, slots=True)
class Idle:
    """An idle process: seconds from its start to the first answer, resident MB, CPU share of one core."""

    start_seconds: float
    resident_mb: float
    cpu_share: float


async def lag(subject: Subject, people: People, count: int, per_second: float) -> Lag:
    """Create people at a steady rate while a reader polls the log."""
    answered: dict[str, float] = {}
    readable: dict[str, float] = {}
    first = people.next_number
    cursor = await _newest(subject)
    stop = asyncio.Event()
    reading = asyncio.create_task(_poll(subject, cursor, readable, stop))
    begun = time.perf_counter()

    async def one(connection: Connection, job: int) -> None:
        await asyncio.sleep(max(0.0, begun + job / per_second - time.perf_counter()))
        body = traffic.user(first + job)
        made = await connection.request("POST", "/Users", body)
        answered[body["externalId"]] = time.perf_counter()
        people.ids[first + job] = made.json()["id"]

    await closed_loop(lambda: Connection(subject.base_url, subject.token), count, 8, one, 300)
    await _settled(lambda: len(readable) >= count)
    stop.set()
    await reading
    seen = sorted(max(0.0, readable[id_] - answered[id_]) for id_ in answered.keys() & readable.keys())
    return Lag(_share(seen, 0.5), _share(seen, 0.99), len(seen), count)


async def idle(subject: Subject) -> Idle:
    """Leave the process alone and see what it uses."""
    await asyncio.sleep(2)
    before, begun = cpu_seconds(subject.pids[:1]), time.perf_counter()
    await asyncio.sleep(_IDLE_SECONDS)
    used = cpu_seconds(subject.pids[:1]) - before
    share = used / (time.perf_counter() - begun)
    return Idle(subject.start_seconds, resident_mb(subject.pids[:1]), share)


async def _newest(subject: Subject) -> str:
    async with _api(subject) as api:
        found = (await api.get("/events", params={"limit": 1, "order": "desc"})).raise_for_status().json()
    return str(found["data"][0]["id"]) if found["data"] else ""


async def _poll(subject: Subject, cursor: str, readable: dict[str, float], stop: asyncio.Event) -> None:
    connection = Connection(subject.url, subject.api_key, "application/json")
    while not stop.is_set():
        after = f"&after={cursor}" if cursor else ""
        page = (await connection.request("GET", f"/events?limit=100{after}")).json()
        now = time.perf_counter()
        for event in page["data"]:
            if event["event"] in EVENTS:
                readable.setdefault(event["data"]["idp_id"], now)
            cursor = event["id"]
        await asyncio.sleep(_POLL_SECONDS)
    connection.close()


def _api(subject: Subject) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=subject.url, headers={"Authorization": f"Bearer {subject.api_key}"})


async def _settled(is_done: Callable[[], bool]) -> None:
    with contextlib.suppress(AssertionError):
        await wait_until(is_done, deadline=_SETTLE_SECONDS)


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
