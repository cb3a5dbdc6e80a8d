"""The judge of every scenario: what the log, the webhooks and the API show against what was acknowledged.

All of it is pure: a scenario gathers `Evidence`, over HTTP or from a simulation, and `verify` says what is
wrong. Each complaint names the event or the register, so that a red run can be read.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.reliability.journals import Asked, Outcome, Receipt, Register, Value
from tests.reliability.replay import LogEntry, Replay

__all__ = ["DirectoryShown", "Evidence", "LogEntry", "Subscription", "check_log", "check_tail", "verify"]


@dataclass(frozen=True, slots=True)
class DirectoryShown:
    """A directory as REST and SCIM show it in the end; what was not read is None.

    REST: users and groups by id as listed, and the user ids of each group. SCIM: titles of active people by
    userName, and the userNames of active members of each group by its displayName.
    """

    users: Mapping[str, Mapping[str, Any]] | None = None
    groups: Mapping[str, Mapping[str, Any]] | None = None
    members: Mapping[str, Collection[str]] | None = None
    scim_people: Mapping[str, Any] | None = None
    scim_groups: Mapping[str, Collection[str]] | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """What an endpoint must have received: these types of these directories (empty means all).

    `after` is the position behind which it began to listen. `in_order` is false for endpoints that asked for
    no order; `all_of_it` is false while deliveries may still be on their way or were given up.
    """

    endpoint: str
    types: Collection[str] = ()
    directories: Collection[str] = ()
    after: int = 0
    in_order: bool = True
    all_of_it: bool = True

    def wants(self, entry: LogEntry) -> bool:
        """Tell whether an event belongs to it."""
        return (
            entry.sequence > self.after
            and (not self.types or entry.type in self.types)
            and (not self.directories or entry.directory_id in self.directories)
        )


@dataclass(slots=True)
class Evidence:
    """Everything that is known at the end of a scenario about one environment."""

    log: Sequence[LogEntry]
    asked: Sequence[Asked] = ()
    shown: Mapping[str, DirectoryShown] = field(default_factory=dict)
    subscriptions: Sequence[Subscription] = ()
    receipts: Sequence[Receipt] = ()
    tails: Sequence[tuple[Sequence[LogEntry], Subscription]] = ()
    oldest: int = 1


def verify(evidence: Evidence) -> list[str]:
    """Return everything that is wrong, nothing if all promises were kept."""
    problems = [*check_log(evidence.log, oldest=evidence.oldest)]
    if evidence.oldest == 1:
        replay = Replay.of(evidence.log)
        problems += replay.problems
        problems += check_acknowledged(evidence.asked, replay.transitions)
        for directory_id, shown in evidence.shown.items():
            problems += check_shown(directory_id, shown, replay)
    for tailed, filtered in evidence.tails:
        problems += check_tail(tailed, evidence.log, filtered)
    for subscription in evidence.subscriptions:
        problems += check_receipts(evidence.receipts, evidence.log, subscription)
    return problems


def check_log(log: Sequence[LogEntry], *, oldest: int = 1) -> Iterator[str]:
    """Positions dense from `oldest`, ids ascending and unique, each directory's numbers dense too."""
    for n, entry in enumerate(log):
        if entry.sequence != oldest + n:
            yield f"{entry.id} has position {entry.sequence} where {oldest + n} was due"
            break
    for before, entry in itertools.pairwise(log):
        if before.id >= entry.id:
            yield f"{entry.id} follows {before.id}, which is not smaller"
    counted: Counter[str] = Counter()
    for entry in log:
        if entry.directory_id is None or entry.directory_sequence is None:
            continue
        counted[entry.directory_id] += 1
        if entry.directory_id in counted and oldest == 1:
            due = counted[entry.directory_id]
            if entry.directory_sequence != due:
                yield f"{entry.id} is number {entry.directory_sequence} of {entry.directory_id}, not {due}"
                counted[entry.directory_id] = entry.directory_sequence


def check_tail(tailed: Sequence[LogEntry], log: Sequence[LogEntry], filtered: Subscription) -> Iterator[str]:
    """What a reader saw while others wrote is exactly what the log holds afterwards."""
    wanted = [entry for entry in log if filtered.wants(entry)]
    if [(entry.id, entry.digest) for entry in tailed] == [(entry.id, entry.digest) for entry in wanted]:
        return
    seen = Counter(entry.id for entry in tailed)
    due = {entry.id: entry for entry in wanted}
    name = f"tail {filtered.endpoint}"
    yield from (f"{name} never saw {id_}" for id_ in due if id_ not in seen)
    yield from (f"{name} saw {id_} {count} times" for id_, count in seen.items() if count > 1)
    yield from (f"{name} saw {id_}, which is not for it" for id_ in seen if id_ not in due)
    for entry in tailed:
        if entry.id in due and due[entry.id].digest != entry.digest:
            yield f"{name} saw {entry.id} with another content"
    positions = [entry.sequence for entry in tailed]
    if positions != sorted(positions):
        yield f"{name} saw events out of order"


def check_receipts(
    receipts: Iterable[Receipt], log: Sequence[LogEntry], subscription: Subscription
) -> Iterator[str]:
    """Signatures right, bodies of the log, nothing foreign or missing, first arrivals in order."""
    by_id = {entry.id: entry for entry in log}
    name = f"endpoint {subscription.endpoint}"
    first: dict[str, int] = {}
    latest: dict[str, int] = defaultdict(int)
    accepted: set[str] = set()
    for n, receipt in enumerate(receipt for receipt in receipts if receipt.endpoint == subscription.endpoint):
        entry = by_id.get(receipt.event_id)
        if receipt.refused:
            yield f"{name} got {receipt.event_id} with a wrong signature: {receipt.refused}"
        if entry is None:
            yield f"{name} got {receipt.event_id}, which is not in the log"
            continue
        if not subscription.wants(entry):
            yield f"{name} got {entry.id} ({entry.type} of {entry.directory_id}), which is not for it"
        if receipt.digest != entry.digest:
            yield f"{name} got {entry.id} with another body than the log holds"
        if 200 <= receipt.answered < 300:
            accepted.add(entry.id)
        if entry.id in first:
            continue
        first[entry.id] = n
        lane = entry.directory_id or ""
        if subscription.in_order and entry.sequence < latest[lane]:
            yield f"{name} got {entry.id} ({entry.sequence}) after {latest[lane]} of the same directory"
        latest[lane] = max(latest[lane], entry.sequence)
    if subscription.all_of_it:
        for entry in log:
            if subscription.wants(entry) and entry.id not in accepted:
                yield f"{name} never got {entry.id} ({entry.type}, {entry.sequence})"


def duplicates(receipts: Iterable[Receipt], endpoint: str) -> int:
    """Return how many webhooks of an endpoint were repetitions."""
    counted = Counter(receipt.event_id for receipt in receipts if receipt.endpoint == endpoint)
    return sum(count - 1 for count in counted.values())


def check_acknowledged(
    asked: Iterable[Asked], transitions: Mapping[Register, Sequence[Value]]
) -> Iterator[str]:
    """Each register's events are a possible outcome of the requests that were made on it.

    An acknowledged request that changes the value has exactly one event, an unknown one has one or none, a
    refused one none. A register without requests has no events.
    """
    written: dict[Register, list[tuple[Value, Outcome]]] = defaultdict(list)
    for request in sorted(asked, key=lambda one: one.recorded):
        for register, value in request.effects:
            written[register].append((value, request.outcome))
    if not written:
        return
    for register, seen in transitions.items():
        if register not in written:
            yield f"{register} has events, and nobody asked: {list(seen)}"
    for register, steps in written.items():
        found = list(transitions.get(register, ()))
        if not _explains(steps, found):
            told = ", ".join(f"{value!r} {outcome.value}" for value, outcome in steps[-12:])
            yield f"{register}: asked for {told}; the log says {found[-12:]}"


def _explains(steps: Sequence[tuple[Value, Outcome]], found: Sequence[Value]) -> bool:
    """Tell whether a sequence of values follows from the steps: a set of possible worlds is carried along."""
    # A world is how many of the values have happened, and the value that holds.
    worlds: set[tuple[int, Value]] = {(0, None)}
    for value, outcome in steps:
        if outcome is Outcome.REFUSED:
            continue
        after: set[tuple[int, Value]] = set(worlds) if outcome is Outcome.UNKNOWN else set()
        for count, current in worlds:
            if (current or None) == (value or None):
                after.add((count, current))
            elif count < len(found) and found[count] == value:
                after.add((count + 1, value))
        worlds = after
    return any(count == len(found) for count, _ in worlds)


def check_shown(directory_id: str, shown: DirectoryShown, replay: Replay) -> Iterator[str]:
    """REST and SCIM show exactly what the events, applied from the beginning, leave."""
    state = replay.directories[directory_id]
    if shown.users is not None:
        yield from _compare(f"{directory_id} users", state.users, shown.users)
    if shown.groups is not None:
        yield from _compare(f"{directory_id} groups", state.groups, shown.groups)
    if shown.members is not None:
        held = {id_: frozenset(users) for id_, users in state.members.items() if users}
        listed = {id_: frozenset(users) for id_, users in shown.members.items() if users}
        yield from _compare(f"{directory_id} members", held, listed)
    people, groups = state.names()
    if shown.scim_people is not None:
        yield from _compare(f"{directory_id} people over SCIM", people, shown.scim_people)
    if shown.scim_groups is not None:
        yield from _compare(
            f"{directory_id} groups over SCIM",
            {name: frozenset(users) for name, users in groups.items()},
            {name: frozenset(users) for name, users in shown.scim_groups.items()},
        )


def _compare(what: str, replayed: Mapping[str, Any], shown: Mapping[str, Any]) -> Iterator[str]:
    for id_ in sorted(replayed.keys() | shown.keys()):
        if id_ not in shown:
            yield f"{what}: {id_} is in the log and not shown"
        elif id_ not in replayed:
            yield f"{what}: {id_} is shown and not in the log"
        elif (ours := _content(replayed[id_])) != (theirs := _content(shown[id_])):
            if isinstance(ours, dict) and isinstance(theirs, dict):
                keys = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
                ours, theirs = ({key: one.get(key) for key in keys} for one in (ours, theirs))
            yield f"{what}: {id_} is {theirs!r:.300}, by the log {ours!r:.300}"


def _content(value: Any) -> Any:
    """Leave out what a membership moves without an event of the object itself: `updated_at`."""
    if not isinstance(value, Mapping):
        return value
    return {key: one for key, one in value.items() if key != "updated_at"}
