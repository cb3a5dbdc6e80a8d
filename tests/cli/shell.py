"""A developer's shell: runs commands against a Syncline, in this process or as processes of their own."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from syncline import cli
from tests.support.live import Live, Tenant
from tests.support.processes import Process
from tests.support.waiting import wait_until_sync

# A client of its own for each call would read the certificates of the system each time.
_CLIENT = httpx.Client(timeout=30)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON objects it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaint(self) -> str:
        """The one line on standard error of a command that failed."""
        assert self.code != 0, self.out
        [line] = self.err.splitlines()[-1:]
        assert line.startswith("syncline: "), self.err
        assert "Traceback" not in self.err
        return line


@dataclass(frozen=True, slots=True)
class Shell:
    """Commands with the API key of one environment; what they remember is in a folder of the test."""

    live: Live
    tenant: Tenant
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    @property
    def settings(self) -> dict[str, str]:
        """The settings of the commands, without their prefix and in lower case."""
        return {"url": self.live.url, "api_key": self.tenant.api_key, "state": str(self.folder / "state")}

    def run(self, *arguments: str, **settings: str) -> Done:
        """Run a command to its end, in this process."""
        with self.monkeypatch.context() as patch:
            for name, value in (self.settings | settings).items():
                patch.setenv(f"SYNCLINE_{name.upper()}", value)
            patch.setattr(sys, "argv", ["syncline", *arguments])
            self.capsys.readouterr()
            code = 0
            try:
                cli.main()
            except SystemExit as end:
                code = int(end.code or 0)
        printed = self.capsys.readouterr()
        done = Done(code, printed.out, printed.err)
        assert self.tenant.api_key not in done.out + done.err
        return done

    async def aside(self, *arguments: str, **settings: str) -> Done:
        """Run a command to its end beside the event loop of a test."""
        return await asyncio.to_thread(self.run, *arguments, **settings)

    def start(self, *arguments: str, **settings: str) -> Process:
        """Start a command as a process of its own; use it as a context."""
        return Process(self.folder, *arguments, **(self.settings | settings))

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Make a call of the REST API."""
        headers = {"Authorization": f"Bearer {self.tenant.api_key}"}
        answer = _CLIENT.request(method, self.live.url + path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def organizations(self, *names: str) -> list[str]:
        """Make organizations and return the ids of their events, in order."""
        made = [self.api("POST", "/organizations", {"name": name})["id"] for name in names]

        def sealed() -> list[str]:
            page = self.api("GET", "/events?limit=100&events=organization.created")
            found = {event["data"]["id"]: event["id"] for event in page["data"]}
            return [found[id_] for id_ in made if id_ in found]

        wait_until_sync(lambda: len(sealed()) == len(made), reason="the events of organizations")
        return sealed()

    def events(self, *types: str) -> list[str]:
        """Return the ids of all events of some types, oldest first."""
        query = f"/events?limit=100&events={','.join(types)}"
        return [event["id"] for event in self.api("GET", query)["data"]]
