"""The short forms of the scenarios about dispatchers; `scripts/reliability` runs them at full size."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.registry import Context, Size, Verdict, load
from tests.support.databases import EngineKind

pytestmark = [pytest.mark.e2e]


@pytest.fixture
def context(engine_kind: EngineKind, empty_database_url: str, tmp_path: Path) -> Context:
    return Context(engine_kind, Size.SHORT, tmp_path, empty_database_url)


async def passes(number: str, context: Context) -> None:
    result = await load()[number].run_in_loop(context)
    assert result.verdict is Verdict.PASSED, "\n".join([result.measured, *result.problems])


async def test_a_dispatcher_that_dies_after_a_request_loses_nothing_and_repeats_little(
    context: Context,
) -> None:
    """R4."""
    await passes("R4", context)


async def test_a_process_that_stood_still_past_its_lease_spoils_nothing(context: Context) -> None:
    """R5."""
    await passes("R5", context)


async def test_no_endpoint_is_left_asleep(context: Context) -> None:
    """R6."""
    await passes("R6", context)


async def test_receivers_that_hang_hold_nobody_up(context: Context) -> None:
    """R8."""
    await passes("R8", context)


def judged(number: str, folder: Path) -> None:
    """Run a scenario on the virtual clock, which is about SQLite only."""
    result = load()[number].run(Context("sqlite", Size.SHORT, folder, ""))
    assert result.verdict is Verdict.PASSED, "\n".join([result.measured, *result.problems])


def test_wrong_clocks_end_no_lease_early_and_lose_nothing(tmp_path: Path) -> None:
    """R15."""
    judged("R15", tmp_path)


def test_rotated_secrets_sign_from_the_answer_on_and_live_ones_always(tmp_path: Path) -> None:
    """R27."""
    judged("R27", tmp_path)
