"""Look-ups that arrive together: few queries, and each starts after the question it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from syncline.services.coalesce import Coalescer


class Table:
    """A source of values that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.gates: list[asyncio.Event] = []

    async def load(self, keys: Sequence[str]) -> dict[str, str]:
        self.asked.append(sorted(keys))
        gate = asyncio.Event()
        self.gates.append(gate)
        await gate.wait()
        return {key: key.upper() for key in keys if key != "nobody"}


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_arrives_while_queries_run_is_asked_with_the_next_one() -> None:
    table = Table()
    known: Coalescer[str, str] = Coalescer(table.load, in_flight=1)
    first = asyncio.create_task(known.get("a"))
    await settle()
    others = [asyncio.create_task(known.get(key)) for key in ("b", "c", "b", "nobody")]
    await settle()
    assert table.asked == [["a"]]
    table.gates[0].set()
    assert await first == "A"
    await settle()
    assert table.asked == [["a"], ["b", "c", "nobody"]]
    table.gates[1].set()
    assert await asyncio.gather(*others) == ["B", "C", "B", None]


async def test_a_caller_who_goes_away_does_not_leave_the_others_waiting() -> None:
    table = Table()
    known: Coalescer[str, str] = Coalescer(table.load, in_flight=1)
    first = asyncio.create_task(known.get("a"))
    await settle()
    second = asyncio.create_task(known.get("b"))
    await settle()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    table.gates[0].set()
    await settle()
    table.gates[1].set()
    assert await second == "B"
