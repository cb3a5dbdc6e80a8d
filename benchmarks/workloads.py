"""The measured work, for any SCIM server. Each checks that what was answered with success took effect."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks import traffic
from benchmarks.http import Connection, Tally, closed_loop
from benchmarks.machine import Meter
from benchmarks.subjects import Subject

# Long enough for any server to finish what must be finished.
_WHOLE = 600.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured rate and what explains it; `wrong` names effects and answers that were not right."""

    per_second: float
    unit: str
    server_ms: float
    driver_share: float
    others_share: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    tenths_ms: Sequence[float] = ()
    wrong: Sequence[str] = ()


@dataclass(slots=True)
class People:
    """The users that exist on a server, by the number they were made from, and the groups made so far."""

    ids: dict[int, str] = field(default_factory=dict)
    turn: int = 0

    @property
    def next_number(self) -> int:
        """The number of the next person."""
        return len(self.ids)


class Bench:
    """The workloads against one server."""

    def __init__(self, subject: Subject, people: People, max_seconds: float) -> None:
        self._subject = subject
        self._people = people
        self._max_seconds = max_seconds

    async def provision(self, count: int, connections: int) -> Figure:
        """Look each person up, find nobody, create them."""
        first = self._people.next_number
        tally = Tally()

        async def one(connection: Connection, job: int) -> None:
            number = first + job
            found = await connection.request("GET", traffic.find(number))
            if tally.note("look-up", found, 200) and found.json()["totalResults"] != 0:
                tally.wrong["found before it was made"] += 1
            made = await connection.request("POST", "/Users", traffic.user(number))
            if tally.note("create", made, 201):
                self._people.ids[number] = made.json()["id"]

        figure = await self._measured("users", tally, count, connections, one)
        await self._sample_created(tally, first)
        return _with_errors(figure, tally)

    async def patch(self, count: int, connections: int, shape: str) -> Figure:
        """Change people picked at random, as Okta or Entra ID would; then look whether it happened."""
        self._people.turn += 1
        turn = self._people.turn
        pick = random.Random(turn)
        numbers = list(self._people.ids)
        jobs = [pick.choice(numbers) for _ in range(count)]
        tally = Tally()

        async def one(connection: Connection, job: int) -> None:
            number = jobs[job]
            body = traffic.okta_patch(turn) if shape == "okta" else self._entra(number, turn)
            answer = await connection.request("PATCH", f"/Users/{self._people.ids[number]}", body)
            tally.note("patch", answer, 200, 204)

        figure = await self._measured("patches", tally, count, connections, one)
        done = jobs[: len(tally.seconds)]
        connection = self._connection()
        for number in pick.sample(done, min(50, len(done))):
            found = (await connection.request("GET", f"/Users/{self._people.ids[number]}")).json()
            took = (
                traffic.okta_took(found, turn) if shape == "okta" else traffic.entra_took(found, number, turn)
            )
            if not took:
                tally.wrong["200 without effect"] += 1
        connection.close()
        return _with_errors(figure, tally)

    async def push(self, members: int, per_request: int) -> Figure:
        """Fill a new group, `per_request` members at a time, one request after the other.

        To its end, however long it takes: where the cost of a member grows with the group, a run that is cut
        off looks better than it is.
        """
        connection = self._connection()
        group = await self._group(connection, "push")
        wanted = list(self._people.ids.values())[:members]
        chunks = [wanted[at : at + per_request] for at in range(0, len(wanted), per_request)]
        tally = Tally()
        added = 0

        async def one(used: Connection, job: int) -> None:
            nonlocal added
            answer = await used.request("PATCH", f"/Groups/{group}", traffic.add_members(chunks[job]))
            if tally.note("add members", answer, 200, 204):
                added += len(chunks[job])

        figure = await self._measured("members", tally, len(chunks), 1, one, lambda: added, _WHOLE)
        if await self._members(connection, group) != added:
            tally.wrong["members missing"] += 1
        connection.close()
        return _with_errors(figure, tally)

    async def fill(self, size: int) -> str:
        """Make a group of `size` people without measuring; return its id.

        In one request where the server takes that, else in hundreds.
        """
        connection = self._connection()
        ids = list(self._people.ids.values())[:size]
        made = await connection.request("POST", "/Groups", traffic.group(f"whole {size}", ids))
        if made.status == 201 and await self._members(connection, made.json()["id"]) == size:
            connection.close()
            return str(made.json()["id"])
        group = await self._group(connection, f"big {size}")
        ends = time.monotonic() + self._max_seconds * 8
        for at in range(0, size, 100):
            await connection.request("PATCH", f"/Groups/{group}", traffic.add_members(ids[at : at + 100]))
            if time.monotonic() > ends:
                raise TimeoutError(f"only {at} of {size} members after {self._max_seconds * 8:.0f} s")
        connection.close()
        return group

    async def one_member(self, group: str, size: int, count: int) -> Figure:
        """Add and remove one person in a group of `size`."""
        ids = list(self._people.ids.values())
        spare = ids[size : size + count] or ids[-1:]
        tally = Tally()

        async def one(connection: Connection, job: int) -> None:
            member = spare[job % len(spare)]
            for body in (traffic.add_members([member]), traffic.remove_member(member)):
                tally.note(
                    "change member", await connection.request("PATCH", f"/Groups/{group}", body), 200, 204
                )

        figure = await self._measured("requests", tally, count, 1, one, lambda: len(tally.seconds))
        connection = self._connection()
        if await self._members(connection, group) != size:
            tally.wrong["members missing or left over"] += 1
        connection.close()
        return _with_errors(figure, tally)

    async def list_users(self, limit: int, *, by_cursor: bool = False) -> Figure:
        """Read the directory page by page, 100 people each."""
        tally = Tally()
        seen: set[str] = set()
        place = "cursor=" if by_cursor else "startIndex=1"

        async def one(connection: Connection, _job: int) -> None:
            nonlocal place
            if not place:
                return
            answer = await connection.request("GET", f"/Users?count=100&{place}")
            page = answer.json()
            resources = page.get("Resources") or []
            if not tally.note("page", answer, 200) or not resources:
                place = ""
                return
            seen.update(user["id"] for user in resources)
            at = page.get("startIndex", 1) + len(resources)
            cursor = page.get("nextCursor")
            if by_cursor:
                place = f"cursor={cursor}" if cursor else ""
            else:
                place = f"startIndex={at}" if at <= page["totalResults"] else ""

        pages = -(-min(limit, len(self._people.ids)) // 100)
        figure = await self._measured("users", tally, pages, 1, one, lambda: len(seen))
        if len(seen) < min(limit, len(self._people.ids)):
            tally.wrong["users missing from the pages"] += 1
        return _with_errors(figure, tally)

    async def _measured(
        self,
        unit: str,
        tally: Tally,
        jobs: int,
        connections: int,
        work: Callable[[Connection, int], Awaitable[None]],
        done: Callable[[], int] | None = None,
        max_seconds: float | None = None,
    ) -> Figure:
        before, begun = Meter.read(self._subject.pids), time.perf_counter()
        limit = max_seconds or self._max_seconds
        count = await closed_loop(self._connection, jobs, connections, work, limit)
        seconds, after = time.perf_counter() - begun, Meter.read(self._subject.pids)
        count = done() if done is not None else count
        server, driver = after.server - before.server, after.driver - before.driver
        ordered = sorted(tally.seconds)
        return Figure(
            per_second=count / seconds,
            unit=unit,
            server_ms=server / max(count, 1) * 1000,
            driver_share=driver / seconds,
            others_share=max(0.0, after.busy - before.busy - server - driver) / seconds,
            p50_ms=_quantile(ordered, 0.5) * 1000,
            p99_ms=_quantile(ordered, 0.99) * 1000,
            tenths_ms=_tenths(tally.seconds),
        )

    def _connection(self) -> Connection:
        return Connection(self._subject.base_url, self._subject.token)

    def _entra(self, number: int, turn: int) -> dict[str, object]:
        # A strict server knows the operations in lower case only.
        return traffic.entra_patch(number, turn, is_capitalized=bool(self._subject.api_key))

    async def _group(self, connection: Connection, name: str) -> str:
        made = await connection.request("POST", "/Groups", traffic.group(name, ()))
        if made.status != 201:
            raise RuntimeError(f"no group was made: {made.status} {made.body[:200]!r}")
        return str(made.json()["id"])

    async def _members(self, connection: Connection, group: str) -> int:
        found = await connection.request("GET", f"/Groups/{group}")
        return len(found.json().get("members") or [])

    async def _sample_created(self, tally: Tally, first: int) -> None:
        connection = self._connection()
        for number in list(self._people.ids)[first : first + 20]:
            if (await connection.request("GET", traffic.find(number))).json()["totalResults"] != 1:
                tally.wrong["201 without effect"] += 1
        connection.close()


def _with_errors(figure: Figure, tally: Tally) -> Figure:
    wrong = [f"{count} x {what}" for what, count in tally.wrong.items()]
    if tally.first_error:
        wrong.append(tally.first_error)
    return Figure(**{name: getattr(figure, name) for name in figure.__slots__} | {"wrong": wrong})


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _tenths(seconds: Sequence[float]) -> list[float]:
    size = len(seconds) // 10
    if size < 2:
        return []
    return [round(median(seconds[at * size : (at + 1) * size]) * 1000, 2) for at in range(10)]
