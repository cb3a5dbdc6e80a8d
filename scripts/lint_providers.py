"""Forbids provider names as string literals outside `syncline/providers`.

The mistake it prevents: `if directory.provider == "…"` somewhere in the write path. Such a line helps the
one tenant whose traffic was looked at, misses the same dialect under another name, and is found by nobody
who adds the next provider. A difference between providers is a quirk that the core applies to everybody,
or a field of the provider's profile.

Prose may name providers: docstrings, and texts of more than a few words, which nobody compares with anything.
The texts of the portal, the simulators in `testing` and the tests are exempt.

Usage: python scripts/lint_providers.py [FILE OR FOLDER …]     (default: src/syncline)
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "syncline"

# Below the package: where provider names are at home.
EXEMPT = ("providers", "testing", "web/portal", "web/templates")

# A literal of more words is a sentence for people.
LONGEST_NAME = 4

NAMES = frozenset(
    [
        "authentik",
        "azure",
        "bamboohr",
        "breathe_hr",
        "breathehr",
        "cezanne",
        "cyberark",
        "duo",
        "entra",
        "fourth_hr",
        "google",
        "gsuite",
        "gusto",
        "hibob",
        "jump_cloud",
        "jumpcloud",
        "keycloak",
        "microsoft",
        "okta",
        "onelogin",
        "oracle",
        "people_hr",
        "peoplehr",
        "personio",
        "pingfederate",
        "pingone",
        "rippling",
        "sailpoint",
        "workday",
    ]
)


@dataclass(frozen=True, order=True)
class Finding:
    """One literal that names a provider where none may be named."""

    path: Path
    line: int
    literal: str
    name: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: provider name {self.name!r} in the literal {self.literal!r}"


def known_names(package: Path = PACKAGE) -> frozenset[str]:
    """Return the names above and those of the profiles, one file each, that were added since."""
    profiles = {path.stem for path in (package / "providers").glob("*.py") if not path.stem.startswith("_")}
    return NAMES | (profiles - {"base", "generic", "profile", "registry"})


def findings(source: str, path: Path, names: Iterable[str]) -> Iterator[Finding]:
    """Yield the literals of one module that name a provider."""
    tree = ast.parse(source, filename=str(path))
    prose = {id(text) for text in _docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            name = _provider_in(node.value, names)
            if name is not None:
                yield Finding(path, node.lineno, node.value, name)


def is_exempt(path: Path, package: Path = PACKAGE) -> bool:
    """Tell whether a file lies where provider names are at home."""
    resolved = path.resolve()
    return any(resolved.is_relative_to(package / folder) for folder in EXEMPT)


def _provider_in(literal: str, names: Iterable[str]) -> str | None:
    if len(literal.split()) > LONGEST_NAME:
        return None
    padded = f" {' '.join(re.findall(r'[a-z0-9]+', literal.lower()))} "
    return next((name for name in sorted(names) if f" {name.replace('_', ' ')} " in padded), None)


def _docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield every string that stands alone as a statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def _modules(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [place]


def main(arguments: list[str]) -> int:
    """Print what was found; the exit code says whether there was anything."""
    names = known_names()
    found = [
        finding
        for path in _modules([Path(argument) for argument in arguments] or [PACKAGE])
        if not is_exempt(path)
        for finding in findings(path.read_text("utf-8"), path, names)
    ]
    for finding in sorted(found):
        print(finding)
    if found:
        print("Make it a quirk of the core or a field of a profile in syncline/providers.", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
