"""The built site: nothing from another host, no link into nothing, a twin in Markdown for every page."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from tests.docs.pages import HOST, Site, is_foreign, style_references


def test_no_page_loads_anything_from_another_host(site: Site) -> None:
    for address in site.pages():
        page = site.page(address)
        loaded = [*page.loads, *(one for style in page.styles for one in style_references(style))]
        assert loaded, address
        assert [one for one in loaded if is_foreign(one, address)] == [], address


def test_no_stylesheet_loads_anything_from_another_host(site: Site) -> None:
    sheets = list(site.folder.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        assert [one for one in style_references(sheet.read_text("utf-8")) if is_foreign(one)] == [], sheet


def test_no_program_knows_another_host(site: Site) -> None:
    programs = "".join(path.read_text("utf-8") for path in site.folder.rglob("*.js"))
    assert "ResizeObserver" in programs
    named = set(
        re.findall(r"[\"'`](https?://[^\"'`$\s]+)", re.sub(r"/\*.*?\*/", "", programs, flags=re.DOTALL))
    )
    # The names of XML vocabularies are no addresses.
    assert {one for one in named if not one.startswith("http://www.w3.org/")} == set()


@pytest.mark.parametrize(
    ("reference", "foreign"),
    [
        ("https://fonts.example/a.woff", True),
        ("//cdn.example/a.js", True),
        ("../assets/site.css", False),
        ("/assets/site.css", False),
        ("data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>", False),
    ],
)
def test_a_foreign_reference_is_recognized(reference: str, foreign: bool) -> None:
    assert is_foreign(reference, "reference/errors/") is foreign


def test_what_a_stylesheet_loads_is_found() -> None:
    css = "@import 'https://a.example/x.css'; b{background:url( \"https://c.example/y\" )} /* url(no) */"
    assert style_references(css) == ["https://c.example/y", "https://a.example/x.css"]


def test_every_internal_link_and_anchor_leads_somewhere(site: Site) -> None:
    pages = {address: site.page(address) for address in site.pages()}
    checked = 0
    for address, page in pages.items():
        if address == "404.html":
            continue  # it is shown under any address and links from the root
        for link in page.links:
            target = urlsplit(urljoin(f"{HOST}/{address}", link))
            if target.netloc != urlsplit(HOST).netloc or target.scheme not in ("http", "https"):
                continue
            path = unquote(target.path.lstrip("/"))
            if path not in pages:
                assert (site.folder / path).is_file(), f"{address} links to {link}"
            elif target.fragment and target.fragment != "__codelineno":
                assert unquote(target.fragment) in pages[path].ids, f"{address} links to {link}"
            checked += 1
    assert checked > 1000


def test_every_page_has_a_twin_in_markdown_that_llms_txt_lists(site: Site) -> None:
    listed = re.findall(r"\]\(([^)]+\.md)\)", site.text("llms.txt"))
    pages = [address for address in site.pages() if address != "404.html"]
    assert len(listed) == len(set(listed)) == len(pages)
    for path in listed:
        twin = site.text(path)
        assert twin.lstrip().startswith("#"), path
        assert "<!-- generated" not in twin, path
        assert "<!-- sample" not in twin, path
    alternates = [re.search(r'type="text/markdown" href="([^"]+)"', _html(site, one)) for one in pages]
    found = {_resolved(one, match[1]) for one, match in zip(pages, alternates, strict=True) if match}
    assert found == set(listed)


def test_the_search_works_without_anybody_else(site: Site) -> None:
    index = json.loads(site.text("search/search_index.json"))
    locations = {entry["location"] for entry in index["docs"]}
    assert {
        "reference/events/#dsync-user-created",
        "reference/api/directories/#post-directories",
    } <= locations


def _html(site: Site, address: str) -> str:
    return site.text(f"{address}index.html")


def _resolved(address: str, link: str) -> str:
    return urlsplit(urljoin(f"{HOST}/{address}", link)).path.lstrip("/")
