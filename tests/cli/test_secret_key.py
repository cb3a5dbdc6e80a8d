"""The key that is made at the first start is one key, however many processes start at once."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from syncline.cli.compose import KEY_FILE, secret_key
from syncline.config import load_settings


def test_whoever_starts_in_the_middle_of_the_first_start_has_the_same_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was there before the key was in it, and a second process read an empty key."""
    settings = load_settings({"data": tmp_path})
    others: list[str] = []

    def make(size: int) -> str:
        if not others:
            others.append("")
            others[0] = secret_key(settings)
        return "k" * size + str(len(others[0]))

    monkeypatch.setattr(secrets, "token_urlsafe", make)
    key = secret_key(settings)
    assert key
    assert others == [key]
    assert secret_key(settings) == key
    file = tmp_path / KEY_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
