"""PATCH paths (RFC 7644 §3.5.2, figure 7): which attribute, which of its entries, which part of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from syncline.core.scim.errors import ScimError, invalid_path, shorten
from syncline.core.scim.filter.lexer import check_text
from syncline.core.scim.filter.nodes import Filter
from syncline.core.scim.filter.parser import parse_value_filter
from syncline.core.scim.names import AttributePath, is_attribute_name, parse_attribute
from syncline.core.scim.quirks import Quirks
from syncline.core.scim.schema import ResourceKind

# Of the path and the URNs that go with it: what is remembered must not grow with what is sent.
_REMEMBERED_LENGTH = 400


@dataclass(frozen=True, slots=True)
class PatchPath:
    """The target of an operation.

    `attribute` never carries a sub-attribute: `name.familyName` and `emails[type eq "work"].value` both
    keep it in `sub`. `attribute.is_whole_object` for a bare URN, then without filter and sub.
    """

    attribute: AttributePath
    value_filter: Filter | None = None
    sub: str | None = None

    @property
    def target(self) -> AttributePath:
        """The attribute together with its sub-attribute."""
        return self.attribute.with_sub(self.sub)


def parse_path(
    text: str, kind: ResourceKind, *, extensions: Iterable[str] = (), quirks: Quirks | None = None
) -> PatchPath:
    """Read a path: attribute, dotted, qualified by a URN (colon or dot), `attr[filter]`, `attr[filter].sub`.

    `extensions` are the URN keys of the resource's document; see `names.parse_attribute`. Raises `ScimError`
    400 `invalidPath` for anything else, and above the limits of a filter.
    """
    # A provider sends the same few paths all day; those of members name another person each time.
    extensions = tuple(extensions)
    is_short = len(text) + sum(map(len, extensions)) <= _REMEMBERED_LENGTH
    if is_short and (kind is ResourceKind.USER or "[" not in text):
        path, noted = _remembered(text, kind, extensions)
        if quirks is not None:
            quirks.update(noted)
        return path
    return _parsed(text, kind, extensions, quirks)


@lru_cache(maxsize=1024)
def _remembered(
    text: str, kind: ResourceKind, extensions: tuple[str, ...]
) -> tuple[PatchPath, frozenset[str]]:
    quirks = Quirks()
    return _parsed(text, kind, extensions, quirks), frozenset(quirks)


def _parsed(text: str, kind: ResourceKind, extensions: Iterable[str], quirks: Quirks | None) -> PatchPath:
    text = text.strip()
    try:
        check_text(text)
    except ScimError as error:
        raise invalid_path(error.detail.replace("filter", "path")) from None
    head, bracket, _ = text.partition("[")
    if not bracket:
        path = parse_attribute(text, kind, extensions=extensions, quirks=quirks)
        return PatchPath(path.with_sub(None), None, path.sub)
    attribute = parse_attribute(head, kind, extensions=extensions, quirks=quirks)
    inner, closed, tail = text[len(head) + 1 :].rpartition("]")
    if not closed or head != head.rstrip() or attribute.sub is not None or attribute.is_whole_object:
        raise invalid_path(f"The path '{shorten(text)}' cannot be read.")
    try:
        value_filter = parse_value_filter(inner, kind, attribute, quirks=quirks)
    except ScimError as error:
        raise invalid_path(f"The path '{shorten(text)}' cannot be read: {error.detail}") from None
    return PatchPath(attribute, value_filter, _sub_after_filter(attribute, tail, text))


def _sub_after_filter(attribute: AttributePath, tail: str, text: str) -> str | None:
    if not tail:
        return None
    if tail[0] != "." or not is_attribute_name(tail[1:]):
        raise invalid_path(f"The path '{shorten(text)}' cannot be read.")
    return attribute.with_sub(tail[1:]).sub
