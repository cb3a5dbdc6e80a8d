"""The event catalog, read from the event classes."""

from __future__ import annotations

import inspect

from scripts.docs_site import examples
from scripts.docs_site.markdown import code, joined, paragraphs, pretty, slug
from syncline.core.events import CATALOG, Event


def section(*prefixes: str) -> str:
    """Return the types that begin with one of the prefixes."""
    return joined(*(_type(kind) for name, kind in CATALOG.items() if name.startswith(prefixes)))


def others(*prefixes: str) -> str:
    """Return the types that begin with none of the prefixes, under a title of their own."""
    found = [_type(kind) for name, kind in CATALOG.items() if not name.startswith(prefixes)]
    return joined("## Others", *found) if found else ""


def _type(kind: type[Event]) -> str:
    text = paragraphs(inspect.getdoc(kind))
    if not text or kind.__doc__ is None:
        raise LookupError(f"the event class of {kind.name} has no docstring")
    return joined(
        f"### `{kind.name}` {{#{slug(kind.name)}}}",
        text,
        code("json", pretty(examples.event(kind))),
    )
