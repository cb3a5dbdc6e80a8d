"""What attributes and role rules cost a push: `python -m benchmarks.access_writes`.

The same provisioning as in `scripts/bench`, and its PATCH of a profile, on one server, in turns: without
anything defined, and with 10 custom attributes and 50 role rules. The figure is the ratio within each turn.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from statistics import median
from typing import Any

import httpx

from benchmarks import machine
from benchmarks.http import Connection
from benchmarks.subjects import OURS, Subject
from benchmarks.workloads import Bench, People

_ATTRIBUTES, _RULES, _GROUPS = 10, 50, 40
_ROLES = ("admin", "manager", "editor", "reader")
_LOSS = 0.10
_PATIENCE = 120.0
_PATHS = (
    "title",
    "displayName",
    "preferredLanguage",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
    "name.familyName",
    "name.givenName",
    'emails[type eq "work"].value',
    'phoneNumbers[type eq "mobile"].value',
    "userType",
)


def main(arguments: list[str]) -> int:
    """Measure both databases and print Markdown; 1 when more than a tenth is lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.access_writes", description=__doc__)
    parser.add_argument("--count", type=int, default=1_500)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--databases", nargs="+", default=list(OURS))
    given = parser.parse_args(arguments)
    print(
        f"{machine.description()}\n\n| database | work | without /s | with /s | kept |\n|---|---|---|---|---|"
    )
    worst = 1.0
    for name in given.databases:
        with OURS[name]() as subject:
            for work, pairs in asyncio.run(_measure(subject, given.count, given.turns)).items():
                kept = median(with_ / without for without, with_ in pairs)
                without, with_ = (median(pair[side] for pair in pairs) for side in (0, 1))
                print(f"| {name} | {work} | {without:.0f} | {with_:.0f} | {kept:.2f} |", flush=True)
                worst = min(worst, kept)
    return 1 if worst < 1 - _LOSS else 0


async def _measure(subject: Subject, count: int, turns: int) -> dict[str, list[tuple[float, float]]]:
    """Return for each work the rates without and with rules, turn by turn."""
    bench = Bench(subject, People(), _PATIENCE)
    found: dict[str, list[tuple[float, float]]] = {"provision, 8 connections": [], "PATCH, 8 connections": []}
    async with httpx.AsyncClient(
        base_url=subject.url, headers={"Authorization": f"Bearer {subject.api_key}"}, timeout=60
    ) as client:
        directory = (await _ok(client, "GET", "/directories"))["data"][0]["id"]
        groups = await _groups(subject)
        for slug in _ROLES:
            await _ok(client, "POST", "/authorization/roles", {"slug": slug, "name": slug.title()})
        await _load(bench, count // 2)
        for turn in range(turns):
            plain = await _load(bench, count)
            await _define(client, directory, groups)
            ruled = await _load(bench, count)
            await _forget(client, directory)
            # What grows makes the later run slower: every second turn is taken the other way round.
            if turn % 2:
                plain = await _load(bench, count)
            for work in found:
                found[work].append((plain[work], ruled[work]))
    return found


async def _load(bench: Bench, count: int) -> dict[str, float]:
    provisioned = await bench.provision(count, 8)
    # Not of the state: in every second turn most people would have it already, and nothing would change.
    patched = await bench.patch(count, 8, "entra")
    for figure in (provisioned, patched):
        if figure.wrong:
            raise RuntimeError(f"wrong answers or effects: {figure.wrong}")
    return {
        "provision, 8 connections": provisioned.per_second,
        "PATCH, 8 connections": patched.per_second,
    }


async def _groups(subject: Subject) -> list[str]:
    connection = Connection(subject.base_url, subject.token)
    schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"]
    made = [
        (await connection.request("POST", "/Groups", {"schemas": schemas, "displayName": f"G {n}"})).json()
        for n in range(_GROUPS)
    ]
    connection.close()
    return [str(group["id"]) for group in made]


async def _define(client: httpx.AsyncClient, directory: str, groups: list[str]) -> None:
    for number, path in enumerate(_PATHS[:_ATTRIBUTES]):
        body = {"key": f"field_{number}", "type": "string", "sources": [{"path": path}]}
        await _ok(client, "POST", "/attributes", body)
    conditions: list[dict[str, Any]] = [
        {"kind": "group", "subject": f"directory_group_{group}"} for group in groups
    ]
    conditions += [
        {"kind": "attribute", "subject": f"field_{n}", "operator": "equals", "value": "Clerk"}
        for n in range(_RULES - len(groups))
    ]
    rules = [{"condition": condition, "role": _ROLES[n % 4]} for n, condition in enumerate(conditions)]
    await _ok(client, "PUT", f"/directories/{directory}/role_rules", {"rules": rules})
    await _settled(client, directory)


async def _forget(client: httpx.AsyncClient, directory: str) -> None:
    await _ok(client, "DELETE", f"/directories/{directory}/role_rules")
    for attribute in (await _ok(client, "GET", "/attributes?limit=100"))["data"]:
        await _ok(client, "DELETE", f"/attributes/{attribute['id']}")
    await _settled(client, directory)


async def _settled(client: httpx.AsyncClient, directory: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while (await _ok(client, "GET", f"/directories/{directory}/reevaluation"))["state"] != "complete":
        if time.monotonic() > deadline:
            raise RuntimeError("people were not evaluated in time")
        await asyncio.sleep(0.2)


async def _ok(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    answer = await client.request(method, path, json=body)
    if answer.status_code >= 400:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json() if answer.content else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
