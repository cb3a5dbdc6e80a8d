"""The tools of the simulation: time that jumps, and processes that die or stand still."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from syncline.store.engine import database_now
from tests.reliability.simulation.clock import START, Stuck, VirtualLoop, run
from tests.reliability.simulation.database import MemoryStore, ProcessDatabase, Weather
from tests.reliability.simulation.processes import Killed, Process, adopt


def test_days_pass_while_nothing_can_run() -> None:
    async def main(loop: VirtualLoop) -> list[tuple[str, float]]:
        told: list[tuple[str, float]] = []

        async def sleep(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            told.append((name, loop.time()))

        await asyncio.gather(sleep("late", 3 * 86_400.0), sleep("early", 86_400.0))
        return told

    assert run(main) == [("early", 86_400.0), ("late", 3 * 86_400.0)]


def test_a_wait_that_nothing_can_end_is_an_error_and_not_a_hang() -> None:
    async def main(_: VirtualLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="nothing is left"):
        run(main)


def test_a_loop_that_never_lets_time_pass_is_an_error_and_not_a_hang() -> None:
    async def main(_: VirtualLoop) -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.call_soon(again)

        again()
        await asyncio.sleep(1)

    with pytest.raises(Stuck, match="no end"):
        run(main)


def test_the_database_has_the_virtual_time() -> None:
    store = MemoryStore()

    async def main(loop: VirtualLoop) -> timedelta:
        store.begin(loop.time)
        await asyncio.sleep(86_400.0)
        return store.read(database_now) - START

    assert run(main) == timedelta(days=1)


def test_a_killed_process_has_no_effect_and_a_stopped_one_only_when_it_goes_on() -> None:
    store = MemoryStore()

    async def main(loop: VirtualLoop) -> list[tuple[str, float]]:
        loop.on_new_task(adopt)
        store.begin(loop.time)
        done: list[tuple[str, float]] = []

        async def work(process: Process) -> None:
            database = ProcessDatabase(store, process, Weather(random.Random(1)))
            try:
                await asyncio.sleep(1.0)
            finally:
                # Also what a dying task tries last.
                await database.write(lambda _: done.append((process.name, loop.time())))

        processes = [Process("killed"), Process("stopped"), Process("untouched")]
        tasks = []
        for process in processes:
            with process.inside():
                tasks.append(asyncio.create_task(work(process)))
        await asyncio.sleep(0.5)
        processes[0].kill()
        processes[1].stop()
        await asyncio.sleep(9.5)
        processes[1].go_on()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(ends[0], Killed)
        return done

    assert run(main) == [("untouched", 1.0), ("stopped", 10.0)]
