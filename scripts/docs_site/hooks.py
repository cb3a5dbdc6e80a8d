"""What MkDocs calls while it builds: generated pages, navigation by pattern, Markdown twins, llms.txt."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation, Section
from mkdocs.structure.pages import Page

from scripts.docs_site import api, providers
from scripts.docs_site.directives import expand
from syncline import __version__

# Diagrams, facts about a repository, and a substitute for browsers of the past, none of which is used here.
_FOREIGN = re.compile(r"https://(?:unpkg\.com|api\.github\.com)/")
# MkDocs calls functions of this module; what one build hands from one to the next is here.
_twins: dict[str, str] = {}
_order: list[tuple[str, list[Page]]] = []


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put what a pattern of the navigation matches in its place: a new page needs no line there."""
    _twins.clear()
    docs = Path(config.docs_dir)
    known = sorted(str(path.relative_to(docs)) for path in docs.rglob("*.md"))
    known += [path for path, _ in _generated()]
    config.nav = [_expanded(entry, known) for entry in config.nav or []]
    config.copyright = f"Syncline {__version__}, Apache License 2.0"
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code."""
    for path, text in _generated():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put in what the page's directives stand for, and keep the text for the page's twin."""
    text = expand(markdown)
    _twins[page.file.src_uri] = text
    return text


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Remember the order of pages for llms.txt."""
    _order.clear()
    for item in nav.items:
        pages = list(_pages(item))
        if pages:
            _order.append((item.title or "", pages))
    return nav


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Tell programs where the page's twin in Markdown is."""
    up = "../" * page.url.count("/")
    link = f'<link rel="alternate" type="text/markdown" href="{up}{page.file.src_uri}">'
    return output.replace("</head>", f"{link}</head>", 1)


def on_post_build(config: MkDocsConfig) -> None:
    """Write a Markdown twin of every page and llms.txt; take from the theme what it could load elsewhere."""
    site = Path(config.site_dir)
    for path, text in _twins.items():
        twin = site / path
        twin.parent.mkdir(parents=True, exist_ok=True)
        twin.write_text(text, encoding="utf-8")
    (site / "llms.txt").write_text(_index(str(config.site_description)), encoding="utf-8")
    for program in site.rglob("*.js"):
        text = program.read_text(encoding="utf-8")
        program.write_text(_FOREIGN.sub("/not-loaded/", text), encoding="utf-8")


def _generated() -> list[tuple[str, str]]:
    return [*api.pages(), *providers.pages()]


def _expanded(entry: Any, known: list[str]) -> Any:
    if isinstance(entry, dict):
        return {title: _filled(value, known) for title, value in entry.items()}
    return entry


def _filled(value: Any, known: list[str]) -> Any:
    if not isinstance(value, list):
        return value
    filled: list[Any] = []
    for part in value:
        if isinstance(part, str) and "*" in part:
            filled += [path for path in known if fnmatch(path, part) and path not in value]
        else:
            filled.append(_expanded(part, known))
    return filled


def _pages(item: Any) -> Any:
    if isinstance(item, Page):
        yield item
    if isinstance(item, Section):
        for child in item.children:
            yield from _pages(child)


def _index(description: str) -> str:
    lines = ["# Syncline", "", f"> {description}", ""]
    for title, pages in _order:
        lines += [f"## {title}", ""]
        for page in pages:
            text = _twins[page.file.src_uri]
            lines.append(f"- [{page.title}]({page.file.src_uri}): {_first_sentence(text)}")
        lines.append("")
    return "\n".join(lines)


def _first_sentence(markdown: str) -> str:
    """Return the first sentence below the title."""
    for block in re.split(r"\n\s*\n", markdown):
        text = re.sub(r"\s+", " ", block).strip()
        if text and not text.startswith(("#", "|", "```", "<", "!", "-")):
            plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("**", "")
            return re.split(r"(?<=\.)\s", plain)[0]
    return ""
