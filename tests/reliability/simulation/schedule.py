"""Whether attempts keep the schedule: none sooner than its steps and the circuit of the endpoint allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from syncline.core.circuit import FAILURES_TO_OPEN, LONGEST_PROBE_PAUSE, TIMEOUT_SECONDS_TO_OPEN
from syncline.core.ids import bare, ulid_bytes
from syncline.core.retry import BUSY_MINIMUM, JITTER_SHARE, LIFETIME, step_after
from tests.reliability.simulation.clock import START
from tests.reliability.simulation.watch import Story
from tests.reliability.simulation.world import World

_SLACK = 2.0


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt as the product keeps it; moments in seconds since the beginning."""

    position: int
    number: int
    begun: float
    ended: float
    outcome: str

    @property
    def failed(self) -> bool:
        """Tell whether it failed."""
        return self.outcome != "success"

    def pause(self, step: int) -> float:
        """Return the shortest pause that may follow it, if it is the failure of that step."""
        seconds = step_after(step).total_seconds() * (1 - JITTER_SHARE)
        if self.outcome in ("timeout", "busy"):
            seconds = max(seconds, BUSY_MINIMUM.total_seconds())
        return seconds


@dataclass(slots=True)
class _Record:
    """What the attempts so far came to: those of each event, and the circuit."""

    latest: dict[int, Tried] = field(default_factory=dict)
    first: dict[int, float] = field(default_factory=dict)
    failures: int = 0
    timeouts: float = 0.0
    # The number of the probe that is due next, 0 while closed; and the failure it follows.
    probe: int = 0
    opened_by: Tried | None = None
    closed_at: float = -1.0

    def reset(self, at: float) -> None:
        """The endpoint took something, or its owner started it: everything is due at once."""
        self.failures, self.timeouts, self.probe, self.opened_by, self.closed_at = 0, 0.0, 0, None, at

    def take(self, tried: Tried) -> None:
        """Count an attempt."""
        self.latest[tried.position] = tried
        self.first.setdefault(tried.position, tried.begun)
        if not tried.failed:
            self.reset(tried.ended)
            return
        self.failures += 1
        self.timeouts = self.timeouts + tried.ended - tried.begun if tried.outcome == "timeout" else 0.0
        if self.probe:
            self.probe, self.opened_by = self.probe + 1, tried
        elif self.failures >= FAILURES_TO_OPEN or self.timeouts >= TIMEOUT_SECONDS_TO_OPEN:
            self.probe, self.opened_by = 1, tried


def check_schedule(world: World, story: Story) -> Iterator[str]:
    """No failed event is tried again too soon, and an open circuit lets one request through per step.

    An endpoint that takes several at once is not judged: its attempts have no order of their own.
    """
    if story.concurrency > 1:
        return
    slack = _SLACK + 2 * max(abs(skew) for skew in world.plan.skews)
    starts = sorted(quiet.ends for quiet in story.quiet if quiet.ends != float("inf"))
    starts += story.resumed
    record = _Record()
    for tried in _attempts(world, story):
        if near := [start for start in starts if start <= tried.begun + slack]:
            record.reset(max(near))
        # One that may have begun before it was started says nothing about the circuit afterwards.
        starts = [start for start in starts if start > tried.begun]
        if record.opened_by is not None:
            due = record.opened_by.ended + min(
                record.opened_by.pause(record.probe), LONGEST_PROBE_PAUSE.total_seconds()
            )
            if tried.begun < due - slack:
                pause = tried.begun - record.opened_by.ended
                yield (
                    f"endpoint {story.number}: probe {record.probe} came {pause:.1f} s"
                    f" after the failure before it (position {tried.position}, attempt {tried.number})"
                )
        elif tried.position not in story.replayed:
            yield from _too_soon(story, record, tried, slack)
        record.take(tried)


def _too_soon(story: Story, record: _Record, tried: Tried, slack: float) -> Iterator[str]:
    before = record.latest.get(tried.position)
    if before is None or not before.failed or tried.number == 1 or record.closed_at >= before.ended - slack:
        return
    left = LIFETIME - timedelta(seconds=before.ended - record.first[tried.position])
    pause = min(before.pause(before.number), max(left.total_seconds(), 0.0))
    if tried.begun < before.ended + pause - slack:
        yield (
            f"endpoint {story.number} was tried with {tried.position} again (attempt {tried.number})"
            f" {tried.begun - before.ended:.1f} s after a {before.outcome}, {pause:.0f} s are due"
        )


def _attempts(world: World, story: Story) -> Iterator[Tried]:
    rows = world.store.raw.execute(
        "SELECT position, attempt, started_at, duration_ms, outcome FROM delivery_attempts"
        " WHERE endpoint_id = ? ORDER BY started_at + duration_ms, id",
        (ulid_bytes(bare(story.id)),),
    )
    for position, number, started, duration, outcome in rows:
        begun = started / 1_000 - START.timestamp()
        yield Tried(position, number, begun, begun + duration / 1_000, outcome)
