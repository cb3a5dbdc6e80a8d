"""R4 and R5: dispatchers that die between send and save, and one that stands still past its lease."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import sqlite3
from contextlib import AbstractAsyncContextManager

from syncline import faults
from syncline.core.wire import WebhookEndpoint
from syncline.services.kernel import Kernel
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.simulation.parts import endpoint_row, opened, repetitions, wrong_receipts
from tests.support.deliveries import Stage, dispatching
from tests.support.dispatcher_program import short_leased
from tests.support.forks import Forked
from tests.support.kernels import seed
from tests.support.programs import ended, program
from tests.support.receiver import Receiver, receiver
from tests.support.waiting import wait_until

LANES = ("directory_A", "directory_B", "directory_C")
_BATCH = short_leased().save_events
# PostgreSQL ends the transaction of a process that stands still in one after 60 seconds.
_PATIENCE = 90


@scenario(
    "R4",
    "kill between send and cursor write",
    gate="0 lost, in order, each event 1-2 times, duplicates at most a batch per kill",
)
async def kill_after_send(context: Context) -> Result:
    """Let one process after the other die right after a request, and another one do the rest."""
    kills, per_kill = context.pick(short=2, full=50), 12
    chance = random.Random(context.seed)
    async with opened(context) as within, receiver() as hooks:
        stage = Stage(within, (await seed(within)).environment_id)
        endpoint = await stage.endpoint(hooks.url())
        ids: list[str] = []
        died = 0
        for _ in range(kills):
            ids += await stage.emit(*[LANES[at % 3] for at in range(per_kill)])
            async with _program(context, f"dispatch.after_send=exit@{chance.randint(1, per_kill)}") as child:
                died += await ended(child, 60) == faults.EXIT_STATUS
            async with dispatching(within, short_leased()):
                await wait_until(lambda: stage.is_idle(endpoint), 60)
        got = hooks.ids()
    twice, most = repetitions(got)
    problems = list(wrong_receipts("the endpoint", got, ids, len(LANES)))
    if died != kills:
        problems.append(f"{died} of {kills} processes died where they should")
    if most > 2:
        problems.append(f"an event was received {most} times")
    if twice > kills * _BATCH:
        problems.append(f"{twice} duplicates after {kills} kills, a batch is {_BATCH}")
    return Result.judged(
        f"{kills} kills, {len(ids)} events, {twice} duplicates, at most {most} receipts of one",
        problems,
        kills=kills,
        events=len(ids),
        duplicates=twice,
    )


@scenario(
    "R5",
    "two workers race, one stands still past its lease",
    gate="0 cursor regressions, 0 order violations, 0 lost",
)
async def ghost(context: Context) -> Result:
    """Stop a process that holds the endpoint, let the other take it over, and let the first go on."""
    rounds = context.pick(short=2, full=40)
    async with opened(context) as within, receiver() as hooks:
        stage = Stage(within, (await seed(within)).environment_id)
        endpoint = await stage.endpoint(hooks.url())
        cursors: list[int] = []
        watching = asyncio.create_task(_watch(within, endpoint, cursors))
        ids: list[str] = []
        async with _program(context, "") as one, _program(context, "") as two:
            for number in range(rounds):
                ids += await _race(context, stage, endpoint, hooks, (one, two)[number % 2])
            await wait_until(lambda: stage.is_idle(endpoint), 60)
        watching.cancel()
        got = hooks.ids()
    twice, _ = repetitions(got)
    problems = list(wrong_receipts("the endpoint", got, ids, len(LANES)))
    back = sum(later < earlier for earlier, later in itertools.pairwise(cursors))
    if back:
        problems.append(f"the cursor went back {back} times")
    if twice > rounds * (_BATCH + 1):
        problems.append(f"{twice} duplicates in {rounds} rounds, a batch is {_BATCH}")
    return Result.judged(
        f"{rounds} ghosts, {len(ids)} events, {back} regressions of the cursor, {twice} duplicates",
        problems,
        rounds=rounds,
        events=len(ids),
        duplicates=twice,
    )


async def _race(
    context: Context,
    stage: Stage,
    endpoint: WebhookEndpoint,
    hooks: Receiver,
    ghost: Forked,
) -> list[str]:
    """Fill the log, stop one process in the middle of it, and continue it once all has arrived."""
    before = len(hooks.received)
    ids = await stage.emit(*[LANES[at % 3] for at in range(45)])
    await wait_until(lambda: len(hooks.received) > before + 5, 60)
    await _stop_outside_a_transaction(context, ghost)
    try:
        await wait_until(lambda: stage.is_idle(endpoint), _PATIENCE)
        more = await stage.emit(*[LANES[at % 3] for at in range(6)])
        await wait_until(lambda: stage.is_idle(endpoint), _PATIENCE)
    finally:
        os.kill(ghost.pid, signal.SIGCONT)
    return ids + more


async def _stop_outside_a_transaction(context: Context, ghost: Forked) -> None:
    """Stop a process, but not while it writes to SQLite's file: nobody could write until it goes on."""
    while True:
        os.kill(ghost.pid, signal.SIGSTOP)
        if not context.database_url.startswith("sqlite") or _can_be_written(context.database_url):
            return
        os.kill(ghost.pid, signal.SIGCONT)
        await asyncio.sleep(0.01)


def _can_be_written(database_url: str) -> bool:
    path = database_url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True


async def _watch(within: Kernel, endpoint: WebhookEndpoint, cursors: list[int]) -> None:
    while True:
        row = await endpoint_row(within, endpoint.id)
        cursors.append(row.cursor)
        await asyncio.sleep(0.01)


def _program(context: Context, plan: str) -> AbstractAsyncContextManager[Forked]:
    """Run a dispatcher in a process of its own."""
    return program("tests.support.dispatcher_program", context.database_url, plan)
