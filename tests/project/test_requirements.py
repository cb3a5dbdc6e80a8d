"""The locked requirements mean the same on every machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", lock.read_text("utf-8"), re.MULTILINE))


def entries(lock: Path) -> list[str]:
    joined = lock.read_text("utf-8").replace("\\\n", "")
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_is_pinned_with_hashes_and_no_place_to_get_it_from(lock: Path) -> None:
    lines = entries(lock)
    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9.-]+==\S+( ; [^/]+?)? +--hash=sha256:[0-9a-f]{64}", line), line
        assert "://" not in line
        assert "file:" not in line


def test_what_runs_in_production_is_what_was_tested() -> None:
    tested = pins(ROOT / "requirements" / "dev.txt")
    for name in ("runtime.txt", "build.txt"):
        assert pins(ROOT / "requirements" / name).items() <= tested.items()


def test_every_declared_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    locked = pins(ROOT / "requirements" / "runtime.txt")
    for declared in project["project"]["dependencies"]:
        name = re.match(r"[a-z0-9-]+", declared)
        assert name is not None
        assert name.group() in locked
