"""In which order several processes run the tests: each begins with its share of the long ones.

The tests are dealt to the processes in equal parts, and who is done takes from the end of another's part. A
long test near the end of a part would keep one process busy while the others have nothing left to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class _Item(Protocol):
    @property
    def nodeid(self) -> str: ...


T = TypeVar("T", bound=_Item)

LONG: tuple[str, ...] = (
    "tests/hostile/test_schemathesis.py",
    "tests/reliability/test_short.py",
    "tests/reliability/simulation/test_scenarios.py",
    "tests/fuzz/test_fuzz.py",
    "tests/hostile/test_bombs.py",
    "tests/operations/test_failover.py",
    "tests/operations/test_pgbouncer.py",
    "tests/sinks/test_kafka.py",
    "tests/reliability/simulation/test_mutants.py",
    "tests/reliability/simulation/test_seeds.py",
    "tests/property/test_apply_twice.py",
)
"""Files whose tests take longer than about five seconds, the longest first."""


def long_first(items: Sequence[T], processes: int) -> list[T]:
    """Return the tests so that each of so many processes gets its share of the long ones at the beginning."""
    rank = {path: at for at, path in enumerate(LONG)}
    long = sorted(
        (item for item in items if _file(item) in rank), key=lambda item: (rank[_file(item)], item.nodeid)
    )
    rest = [item for item in items if _file(item) not in rank]
    ordered: list[T] = []
    left = len(items)
    for number in range(processes):
        # The same sizes as the parts that pytest-xdist deals.
        size = left // (processes - number)
        mine = long[number::processes]
        taken = max(0, size - len(mine))
        ordered += [*mine, *rest[:taken]]
        del rest[:taken]
        left -= size
    return [*ordered, *rest]


def _file(item: _Item) -> str:
    return item.nodeid.partition("::")[0]
