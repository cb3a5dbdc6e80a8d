"""The recorded dialects of the providers, played over HTTP with checks of answers, events and state.

The recordings and their player live outside the repository; `SYNCLINE_CORPUS` names the folder.
"""

from __future__ import annotations

import importlib.util
import json
import os
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from syncline.core.model import InactiveUsers
from tests.support.live import Live, serving

pytestmark = pytest.mark.corpus
_FOLDER = os.environ.get("SYNCLINE_CORPUS")
FILES = sorted(path.name for path in Path(_FOLDER).glob("*.json")) if _FOLDER else ["(no corpus)"]


@pytest.fixture(scope="module")
def player(corpus_dir: Path) -> ModuleType:
    """The corpus's own player."""
    spec = importlib.util.spec_from_file_location("corpus_player", corpus_dir / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def live(database_url: str) -> Iterator[Live]:
    with serving(database_url) as running:
        yield running


@pytest.mark.parametrize("policy", list(InactiveUsers))
@pytest.mark.parametrize("name", FILES)
def test_a_recording_passes_whole(
    live: Live, player: ModuleType, corpus_dir: Path, name: str, policy: InactiveUsers
) -> None:
    tenant = live.tenant("corpus", policy)
    options = Namespace(
        base=f"{live.url}/scim/v2/{tenant.directory_key}",
        base11=f"{live.url}/scim/v1/{tenant.directory_key}",
        token=tenant.scim_token,
        api=live.url,
        api_key=tenant.api_key,
        directory=tenant.directory_id,
        inactive=policy.value,
        event_types="",
        wait=5.0,
        quiet=0.05,
        stop=False,
        verbose=False,
        var=[],
        timeout=30.0,
    )
    document = json.loads((corpus_dir / name).read_text(encoding="utf-8"))
    _, rows = player.play(document, options, player.Api(options))
    assert rows
    assert [row for row in rows if row["result"] != "pass"] == []
