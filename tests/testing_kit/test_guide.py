"""The example of the guide is a test that passes for a safe application and fails for another."""

from __future__ import annotations

import re
import runpy
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from syncline.testing.consumer import NAMES
from tests.testing_kit.receivers import NEW_SECRET, SECRET, ComplainsTwice, SafeReceiver, running

Example = Callable[[Any], Awaitable[None]]
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "test-your-receiver.md"


@pytest.fixture
def example(tmp_path: Path) -> Example:
    [block] = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    file = tmp_path / "example.py"
    file.write_text(block, "utf-8")
    test: Example = runpy.run_path(str(file))["test_our_webhook_handler_is_safe"]
    return test


def application(receiver: SafeReceiver) -> SimpleNamespace:
    return SimpleNamespace(
        url=receiver.url,
        secret=SECRET,
        next_secret=NEW_SECRET,
        people_and_memberships=receiver.state,
        restart=receiver.restart,
    )


async def test_the_example_passes_for_a_safe_application(example: Example) -> None:
    async with running(SafeReceiver()) as safe:
        await example(application(safe))


async def test_the_example_fails_with_the_report_for_an_unsafe_one(example: Example) -> None:
    async with running(ComplainsTwice()) as unsafe:
        with pytest.raises(AssertionError, match="FAIL  duplicates"):
            await example(application(unsafe))


def test_the_guide_names_every_check() -> None:
    table = re.findall(r"^\| `([a-z-]+)` \|", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert table == list(NAMES)
