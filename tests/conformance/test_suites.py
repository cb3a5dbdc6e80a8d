"""Every suite reaches its score, on both databases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conformance.suites import CANAILLE, OKTA, PYPI, Suite, Target, canaille
from tests.support import parts
from tests.support.live import Live


def check(live: Live, name: str, suite: Suite) -> None:
    tenant = live.tenant(name)
    outcome = suite(
        Target(
            f"{live.url}/scim/v2/{tenant.directory_key}",
            f"{live.url}/scim/v1/{tenant.directory_key}",
            tenant.scim_token,
        )
    )
    assert list(outcome.problems) == []
    assert outcome.passed >= outcome.required


@pytest.mark.parametrize("suite", PYPI)
def test_a_suite_from_pypi(shared_live: Live, suite: str) -> None:
    check(shared_live, suite, PYPI[suite])


def test_canaille(shared_live: Live) -> None:
    if not CANAILLE.exists():
        parts.missing("Canaille", "scripts/test, or: tests/conformance/canaille/install")
    check(shared_live, "canaille", canaille)


@pytest.mark.parametrize("name", OKTA)
def test_oktas_specification_tests(shared_live: Live, name: str) -> None:
    folder = os.environ.get("SYNCLINE_OKTA_TESTS")
    if not folder or not (Path(folder) / name).exists():
        parts.outside(f"Okta's {name}", "set SYNCLINE_OKTA_TESTS to a folder with Okta's published files")
    check(shared_live, name, OKTA[name])
