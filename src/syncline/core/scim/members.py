"""Changes of a group's members as set operations: only the pairs that a request names are touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

from syncline.core.json import Json
from syncline.core.scim.errors import too_many
from syncline.core.scim.filter import Filter, matches_entry, size

MAX_TESTS = 200_000


@dataclass(frozen=True, slots=True)
class AddMembers:
    """These ids become members; those that are stay so."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoveMembers:
    """These ids are members no longer; those that are not stay so."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplaceMembers:
    """These ids and nobody else are the members."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClearMembers:
    """Nobody is a member."""


@dataclass(frozen=True, slots=True)
class RemoveMatching:
    """Members whose entry satisfies the filter are members no longer."""

    filter: Filter


MemberStep: TypeAlias = AddMembers | RemoveMembers | ReplaceMembers | ClearMembers | RemoveMatching


@dataclass(frozen=True, slots=True)
class MemberDelta:
    """What the steps come to: ids to add and to remove, disjoint, in the order they were first named."""

    add: tuple[str, ...]
    remove: tuple[str, ...]


def named_ids(steps: Iterable[MemberStep]) -> set[str]:
    """Return every member id that the steps name."""
    found: set[str] = set()
    for step in steps:
        if isinstance(step, AddMembers | RemoveMembers | ReplaceMembers):
            found.update(step.ids)
    return found


def needs_all(steps: Iterable[MemberStep]) -> bool:
    """Tell whether the steps can only be resolved against all members of the group."""
    return any(isinstance(step, ReplaceMembers | ClearMembers | RemoveMatching) for step in steps)


def resolve(
    steps: Sequence[MemberStep], present: Set[str], entry_of: Callable[[str], dict[str, Json]]
) -> MemberDelta:
    """Apply the steps in order to the present members and return the difference.

    `present` must hold all members if `needs_all(steps)`, else those among `named_ids(steps)`. `entry_of`
    returns a member as filters see it. Raises `ScimError` 400 `tooMany` above `MAX_TESTS` tests by filters.
    """
    # A dict keeps the order of first mention, which a set would lose.
    added: dict[str, None] = {}
    removed: dict[str, None] = {}
    held = dict.fromkeys(sorted(present))
    looks = 0

    def add(ids: Iterable[str]) -> None:
        for id_ in ids:
            if id_ in removed:
                del removed[id_]
            elif id_ not in present:
                added[id_] = None
            held[id_] = None

    def remove(ids: Iterable[str]) -> None:
        for id_ in ids:
            held.pop(id_, None)
            if id_ in added:
                del added[id_]
            elif id_ in present:
                removed[id_] = None

    for step in steps:
        match step:
            case AddMembers(ids):
                add(ids)
            case RemoveMembers(ids):
                remove(ids)
            case ReplaceMembers(ids):
                wanted = set(ids)
                remove([id_ for id_ in held if id_ not in wanted])
                add(ids)
            case ClearMembers():
                remove(list(held))
            case RemoveMatching(condition):
                looks += len(held) * size(condition)
                if looks > MAX_TESTS:
                    raise too_many("The filters of the request test more members than a request may.")
                remove([id_ for id_ in held if matches_entry(condition, entry_of(id_))])
    return MemberDelta(tuple(added), tuple(removed))
