"""The recorded dialects of the providers, played over HTTP with checks of answers, events and state.

The recordings and their player live outside the repository; `SYNCLINE_CORPUS` names the folder.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, func, select

from syncline.core.model import InactiveUsers
from syncline.services.container import Services
from syncline.store import tables as t
from tests.support.corpus import Player, load_player, options
from tests.support.live import CAUSE, Live, Tenant

pytestmark = pytest.mark.corpus
_FOLDER = os.environ.get("SYNCLINE_CORPUS")
FILES = sorted(path.name for path in Path(_FOLDER).glob("*.json")) if _FOLDER else ["(no corpus)"]
_HELD = (t.directory_users, t.directory_groups, t.memberships, t.group_edges, t.pending_memberships)
PAIRS = list(zip(FILES[::2], FILES[1::2], strict=False)) or [("(no corpus)", "(no corpus)")]


@pytest.fixture
def player(corpus_dir: Path) -> Player:
    return load_player(corpus_dir)


@pytest.mark.parametrize("name", FILES)
def test_a_recording_passes_whole(shared_live: Live, player: Player, corpus_dir: Path, name: str) -> None:
    """With inactive people kept; the next test plays it with them deleted, and checks the same."""
    tenant = shared_live.tenant(f"corpus {name}", InactiveUsers.KEEP)
    rows = player.play_file(corpus_dir / name, options(shared_live, tenant, InactiveUsers.KEEP))
    assert rows
    assert [row for row in rows if row["result"] != "pass"] == []


@pytest.mark.parametrize("name", FILES)
def test_a_request_sent_twice_changes_nothing_the_second_time(
    shared_live: Live, player: Player, corpus_dir: Path, name: str
) -> None:
    live = shared_live
    tenant = live.tenant(f"twice {name}")
    repeated = 0
    changed: list[str] = []

    class Twice(httpx.Client):
        def request(self, method: str, url: Any, **given: Any) -> httpx.Response:
            first = super().request(method, url, **given)
            # A group has no name of its own, so the same creation sent again makes a second group.
            if method == "POST" and first.is_success and not str(url).endswith(("/Users", "/.search")):
                return first
            before = contents(live, tenant)
            super().request(method, url, **given)
            nonlocal repeated
            repeated += 1
            if contents(live, tenant) != before:
                changed.append(f"{method} {url}")
            return first

    def open_client(**given: Any) -> httpx.Client:
        return httpx.Client(**given) if "base_url" in given else Twice(**given)

    player.through(open_client)
    rows = player.play_file(corpus_dir / name, options(live, tenant, InactiveUsers.DELETE))
    assert repeated > 5
    assert changed == []
    assert [row for row in rows if row["result"] != "pass"] == []


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_two_directories_of_an_environment_do_not_disturb_each_other(
    shared_live: Live, corpus_dir: Path, pair: tuple[str, str]
) -> None:
    live = shared_live
    one = live.tenant(f"parallel {pair}")
    other = second_directory(live, one)

    def play(tenant: Tenant, name: str) -> list[dict[str, Any]]:
        given = options(live, tenant, InactiveUsers.DELETE)
        return load_player(corpus_dir).play_file(corpus_dir / name, given)

    with ThreadPoolExecutor(2) as pool:
        playing = [pool.submit(play, tenant, name) for tenant, name in zip((one, other), pair, strict=True)]
        rows = [row for each in playing for row in each.result()]
    assert [row for row in rows if row["result"] != "pass"] == []


def contents(live: Live, tenant: Tenant) -> list[Any]:
    """Everything a directory holds and every event it has caused, sealed or not."""

    def read(connection: Connection) -> list[Any]:
        found: list[Any] = []
        for table in (
            t.directory_users,
            t.directory_groups,
            t.memberships,
            t.group_edges,
            t.pending_memberships,
        ):
            rows = select(table).where(table.c.directory_id == tenant.directory_id)
            found.append(sorted(str(row) for row in connection.execute(rows)))
        # In one statement, since events move from the inbox to the log.
        inbox, log = (
            select(func.count()).where(kept.c.directory_id == tenant.directory_id).scalar_subquery()
            for kept in (t.event_inbox, t.event_log)
        )
        events = connection.execute(select(inbox + log)).scalar_one()
        return [*found, events]

    return live.run(lambda services: services.kernel.database.write(read))


def second_directory(live: Live, tenant: Tenant) -> Tenant:
    """Make another directory in the environment of the first."""

    async def make(services: Services) -> Tenant:
        made = await services.directories.create(
            tenant.environment_id, tenant.organization_id, "Second", "generic scim v2.0", CAUSE
        )
        assert made.bearer_token is not None
        return replace(tenant, directory_id=made.directory.id, scim_token=made.bearer_token)

    return live.run(make)
