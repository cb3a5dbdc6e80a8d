"""What happens when a test misses a part of its surroundings.

A developer's machine may lack a part: the test is skipped and says which one. Continuous integration must
have every part that can be installed: there the same test fails. Parts that live outside the repository
(recorded traffic, files a vendor does not let us pass on) are skipped everywhere.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

OUTSIDE = "outside the repository: "


def is_continuous_integration() -> bool:
    """Tell whether a missing part must fail the run."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def missing(part: str, remedy: str) -> NoReturn:
    """Skip the test for want of `part`, or fail it in continuous integration."""
    reason = f"{part} is missing. Try: {remedy}"
    if is_continuous_integration():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def outside(part: str, remedy: str) -> NoReturn:
    """Skip the test because `part` does not belong to the repository, also in continuous integration."""
    pytest.skip(f"{OUTSIDE}{part}. Try: {remedy}")


def may_be_skipped(reason: str) -> bool:
    """Tell whether a test skipped for `reason` may stay so in continuous integration."""
    return reason.removeprefix("Skipped: ").startswith(OUTSIDE)
