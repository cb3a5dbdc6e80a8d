"""The lint rule that keeps provider names out of the product's logic."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lint_providers import PACKAGE, findings, is_exempt, known_names


def lint(source: str) -> list[str]:
    return [found.name for found in findings(source, Path("module.py"), known_names())]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('if provider == "okta": pass', "okta"),
        ('KIND = "Okta SCIM v2.0"', "okta"),
        ('match kind:\n    case "entra_id": pass', "entra"),
        ('value = f"{prefix}-onelogin"', "onelogin"),
        ('names = {"jump cloud scim v2.0"}', "jump_cloud"),
        ('header.startswith("Okta-SCIM-Client/1.0")', "okta"),
    ],
)
def test_a_provider_name_in_code_is_found(source: str, name: str) -> None:
    assert lint(source) == [name]


@pytest.mark.parametrize(
    "source",
    [
        '"""Okta sends this as text."""',
        'def f() -> None:\n    """Okta."""',
        'quirk("E-05", "Booleans arrive as text from Entra and from several others.")',
        'name = "generic"',
        'word = "duologue"',
        "okta = 1",
    ],
)
def test_prose_and_other_words_are_not(source: str) -> None:
    assert lint(source) == []


def test_a_new_profile_teaches_the_rule_its_name(tmp_path: Path) -> None:
    (tmp_path / "providers").mkdir()
    (tmp_path / "providers" / "acme_people.py").touch()
    names = known_names(tmp_path)
    assert [found.name for found in findings('x == "acme people"', Path("m.py"), names)] == ["acme_people"]


@pytest.mark.parametrize(
    ("place", "exempt"),
    [
        ("providers/okta.py", True),
        ("web/portal/texts.py", True),
        ("web/scim/users.py", False),
        ("cli.py", False),
    ],
)
def test_only_the_rooms_where_providers_are_at_home_are_exempt(place: str, exempt: bool) -> None:
    assert is_exempt(PACKAGE / place) is exempt
