"""The stage of a scenario: processes, a receiver, directories, a load, tails, and the judgement."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.reliability.journals import Asked, Requests
from tests.reliability.launch import Launched, shared
from tests.reliability.load import Actor, Directory, Pushing, Tally
from tests.reliability.oracle import (
    Evidence,
    LogEntry,
    Subscription,
    check_acknowledged,
    verify,
)
from tests.reliability.reading import Reader, Tail, Unanswered, show, until
from tests.reliability.receiving import Receiver
from tests.reliability.registry import Context
from tests.reliability.replay import Replay
from tests.support.postgres import unused_port

KEY = "sk_test_0123456789abcdefghijkl"
EVERYTHING = Subscription("everything")
SETTLING, DELIVERING = 30.0, 90.0
_LEASE = "3"
_REQUEST_SECONDS = 15.0


class Rig:
    """Holds the parts; made by `rig`."""

    def __init__(self, context: Context, session: aiohttp.ClientSession) -> None:
        self.context = context
        self.random = random.Random(context.seed)
        self.receiver = Receiver(context.folder / "receipts.jsonl")
        self.requests = Requests(context.folder / "requests.jsonl")
        self.session = session
        self.directories: list[Directory] = []
        self.subscriptions: list[Subscription] = []
        self.processes: list[Launched] = []
        self.settings = {
            "database_url": context.database_url,
            "secret_key": "a key of the reliability suite that is long enough",
            "api_key": KEY,
            "outbound_allow": "127.0.0.0/8",
            "log_level": "warning",
            "test_lease_seconds": _LEASE,
        }
        self._paths = (f"/hook-{n}" for n in itertools.count(1))

    # Processes

    def migrate(self) -> None:
        """Make the tables."""
        shared().run(self.context.folder, "migrate", settings=self.settings)

    def start(self, command: str, *, port: int | None = None, **settings: str) -> Launched:
        """Start a process; one that serves gets a port of its own unless one is given."""
        url = None
        if command in ("up", "serve"):
            port = port or unused_port()
            url = f"http://127.0.0.1:{port}"
            settings["port"] = str(port)
        launched = shared().launch(self.context.folder, command, settings=self.settings | settings, url=url)
        self.processes.append(launched)
        return launched

    def restart(self, ended: Launched, **settings: str) -> Launched:
        """Start a process in the place of one that has ended, on the same port."""
        port = int(ended.url.rsplit(":", 1)[1]) if ended.url else None
        self.processes.remove(ended)
        return self.start(ended.arguments[0], port=port, **settings)

    async def start_usual(self, *, serves: int = 2, workers: int = 2) -> None:
        """Start what an installation of this engine has: one process on SQLite, several on PostgreSQL."""
        if self.context.engine == "sqlite":
            self.start("up")
        else:
            await asyncio.to_thread(self.migrate)
            for _ in range(serves):
                self.start("serve")
            for _ in range(workers):
                self.start("worker")
        await self.all_ready()

    async def all_ready(self) -> None:
        """Wait until every process that serves is ready."""
        for process in self.processes:
            await asyncio.to_thread(process.await_ready)

    @property
    def urls(self) -> list[str]:
        """The addresses of the processes that serve."""
        return [process.url for process in self.processes if process.url is not None]

    # Tenancy

    @property
    def reader(self) -> Reader:
        """A reader of its own; two never share what they know of addresses."""
        return Reader(self.session, self.urls, KEY)

    async def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make one call of the REST API that must succeed."""
        headers = {"Authorization": f"Bearer {KEY}"}
        async with self.session.request(method, self.urls[0] + path, json=body, headers=headers) as answer:
            text = await answer.text()
            if answer.status >= 300:
                raise Unanswered(answer.status, text)
            return dict(await answer.json(content_type=None)) if text else {}

    async def make_directories(self, count: int) -> None:
        """Make directories, each of an organization of its own."""
        for n in range(count):
            organization = await self.api("POST", "/organizations", {"name": f"Customer {n}"})
            body = {"organization_id": organization["id"], "name": f"Directory {n}"}
            made = await self.api("POST", "/directories", body | {"type": "generic scim v2.0"})
            key = made["id"].removeprefix("directory_")
            self.directories.append(Directory(made["id"], f"/scim/v2/{key}", made["scim"]["bearer_token"]))

    async def subscribe(self, *types: str, in_order: bool = True) -> Subscription:
        """Make a webhook endpoint at the receiver; all types of the catalog unless some are named."""
        path = next(self._paths)
        wanted = types or (
            "dsync.activated",
            *(f"dsync.user.{what}" for what in ("created", "updated", "deleted")),
            *(f"dsync.group.{what}" for what in ("created", "deleted", "user_added", "user_removed")),
        )
        body = {"endpoint_url": self.receiver.url(path), "events": list(wanted)}
        made = await self.api("POST", "/webhook_endpoints", body)
        self.receiver.secrets[path] = [made["secret"]]
        head = await self.reader.log()
        subscription = Subscription(path, types=wanted, after=len(head), in_order=in_order)
        self.subscriptions.append(subscription)
        return subscription

    # Judgement

    async def settle(self, *, deadline: float = SETTLING) -> list[LogEntry]:
        """Wait until the log explains everything that was acknowledged, and stands still; return it."""
        reader, log = self.reader, list[LogEntry]()
        ends = asyncio.get_running_loop().time() + deadline
        while asyncio.get_running_loop().time() < ends:
            before = log
            try:
                log = await reader.log()
            except Unanswered:
                await asyncio.sleep(0.1)
                continue
            explained = not any(check_acknowledged(self.asked, Replay.of(log).transitions))
            if explained and [one.id for one in before] == [one.id for one in log]:
                return log
            await asyncio.sleep(0.1)
        return log

    @property
    def asked(self) -> list[Asked]:
        """The journal of requests."""
        return self.requests.asked

    async def judge(
        self, tails: Sequence[Tail] = (), *, deliver: float = DELIVERING, deadline: float = SETTLING
    ) -> tuple[list[str], Evidence]:
        """Gather everything there is to know when the load has ended, and return what is wrong."""
        log = await self.settle(deadline=deadline)
        for subscription in self.subscriptions:
            wanted = {entry.id for entry in log if subscription.wants(entry)}
            await until(
                lambda path=subscription.endpoint, due=wanted: due <= self.receiver.accepted(path),  # type: ignore[misc]
                deliver,
            )
        reader = self.reader
        shown = {}
        for directory in self.directories:
            scim = self.urls[0] + directory.path
            shown[directory.id] = await show(reader, self.session, directory.id, scim, directory.token)
        for tail in tails:
            await tail.finish()
        # Nothing may come after the end either.
        log = await reader.log()
        evidence = Evidence(
            log=log,
            asked=self.asked,
            shown=shown,
            subscriptions=self.subscriptions,
            receipts=self.receiver.receipts,
            tails=[tail.evidence for tail in tails],
        )
        return await asyncio.to_thread(verify, evidence), evidence

    async def close(self) -> None:
        """End the processes and close the parts."""
        for process in self.processes:
            await asyncio.to_thread(process.kill)
        await self.receiver.close()
        self.requests.close()


class Load:
    """Actors on every directory of a rig, and tails that follow the log meanwhile."""

    def __init__(
        self, rig: Rig, *, actors: int = 2, people: int = 6, tails: Sequence[Subscription] = (EVERYTHING,)
    ) -> None:
        self._stop = asyncio.Event()
        self.pushings = [Pushing(rig.session, rig.urls, rig.requests) for _ in rig.directories]
        self.actors = [
            Actor(pushing, directory, number, f"{rig.context.seed}/{n}", people=people)
            for n, (pushing, directory) in enumerate(zip(self.pushings, rig.directories, strict=True))
            for number in range(actors)
        ]
        self.tails = [Tail(rig.reader, filtered) for filtered in tails]
        self._tasks: list[asyncio.Task[None]] = []
        self._tail_tasks: list[asyncio.Task[None]] = []
        self._tail_stop = asyncio.Event()

    async def prepare(self) -> None:
        """Make the groups, one actor after the other, while nothing is broken."""
        for actor in self.actors:
            await actor.begin()

    def start(self, *, steps: int | None = None, pause: float = 0) -> None:
        """Let everybody run."""
        self._tasks = [
            asyncio.create_task(actor.run(self._stop, steps=steps, pause=pause)) for actor in self.actors
        ]
        self._tail_tasks = [asyncio.create_task(tail.run(self._tail_stop)) for tail in self.tails]

    @property
    def acknowledged(self) -> int:
        """How many operations have been acknowledged so far."""
        return sum(pushing.tally.acknowledged for pushing in self.pushings)

    async def progress(self, more: int, deadline: float = 60.0) -> None:
        """Wait until so many further operations are acknowledged; raises what an actor raised."""
        due = self.acknowledged + more
        ends = asyncio.get_running_loop().time() + deadline
        while self.acknowledged < due:
            self._raise()
            if asyncio.get_running_loop().time() > ends:
                raise TimeoutError(
                    f"{more} operations were not acknowledged in {deadline:.0f} s: {self.tally}"
                )
            await asyncio.sleep(0.01)

    async def finish(self) -> Tally:
        """Wait until the actors have made their steps, then return the tally of all."""
        await asyncio.gather(*self._tasks)
        self._tail_stop.set()
        await asyncio.gather(*self._tail_tasks)
        return self.tally

    async def stop(self) -> Tally:
        """Let the actors end what they are at, then return the tally of all."""
        self._stop.set()
        return await self.finish()

    @property
    def tally(self) -> Tally:
        """What happened to all requests so far."""
        total = Tally()
        for pushing in self.pushings:
            total.attempts += pushing.tally.attempts
            total.acknowledged += pushing.tally.acknowledged
            total.failures += pushing.tally.failures
            total.wrong += pushing.tally.wrong
            total.slowest = max(total.slowest, pushing.tally.slowest)
        return total

    def _raise(self) -> None:
        for task in (*self._tasks, *self._tail_tasks):
            if task.done() and not task.cancelled():
                error = task.exception()
                if error is not None:
                    raise error


@asynccontextmanager
async def rig(context: Context, *, fresh_connections: bool = False) -> AsyncIterator[Rig]:
    """Make a stage in the folder of a scenario and clear it away."""
    connector = aiohttp.TCPConnector(limit=0, force_close=fresh_connections)
    timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        # aiohttp repeats a PUT or DELETE by itself when a kept connection breaks; the journal must know.
        session._retry_connection = False
        made = Rig(context, session)
        await made.receiver.start()
        try:
            yield made
        finally:
            await made.close()


def summary(tally: Tally, evidence: Evidence) -> dict[str, int | float | str]:
    """Return the figures that every scenario under load reports."""
    return {
        "acknowledged": tally.acknowledged,
        "attempts": tally.attempts,
        "failed_attempts": ", ".join(f"{kind}: {count}" for kind, count in sorted(tally.failures.items())),
        "events": len(evidence.log),
        "webhooks": len(evidence.receipts),
        "webhooks_repeated": len(evidence.receipts)
        - len({(one.endpoint, one.event_id) for one in evidence.receipts}),
    }
