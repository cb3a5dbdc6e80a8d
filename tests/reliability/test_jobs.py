"""Jobs whose process dies again and again: another one goes on, and everybody is done once and rightly.

Processes are real. Each but the last ends at a fault point, without any clean-up, or is killed right after it
has acknowledged what begins a job.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from syncline.faults import EXIT_STATUS
from tests.operations.test_erasure import found_in, leave_remains
from tests.reliability.launch import Launched
from tests.reliability.oracle import check_log
from tests.reliability.registry import Context, Size
from tests.reliability.rig import Rig, rig
from tests.support.databases import EngineKind
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_STEP, _LEASE, _DEADLINE = "5", "0.5", 60
_TITLES = [*(["Planner"] * 6), *(["Pilot"] * 6)]
_IDA = "ida.kjeldsen@northwind.example"


class Relay:
    """An installation with one directory whose only process dies and is followed by another."""

    def __init__(self, stage: Rig) -> None:
        self._stage = stage
        self._process: Launched | None = None

    async def starts(self, faults: str = "") -> None:
        """Start the next process, perhaps one that will die; the one before it has ended."""
        if self._process is None:
            self._process = self._stage.start("up", faults=faults)
        else:
            assert self._process.poll() is not None
            self._process = self._stage.restart(self._process, faults=faults)
        await asyncio.to_thread(self._process.await_ready)

    async def dies(self) -> None:
        """Wait until the process has reached the point at which it ends."""
        process = self._process
        assert process is not None
        try:
            await wait_until(lambda: process.poll() == EXIT_STATUS, _DEADLINE, reason="a process that dies")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{process.output()}") from None

    async def is_killed(self) -> None:
        """End the process by a signal."""
        assert self._process is not None
        await asyncio.to_thread(self._process.kill)

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Make a call of the REST API that is answered."""
        return await self._stage.api(method, path, body)

    async def call_that_kills(self, method: str, path: str, body: Any = None) -> None:
        """Make a call that begins what ends the process, perhaps before it is answered."""
        with contextlib.suppress(aiohttp.ClientError):
            await self.call(method, path, body)
        await self.dies()

    async def push(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Make a request of the provider that is answered."""
        [directory] = self._stage.directories
        url, headers = self._stage.urls[0] + directory.path, {"Authorization": f"Bearer {directory.token}"}
        async with self._stage.session.request(method, url + path, json=body, headers=headers) as answer:
            text = await answer.text()
            assert answer.status < 300, text
            return dict(msgspec.json.decode(text)) if text else {}

    async def retitle(self, id_: str, title: str) -> None:
        """Change one attribute of a person, again and again until that is answered."""
        body = {
            "schemas": [_PATCH],
            "Operations": [{"op": "replace", "path": "title", "value": title}],
        }

        async def pushed() -> bool:
            with contextlib.suppress(aiohttp.ClientError):
                await self.push("PATCH", f"/Users/{id_}", body)
                return True
            return False

        await wait_until(pushed, _DEADLINE, reason="a provider that is answered")

    async def furnish(self) -> list[str]:
        """Make a directory with a dozen people; return their SCIM ids, which ascend."""
        await self._stage.make_directories(1)
        made = []
        for n, title in enumerate(_TITLES):
            body = {"schemas": [_USER], "userName": address(n), "externalId": f"e-{n}", "title": title}
            made.append((await self.push("POST", "/Users", body | {"active": True}))["id"])
        return made

    @property
    def path(self) -> str:
        """The directory in the REST API."""
        return f"/directories/{self._stage.directories[0].id}"

    async def settled(self, path: str, method: str = "GET", body: Any = None) -> dict[str, Any]:
        """Wait until a job says that it is over, whoever works on it; return it."""

        async def found() -> dict[str, Any] | None:
            job = await self.call(method, path, body)
            return job if job["state"] == "complete" else None

        job = await wait_until(found, _DEADLINE, reason="a job that is over")
        return dict(job or {})

    async def events(self, *types: str) -> list[dict[str, Any]]:
        """Return the log, or what it holds of some types, once nothing comes any more."""
        log = await self._stage.reader.still_log()
        assert list(check_log(log)) == []
        page = msgspec.json.decode(await self._stage.reader.get("/events", {"limit": "100"}))
        assert page["list_metadata"]["after"] is None
        return [event for event in page["data"] if not types or event["event"] in types]

    async def judged(self) -> list[str]:
        """Return what is wrong with the log, and with what is shown in comparison."""
        return (await self._stage.judge())[0]

    async def people(self) -> dict[str, dict[str, Any]]:
        """Return the people of the directory by user name."""
        found = await self._stage.reader.objects("/directory_users", self._stage.directories[0].id)
        return {user["username"]: user for user in found}


def address(n: int) -> str:
    return f"p{n}@northwind.example"


@pytest.fixture
async def relay(engine_kind: EngineKind, database_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    async with rig(Context(engine_kind, Size.SHORT, tmp_path, database_url)) as stage:
        stage.settings |= {"test_lease_seconds": _LEASE, "test_step": _STEP, "log_level": "info"}
        yield Relay(stage)


async def test_everybody_is_evaluated_once_whoever_dies_meanwhile(relay: Relay) -> None:
    """New rules, and a new attribute; a provider goes on pushing."""
    await relay.starts("reevaluation.before_commit=exit@2")
    ids = await relay.furnish()
    await relay.call("POST", "/authorization/roles", {"slug": "planner", "name": "Planner"})
    condition = {"kind": "attribute", "subject": "job_title", "operator": "equals", "value": "Planner"}
    rules = {"rules": [{"condition": condition, "role": "planner"}]}
    await relay.call_that_kills("PUT", f"{relay.path}/role_rules", rules)
    await relay.starts("reevaluation.before_commit=exit@2")
    pushing = asyncio.gather(relay.retitle(ids[0], "Pilot"), relay.retitle(ids[-1], "Planner"))
    await relay.dies()
    await relay.starts()
    await pushing
    job = await relay.settled(f"{relay.path}/reevaluation")
    assert job["done"] == len(_TITLES)
    assert await relay.judged() == []
    roles = {name: (user["job_title"], user["role"]["slug"]) for name, user in (await relay.people()).items()}
    titles = ["Pilot", *_TITLES[1:-1], "Planner"]
    assert roles == {
        address(n): (title, "planner" if title == "Planner" else "member") for n, title in enumerate(titles)
    }
    updates = await relay.events("dsync.user.updated")
    gained = [one for one in updates if one["data"]["previous_attributes"].get("role", one) is None]
    assert Counter(one["data"]["username"] for one in gained) == dict.fromkeys(roles, 1)

    await relay.call("POST", "/attributes", {"key": "site", "sources": [{"value": "Harbour"}]})
    await relay.is_killed()
    await relay.starts()
    assert (await relay.settled(f"{relay.path}/reevaluation"))["done"] == len(_TITLES)
    assert await relay.judged() == []
    assert {user["custom_attributes"]["site"] for user in (await relay.people()).values()} == {"Harbour"}
    later = (await relay.events("dsync.user.updated"))[len(updates) :]
    assert Counter(one["data"]["username"] for one in later) == dict.fromkeys(roles, 1)
    assert {"custom_attributes"} == {
        key for one in later for key in one["data"]["previous_attributes"] if key != "updated_at"
    }


async def test_a_reconciliation_finds_and_tells_everything_once_whoever_dies_meanwhile(relay: Relay) -> None:
    await relay.starts("reconciliation.after_batch=exit@3")
    ids = await relay.furnish()
    await relay.push("DELETE", f"/Users/{ids[0]}")
    stale, missing = range(1, 9), range(9, 11)
    rows: list[dict[str, Any]] = [{"email": address(n), "job_title": "Trainee"} for n in stale]
    rows += [{"email": address(0), "job_title": "Planner"}, {"email": address(11), "job_title": "Pilot"}]
    rows.append({"email": "stranger@elsewhere.example", "job_title": None})
    made = await relay.call("POST", f"{relay.path}/reconcile", {"upload": True})
    path = f"{relay.path}/reconciliations/{made['id']}"
    await relay.call("POST", f"{path}/rows", {"users": rows})
    await relay.call_that_kills("POST", f"{path}/start")
    await relay.starts("reconciliation.before_commit=exit@2")
    await relay.settled(path)
    found = (await relay.call("GET", f"{path}/findings?limit=100"))["data"]
    assert Counter((one["class"], one["email"]) for one in found) == Counter(
        [
            ("gone_but_active", address(0)),
            *(("stale_profile", address(n)) for n in stale),
            *(("missing", address(n)) for n in missing),
            ("extra", "stranger@elsewhere.example"),
        ]
    )
    before = await relay.events()

    await relay.call_that_kills("POST", f"{path}/correct", {"class": "stale_profile"})
    await relay.starts("reconciliation.after_events=exit@1")
    await relay.dies()
    await relay.starts()
    for drift, count in (("stale_profile", len(stale)), ("missing", len(missing)), ("gone_but_active", 1)):
        told = await relay.settled(f"{path}/correct", "POST", {"class": drift})
        assert (told["emitted"], told["skipped"]) == (count, {}), drift
    after = (await relay.events())[len(before) :]
    assert {one["context"]["actor"]["id"] for one in after} == {made["id"]}
    assert Counter((one["event"], one["data"]["email"]) for one in after) == Counter(
        [
            *(("dsync.user.updated", address(n)) for n in stale),
            *(("dsync.user.created", address(n)) for n in missing),
            ("dsync.user.deleted", address(0)),
        ]
    )
    for one in after[: len(stale)]:
        number = int(one["data"]["username"].partition("@")[0].removeprefix("p"))
        assert one["data"]["job_title"] == _TITLES[number]
        assert one["data"]["previous_attributes"]["job_title"] == "Trainee"


async def test_an_erasure_goes_on_whoever_dies_meanwhile(relay: Relay, database_url: str) -> None:
    await relay.starts("erasure.after_delete=exit@1")
    ids = await relay.furnish()
    ida = (await relay.push("POST", "/Users", {"schemas": [_USER], "userName": _IDA, "active": True}))["id"]
    members = [{"value": id_} for id_ in (ida, ids[0])]
    await relay.push("POST", "/Groups", {"schemas": [_GROUP], "displayName": "Dispatch", "members": members})
    before = await relay.events()
    leave_remains(database_url)
    path = f"/directory_users/directory_user_{ida}/erase"
    await relay.call_that_kills("POST", path, {"delete": True})
    for point in ("before_commit=exit@3", "before_scrub=exit@1"):
        await relay.starts(f"erasure.{point}")
        await relay.dies()
    await relay.starts()

    async def is_gone() -> bool:
        return not await found_in(database_url, (_IDA,))

    await wait_until(is_gone, _DEADLINE, reason="an address that is nowhere any more")
    erased = await relay.settled(path, "POST")
    assert erased["erased"]["people"] == 1
    after = await relay.events()
    for was, now in zip(before, after, strict=False):
        assert was == now or (was["id"] == now["id"] and now["data"].get("user", now["data"])["erased"])
    assert [one["event"] for one in after[len(before) :]] == [
        "dsync.group.user_removed",
        "dsync.user.deleted",
    ]
    theirs = [one for one in after if one["data"].get("user", one["data"]).get("erased")]
    assert erased["erased"]["events"] == len(theirs) == 4
    assert await found_in(database_url, (address(0),)), "everybody else is as before"
    assert set(await relay.people()) == {address(n) for n in range(len(_TITLES))}
