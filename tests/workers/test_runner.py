"""Loops of a worker: one that fails does not stop the others, and a stop is quick."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from syncline.obs.metrics import Metrics
from syncline.services.container import Services
from syncline.store.database import DatabaseUnavailable
from syncline.workers.runner import loops_of, run_loops
from syncline.workers.supervision import BackOff, repeating, supervise
from tests.support.deliveries import Stage
from tests.support.kernels import kernel, seed
from tests.support.receiver import receiver
from tests.support.waiting import wait_until

QUICK = BackOff(first=0.001, longest=0.01)


@pytest.fixture
async def stop() -> AsyncIterator[asyncio.Event]:
    event = asyncio.Event()
    yield event
    event.set()


class Loop:
    """A loop that raises some errors first and then runs until it is stopped."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.starts = 0
        self.ended = False

    async def __call__(self, stop: asyncio.Event) -> None:
        self.starts += 1
        if self._errors:
            raise self._errors.pop(0)
        await stop.wait()
        self.ended = True


async def test_a_loop_that_raises_is_counted_and_starts_again(stop: asyncio.Event) -> None:
    metrics, loop = Metrics(), Loop(RuntimeError("one"), RuntimeError("two"))
    task = asyncio.create_task(supervise("dispatcher", loop, stop, metrics, QUICK))
    await wait_until(lambda: loop.starts == 3)
    stop.set()
    await task
    assert loop.ended
    assert metrics.loop_errors.labels("dispatcher")._value.get() == 2


async def test_a_lost_database_is_no_error_of_the_loop(stop: asyncio.Event) -> None:
    metrics, loop = Metrics(), Loop(DatabaseUnavailable("gone"))
    task = asyncio.create_task(supervise("sealer", loop, stop, metrics, QUICK))
    await wait_until(lambda: loop.starts == 2)
    stop.set()
    await task
    assert metrics.loop_errors.labels("sealer")._value.get() == 0


async def test_a_loop_that_ends_by_itself_starts_again(stop: asyncio.Event) -> None:
    metrics, starts = Metrics(), 0

    async def loop(_: asyncio.Event) -> None:
        nonlocal starts
        starts += 1

    task = asyncio.create_task(supervise("sealer", loop, stop, metrics, QUICK))
    await wait_until(lambda: starts >= 3)
    stop.set()
    await task
    assert metrics.loop_errors.labels("sealer")._value.get() >= 2


async def test_pauses_grow_up_to_a_limit(stop: asyncio.Event) -> None:
    begun: list[float] = []
    time = asyncio.get_running_loop().time

    async def loop(_: asyncio.Event) -> None:
        begun.append(time())
        raise RuntimeError("again")

    task = asyncio.create_task(supervise("sealer", loop, stop, Metrics(), BackOff(0.01, 0.04)))
    await wait_until(lambda: len(begun) == 6)
    stop.set()
    await task
    pauses = [after - before for before, after in pairwise(begun)]
    for pause, least in zip(pauses, (0.01, 0.02, 0.04, 0.04, 0.04), strict=True):
        assert pause >= least * 0.9


async def test_a_failing_loop_leaves_the_others_alone(stop: asyncio.Event) -> None:
    good = Loop()
    bad = Loop(*[RuntimeError("again") for _ in range(5)])
    task = asyncio.create_task(run_loops({"good": good, "bad": bad}, Metrics(), stop, back_off=QUICK))
    await wait_until(lambda: bad.starts == 6)
    assert good.starts == 1
    stop.set()
    await task
    assert good.ended
    assert bad.ended


async def test_a_loop_that_does_not_stop_is_cut_off(stop: asyncio.Event) -> None:
    started, cut_off = asyncio.Event(), asyncio.Event()

    async def deaf(_: asyncio.Event) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()

    task = asyncio.create_task(run_loops({"deaf": deaf}, Metrics(), stop, stop_seconds=0.02))
    await started.wait()
    stop.set()
    await asyncio.wait_for(task, 5)
    assert cut_off.is_set()


async def test_repeated_work_goes_on_and_is_cut_off_by_a_stop(stop: asyncio.Event) -> None:
    times = 0

    async def work() -> None:
        nonlocal times
        times += 1
        if times == 3:
            await asyncio.Event().wait()

    task = asyncio.ensure_future(repeating(0.001, work)(stop))
    await wait_until(lambda: times == 3)
    stop.set()
    await asyncio.wait_for(task, 5)


async def test_repeated_work_passes_its_error_on(stop: asyncio.Event) -> None:
    async def work() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await repeating(0.001, work)(stop)


async def test_sealer_and_dispatcher_of_a_worker_bring_an_event_to_its_receiver(
    database_url: str, stop: asyncio.Event
) -> None:
    async with kernel(database_url) as made, receiver() as hooks:
        stage = Stage(made, (await seed(made)).environment_id)
        endpoint = await stage.endpoint(hooks.url())
        loops = loops_of(Services(made))
        running = {name: loops[name] for name in ("sealer", "dispatcher", "retention", "figures")}
        task = asyncio.create_task(run_loops(running, made.metrics, stop))
        await stage.append("directory_A", "directory_B")
        await wait_until(lambda: hooks.received)
        await wait_until(lambda: stage.is_idle(endpoint))
        begun = asyncio.get_running_loop().time()
        stop.set()
        await task
        assert asyncio.get_running_loop().time() - begun < 5
        assert hooks.ids() == await stage.ids()
        assert len(hooks.received) == 2
