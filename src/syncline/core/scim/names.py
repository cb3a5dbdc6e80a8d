"""Attribute names as clients write them, resolved to their RFC spelling and definition (RFC 7644 §3.10)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from syncline.core.scim.errors import invalid_path, shorten
from syncline.core.scim.quirks import Quirks, quirk
from syncline.core.scim.schema import (
    CORE_V1_URN,
    ENTERPRISE_URN,
    Attribute,
    ResourceKind,
    attribute,
    enterprise_attribute,
    known_urns,
)

_NAME = re.compile(r"\$?[A-Za-z_][A-Za-z0-9_\-$]*")
_URN = re.compile(r"urn:[a-z0-9][a-z0-9-]*(?::[^\s\x00\"()\[\],:]+)+", re.IGNORECASE)
_URN_ENDINGS = ("user", "group", "custom")


@dataclass(frozen=True, slots=True)
class AttributePath:
    """One attribute or sub-attribute of a resource, in canonical spelling where it is known.

    `urn` is `None` for what stands at the top level of the resource, else the key of the extension object.
    `name` is empty for the extension object (or, under a core URN, the resource) as a whole. `attribute` is
    the definition of `name`, `None` if we do not model it. `sub` is the sub-attribute, or `None`.
    """

    urn: str | None
    name: str
    sub: str | None = None
    attribute: Attribute | None = field(default=None, compare=False, repr=False)

    @property
    def definition(self) -> Attribute | None:
        """The definition of what the path names: of the sub-attribute if there is one."""
        if self.sub is None or self.attribute is None:
            return self.attribute
        return self.attribute.sub(self.sub)

    @property
    def is_whole_object(self) -> bool:
        """Whether the path is a bare URN."""
        return self.name == ""

    def with_sub(self, sub: str | None) -> AttributePath:
        """Return the same attribute with another sub-attribute, spelled as the schema does."""
        return AttributePath(self.urn, self.name, _canonical_sub(self, sub) if sub else None, self.attribute)

    def __str__(self) -> str:
        dotted = f"{self.name}.{self.sub}" if self.sub else self.name
        return ":".join(part for part in (self.urn, dotted) if part)


def parse_attribute(
    text: str, kind: ResourceKind, *, extensions: Iterable[str] = (), quirks: Quirks | None = None
) -> AttributePath:
    """Read an attribute name: bare, dotted, or qualified by a URN with a colon or a dot.

    `extensions` are URNs that the resource is known to carry; they settle where a foreign URN ends. Without
    them a foreign URN ends at its last colon, or after a final `user`, `group` or `custom`, as in Okta's
    `urn:okta:acme:2.0:user:custom.costPool`. Names that no schema knows resolve to a path without a
    definition. Raises `ScimError` 400 `invalidPath` for text that is no attribute name.
    """
    text = text.strip()
    if text[:4].lower() != "urn:":
        return _bare(text, kind, quirks)
    urn, rest = _split_urn(text, extensions, quirks)
    if urn in (kind.core_urn, CORE_V1_URN):
        return _bare(rest, kind, quirks) if rest else AttributePath(kind.core_urn, "")
    if not rest:
        return AttributePath(urn, "")
    name, sub = _dotted(rest)
    found = enterprise_attribute(name) if urn == ENTERPRISE_URN and kind is ResourceKind.USER else None
    return _resolved(urn, name, sub, found)


def is_attribute_name(text: str) -> bool:
    """Tell whether a text is a single attribute name of RFC 7643 §2.1 (or `$ref`)."""
    return _NAME.fullmatch(text) is not None


def _bare(text: str, kind: ResourceKind, quirks: Quirks | None) -> AttributePath:
    name, sub = _dotted(text)
    found = attribute(kind, name)
    if found is None and kind is ResourceKind.USER:
        lifted = enterprise_attribute(name)
        if lifted is not None:
            return _bare_enterprise(lifted, sub, quirks)
    return _resolved(None, name, sub, found)


@quirk("E-20", "bare enterprise names")
def _bare_enterprise(found: Attribute, sub: str | None, quirks: Quirks | None) -> AttributePath:
    if quirks is not None:
        quirks.note("E-20")
    return _resolved(ENTERPRISE_URN, found.name, sub, found)


def _resolved(urn: str | None, name: str, sub: str | None, found: Attribute | None) -> AttributePath:
    return AttributePath(urn, found.name if found else name, None, found).with_sub(sub)


def _canonical_sub(path: AttributePath, sub: str) -> str:
    if path.attribute is None:
        return sub
    # SCIM 1.1 and several templates call the manager's id `managerId` (S11-6, L-02).
    if path.urn == ENTERPRISE_URN and path.name == "manager" and sub.lower() == "managerid":
        return "value"
    known = path.attribute.sub(sub)
    return known.name if known else sub


def _dotted(text: str) -> tuple[str, str | None]:
    name, dot, sub = text.partition(".")
    if not is_attribute_name(name) or (dot and not is_attribute_name(sub)):
        raise invalid_path(f"'{shorten(text)}' is not an attribute name.")
    return name, sub or None


def _split_urn(text: str, extensions: Iterable[str], quirks: Quirks | None) -> tuple[str, str]:
    """Split a qualified name into its URN, canonical where known, and the rest, maybe empty."""
    lowered = text.lower()
    carried = sorted(((urn.lower(), urn) for urn in extensions), key=lambda pair: -len(pair[0]))
    for spelling, urn in (*known_urns(), *carried):
        if lowered.startswith(spelling) and text[len(spelling) : len(spelling) + 1] in ("", ":", "."):
            if text[len(spelling) : len(spelling) + 1] == ".":
                _dot_after_urn(quirks)
            rest = text[len(spelling) + 1 :]
            if not rest and len(text) > len(spelling):
                raise invalid_path(f"'{shorten(text)}' ends after its URN.")
            return urn, rest
    if _URN.fullmatch(text) is None:
        raise invalid_path(f"'{shorten(text)}' is not an attribute name.")
    return _split_foreign_urn(text, quirks)


def _split_foreign_urn(text: str, quirks: Quirks | None) -> tuple[str, str]:
    head, _, last = text.rpartition(":")
    name, dot, rest = last.partition(".")
    if name.lower() in _URN_ENDINGS:
        if dot:
            _dot_after_urn(quirks)
        return f"{head}:{name}", rest
    if not is_attribute_name(name):
        return text, ""
    return head, last


@quirk("M-06", "a dot where the colon belongs")
def _dot_after_urn(quirks: Quirks | None) -> None:
    if quirks is not None:
        quirks.note("M-06")
