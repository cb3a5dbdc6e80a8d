"""R25: a backup that is taken under load is restored, and nobody can be misled by it."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.operations.test_restore import back_up_and_restore
from tests.reliability.journals import Asked, Outcome
from tests.reliability.oracle import Evidence, verify
from tests.reliability.reading import Reader, Unanswered, show
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.rig import KEY, Load, rig


@scenario(
    "R25",
    "restore from a backup taken under load",
    gate="dense; cursors beyond head rejected",
)
async def restore(context: Context) -> Result:
    """Back up in the middle of a load, go on, then look at what the restored database shows."""
    async with rig(context) as stage:
        await stage.start_usual(serves=1, workers=1)
        await stage.make_directories(2)
        load = Load(stage)
        await load.prepare()
        load.start()
        await load.progress(context.pick(short=40, full=2000), deadline=600)
        known = [one for one in stage.asked if one.outcome is Outcome.ACKNOWLEDGED]
        restored_url = await _restored_url(context)
        await asyncio.to_thread(back_up_and_restore, context.database_url, restored_url, context.folder)
        await load.progress(20)
        tally = await load.stop()
        whole = await stage.settle()
        restored = stage.start("up", database_url=restored_url)
        await asyncio.to_thread(restored.await_ready)
        assert restored.url is not None
        reader = Reader(stage.session, [restored.url], KEY)
        log = await reader.still_log()
        shown = {
            one.id: await show(reader, stage.session, one.id, restored.url + one.path, one.token)
            for one in stage.directories
        }
        # What was acknowledged before the backup began is in it; of later requests nothing is known.
        before = {one.recorded for one in known}
        asked = [
            one if one.recorded in before else Asked(one.recorded, one.effects, Outcome.UNKNOWN)
            for one in stage.asked
        ]
        problems = await asyncio.to_thread(verify, Evidence(log=log, asked=asked, shown=shown))
        if [(one.type, one.data) for one in log] != [(one.type, one.data) for one in whole[: len(log)]]:
            problems.append("the restored log is not the beginning of the log")
        problems += await _refuses(reader, whole[-1].id)
        return Result.judged(
            f"{len(log)} of {len(whole)} events restored: {len(problems)} wrong",
            problems + tally.wrong,
            events=len(whole),
            restored=len(log),
            acknowledged_before=len(known),
        )


async def _refuses(reader: Reader, cursor: str) -> list[str]:
    """Ask for what comes after an event that the restored log never had."""
    try:
        await reader.page(cursor)
    except Unanswered as refused:
        return [] if refused.status in (400, 410) else [f"a cursor beyond the head got {refused}"]
    return ["a cursor beyond the head was accepted"]


async def _restored_url(context: Context) -> str:
    """Return the address of nothing yet, where the backup will be restored."""
    if context.engine == "sqlite":
        return f"sqlite:///{context.folder / 'restored.db'}"
    connection = await asyncpg.connect(context.database_url)
    try:
        await connection.execute("DROP DATABASE IF EXISTS restored_by_the_suite WITH (FORCE)")
        await connection.execute("CREATE DATABASE restored_by_the_suite TEMPLATE template0")
    finally:
        await connection.close()
    return urlunsplit(urlsplit(context.database_url)._replace(path="/restored_by_the_suite"))
