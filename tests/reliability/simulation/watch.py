"""What is written down while a simulation runs, and the rules that must hold after every commit."""

from __future__ import annotations

import sqlite3
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from syncline.core.signing import SignatureRefused, verify_standard
from tests.reliability.journals import Receipt, Receipts
from tests.reliability.simulation.clock import START
from tests.reliability.simulation.receivers import Request

# Moments are kept in whole milliseconds.
_MILLISECOND = 0.001


@dataclass(slots=True)
class Secret:
    """A signing secret, by what its owner asked for and was told.

    Requests may be signed with it from `asked` to `ends`, and must be from `told` to `leaves`: between the
    question and the answer its owner cannot know which of both holds.
    """

    text: str
    asked: float
    told: float
    leaves: float = float("inf")
    ends: float = float("inf")


@dataclass(slots=True)
class Quiet:
    """A time in which an endpoint's owner was promised that nothing would be sent: from the answer on."""

    begins: float
    ends: float = float("inf")
    why: str = "paused"


@dataclass(slots=True)
class Story:
    """An endpoint from its making on."""

    number: int
    id: str
    url: str
    types: tuple[str, ...]
    after: int
    secrets: list[Secret]
    quiet: list[Quiet] = field(default_factory=list)
    deleted: bool = False
    # When its owner let it go on somewhere, and which positions its owner asked for again.
    resumed: list[float] = field(default_factory=list)
    # How many requests of its owner to let it go on are under way, and when one was made or answered last.
    starting: int = 0
    started: float = -1.0
    replayed: set[int] = field(default_factory=set)
    # Positions that its owner passed over, and those that were given up at some time.
    skipped: set[int] = field(default_factory=set)
    given_up: set[int] = field(default_factory=set)
    # What waited up to here was given up when its owner let it go on elsewhere.
    resumed_at: int = 0
    directory: str | None = None
    concurrency: int = 1
    ordering: str = "lanes"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it arrived, whether it was processed, and whether its answer got back."""

    at: float
    receipt: Receipt
    processed: bool
    answered: bool
    attempt: int


@dataclass(slots=True)
class Disturbances:
    """What may make a delivery happen twice."""

    deaths: int = 0
    stops: int = 0
    faults: int = 0


class Watch:
    """Sees every request, every commit and every log line of a run."""

    def __init__(
        self,
        raw: sqlite3.Connection,
        *,
        database_ms: Callable[[], int],
        parked_limit: int,
        skew: float,
        trace: bool,
    ) -> None:
        """`database_ms` is the clock of the database, which leases go by."""
        self._raw = raw
        self._database_ms = database_ms
        self._parked_limit = parked_limit
        self._tracing = trace
        # Clocks of processes differ, so secrets expire at different moments for them.
        self._grace = _MILLISECOND + 2 * skew
        self._in_flight: Counter[tuple[str, str]] = Counter()
        # Cursor, fence and the end of the lease of each endpoint, as they were committed last.
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._gone: set[str] = set()
        self.time = 0.0
        self.trace: list[str] = []
        self.problems: list[str] = []
        self.stories: dict[str, Story] = {}
        self.receipts = Receipts()
        self.arrivals: dict[str, list[Arrival]] = {}
        self.first_cursor: dict[str, int] = {}
        self.disturbances = Disturbances()
        self.commits = 0
        # Endpoints whose owner is moving the cursor right now.
        self.moved: set[str] = set()
        # What operators were told: when, which endpoint, and what it is now.
        self.stopped: list[tuple[float, str, str]] = []
        self.requests = 0

    def now(self) -> float:
        """Return the virtual time; replaced by the world."""
        return self.time

    def tell(self, text: str) -> None:
        """Add a line to the trace if there is one."""
        if self._tracing:
            self.trace.append(f"{self.now():14.3f}  {text}")

    def complain(self, problem: str) -> None:
        """Keep something that must not be."""
        line = f"at {self.now():.3f} s: {problem}"
        self.problems.append(line)
        self.tell(f"PROBLEM {problem}")

    def add(self, story: Story) -> None:
        """Watch an endpoint from now on."""
        self.stories[story.url] = story
        self.arrivals[story.url] = []

    def sent(self, request: Request) -> None:
        """A process sends a request."""
        self.requests += 1
        story = self.stories.get(request.url)
        if story is None:
            self.complain(f"a request goes to {request.url}, which nobody has made")
            return
        now = self.now()
        holder = (request.process.name, request.url)
        self._in_flight[holder] += 1
        if self._in_flight[holder] > story.concurrency:
            self.complain(f"{self._in_flight[holder]} requests at once to endpoint {story.number}")
        for quiet in story.quiet:
            if quiet.begins < request.signed and now < quiet.ends:
                self.complain(
                    f"endpoint {story.number} is sent to {now - quiet.begins:.3f} s after it was {quiet.why}"
                )
        self.tell(
            f"{request.process.name} -> {story.number} {request.headers['webhook-id'][-6:]}"
            f" attempt {request.headers['Syncline-Attempt']} fate {request.fate.status}"
            f" {'processed' if request.fate.processed else ''}"
        )

    def arrived(self, request: Request) -> None:
        """A receiver gets a request, checks its signatures, and keeps it."""
        story, now, fate = self.stories[request.url], self.now(), request.fate
        valid = [one for one in story.secrets if one.asked <= request.signed <= one.ends + self._grace]
        status = fate.status if fate.status is not None else (200 if fate.processed else 599)
        receipt = self.receipts.take(
            story.url,
            request.headers,
            request.body,
            [secret.text for secret in valid],
            answered=200 if fate.processed else status,
            # Whether clocks agree is not the question here.
            now=START.timestamp() + now + request.skew,
        )
        if len(story.secrets) > 1:
            self._check_secrets(story, request, now)
        self.arrivals[story.url].append(
            Arrival(now, receipt, fate.processed, fate.status is not None, receipt.attempt)
        )

    def answered(self, request: Request) -> None:
        """A process has its answer, or knows that there is none."""
        self._in_flight[request.process.name, request.url] -= 1

    def committed(self) -> None:
        """A transaction was committed: look at what must always hold."""
        self.commits += 1
        rows = self._raw.execute(
            "SELECT e.id, e.state, e.cursor, e.wake, e.fence, e.lease_until, e.next_due_at,"
            " coalesce(h.position, 0), (SELECT count(*) FROM parked_deliveries p"
            " WHERE p.endpoint_id = e.id AND p.state = 'waiting'),"
            " EXISTS (SELECT 1 FROM parked_deliveries p WHERE p.endpoint_id = e.id AND p.state = 'dead')"
            " FROM webhook_endpoints e LEFT JOIN log_heads h ON h.environment_id = e.environment_id"
        ).fetchall()
        now_ms = self._database_ms()
        for id_, state, cursor, wake, fence, lease, due, head, parked, dead in rows:
            known = self._seen.get(id_)
            if known is None:
                self.first_cursor[id_] = cursor
            elif cursor < known[0] and id_ not in self.moved:
                self.complain(f"the cursor of {id_[-6:]} went back from {known[0]} to {cursor}")
            elif fence < known[1]:
                self.complain(f"the fence of {id_[-6:]} went back from {known[1]} to {fence}")
            elif fence > known[1] and lease is not None and known[2] > now_ms and id_ not in self.moved:
                self.complain(f"{id_[-6:]} was taken {known[2] - now_ms} ms before its lease ran out")
            self._seen[id_] = (cursor, fence, lease or 0)
            if state == "gone" and id_ not in self._gone:
                self._note_gone(id_)
            elif state != "gone":
                self._gone.discard(id_)
            free = lease is None or lease <= now_ms
            if state == "active" and free and wake == 0 and due is None and cursor < head:
                self.complain(f"{id_[-6:]} sleeps at {cursor} although the log goes to {head}")
            if parked > self._parked_limit:
                self.complain(f"{id_[-6:]} has {parked} parked rows, the limit is {self._parked_limit}")
            if dead:
                self._note_dead(id_)
            if cursor > head:
                self.complain(f"the cursor of {id_[-6:]} is {cursor}, behind the head {head} of the log")

    def logged(self, level: str, event: Mapping[str, Any]) -> None:
        """Something was logged as a warning or worse; errors of ours are problems."""
        name = str(event.get("event"))
        self.tell(f"log: {name} { ({k: v for k, v in event.items() if k not in ('event', 'exc_info')}) }")
        if name == "endpoint.stopped":
            self.stopped.append((self.now(), str(event.get("endpoint_id")), str(event.get("state"))))
        elif level in ("error", "critical", "exception"):
            cause = sys.exc_info()[1] if event.get("exc_info") else None
            self.complain(f"logged {name}: {_told(cause) if cause else dict(event)}")

    def _note_gone(self, endpoint_id: str) -> None:
        self._gone.add(endpoint_id)
        for story in self.stories.values():
            if story.id == endpoint_id:
                story.quiet.append(Quiet(self.now(), why="gone"))

    def _note_dead(self, endpoint_id: str) -> None:
        story = next((story for story in self.stories.values() if story.id == endpoint_id), None)
        if story is not None:
            rows = self._raw.execute(
                "SELECT position FROM parked_deliveries WHERE endpoint_id = ? AND state = 'dead'",
                (endpoint_id,),
            )
            story.given_up |= {position for (position,) in rows}

    def _check_secrets(self, story: Story, request: Request, now: float) -> None:
        """A receiver that knows only one secret is content while that is live, and not after its end."""
        now_s = int(START.timestamp() + now + request.skew)
        for secret in story.secrets:
            refused = _refusal(secret, request, now_s)
            if secret.told <= request.signed < secret.leaves - self._grace and refused:
                self.complain(f"endpoint {story.number}: a live secret does not verify: {refused}")
            if secret.ends + self._grace < request.signed and not refused:
                late = request.signed - secret.ends
                self.complain(f"endpoint {story.number}: a secret signs {late:.3f} s after its end")


def _refusal(secret: Secret, request: Request, now_s: int) -> str:
    """Return why a receiver that knows only this secret refuses a request, empty if it does not."""
    try:
        verify_standard([secret.text], request.headers, request.body, now_s=now_s)
    except SignatureRefused as refused:
        return str(refused)
    return ""


def _told(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    way = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"{error!r} at {way}"


@contextmanager
def listening(watch: Watch) -> Iterator[None]:
    """Send what the product logs to the watch, and nothing anywhere else."""

    def collect(_: Any, method: str, event: structlog.typing.EventDict) -> str:
        watch.logged(method, event)
        raise structlog.DropEvent

    before = structlog.get_config()
    processors: Sequence[structlog.typing.Processor] = [collect]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(30),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
