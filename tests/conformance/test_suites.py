"""Every suite reaches its score, on both databases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conformance.suites import CANAILLE, OKTA, PYPI, Suite, Target, canaille
from tests.support import parts
from tests.support.live import serving


def check(database_url: str, suite: Suite) -> None:
    with serving(database_url) as live:
        tenant = live.tenant("conformance")
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
def test_a_suite_from_pypi(database_url: str, suite: str) -> None:
    check(database_url, PYPI[suite])


def test_canaille(database_url: str) -> None:
    if not CANAILLE.exists():
        parts.missing("Canaille", "scripts/test, or: tests/conformance/canaille/install")
    check(database_url, canaille)


@pytest.mark.parametrize("name", OKTA)
def test_oktas_specification_tests(database_url: str, name: str) -> None:
    folder = os.environ.get("SYNCLINE_OKTA_TESTS")
    if not folder or not (Path(folder) / name).exists():
        parts.outside(f"Okta's {name}", "set SYNCLINE_OKTA_TESTS to a folder with Okta's published files")
    check(database_url, OKTA[name])
