"""Whether what concurrent clients were told fits one order of their requests, register by register.

A request takes effect at one moment between being sent and being answered. So each change in the log needs a
request under way that asks for it, and each acknowledged request needs a moment, while it was under way, at
which its values hold. A lost update breaks the second rule, an invented one the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.reliability.journals import Register, Value
from tests.reliability.replay import Replay

# Event times have milliseconds, and are cut.
_SLACK = 0.005


@dataclass(slots=True)
class Act:
    """One request: what it asks for, and when it was under way (seconds since the epoch).

    `effects` are the registers that it names. `everybody_else_of` is the beginning of registers which it
    sets to False unless it names them, as a PUT of a group does. `refused` ones have no effect.
    """

    effects: Mapping[Register, Value]
    begun: float
    everybody_else_of: Register | None = None
    ended: float = math.inf
    acknowledged: bool = False
    refused: bool = False

    def asks_for(self, register: Register, value: Value) -> bool:
        """Tell whether it sets a register to a value."""
        if register in self.effects:
            return (self.effects[register] or None) == (value or None)
        rest = self.everybody_else_of
        return not value and rest is not None and register[: len(rest)] == rest


@dataclass(slots=True)
class Timeline:
    """The values that registers took, and when.

    A change has the time at which it was decided; it can be seen when it is committed, which nobody writes
    down. `latest` says until when each must have been: the end of the last request that explains it.
    """

    changes: Mapping[Register, Sequence[tuple[float, Value]]] = field(default_factory=dict)
    latest: dict[Register, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, replay: Replay) -> Timeline:
        """Read it from a replayed log."""
        return cls(
            {
                register: [
                    (datetime.fromisoformat(moment).timestamp(), value)
                    for moment, value in zip(replay.moments[register], values, strict=True)
                ]
                for register, values in replay.transitions.items()
            }
        )

    def held(self, register: Register, begun: float, ended: float) -> set[Value]:
        """Return every value that a register may have had at some moment of a span."""
        changes = self.changes.get(register, ())
        latest = self.latest.get(register) or [at for at, _ in changes]
        held: set[Value] = set()
        since, current = -math.inf, None
        for (at, value), until in zip(changes, latest, strict=True):
            if since <= ended + _SLACK and until >= begun - _SLACK:
                held.add(current)
            since, current = at, value or None
        if since <= ended + _SLACK:
            held.add(current)
        return held


def check(acts: Sequence[Act], timeline: Timeline) -> Iterator[str]:
    """Return what fits no order of the requests."""
    acts = [act for act in acts if not act.refused]
    for register, changes in timeline.changes.items():
        latest = timeline.latest.setdefault(register, [])
        for at, value in changes:
            under_way = (act for act in acts if act.begun - _SLACK <= at <= act.ended + _SLACK)
            explaining = [act.ended for act in under_way if act.asks_for(register, value)]
            if not explaining:
                yield f"{register} became {value!r} at {at:.3f}, and no request of that time asks for it"
            latest.append(max(explaining, default=at))
    for act in acts:
        if act.acknowledged:
            for register, value in act.effects.items():
                held = timeline.held(register, act.begun, act.ended)
                if (value or None) not in held and not _is_moot(register, value, act, timeline):
                    yield f"{register} was acknowledged as {value!r}, and held only {held} meanwhile"


def _is_moot(register: Register, value: Value, act: Act, timeline: Timeline) -> bool:
    """Tell whether a member may be missing: the person or the group was not there at some moment."""
    if register[0] != "member" or not value:
        return False
    _, directory, group, person = register
    gone = (("user", directory, person), ("group", directory, group))
    return any(None in timeline.held(one, act.begun, act.ended) for one in gone)
