"""The pages of the built site, read as a browser would read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

HOST = "http://docs.invalid"
_LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
_LOADING_LINKS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "manifest"}


@dataclass(slots=True)
class PageContent(HTMLParser):
    """What one page loads, where it links to, what can be linked to, and the words in `<code>`."""

    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)
    styles: list[str] = field(default_factory=list)
    text: str = ""
    _code: list[str] | None = None
    _style: bool = False

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element says."""
        found = {name: value or "" for name, value in attrs}
        self.ids.update(found[name] for name in ("id", "name") if name in found)
        if "style" in found:
            self.styles.append(found["style"])
        if tag in _LOADING and _LOADING[tag] in found:
            self.loads.append(found[_LOADING[tag]])
        if tag == "link" and _LOADING_LINKS & set(found.get("rel", "").split()):
            self.loads.append(found["href"])
        if "srcset" in found:
            self.loads += [part.split()[0] for part in found["srcset"].split(",")]
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "code":
            self._code = []
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        if tag == "code" and self._code is not None:
            self.codes.add("".join(self._code).strip())
            self._code = None
        self._style = False

    def handle_data(self, data: str) -> None:
        """Read text."""
        self.text += data
        if self._code is not None:
            self._code.append(data)
        if self._style:
            self.styles.append(data)


@dataclass(frozen=True, slots=True)
class Site:
    """The built site; a page is named by its address, such as `reference/errors/`."""

    folder: Path

    def pages(self) -> Iterator[str]:
        """Yield the address of every page."""
        for file in sorted(self.folder.rglob("*.html")):
            address = str(file.relative_to(self.folder))
            yield "" if address == "index.html" else address.removesuffix("index.html")

    def page(self, address: str) -> PageContent:
        """Return a page as it was read."""
        name = f"{address}index.html" if address.endswith("/") or not address else address
        return _read(self.folder / name)

    def text(self, path: str) -> str:
        """Return a file of the site as text."""
        return (self.folder / path).read_text("utf-8")


@cache
def _read(file: Path) -> PageContent:
    content = PageContent()
    content.feed(file.read_text("utf-8"))
    return content


def is_foreign(reference: str, page: str = "") -> bool:
    """Tell whether a reference on a page leads to another host; `data:` does not."""
    if reference.startswith("data:"):
        return False
    return urlsplit(urljoin(f"{HOST}/{page}", reference)).netloc != urlsplit(HOST).netloc


def style_references(css: str) -> list[str]:
    """Return what a stylesheet loads: `url(…)` and `@import`."""
    bare = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    urls = re.findall(r"url\(\s*(\"[^\"]*\"|'[^']*'|[^)\"']*)\s*\)", bare)
    imports = re.findall(r"@import\s+(\"[^\"]*\"|'[^']*')", bare)
    return [text.strip().strip("\"'") for text in (*urls, *imports)]
