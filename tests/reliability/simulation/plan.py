"""What a seed stands for: who is there, what happens when, and how the receivers behave.

A plan is made from its seed alone and before anything runs, so that it can be printed and be run again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from syncline.core.endpoint_options import Ordering
from tests.reliability.simulation.receivers import NO_POISON, Mood, Poison, Spell

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
LEASE = 45.0


class Deed(StrEnum):
    """Something that is done to the world at a moment."""

    KILL = "kill a worker"
    KILL_AFTER_SEND = "kill the worker that gets the next answer"
    STOP = "let a worker stand still"
    RESTART = "restart a worker gracefully"
    KILL_WEB = "kill the web process"
    PAUSE = "pause an endpoint"
    ROTATE = "rotate a secret"
    DELETE = "delete an endpoint"
    ADD = "make an endpoint"
    SWEEP = "look for sleepers"
    REPLAY = "send a range again"
    REPLAY_DEAD = "send again what was given up"
    RESUME = "let an endpoint go on from a point"
    STORM = "let the database fail"


@dataclass(frozen=True, slots=True)
class Act:
    """A deed, its moment, whom it concerns (a number to be taken modulo), and for how many seconds."""

    at: float
    deed: Deed
    whom: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Burst:
    """Events that are committed together: one for each directory named, by the writer or past it."""

    at: float
    directories: tuple[int, ...]
    by_writer: bool = False


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """An endpoint and its receiver."""

    spells: tuple[Spell, ...] = ()
    poison: Poison = NO_POISON
    latency: float = 0.05
    # Whether it wants only one of the types of events that are made, and only the first directory's.
    picky: bool = False
    local: bool = False
    ordering: Ordering = Ordering.LANES
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about one run."""

    seed: int
    horizon: float
    poll: float
    directories: int
    workers: int
    endpoints: tuple[EndpointPlan, ...]
    bursts: tuple[Burst, ...]
    acts: tuple[Act, ...]
    save_events: int = 25
    save_seconds: float = 0.5
    turn_seconds: float = 10.0
    parked_limit: int = 1_000
    latency: float = 0.0
    skews: tuple[float, ...] = (0.0,)

    @property
    def events(self) -> int:
        """How many events it makes."""
        return sum(len(burst.directories) for burst in self.bursts)

    def lines(self) -> list[str]:
        """Describe the plan for somebody who reads about a failure."""
        told = [
            f"seed {self.seed}: {self.horizon:.0f} s, {self.events} events, {self.workers} workers,"
            f" saves after {self.save_events}, at most {self.parked_limit} parked, skews {self.skews}"
        ]
        for number, endpoint in enumerate(self.endpoints):
            moods = ", ".join(
                f"{spell.mood} {spell.begins:.0f}-{spell.ends:.0f}" for spell in endpoint.spells
            )
            told.append(
                f"endpoint {number}: {moods or 'well'}; poison {endpoint.poison.share:.2f}"
                f" until {endpoint.poison.ends:.0f}; {endpoint.ordering}, {endpoint.concurrency} at once"
            )
        told += [f"{act.at:10.3f}  {act.deed} ({act.whom}, {act.seconds:.1f} s)" for act in self.acts]
        return told


def make_plan(seed: int) -> Plan:
    """Return the plan of a seed: most take minutes with much going on, some days with outages."""
    chance = random.Random(seed)
    return _days(seed, chance) if chance.random() < 0.2 else _minutes(seed, chance)


def make_focused_plan(seed: int, *deeds: Deed) -> Plan:
    """Return a plan of minutes in which only such things happen, often."""
    chance = random.Random(f"focused {seed}")
    plan = replace(_begin(seed, chance, 3 * MINUTE, poll=1.0), workers=2, save_events=25, save_seconds=5.0)
    endpoints = tuple(replace(one, latency=0.5, spells=(), concurrency=1) for one in plan.endpoints)
    plan = replace(plan, endpoints=endpoints, turn_seconds=10.0)
    bursts = _bursts(chance, plan, plan.horizon, 12)
    return replace(plan, bursts=bursts, acts=_acts(chance, plan, bursts, deeds, 8))


def make_hurried_plan(seed: int, *deeds: Deed) -> Plan:
    """Return a plan in which such things happen among requests that follow each other in milliseconds."""
    chance = random.Random(f"hurried {seed}")
    plan = make_focused_plan(seed, *deeds)
    endpoints = tuple(replace(one, latency=0.01, poison=NO_POISON) for one in plan.endpoints)
    bursts, acts = [], []
    for burst in plan.bursts[::4]:
        directories = tuple(chance.randrange(plan.directories) for _ in range(80))
        bursts.append(Burst(burst.at, directories))
        for _ in range(4):
            # Workers find a burst within a poll and are at it for a second or two.
            at = burst.at + plan.poll / 4 + chance.random() * 2
            acts.append(Act(at, chance.choice(deeds), chance.randrange(12), 0.1 + chance.random()))
    return replace(plan, endpoints=endpoints, bursts=tuple(bursts), acts=tuple(acts))


def _minutes(seed: int, chance: random.Random) -> Plan:
    horizon = chance.choice([20.0, MINUTE, 3 * MINUTE])
    plan = _begin(seed, chance, horizon, poll=chance.choice([0.5, 1.0, 2.0]))
    bursts = _bursts(chance, plan, horizon, chance.randrange(4, 14))
    acts = _acts(chance, plan, bursts, _MINUTE_DEEDS, chance.randrange(1, 8))
    return replace(plan, bursts=bursts, acts=acts)


def _days(seed: int, chance: random.Random) -> Plan:
    horizon = chance.choice([8 * HOUR, 2 * DAY, 4 * DAY])
    plan = _begin(seed, chance, horizon, poll=horizon / 120)
    bursts = _bursts(chance, plan, horizon, chance.randrange(4, 10))
    acts = _acts(chance, plan, bursts, _DAY_DEEDS, chance.randrange(0, 4))
    return replace(plan, bursts=bursts, acts=acts)


def _begin(seed: int, chance: random.Random, horizon: float, poll: float) -> Plan:
    workers = chance.choice([1, 1, 2, 3])
    return Plan(
        seed=seed,
        horizon=horizon,
        poll=poll,
        directories=chance.randrange(1, 5),
        workers=workers,
        endpoints=tuple(_endpoint(chance, horizon) for _ in range(chance.choice([1, 1, 2, 3]))),
        bursts=(),
        acts=(),
        save_events=chance.choice([1, 4, 25]),
        save_seconds=chance.choice([0.5, 5.0]),
        turn_seconds=chance.choice([0.5, 10.0]),
        parked_limit=chance.choice([3, 8, 1_000]),
        latency=chance.choice([0.0, 0.004, 0.05]),
        skews=_skews(chance, workers + 1),
    )


def _skews(chance: random.Random, processes: int) -> tuple[float, ...]:
    """Most seeds have right clocks, as times are judged strictly only there."""
    if chance.random() < 0.75:
        return (0.0,)
    return tuple(chance.choice([0.0, 45.0, -45.0]) for _ in range(processes))


_MOODS = (
    Mood.SLOW,
    Mood.ERRORS,
    Mood.ERRORS,
    Mood.BUSY,
    Mood.HANGS,
    Mood.REFUSES,
    Mood.CUTS,
    Mood.FLAKY,
    Mood.FLAKY,
)
_MINUTE_DEEDS = (
    *(Deed.KILL, Deed.KILL, Deed.KILL_AFTER_SEND, Deed.KILL_AFTER_SEND, Deed.STOP, Deed.STOP, Deed.RESTART),
    *(Deed.KILL_WEB, Deed.PAUSE, Deed.PAUSE, Deed.ROTATE, Deed.DELETE, Deed.ADD, Deed.SWEEP, Deed.STORM),
    *(Deed.REPLAY, Deed.REPLAY, Deed.REPLAY_DEAD, Deed.RESUME),
)
_DAY_DEEDS = (
    *(Deed.KILL, Deed.RESTART, Deed.PAUSE, Deed.PAUSE, Deed.ROTATE, Deed.ADD, Deed.SWEEP),
    *(Deed.REPLAY, Deed.REPLAY_DEAD, Deed.REPLAY_DEAD, Deed.RESUME),
)


def _endpoint(chance: random.Random, horizon: float) -> EndpointPlan:
    spells = []
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        begins = chance.random() * horizon * 0.7
        mood = chance.choice(_MOODS)
        retry_after = chance.choice([None, "1", "300", "90000", "soon"])
        spells.append(Spell(mood, begins, begins + chance.random() * horizon * 0.5, retry_after))
    if chance.random() < 0.04:
        spells.append(Spell(Mood.GONE, horizon * 0.5, horizon * 10))
    poison = NO_POISON
    if chance.random() < 0.4:
        poison = Poison(chance.choice([0.05, 0.3]), horizon * chance.choice([0.5, 0.9]))
    return EndpointPlan(
        spells=tuple(spells),
        poison=poison,
        latency=chance.choice([0.01, 0.05, 0.5]),
        picky=chance.random() < 0.15,
        local=chance.random() < 0.1,
        ordering=chance.choice([Ordering.LANES] * 5 + [Ordering.STRICT, Ordering.NONE]),
        concurrency=chance.choice([1, 1, 1, 2, 5]),
    )


def _bursts(chance: random.Random, plan: Plan, horizon: float, count: int) -> tuple[Burst, ...]:
    moments = sorted(chance.random() * horizon * 0.8 for _ in range(count))
    made = []
    for at in moments:
        size = chance.choice([1, 1, 2, 5, 12])
        directories = tuple(chance.randrange(plan.directories) for _ in range(size))
        made.append(Burst(at, directories, by_writer=chance.random() < 0.3))
    return tuple(made)


def _acts(
    chance: random.Random, plan: Plan, bursts: Sequence[Burst], deeds: Sequence[Deed], count: int
) -> tuple[Act, ...]:
    """Most deeds are done while events are under way: nothing can break at another time."""
    made = []
    for _ in range(count):
        at = chance.random() * plan.horizon * 0.9
        if bursts and chance.random() < 0.7:
            at = chance.choice(bursts).at + chance.random() * (plan.poll + 3.0)
        deed = chance.choice(deeds)
        seconds = 0.1 + chance.random() * plan.horizon / 4
        if deed is Deed.STOP and chance.random() < 0.6:
            # Longer than a lease: it wakes up as a ghost.
            seconds = LEASE + chance.random() * LEASE
        made.append(Act(at, deed, chance.randrange(12), seconds))
    return tuple(sorted(made, key=lambda act: act.at))
