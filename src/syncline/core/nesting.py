"""Nested groups: the direct edges of a directory, and what follows from them; cycles are legal.

Source: `connectors.md` §3 (stored as direct edges, effective membership flattened with a visited set).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

Graph = Mapping[str, Set[str]]
"""Groups by id, each with the groups that contain it (or, turned round, that it contains)."""


def closure(groups: Iterable[str], graph: Graph) -> set[str]:
    """Return the groups and everything that is reached from them."""
    found: set[str] = set()
    waiting = list(groups)
    while waiting:
        group = waiting.pop()
        if group not in found:
            found.add(group)
            waiting.extend(graph.get(group, ()))
    return found


def turned(graph: Graph) -> dict[str, set[str]]:
    """Return the graph with every edge the other way round."""
    found: dict[str, set[str]] = {}
    for group, others in graph.items():
        for other in others:
            found.setdefault(other, set()).add(group)
    return found


def path(start: Iterable[str], target: str, graph: Graph) -> tuple[str, ...]:
    """Return a shortest way from one of `start` to `target`, both included; empty if there is none.

    Of several shortest ways the one with the smallest ids is taken, so the answer is always the same.
    """
    # Each layer is in the order of its ways, so whoever reaches a group first has its smallest way.
    layer = sorted(set(start))
    before: dict[str, str | None] = dict.fromkeys(layer)
    while layer and target not in before:
        after: list[str] = []
        for group in layer:
            for other in sorted(graph.get(group, ())):
                if other not in before:
                    before[other] = group
                    after.append(other)
        layer = after
    way: list[str] = []
    step = target if target in before else None
    while step is not None:
        way.append(step)
        step = before[step]
    return tuple(reversed(way))
