"""Webhook receivers for the kit to judge: a safe one, and others with one fault each."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from syncline.core.signing import SignatureRefused, verify_standard

SECRET, NEW_SECRET = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
Event = dict[str, Any]


class SafeReceiver:
    """Verifies, remembers ids for good, and keeps people, groups and memberships."""

    max_body = 4 * 1024 * 1024
    cancels = False

    def __init__(self) -> None:
        self.secrets = [SECRET, NEW_SECRET]
        self.users: list[dict[str, Any]] = []
        self.groups: list[dict[str, Any]] = []
        self.memberships: list[tuple[str, str]] = []
        self.done: set[str] = set()
        self.url = ""

    def state(self) -> Mapping[str, Any]:
        """Return what is known, as the kit asks for it."""
        pairs = [{"group_id": group, "user_id": user} for group, user in self.memberships]
        return {"users": self.users, "groups": self.groups, "memberships": pairs}

    async def restart(self) -> None:
        """Start again: what is in the database stays."""

    async def receive(self, request: web.Request) -> web.Response:
        """Answer one webhook."""
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            self.verify(headers, body)
        except SignatureRefused:
            return web.Response(status=401)
        return web.Response(status=await self.handle(json.loads(body)))

    async def show(self, _: web.Request) -> web.Response:
        """Answer with the state."""
        return web.json_response(self.state())

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raise `SignatureRefused` for a request that is not to be trusted."""
        verify_standard(self.secrets, headers, body, now_s=int(time.time()))

    async def handle(self, event: Event) -> int:
        """Deal with an event and return the status to answer."""
        if event["id"] not in self.done:
            self.apply(event)
            self.done.add(event["id"])
        return 204

    def apply(self, event: Event) -> None:
        """Change what is known."""
        data = event["data"]
        match event["event"].removeprefix("dsync."):
            case "user.created" | "user.updated":
                self.put(self.users, data)
            case "user.deleted":
                self.users = [user for user in self.users if user["id"] != data["id"]]
            case "group.created" | "group.updated":
                self.put(self.groups, data)
            case "group.deleted":
                self.groups = [group for group in self.groups if group["id"] != data["id"]]
                self.memberships = [pair for pair in self.memberships if pair[0] != data["id"]]
            case "group.user_added":
                self.join((data["group"]["id"], data["user"]["id"]))
            case "group.user_removed":
                pair = (data["group"]["id"], data["user"]["id"])
                self.memberships = [one for one in self.memberships if one != pair]

    def put(self, rows: list[dict[str, Any]], data: dict[str, Any]) -> None:
        """Add a row, or replace the one of the same id."""
        rows[:] = [row for row in rows if row["id"] != data["id"]] + [data]

    def join(self, pair: tuple[str, str]) -> None:
        """Add a membership unless it is there."""
        if pair not in self.memberships:
            self.memberships.append(pair)


class DropsEvents(SafeReceiver):
    """Answers 204 and forgets."""

    def apply(self, event: Event) -> None:
        """Do nothing with people."""
        if not event["event"].startswith("dsync.user."):
            super().apply(event)


class BelievesEverybody(SafeReceiver):
    """Looks at the time only."""

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Accept any signature of now."""
        if abs(int(headers.get("webhook-timestamp", "0")) - time.time()) > 300 and "webhook-id" in headers:
            raise SignatureRefused("old")


class HasNoClock(SafeReceiver):
    """Verifies the signature and not its time."""

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Accept a right signature of any time."""
        stamp = headers.get("webhook-timestamp", "0")
        verify_standard(self.secrets, headers, body, now_s=int(stamp))


class CountsTwice(SafeReceiver):
    """Has never heard of duplicates: everything is a new row."""

    async def handle(self, event: Event) -> int:
        """Apply whatever comes."""
        self.apply(event)
        return 204

    def join(self, pair: tuple[str, str]) -> None:
        """Add a row."""
        self.memberships.append(pair)


class ComplainsTwice(SafeReceiver):
    """Takes a duplicate for a mistake of the sender."""

    async def handle(self, event: Event) -> int:
        """Answer 409 to what is known."""
        return 409 if event["id"] in self.done else await super().handle(event)


class AppliesOldOnes(SafeReceiver):
    """Writes whatever comes over what it has, so that a repetition at once does no harm."""

    async def handle(self, event: Event) -> int:
        """Apply whatever comes."""
        self.apply(event)
        return 204


class ForgetsAtRestart(SafeReceiver):
    """Remembers ids in memory and keeps rows in a database."""

    async def restart(self) -> None:
        """Lose what was in memory."""
        self.done.clear()

    def join(self, pair: tuple[str, str]) -> None:
        """Add a row."""
        self.memberships.append(pair)


class RemembersTooEarly(SafeReceiver):
    """Notes the id, then works, and is interrupted when the sender hangs up."""

    cancels = True

    async def handle(self, event: Event) -> int:
        """Note first, work afterwards."""
        if event["id"] in self.done:
            return 204
        self.done.add(event["id"])
        if event["event"] == "dsync.group.user_added":
            await asyncio.sleep(0.08)
        self.apply(event)
        return 204


class ReadsOneSignature(SafeReceiver):
    """Looks at the first signature only."""

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Drop all signatures but the first, and know one secret."""
        first = headers.get("webhook-signature", "").split(" ")[0]
        super().verify({**headers, "webhook-signature": first}, body)


class BelievesInOneLine(SafeReceiver):
    """Drops what lies before the last event it has seen, of whatever directory."""

    last = 0

    async def handle(self, event: Event) -> int:
        """Keep one place for all directories."""
        place = event["context"]["sequence"]
        if place < self.last:
            return 204
        self.last = place
        return await super().handle(event)


class KnowsAllTypes(SafeReceiver):
    """Refuses what it does not know."""

    async def handle(self, event: Event) -> int:
        """Answer 422 to other types."""
        words = event["event"].split(".")
        known = words[0] == "dsync" and words[1] in ("activated", "user", "group")
        return await super().handle(event) if known else 422


class TakesSmallBodies(SafeReceiver):
    """Has the limit of its framework."""

    max_body = 100_000


class WritesBodiesAgain(SafeReceiver):
    """Verifies what it has parsed and written again."""

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Verify other bytes."""
        super().verify(headers, json.dumps(json.loads(body), separators=(",", ":")).encode())


class WantsNews(SafeReceiver):
    """Judges freshness by the event instead of the signature."""

    async def handle(self, event: Event) -> int:
        """Refuse what is old."""
        age = datetime.now(UTC) - datetime.fromisoformat(event["created_at"])
        return 400 if age > timedelta(minutes=5) else await super().handle(event)


class WorksFirst(SafeReceiver):
    """Does slow work before it answers."""

    async def handle(self, event: Event) -> int:
        """Take its time for the first one."""
        if not self.done:
            await asyncio.sleep(0.4)
        return await super().handle(event)


class WritesTextBadly(SafeReceiver):
    """Keeps ASCII only."""

    def apply(self, event: Event) -> None:
        """Lose every accent."""
        super().apply(json.loads(json.dumps(event, ensure_ascii=False).encode("ascii", "replace")))


@asynccontextmanager
async def running(receiver: SafeReceiver) -> AsyncIterator[SafeReceiver]:
    """Serve a receiver on a free loopback port."""
    app = web.Application(client_max_size=receiver.max_body)
    app.router.add_post("/hooks", receiver.receive)
    app.router.add_get("/state", receiver.show)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=receiver.cancels, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield receiver
    finally:
        await runner.cleanup()
