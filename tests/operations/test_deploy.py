"""The files in deploy/ name settings, commands and addresses that exist, and systemd accepts its units."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # nothing here depends on its types

from scripts.docs_site.commands import commands
from syncline.config import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
FILES = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file()]
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
_SETTING = re.compile(rf"{PREFIX}([A-Z_]+)")
_PROBES = {"/health/live", "/health/ready"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_exists(path: Path) -> None:
    known = {name.upper() for name in Settings.model_fields}
    for name in _SETTING.findall(path.read_text("utf-8")):
        assert name in known or name.removesuffix("_FILE") in known, name


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """What the units run is not installed where the tests run, so something that is there stands for it."""
    assert len(UNITS) == 4
    for unit in UNITS:
        text = unit.read_text("utf-8")
        [command] = re.findall(r"^ExecStart=/opt/syncline/\.venv/bin/syncline (\w+)", text, re.MULTILINE)
        assert command in commands()
        (tmp_path / unit.name).write_text(text.replace("/opt/syncline/.venv/bin/syncline", "/bin/true"))
    instances = [str(tmp_path / unit.name.replace("@.", "@8000.")) for unit in UNITS]
    program = shutil.which("systemd-analyze")
    if program is not None:
        done = subprocess.run([program, "verify", *instances], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def manifests() -> Iterator[dict[str, Any]]:
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text("utf-8"))


def test_manifests_run_commands_and_probe_addresses_that_exist() -> None:
    names = {one["metadata"]["name"] for one in manifests()}
    pods = [one["spec"]["template"] for one in manifests() if "template" in one.get("spec", {})]
    assert len(pods) == 3
    for pod in pods:
        [container] = pod["spec"]["containers"]
        assert container["args"][0] in commands()
        assert {source["configMapRef"]["name"] for source in container["envFrom"]} <= names
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}
        ports = {port["name"] for port in container.get("ports", ())}
        for probe in ("livenessProbe", "readinessProbe"):
            if probe in container:
                assert container[probe]["httpGet"]["path"] in _PROBES
                assert container[probe]["httpGet"]["port"] in ports


def test_selectors_find_the_pods() -> None:
    labels = [
        one["spec"]["template"]["metadata"]["labels"]
        for one in manifests()
        if "template" in one.get("spec", {})
    ]
    for one in manifests():
        wanted = one.get("spec", {}).get("selector")
        if wanted is not None:
            assert wanted.get("matchLabels", wanted) in labels, one["metadata"]["name"]


def test_the_image_is_made_of_files_that_exist() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text("utf-8")
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert "src" in copied
    for source in copied:
        assert (ROOT / source).exists(), source
    # What the package is built from must be there when it is built.
    assert {"README.md", "LICENSE", "pyproject.toml"} <= set(copied)
