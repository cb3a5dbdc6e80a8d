"""The player of recorded provider traffic, which lives with the recordings outside the repository."""

from __future__ import annotations

import importlib.util
import json
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from syncline.core.model import InactiveUsers
from tests.support.live import Live, Tenant

_LOOK_SECONDS = 0.05
"""As long as the player listens where no event may come (`quiet`)."""


@dataclass(frozen=True, slots=True)
class Player:
    """The corpus's own player."""

    module: Any

    def play_file(self, file: Path, given: Namespace) -> list[dict[str, Any]]:
        """Play a recording; return one row for each step with its `result` and `why`."""
        document = json.loads(file.read_text(encoding="utf-8"))
        _, rows = self.module.play(document, given, self.module.Api(given))
        found: list[dict[str, Any]] = rows
        return found

    def through(self, open_client: Callable[..., httpx.Client]) -> None:
        """Let the player make its HTTP clients with this function."""
        self.module.httpx = Namespace(Client=open_client, HTTPError=httpx.HTTPError)


def load_player(folder: Path) -> Player:
    """Load the player of a corpus; each call gives one of its own."""
    spec = importlib.util.spec_from_file_location("corpus_player", folder / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # The player looks for events every 150 ms: here they are there sooner.
    vars(module)["time"] = Namespace(
        time=time.time, sleep=lambda seconds: time.sleep(min(seconds, _LOOK_SECONDS))
    )
    return Player(module)


def options(live: Live, tenant: Tenant, policy: InactiveUsers) -> Namespace:
    """Return what the player must know about a directory."""
    return Namespace(
        base=f"{live.url}/scim/v2/{tenant.directory_key}",
        base11=f"{live.url}/scim/v1/{tenant.directory_key}",
        token=tenant.scim_token,
        api=live.url,
        api_key=tenant.api_key,
        directory=tenant.directory_id,
        inactive=policy.value,
        event_types="",
        wait=5.0,
        quiet=_LOOK_SECONDS,
        stop=False,
        verbose=False,
        var=[],
        timeout=30.0,
    )
