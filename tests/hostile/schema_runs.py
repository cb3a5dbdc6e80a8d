"""Schemathesis against a running Syncline: what OpenAPI says of the REST API, and SCIM without a fault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.requests import Target
from tests.hostile.scim_openapi import document

# A value may be of the type that the document says and still be no id of that kind, no plain text or no
# public address: then it is refused with 422, which this check takes for a defect.
_NOT_ASKED = "positive_data_acceptance"


@dataclass(frozen=True)
class Effort:
    """How much to try: examples for each operation, the phases of Schemathesis, and a seed.

    Without a seed the same inputs are tried each time.
    """

    examples: int
    phases: str = "examples,coverage,fuzzing,stateful"
    seed: int | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether nothing was found, and what Schemathesis printed."""

    passed: bool
    output: str


def check_rest(url: str, target: Target, folder: Path, effort: Effort) -> Verdict:
    """Hold the REST API to its own document, with every check but one."""
    checks = ("--checks", "all", "--exclude-checks", _NOT_ASKED)
    return _run(folder, effort, f"{url}/openapi.json", target.api_key, *checks)


def check_scim(url: str, target: Target, folder: Path, effort: Effort) -> Verdict:
    """Look for faults in SCIM 2.0 and 1.1."""
    bases = [f"/scim/{version}/{target.scim_key}" for version in ("v2", "v1")]
    written = folder / "scim.json"
    written.write_text(json.dumps(document(bases)))
    options = ("--url", url, "--checks", "not_a_server_error")
    return _run(folder, effort, str(written), target.scim_token, *options)


def _run(folder: Path, effort: Effort, location: str, token: str, *options: str) -> Verdict:
    # Beside the interpreter, as pip puts it.
    program = Path(sys.executable).parent / "schemathesis"
    command = [
        *(str(program), "run", location, *options),
        *("-H", f"Authorization: Bearer {token}", "--phases", effort.phases),
        *("--max-examples", str(effort.examples)),
        *(("--seed", str(effort.seed)) if effort.seed is not None else ("--generation-deterministic",)),
        *("--continue-on-failure", "--no-color", "--warnings", "off"),
        *("--suppress-health-check", "all", "--request-timeout", "30"),
    ]
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return Verdict(ended.returncode == 0, ended.stdout + ended.stderr)
