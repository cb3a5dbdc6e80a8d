"""What exists in the code is in the reference, and what the reference names exists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import pytest
import typer
from pydantic.fields import FieldInfo

from scripts.docs_site import commands, events, reference
from scripts.docs_site.codes import ANY, found
from scripts.docs_site.markdown import slug
from syncline.config import Settings
from syncline.core.events import CATALOG, Event
from syncline.core.scim.quirks import CATALOG as QUIRKS
from syncline.providers.registry import PROFILES
from syncline.web.api.app import ROUTES
from syncline.web.api.openapi import document
from tests.docs.pages import Site

_ROW = re.compile(
    r"^\|(?: <span id=\"(?P<id>[\w-]+)\"></span>)? ?`(?P<code>\w+)` \| (?P<status>[\d, ]+) \|", re.MULTILINE
)
_SCIM_ROW = re.compile(r"^\| (\d{3}) \| (?:`(\w+)`)? ?\| (.+?) \| (.*?) ?\|$", re.MULTILINE)
_SUFFIX = re.compile(r"^\| `<field>(_\w+)` \|", re.MULTILINE)


def test_every_setting(site: Site) -> None:
    page = site.page("configuration/")
    for name in Settings.model_fields:
        assert reference.setting_name(name) in page.codes
        assert slug(name) in page.ids


def test_every_event_type_with_an_example(site: Site) -> None:
    page = site.page("reference/events/")
    for name in CATALOG:
        assert slug(name) in page.ids
        assert page.text.count(f'"event": "{name}"') == 1


def test_every_quirk(site: Site) -> None:
    page = site.page("reference/quirks/")
    for id_, quirk in QUIRKS.items():
        assert id_.lower() in page.ids
        assert quirk.text.split("`")[0] in page.text


def test_every_command_and_option(site: Site) -> None:
    page = site.page("reference/commands/")
    assert {"up", "serve", "worker", "migrate", "doctor", "version", "keys create"} <= set(
        commands.commands()
    )
    for name, command in commands.commands().items():
        assert slug(name) in page.ids
        for option in commands.options(command):
            assert option in page.codes, f"{name} {option}"


def test_every_metric_under_the_name_it_is_shown_with(site: Site) -> None:
    page = site.page("reference/metrics/")
    assert len(reference.collectors()) > 15
    for collector in reference.collectors():
        assert reference.metric_name(collector) in page.codes


def test_every_provider_has_a_page(site: Site) -> None:
    overview = site.page("providers/")
    for profile in PROFILES:
        page = site.page(f"providers/{slug(profile.label)}/")
        assert profile.type in page.codes
        assert set(profile.quirks) <= page.codes
        assert profile.type in overview.codes


def test_every_call_with_its_scope_parameters_and_refusals(site: Site) -> None:
    overview = site.page("reference/api/")
    for route in ROUTES:
        assert f"{route.method} {route.path}" in overview.codes
        page = site.page(f"reference/api/{slug(route.segments[0])}/")
        assert f"{route.method} {route.path}" in page.codes
        assert {parameter.name for parameter in route.query} <= page.codes
        assert {code for _, code in route.refusals} <= page.codes


def test_every_part_of_the_openapi_document_is_explained() -> None:
    made = document(ROUTES, version="1", base_url="https://x.example")
    for name, schema in made["components"]["schemas"].items():
        assert schema.get("description"), name
        assert ".md" not in schema["description"], name
        for key, part in schema.get("properties", {}).items():
            assert part.get("description"), f"{name}.{key}"
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                assert parameter["description"], f"{method} {path} {parameter['name']}"
    assert all(tag["description"] for tag in made["tags"])


@dataclass(frozen=True, slots=True)
class Documented:
    """The errors page, read as tables."""

    codes: Mapping[str, set[int]]
    scim: set[tuple[int, str]]
    suffixes: set[str]


@pytest.fixture(scope="module")
def documented(site: Site) -> Documented:
    text = site.text("reference/errors.md")
    rows = list(_ROW.finditer(text))
    assert all(row["id"] == slug(row["code"]) for row in rows)
    return Documented(
        {row["code"]: {int(part) for part in row["status"].split(",")} for row in rows},
        {(int(row[1]), row[2] or "") for row in _SCIM_ROW.finditer(text)},
        set(_SUFFIX.findall(text)),
    )


def test_every_error_code_with_its_status(documented: Documented) -> None:
    assert len(found().codes) > 25
    for code, statuses in found().codes.items():
        named = [one for one in documented.codes if fnmatch(one, code)]
        assert named, f"{code} is not documented"
        for one in named:
            assert statuses <= documented.codes[one], one


def test_no_error_code_that_nothing_answers(documented: Documented) -> None:
    for code in documented.codes:
        assert any(fnmatch(code, known) for known in found().codes), f"nothing answers {code}"


def test_every_scim_error_and_no_other(documented: Documented) -> None:
    assert documented.scim == found().scim


def test_every_ending_of_a_fields_code(site: Site, documented: Documented) -> None:
    page = site.page("reference/errors/")
    for code in found().field_codes:
        assert any(code.endswith(suffix) for suffix in documented.suffixes), code
        assert ANY in code or code in page.codes


def test_what_calls_say_they_refuse_is_documented_with_that_status(documented: Documented) -> None:
    for route in ROUTES:
        for status, code in route.refusals:
            assert status in documented.codes[code], f"{route.method} {route.path}: {code}"


def test_a_setting_without_a_description_is_refused() -> None:
    with pytest.raises(LookupError, match="secret_door"):
        reference._setting("secret_door", FieldInfo(default=None))


def test_a_command_or_option_without_words_is_refused() -> None:
    app = typer.Typer()

    @app.command()
    def open_door(wide: bool = False) -> None:
        pass

    command: Any = typer.main.get_command(app)
    with pytest.raises(LookupError, match="no docstring"):
        commands._section("open-door", command)
    command.help = "Open the door."
    with pytest.raises(LookupError, match="--wide"):
        commands._section("open-door", command)


def test_an_event_class_without_a_docstring_is_refused() -> None:
    class Silent(Event):
        name = "dsync.silent"

    with pytest.raises(LookupError, match=r"dsync\.silent"):
        events._type(Silent)
