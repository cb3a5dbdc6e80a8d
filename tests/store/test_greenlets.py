"""Functions that run in the greenlet of a connection: what they return, raise and are cancelled with."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from sqlalchemy import Connection
from sqlalchemy.util import await_only

from syncline.store.greenlets import Runner

NO_CONNECTION = cast(Connection, None)


async def test_a_function_waits_and_returns_again_and_again() -> None:
    runner = Runner()

    def work(_: Connection) -> list[str]:
        return [str(await_only(asyncio.sleep(0, text))) for text in ("one", "two")]

    for _ in range(3):
        assert await runner.run(work, NO_CONNECTION) == ["one", "two"]


async def test_an_error_reaches_the_caller_and_the_next_function_runs() -> None:
    runner = Runner()

    def broken(_: Connection) -> None:
        await_only(asyncio.sleep(0))
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await runner.run(broken, NO_CONNECTION)
    assert await runner.run(lambda _: "next", NO_CONNECTION) == "next"


async def test_an_error_of_what_is_waited_for_can_be_caught_inside() -> None:
    async def lost() -> None:
        raise ConnectionError("gone")

    def work(_: Connection) -> str:
        try:
            await_only(lost())
        except ConnectionError as error:
            return str(error)
        return "not raised"

    assert await Runner().run(work, NO_CONNECTION) == "gone"


async def test_a_cancelled_caller_unwinds_the_function_and_leaves_the_runner_usable() -> None:
    runner, never = Runner(), asyncio.get_running_loop().create_future()
    left: list[str] = []

    def work(_: Connection) -> Any:
        try:
            return await_only(never)
        finally:
            left.append("unwound")

    task = asyncio.create_task(runner.run(work, NO_CONNECTION))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left == ["unwound"]
    assert await runner.run(lambda _: "next", NO_CONNECTION) == "next"
