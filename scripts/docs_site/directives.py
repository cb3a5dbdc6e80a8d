"""Lines of a page that stand for something else: what is read from the code, and samples that tests run.

`<!-- generated: NAME words -->` stands for a part of the reference, `<!-- sample: FILE -->` for a file of
tests/docs/samples. `<!-- session: running -->` tells the tests that the page's commands need a Syncline that
runs already; readers never see it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.docs_site import api, commands, events, providers, reference
from scripts.docs_site.markdown import code

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "docs" / "samples"

GENERATORS: Mapping[str, Callable[..., str]] = {
    "api": api.overview,
    "commands": commands.reference,
    "events": events.section,
    "field-codes": reference.field_codes,
    "metrics": reference.metrics,
    "other-events": events.others,
    "providers": providers.overview,
    "quirks": reference.quirk_catalog,
    "scim-attributes": reference.scim_attributes,
    "scim-limits": reference.scim_limits,
    "settings": reference.settings,
}
RUNNING = "<!-- session: running -->\n"
_LANGUAGES = {".py": "python", ".mjs": "js", ".service": "ini"}
_DIRECTIVE = re.compile(r"^( *)<!-- (generated|sample): ([\w./-]+)((?: [\w.*/-]+)*) -->$", re.MULTILINE)


def expand(markdown: str) -> str:
    """Return a page with every directive replaced. Raises `LookupError` for an unknown one."""
    return _DIRECTIVE.sub(_expanded, markdown.replace(RUNNING, ""))


def samples_in(markdown: str) -> list[str]:
    """Return the files of samples that a page shows."""
    return [name for _, kind, name, _ in _DIRECTIVE.findall(markdown) if kind == "sample"]


def _expanded(match: re.Match[str]) -> str:
    indent, kind, name, words = match.groups()
    if kind == "generated":
        if name not in GENERATORS:
            raise LookupError(f"nothing generates '{name}'")
        return GENERATORS[name](*words.split())
    file = SAMPLES / name
    return textwrap.indent(code(_LANGUAGES[file.suffix], file.read_text("utf-8")), indent)
