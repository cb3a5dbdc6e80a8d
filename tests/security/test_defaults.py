"""Threat: an installation that faces the internet runs with a key that everybody knows.

In production mode a process does not start with a key that is missing, generated, short, made of few
characters, or taken from an example; `tests/e2e/test_cli.py` sees real processes refuse.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncline.config import Settings, SettingsError, load_settings

GOOD = {
    "mode": "production",
    "secret_key": "R9v2kLm4Qx7Zt1Wb8Ny5Hc3Jd6Fg0Ps-uEo",
    "base_url": "https://directory.northwind.example",
}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine reaches the test."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SYNCLINE_")]:
        monkeypatch.delenv(name)


def loaded(**given: str) -> Settings:
    return load_settings(given)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"secret_key": "changeme-changeme-changeme-changeme-1"}, "SYNCLINE_SECRET_KEY"),
        ({"secret_key": "Change-Me-0123456789-abcdefghijklmnop"}, "SYNCLINE_SECRET_KEY"),
        ({"secret_key": "secret-0123456789-abcdefghijklmnopqrs"}, "SYNCLINE_SECRET_KEY"),
        ({"secret_key": "abababababababababababababababababab"}, "SYNCLINE_SECRET_KEY"),
        ({"secret_key": "R9v2kLm4Qx7Zt1Wb8Ny5Hc3J"}, "SYNCLINE_SECRET_KEY"),
        ({"api_key": "sk_changeme-changeme-changeme"}, "SYNCLINE_API_KEY"),
        ({"api_key": "sk_test_example-key-0123456789"}, "SYNCLINE_API_KEY"),
        ({"api_key": "sk_live_" + "a" * 40}, "SYNCLINE_API_KEY"),
        ({"api_key": "sk_0000000000000000000000000"}, "SYNCLINE_API_KEY"),
        ({"faults": "dispatch.after_send=exit@1"}, "SYNCLINE_FAULTS"),
        ({"base_url": ""}, "SYNCLINE_BASE_URL"),
    ],
)
def test_production_refuses_what_everybody_knows(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as refused:
        loaded(**(GOOD | given))
    assert all(value not in str(refused.value) for value in given.values() if value)


def test_production_takes_random_keys() -> None:
    assert loaded(**GOOD, api_key="sk_live_7f3a91c05e8d46b2a1f0c9d8e7b6a5f4").mode == "production"


def test_no_secret_shows_when_settings_are_printed() -> None:
    """A debugger, a crash report or a careless line must not print them."""
    secrets = {
        "secret_key": GOOD["secret_key"],
        "secret_key_previous": "the-one-before-R9v2kLm4Qx7Zt1Wb8Ny5",
        "api_key": "sk_live_7f3a91c05e8d46b2a1f0c9d8e7b6a5f4",
        "metrics_token": "metrics-7f3a91c05e8d46b2",
    }
    settings = loaded(**(GOOD | secrets))
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        for secret in secrets.values():
            assert secret not in text
