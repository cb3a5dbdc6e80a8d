"""The short forms of the scenarios that break real processes, on both databases.

`scripts/reliability` runs the same at full size. R13's short form is `tests/hostile/test_flood.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.registry import PROCESSES, Context, Size, Verdict, load
from tests.reliability.running import Wanted, place
from tests.support.databases import EngineKind

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def context(engine_kind: EngineKind, empty_database_url: str, tmp_path: Path) -> Context:
    return Context(engine_kind, Size.SHORT, tmp_path, empty_database_url)


async def passes(number: str, context: Context) -> None:
    result = await load(PROCESSES)[number].run_in_loop(context)
    assert result.verdict is Verdict.PASSED, "\n".join([result.measured, *result.problems])


async def test_killing_any_process_loses_doubles_and_reorders_nothing(context: Context) -> None:
    """R1."""
    await passes("R1", context)


async def test_a_restart_of_postgresql_loses_nothing_and_needs_no_restart_of_ours(postgres_url: str) -> None:
    """R2, on a server of its own."""
    assert postgres_url
    with place("postgresql", Wanted(Size.SHORT)) as context:
        await passes("R2", context)


async def test_readers_skip_nothing_while_transactions_linger(context: Context) -> None:
    """R9."""
    await passes("R9", context)


async def test_clients_that_collide_on_one_group_lose_no_update(context: Context) -> None:
    """R11."""
    await passes("R11", context)


async def test_a_rolling_restart_fails_no_request_that_was_taken(context: Context) -> None:
    """R19."""
    await passes("R19", context)
