"""Each suite as a function of a running directory of its own, because several read the first user they find.

Every release of a suite checks other things, so all are pinned.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

from tests.conformance.okta import play

_BIN = Path(sys.executable).parent
_ROOT = Path(__file__).parents[2]
_CANAILLE_FOLDER = Path(__file__).parent / "canaille"
CANAILLE = _CANAILLE_FOLDER / ".venv" / "bin" / "python"
"""The Python of Canaille's environment, which `tests/conformance/canaille/install` makes."""
_CORE_V1 = "urn:scim:schemas:core:1.0"
_SIMULATION = """
from scim_sim.groups.groups import add_user_to_group, create_group, delete_group, remove_user_from_group
from scim_sim.users.users import add_user, remove_user

first, second, group = add_user(), add_user(), create_group("Night shift")
assert first and second and group
assert add_user_to_group(first, group) and add_user_to_group(second, group)
assert remove_user_from_group(first, group)
delete_group(group)
remove_user(first)
print(second)
"""


@dataclass(frozen=True, slots=True)
class Target:
    """An empty directory: its SCIM 2.0 and 1.1 addresses and a bearer token."""

    base: str
    base_v1: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """The authentication of a request."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a suite found: checks passed and required, what was wrong, what is missing of the optional."""

    passed: int
    required: int
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing failed and as much was checked as must be."""
        return not self.problems and self.passed >= self.required


Suite = Callable[[Target], Outcome]


def _apart(suite: Suite, target: Target) -> Outcome:
    """Run a suite of scim2-models in a process of its own.

    For every class that is made, pydantic compares frames of the stack with every loaded module. A test
    process has thousands, so that this took much of the suite's time, and of every worker's start.
    """
    program = (
        "import json, sys; from tests.conformance import suites\n"
        f"found = suites.{suite.__name__}(suites.Target(*sys.argv[1:]))\n"
        "print(json.dumps([found.passed, found.required, list(found.problems), list(found.notes)]))"
    )
    given = (target.base, target.base_v1, target.token)
    done = _run([sys.executable, "-c", program, *given], PYTHONPATH=str(_ROOT))
    if done.returncode:
        return Outcome(0, 1, [done.stderr[-500:]])
    return Outcome(*json.loads(done.stdout.splitlines()[-1]))


def scim2_tester(target: Target) -> Outcome:
    """Generate traffic from the announced schemas; every line must be SUCCESS."""
    return _apart(_scim2_tester, target)


def _scim2_tester(target: Target) -> Outcome:
    import httpx2
    from scim2_client.engines.httpx2 import SyncSCIMClient
    from scim2_tester import Status, check_server

    with httpx2.Client(base_url=target.base, headers=target.headers, timeout=30) as http:
        client = SyncSCIMClient(http)
        client.discover()
        results = list(check_server(client))
    good = [result for result in results if result.status is Status.SUCCESS]
    bad = [f"{r.title}: {r.status.name} {r.reason}" for r in results if r.status is not Status.SUCCESS]
    return Outcome(len(good), 130, bad)


def scim_sanity(target: Target) -> Outcome:
    """Probe in strict mode, where a 204 to a PATCH is a failure; three phases are about other resources."""
    command = [str(_BIN / "scim-sanity"), "probe", target.base, "--token", target.token]
    done = _run([*command, "--i-accept-side-effects", "--json-output"])
    summary = json.loads(done.stdout)["summary"]
    counted = ("failed", "warnings", "errors")
    bad = [f"{summary[name]} {name}" for name in counted if summary[name]]
    if summary["skipped"] != 3:
        bad.append(f"{summary['skipped']} skipped")
    return Outcome(summary["passed"], 28, bad)


def scim_sim(target: Target) -> Outcome:
    """Let a small directory simulator add people to a group, and look what is left."""
    with tempfile.TemporaryDirectory() as home:
        settings = {"SCIM_BASE_URL": target.base, "SCIM_AUTH_TOKEN": target.token}
        (Path(home) / ".scim_config.json").write_text(json.dumps(settings))
        done = _run([sys.executable, "-c", _SIMULATION], HOME=home)
    if done.returncode:
        return Outcome(0, 9, [done.stderr[-500:]])
    stayed = done.stdout.split()[-1]
    users = httpx.get(f"{target.base}/Users", headers=target.headers).json()
    groups = httpx.get(f"{target.base}/Groups", headers=target.headers).json()
    found = [user["id"] for user in users["Resources"]]
    bad = [] if found == [stayed] or not found else [f"users left: {found}"]
    if groups["totalResults"]:
        bad.append("the group is still there")
    return Outcome(9, 9, bad)


def slack_scim(target: Target) -> Outcome:
    """Drive a real SCIM 1.1 client through the life of a user and a group."""
    from slack_scim import SCIMClient

    client = SCIMClient(token=target.token, base_url=target.base_v1)
    name = "ines.okafor@northwind.example"
    steps = _Steps()
    steps.note("ServiceProviderConfigs", client.get_service_provider_configs() is not None)
    body = {
        "schemas": [_CORE_V1],
        "userName": name,
        "name": {"givenName": "Ines", "familyName": "Okafor"},
        "emails": [{"value": name, "type": "work", "primary": True}],
        "active": True,
    }
    user = client.create_user(body)
    steps.note("create a user", bool(user.id))
    steps.note("read the user", client.read_user(user.id).user_name == name)
    found = client.search_users(filter=f'userName Eq "{name}"', count=2, start_index=1).resources
    steps.note("find the user", [each.id for each in found] == [user.id])
    for active in (False, True):
        client.patch_user(user.id, {"schemas": [_CORE_V1], "active": active})
        steps.note(f"PATCH active {active}", client.read_user(user.id).active is active)
    client.update_user(user.id, {**body, "title": "Miller"})
    steps.note("PUT the user", client.read_user(user.id).title == "Miller")

    def members() -> list[str]:
        return [member.value for member in client.read_group(group.id).members or []]

    def patch_members(entry: Mapping[str, str]) -> None:
        client.patch_group(group.id, {"schemas": [_CORE_V1], "members": [dict(entry)]})

    group = client.create_group(
        {"schemas": [_CORE_V1], "displayName": "Mill crew", "members": [{"value": user.id}]}
    )
    steps.note("create a group", bool(group.id))
    steps.note("read the group", members() == [user.id])
    patch_members({"value": user.id, "operation": "delete"})
    steps.note("remove the member", members() == [])
    patch_members({"value": user.id})
    steps.note("add the member", members() == [user.id])
    client.patch_group(group.id, {"schemas": [_CORE_V1], "displayName": "Night crew"})
    renamed = client.read_group(group.id).display_name == "Night crew"
    steps.note("rename the group, members stay", renamed and members() == [user.id])
    client.delete_group(group.id)
    steps.note("delete the group", _status(target.base_v1, f"/Groups/{group.id}", target) == 404)
    client.delete_user(user.id)
    steps.note("delete the user", _status(target.base_v1, f"/Users/{user.id}", target) == 404)
    return steps.outcome(14)


def typed_client(target: Target) -> Outcome:
    """Let a client that validates every answer against the announced models write, read and search."""
    return _apart(_typed_client, target)


def _typed_client(target: Target) -> Outcome:
    import httpx2
    from scim2_client.engines.httpx2 import SyncSCIMClient

    steps = _Steps()
    with httpx2.Client(base_url=target.base, headers=target.headers, timeout=30) as http:
        client = SyncSCIMClient(http)
        client.discover()
        user_model: Any = client.get_resource_model("User")
        group_model: Any = client.get_resource_model("Group")
        made: Any = client.create(user_model(user_name="noor.haddad@northwind.example", title="Baker"))
        steps.note("create", made.user_name == "noor.haddad@northwind.example")
        made.title = "Head baker"
        replaced: Any = client.replace(made)
        steps.note("replace", replaced.title == "Head baker")
        read: Any = client.query(user_model, made.id)
        steps.note("read", read.title == "Head baker")
        members = [group_model.get_field_root_type("members")(value=made.id)]
        group: Any = client.create(group_model(display_name="Ovens", members=members))
        steps.note("create a group", [member.value for member in group.members] == [made.id])
        listed: Any = client.query(user_model)
        steps.note("list", listed.total_results == 1)
        client.delete(user_model, made.id)
        left: Any = client.query(group_model, group.id)
        steps.note("members leave with the person", not left.members)
    return steps.outcome(6)


def canaille(target: Target) -> Outcome:
    """Let an identity provider with a SCIM client of its own push people and a group."""
    done = _run([CANAILLE, _CANAILLE_FOLDER / "client.py", target.base], SYNCLINE_TOKEN=target.token)
    if done.returncode:
        return Outcome(0, 6, [done.stderr[-500:]])
    checks: dict[str, bool] = json.loads(done.stdout)
    return Outcome(sum(checks.values()), 6, [check for check, good in checks.items() if not good])


def okta_specification(name: str, *, is_v1: bool = False) -> Suite:
    """Return the player of one of Okta's own files; what fails of its optional steps is only noted."""

    def run(target: Target) -> Outcome:
        folder = Path(os.environ["SYNCLINE_OKTA_TESTS"])
        played = play(
            json.loads((folder / name).read_text(encoding="utf-8")),
            target.base_v1 if is_v1 else target.base,
            target.token,
            core=_CORE_V1 if is_v1 else "urn:ietf:params:scim:schemas:core:2.0:User",
        )
        return Outcome(played.passed, played.required, played.problems, played.optional_problems)

    return run


PYPI: Mapping[str, Suite] = {
    "scim2-tester": scim2_tester,
    "scim-sanity": scim_sanity,
    "slack-scim": slack_scim,
    "scim-sim": scim_sim,
    "scim2-client": typed_client,
}
"""Suites that install from PyPI, by the name of their distribution."""

OKTA: Mapping[str, Suite] = {
    "Okta-SCIM-20-SPEC-Test.json": okta_specification("Okta-SCIM-20-SPEC-Test.json"),
    "Okta-SCIM-20-SPEC-Test-old.json": okta_specification("Okta-SCIM-20-SPEC-Test-old.json"),
    "Okta-SCIM-11-SPEC-Test.json": okta_specification("Okta-SCIM-11-SPEC-Test.json", is_v1=True),
}
"""Okta's published tests, which are Okta's text: `SYNCLINE_OKTA_TESTS` names the folder that holds them."""


def version_of(suite: str) -> str:
    """Return the version of a suite from PyPI."""
    return version(suite)


def version_of_canaille() -> str:
    """Return the version that Canaille's environment is pinned to."""
    pins = (_CANAILLE_FOLDER / "requirements.txt").read_text(encoding="utf-8")
    return next(line.partition("==")[2] for line in pins.splitlines() if line.startswith("canaille["))


class _Steps:
    def __init__(self) -> None:
        self._passed = 0
        self._problems: list[str] = []

    def note(self, step: str, good: bool) -> None:
        if good:
            self._passed += 1
        else:
            self._problems.append(step)

    def outcome(self, required: int) -> Outcome:
        return Outcome(self._passed, required, self._problems)


def _status(base: str, path: str, target: Target) -> int:
    return httpx.get(f"{base}{path}", headers=target.headers).status_code


def _run(command: Sequence[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
