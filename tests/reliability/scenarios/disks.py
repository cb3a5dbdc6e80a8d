"""R16 and R28: the disk is full; the power is cut in the middle of a write."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from syncline.store.sqlite import sqlite_path
from tests.reliability.journals import Asked, Outcome
from tests.reliability.oracle import Evidence, LogEntry, verify
from tests.reliability.reading import Reader, show, until
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.rig import KEY, Load, Rig, rig, summary
from tests.support import postgres

_MEGABYTES = 48
_WAITS = 20.0
_ENOUGH = 5
# SQLite begins its WAL anew behind a thousand pages; what is older than that is not in it any more.
_WAL_LONGEST = 3_500_000


@scenario(
    "R16",
    "the disk is full",
    gate="507 or 503 with Retry-After, 0 acknowledged lost, recovers without a restart",
)
async def full_disk(context: Context) -> Result:
    """Fill the file system of the database under load, wait, make room, and go on."""
    disk = context.folder / "disk"
    if not _mount(disk):
        return Result.not_run("a small file system of its own cannot be mounted here; run it as root")
    try:
        async with rig(context) as stage, _database_on(stage, disk):
            await stage.start_usual(serves=1, workers=1)
            await stage.make_directories(2)
            await stage.subscribe()
            load = Load(stage)
            await load.prepare()
            load.start()
            await load.progress(20)
            _fill(disk / "filler")
            refused = await _refusals(load)
            (disk / "filler").unlink()
            await load.progress(20)
            tally = await load.stop()
            problems, evidence = await stage.judge(load.tails)
            problems += [f"{one.arguments} ended" for one in stage.processes if one.poll() is not None]
            if not refused:
                problems.append("no request was refused while the disk was full")
            return Result.judged(
                f"{refused} requests refused while full, {tally.acknowledged} acknowledged: "
                f"{len(problems) + len(tally.wrong)} wrong",
                problems + tally.wrong,
                refused_while_full=refused,
                **summary(tally, evidence),
            )
    finally:
        await asyncio.to_thread(_unmount, disk)


def _mount(disk: Path) -> bool:
    """Mount a small file system; tell whether that was possible."""
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m,mode=0777", "tmpfs", disk],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _unmount(disk: Path) -> None:
    subprocess.run(["umount", "--lazy", disk], check=False)


@asynccontextmanager
async def _database_on(stage: Rig, disk: Path) -> AsyncIterator[None]:
    """Put the database of a stage onto a disk: the file, or on PostgreSQL a tablespace."""
    url = stage.context.database_url
    if stage.context.engine == "sqlite":
        stage.settings["database_url"] = f"sqlite:///{disk / 'syncline.db'}"
        yield
        return
    place = disk / "tablespace"
    place.mkdir()
    # The server runs under an account of its own; it owns the folder it was made in.
    owner = Path(stage.context.postgres_folder or "/").joinpath("data").stat()
    os.chown(place, owner.st_uid, owner.st_gid)
    for parent in (disk, *disk.parents[:1]):
        parent.chmod(0o755 if parent is not disk else 0o777)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        await connection.execute("CREATE DATABASE on_small TABLESPACE small")
        stage.settings["database_url"] = urlunsplit(urlsplit(url)._replace(path="/on_small"))
        yield
        await connection.execute("DROP DATABASE on_small WITH (FORCE)")
        await connection.execute("DROP TABLESPACE small")
    finally:
        await connection.close()


def _fill(filler: Path) -> None:
    """Write until nothing more fits."""
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


async def _refusals(load: Load) -> int:
    """Wait until some requests were refused for want of room and return how many."""

    def refused() -> int:
        return sum(
            count for kind, count in load.tally.failures.items() if kind in ("status 503", "status 507")
        )

    before = refused()
    await until(lambda: refused() - before >= _ENOUGH, _WAITS)
    return refused() - before


@scenario(
    "R28",
    "SQLite's power is cut: the WAL ends at a random byte",
    gate="acknowledged present or cut mid-transaction; integrity ok",
    engines=("sqlite",),
)
async def power_cut(context: Context) -> Result:
    """Kill the process, cut copies of its WAL anywhere, and see what a process finds that starts on each."""
    cuts = context.pick(short=5, full=200)
    async with rig(context) as stage:
        path = sqlite_path(context.database_url)
        wal = path.with_name(f"{path.name}-wal")
        await stage.start_usual()
        await stage.make_directories(2)
        load = Load(stage)
        await load.prepare()
        # An orderly end empties the WAL.
        stage.processes[0].terminate()
        stage.restart(stage.processes[0])
        await stage.all_ready()
        begun = wal.stat().st_size
        sizes: dict[int, int] = {}
        load.start()
        await load.progress(5)
        while load.acknowledged < 100 and wal.stat().st_size < _WAL_LONGEST:
            # An acknowledged request is on the disk, so the WAL is at least as long as it is now.
            sizes |= {
                one.recorded: wal.stat().st_size
                for one in list(stage.asked)
                if one.outcome is Outcome.ACKNOWLEDGED and one.recorded not in sizes
            }
            await asyncio.sleep(0.002)
        tally = await load.stop()
        whole = await stage.settle()
        stage.processes[0].kill()
        problems: list[str] = []
        for n in range(cuts):
            at = stage.random.randint(begun, wal.stat().st_size)
            problems += [f"cut at {at}: {one}" for one in await _after_cut(stage, n, at, whole, sizes)]
        return Result.judged(
            f"{cuts} cuts of a WAL of {wal.stat().st_size} bytes, {tally.acknowledged} acknowledged: "
            f"{len(problems)} wrong",
            problems + tally.wrong,
            cuts=cuts,
            acknowledged=tally.acknowledged,
            events=len(whole),
        )


async def _after_cut(stage: Rig, n: int, at: int, whole: list[LogEntry], sizes: dict[int, int]) -> list[str]:
    """Start a process on a copy whose WAL was cut and return what is wrong with what it shows."""
    path = sqlite_path(stage.context.database_url)
    copy = stage.context.folder / f"cut-{n}.db"
    shutil.copyfile(path, copy)
    cut = copy.with_name(f"{copy.name}-wal")
    cut.write_bytes(path.with_name(f"{path.name}-wal").read_bytes()[:at])
    process = stage.start("up", port=postgres.unused_port(), database_url=f"sqlite:///{copy}")
    try:
        await asyncio.to_thread(process.await_ready)
        assert process.url is not None
        reader = Reader(stage.session, [process.url], KEY)
        log = await reader.still_log()
        shown = {
            one.id: await show(reader, stage.session, one.id, process.url + one.path, one.token)
            for one in stage.directories
        }
        # What the WAL already held when a request was answered is there; of the rest nothing is known.
        asked = [
            one
            if sizes.get(one.recorded, at + 1) <= at
            else Asked(one.recorded, one.effects, Outcome.UNKNOWN)
            for one in stage.asked
        ]
        problems = await asyncio.to_thread(verify, Evidence(log=log, asked=asked, shown=shown))
        if [(one.type, one.data) for one in log] != [(one.type, one.data) for one in whole[: len(log)]]:
            problems.append("the log is not the beginning of the log before the cut")
    finally:
        process.kill()
        stage.processes.remove(process)
    with sqlite3.connect(copy) as connection:
        (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    copy.unlink()
    return [*problems, *([] if integrity == "ok" else [f"integrity: {integrity}"])]
